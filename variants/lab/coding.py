"""What a tensor takes when it is stored as in Deep Compression: codebook, Huffman-coded indices, Huffman-coded gaps of zeros.

A real code, not an estimate: `encode` gives bytes, `decode` the tensor again. Each tensor takes whichever of three forms is the
shortest: raw; every element as an index into the codebook; only the non-zero elements, each behind the number of zeros before
it. Shape and dtype are not stored, the model's graph has them. Nothing on the board reads this.

Source: S. Han, H. Mao, W. J. Dally, "Deep Compression", ICLR 2016 (gaps of limited width, both streams Huffman-coded).
"""

from __future__ import annotations

import heapq
import itertools
import struct
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

RAW, INDEXED, SPARSE = 0, 1, 2
MAX_GAP = 15
"""A gap symbol says 0 to 14 zeros and then a value; this one says 15 zeros and no value yet."""
_MAX_CODEBOOK = 0xFFFF


def encode(tensor: np.ndarray) -> bytes:
    """The shortest form's bytes, its number first."""
    flat = np.ascontiguousarray(tensor).ravel()
    forms = [bytes([RAW]) + flat.tobytes()]
    values, indices = np.unique(flat, return_inverse=True)
    if 0 < values.size <= _MAX_CODEBOOK and not np.any(values != values):  # NaN has no place in a codebook
        forms.append(bytes([INDEXED]) + _coded(values, indices.ravel().tolist()))
        forms.append(bytes([SPARSE]) + _sparse(flat))
    return min(forms, key=len)


def decode(data: bytes, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """What `encode` took; -0.0 has become 0.0."""
    form, size = data[0], int(np.prod(shape, dtype=np.int64))
    if form == RAW:
        return np.frombuffer(data[1:], dtype).reshape(shape)
    reader = _Reader(data[1:])
    if form == INDEXED:
        values, lengths = reader.codebook(dtype)
        return values[[reader.symbol(lengths) for _ in range(size)]].reshape(shape)
    return _unsparse(reader, size, dtype).reshape(shape)


def _sparse(flat: np.ndarray) -> bytes:
    """Number of non-zeros, the gaps' code lengths, the codebook, then gap and index in turn."""
    at = np.flatnonzero(flat)
    values, indices = np.unique(flat[at], return_inverse=True)
    gaps = [_gap_symbols(int(g)) for g in np.diff(at, prepend=-1) - 1]
    gap_lengths = code_lengths(itertools.chain.from_iterable(gaps), MAX_GAP + 1)
    gap_codes, lengths = canonical(gap_lengths), code_lengths(indices.ravel().tolist(), values.size)
    codes = canonical(lengths)
    bits = "".join("".join(gap_codes[s] for s in gap) + codes[i] for gap, i in zip(gaps, indices.ravel().tolist(), strict=True))
    return struct.pack("<I", at.size) + bytes(gap_lengths) + _codebook(values, lengths) + _packed(bits)


def _unsparse(reader: _Reader, size: int, dtype: str) -> np.ndarray:
    count = struct.unpack("<I", reader.take(4))[0]
    gap_lengths = list(reader.take(MAX_GAP + 1))
    values, lengths = reader.codebook(dtype)
    flat, at = np.zeros(size, dtype), -1
    for _ in range(count):
        while (gap := reader.symbol(gap_lengths)) == MAX_GAP:
            at += MAX_GAP
        at += gap + 1
        flat[at] = values[reader.symbol(lengths)]
    return flat


def _gap_symbols(zeros: int) -> list[int]:
    return [MAX_GAP] * (zeros // MAX_GAP) + [zeros % MAX_GAP]


def _coded(values: np.ndarray, indices: Sequence[int]) -> bytes:
    lengths = code_lengths(indices, values.size)
    codes = canonical(lengths)
    return _codebook(values, lengths) + _packed("".join(codes[i] for i in indices))


def _codebook(values: np.ndarray, lengths: Sequence[int]) -> bytes:
    """Number of values, the values, the length of each code."""
    return struct.pack("<H", values.size) + values.tobytes() + bytes(lengths)


def code_lengths(symbols: Iterable[int], size: int) -> list[int]:
    """Huffman code length of each symbol 0..size-1 in bits; 0 for one that doesn't occur, 1 for one that is alone."""
    counts = Counter(symbols)
    heap: list[tuple[int, int, tuple[int, ...]]] = [(n, symbol, (symbol,)) for symbol, n in counts.items()]
    heapq.heapify(heap)
    lengths = [0] * size
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
    while len(heap) > 1:
        (n, tie, a), (m, _, b) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in (*a, *b):
            lengths[symbol] += 1
        heapq.heappush(heap, (n + m, tie, (*a, *b)))
    return lengths


def canonical(lengths: Sequence[int]) -> dict[int, str]:
    """The code words that follow from the lengths alone: shorter first, then by symbol."""
    codes, code, before = {}, 0, 0
    for length, symbol in sorted((n, s) for s, n in enumerate(lengths) if n):
        code <<= length - before
        codes[symbol] = format(code, f"0{length}b")
        code, before = code + 1, length
    return codes


def _packed(bits: str) -> bytes:
    return np.packbits(np.frombuffer(bits.encode(), np.uint8) - ord("0")).tobytes() if bits else b""


class _Reader:
    """Bytes, then bits."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self._bits = data, 0, -1
        self._words: dict[tuple[int, ...], dict[str, int]] = {}

    def take(self, n: int) -> bytes:
        self._at += n
        return self._data[self._at - n : self._at]

    def codebook(self, dtype: str) -> tuple[np.ndarray, list[int]]:
        size = struct.unpack("<H", self.take(2))[0]
        values = np.frombuffer(self.take(size * np.dtype(dtype).itemsize), dtype)
        return values, list(self.take(size))

    def symbol(self, lengths: Sequence[int]) -> int:
        """The next code word's symbol."""
        words = self._words.setdefault(tuple(lengths), {word: s for s, word in canonical(lengths).items()})
        if self._bits < 0:
            self._bits = self._at * 8
        word = ""
        while word not in words:
            word += str(self._data[self._bits // 8] >> (7 - self._bits % 8) & 1)
            self._bits += 1
        return words[word]
