"""Archives whose arrays are far larger than the files: read under 1 GB of memory, or refused with the size."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.core.errors import UserError
from tinyrig.core.files import npz
from tinyrig.core.files.content import read_content
from tinyrig.core.files.npz import open_npz, read_npz
from tinyrig.core.files.test_set import name_of_windows
from tinyrig.core.records import TensorSpec
from tinyrig.tests.limited import limited
from tinyrig.workload.windows import load_windows

LARGE = 800 << 20
"""Bytes unpacked; packed under 1 MB."""
ONE, PIXELS = TensorSpec("in", (1,), "int8", scale=0.5), TensorSpec("in", (1, 64, 64, 4), "float32")


def head(dtype: str, shape: tuple[int, ...], fortran: bool = False) -> bytes:
    text = f"{{'descr': {dtype!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def packed(**members: bytes) -> bytes:
    """A zip archive of each member's bytes with LARGE zeros behind them; put together from one packed block, as packing all
    takes seconds."""
    block, parts, table = bytes(1 << 22), [], []
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    zeros = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    for name, front in members.items():
        packer, crc = zlib.compressobj(6, zlib.DEFLATED, -15), zlib.crc32(front)
        for _ in range(LARGE // len(block)):
            crc = zlib.crc32(block, crc)
        data = packer.compress(front) + packer.flush(zlib.Z_FULL_FLUSH) + zeros * (LARGE // len(block)) + packer.flush()
        file = f"{name}.npy".encode()
        common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, crc, len(data), len(front) + LARGE, len(file), 0)
        at = sum(map(len, parts))
        parts.append(b"PK\3\4" + common + file + data)
        table.append(b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, at) + file)
    size = sum(map(len, table))
    end = struct.pack("<HHHHIIH", 0, 0, len(table), len(table), size, sum(map(len, parts)), 0)
    return b"".join([*parts, *table, b"PK\5\6", end])


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bombs")
    for name, dtype, shape, fortran in (
        ("small", "|i1", (LARGE, 1), False),
        ("doubles", "<f8", (LARGE >> 17, 1 << 14), False),
        ("turned", "<f4", (LARGE >> 16, 1 << 14), True),
    ):
        (folder / f"{name}.npz").write_bytes(packed(x=head(dtype, shape, fortran)))
    text = folder / "text.npz"
    text.write_bytes(packed(class_names=head(f"<U{LARGE >> 2}", (1,))))
    with zipfile.ZipFile(text, "a") as file:
        file.writestr("x.npy", head("|i1", (3, 1)) + bytes(3))
    (folder / "header.npz").write_bytes(packed(x=b"\x93NUMPY\x02\x00" + struct.pack("<I", 300 << 20)))
    return folder


@pytest.mark.parametrize(("name", "spec"), [("small", ONE), ("doubles", PIXELS), ("turned", PIXELS)])
def test_three_windows_of_many_take_little_memory(bombs: Path, name: str, spec: TensorSpec) -> None:
    path = bombs / f"{name}.npz"
    assert path.stat().st_size < 8 << 20
    good, said = limited(lambda: [w[0].shape for w in load_windows(path, (spec,), 3).inputs])
    assert good and said == str([spec.shape] * 3)


@pytest.mark.parametrize(
    ("name", "spec", "told"),
    [
        ("small", ONE, "too many windows"),
        ("doubles", PIXELS, "memory"),
        ("turned", PIXELS, "memory"),
        ("text", ONE, "class_names"),
    ],
)
def test_all_windows_are_refused_with_the_size(bombs: Path, name: str, spec: TensorSpec, told: str) -> None:
    good, said = limited(lambda: load_windows(bombs / f"{name}.npz", (spec,)))
    assert not good and told in said and any(c.isdigit() for c in said)


def test_a_header_of_300_mb_is_not_read(bombs: Path) -> None:
    tracemalloc.start()
    with pytest.raises(UserError, match="header of"):
        read_npz(bombs / "header.npz", "r")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 << 20


def test_a_long_table_of_contents_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as file:
        for i in range(npz._MAX_DIRECTORY // 300):
            file.writestr(f"{i:0300}", b"")
    with pytest.raises(UserError, match="holds too much"):
        read_npz(tmp_path / "w.npz", "r")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w", method) as file:
        file.writestr("x.npy", head("|i1", (3,)) + bytes(3))
    with pytest.raises(UserError, match="is packed by method"):
        read_npz(tmp_path / "w.npz", "r")


@settings(max_examples=80)
@given(
    shape=st.lists(st.integers(0, 5), min_size=0, max_size=4).map(tuple),
    dtype=st.sampled_from(["<f4", ">f8", "|i1", "<U3", "|b1", "<i8"]),
    fortran=st.booleans(),
    rows=st.one_of(st.none(), st.integers(0, 6)),
    part=st.integers(1, 60),
)
def test_rows_are_those_that_were_written(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], dtype: str, fortran: bool, rows: int | None, part: int
) -> None:
    x = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    path = tmp_path_factory.mktemp("rows") / "w.npz"
    np.savez_compressed(path, x=np.asfortranarray(x) if fortran and shape else x)
    with pytest.MonkeyPatch.context() as m, open_npz(path, "r") as archive:
        m.setattr(npz, "PART_BYTES", part)
        got = archive.array("x", rows)
        np.testing.assert_array_equal(got, x[:rows] if shape and rows is not None else x if shape or rows != 0 else got)


def test_damage_behind_the_rows_asked_for_is_seen(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros((100, 1), np.int8))
    raw = bytearray(buffer.getvalue())
    raw[raw.index(b"\x93NUMPY") + 128 + 90] = 1
    (tmp_path / "w.npz").write_bytes(raw)
    with pytest.raises(UserError, match="CRC"):
        load_windows(tmp_path / "w.npz", (ONE,), 3)


def test_windows_are_called_by_the_numbers_that_are_used(tmp_path: Path) -> None:
    """Not by names of classes, by windows beyond the limit, or by how the file is packed."""
    x = np.arange(60, dtype=np.float32).reshape(5, 12)
    numbers: dict[str, np.ndarray] = {}

    def called(limit: int | None = None, save: Callable[..., None] = np.savez, **changes: np.ndarray) -> str:
        numbers.update({"x": x, "y": np.arange(5), **changes})
        save(tmp_path / "w.npz", **numbers)
        return name_of_windows(read_content(tmp_path / "w.npz", "an .npz", ""), limit, 0)

    usual = called()
    assert called(class_names=np.array(list("abcde"))) == usual == called(save=np.savez_compressed)
    assert called(3) != usual and called(3, x=np.concatenate([x[:4], x[:1]])) == called(3)
    changed = x.copy()
    changed[4, 11] += 1
    assert called(x=changed) != usual and called(3, x=changed) == called(3)
    assert called(x=np.asfortranarray(changed)) != called(x=np.asfortranarray(x))
    assert name_of_windows(None, None, 1) != name_of_windows(None, None, 2)
