"""Lowering of the signal library's operators: what TensorFlow Lite Micro's audio front ends consist of."""

from __future__ import annotations

import math

import numpy as np

from tinyrig.compiler.lower.program import Program, check, check_dtype, check_shape, constant
from tinyrig.compiler.model.custom.records import Channels, Energy, Fft, FilterBank, Log, Pcan, Scaled, Subtract, Window
from tinyrig.compiler.model.graph import Op, Tensor

MAX_FFT = 1 << 15
"""Its twiddles alone fill a microcontroller's flash."""


def values(p: Program, op: Op, count: int, outputs: int) -> tuple[list[Tensor], list[Tensor]]:
    check(op, None, len(op.outputs) == outputs, f"{outputs} outputs", str(len(op.outputs)))
    return p.inputs(op, count), [p.tensors[i] for i in op.outputs]


def check_number(op: Op, key: str, low: int, high: int) -> int:
    value = op.options.number(key)
    check(op, None, low <= value <= high, f"{key} from {low} to {high}", str(value))
    return value


def rows_of(op: Op, t: Tensor) -> tuple[int, int]:
    """-> (rows, values in each)."""
    check(op, t, len(t.shape) >= 1, "rank 1 or more")
    return t.size // t.shape[-1], t.shape[-1]


def window(p: Program, op: Op) -> None:
    (x, weights), (y,) = values(p, op, 2, 1)
    for t in (x, weights, y):
        check_dtype(op, t, "int16")
    table = constant(op, weights, "the window").ravel()
    rows, n = rows_of(op, x)
    check(op, weights, table.size == n, f"{n} values", str(table.size))
    check_shape(op, y, x.shape)
    p.emit("signal_window", op, [x], [y], Window(rows, n, check_number(op, "shift", 0, 31), table))


def auto_scale(p: Program, op: Op) -> None:
    (x,), (y, bits) = values(p, op, 1, 2)
    check_dtype(op, x, "int16")
    check_dtype(op, y, "int16")
    check_dtype(op, bits, "int32")
    check_shape(op, y, x.shape)
    check(op, bits, bits.size == 1, "one value")
    p.emit("signal_scale", op, [x], [y, bits], Scaled(x.size))


_TYPES = {7: ("int16", "s16"), 2: ("int32", "s32"), 0: ("float32", "f32")}
"""By the schema's number, which the option T gives."""


def rfft(p: Program, op: Op) -> None:
    (x,), (y,) = values(p, op, 1, 1)
    kind, n = _transform(op, x, y)
    rows, given = rows_of(op, x)
    check(op, x, given <= 2 * n, f"at most fft_length {2 * n} values a row", str(given))
    check_shape(op, y, (*x.shape[:-1], 2 * (n + 1)))
    p.emit(f"rfft_{kind}", op, [x], [y], Fft(rows, given, n, *twiddles(n, x.dtype, -1)), fft_macs(rows, n))


def irfft(p: Program, op: Op) -> None:
    (x,), (y,) = values(p, op, 1, 1)
    kind, n = _transform(op, x, y)
    rows, given = rows_of(op, x)
    check(op, x, given == 2 * (n + 1), f"{2 * (n + 1)} values a row", str(given))
    check_shape(op, y, (*x.shape[:-1], 2 * n))
    p.emit(f"irfft_{kind}", op, [x], [y], Fft(rows, 2 * n, n, *twiddles(n, x.dtype, 1)), fft_macs(rows, n))


def fft_macs(rows: int, n: int) -> int:
    """Products of the twiddles: four a complex one, three of four values in each of the stages."""
    return rows * (3 * n * max(1, round(math.log(n, 4))) + 4 * n)


def _transform(op: Op, x: Tensor, y: Tensor) -> tuple[str, int]:
    number = op.options.number("T")
    check(op, None, number in _TYPES, "a transform of int16, int32 or float32", f"type {number}")
    dtype, kind = _TYPES[number]
    check_dtype(op, x, dtype)
    check_dtype(op, y, dtype)
    length = check_number(op, "fft_length", 4, MAX_FFT)
    check(op, None, length & (length - 1) == 0, "an fft_length that is a power of two", str(length))
    return kind, length // 2


def twiddles(n: int, dtype: str, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """In double, with the C library's functions, as the reference makes them at run time."""
    top = {"int16": 32767, "int32": 2147483647}.get(dtype)

    def table(phases: list[float]) -> np.ndarray:
        pairs = [(math.cos(v), math.sin(v)) for v in phases]
        if top is not None:
            pairs = [(math.floor(0.5 + top * c), math.floor(0.5 + top * s)) for c, s in pairs]
        return np.array(pairs, dtype).reshape(-1, 2)

    whole = [-(-2 * math.pi * i / n) if sign > 0 else -2 * math.pi * i / n for i in range(n)]
    edges = [sign * math.pi * ((i + 1) / n + 0.5) for i in range(n // 2)]
    return table(whole), table(edges)


def energy(p: Program, op: Op) -> None:
    (x,), (y,) = values(p, op, 1, 1)
    check_dtype(op, x, "int16")
    check_dtype(op, y, "uint32")
    check(op, x, x.size % 2 == 0, "complex values", str(x.size))
    n = x.size // 2
    check(op, y, y.size == n, f"{n} values", str(y.size))
    first = check_number(op, "start_index", 0, n)
    p.emit("signal_energy", op, [x], [y], Energy(n, first, check_number(op, "end_index", first, n)))


def filter_bank(p: Program, op: Op) -> None:
    (x, *tables), (y,) = values(p, op, 6, 1)
    check_dtype(op, x, "uint32")
    check_dtype(op, y, "uint64")
    channels = check_number(op, "num_channels", 1, 4096)
    check(op, y, y.size == channels, f"{channels} channels", str(y.size))
    names = ("the weights", "the unweights", "the starts", "the weights' starts", "the widths")
    for t in tables:
        check_dtype(op, t, "int16")
    data = [constant(op, t, name).ravel() for t, name in zip(tables, names, strict=True)]
    weights, unweights, starts, weight_starts, widths = data
    for t, bands in zip(tables[2:], data[2:], strict=True):
        check(op, t, bands.size >= channels + 1, f"{channels + 1} bands", str(bands.size))
    ends = (starts.astype(int) + widths)[: channels + 1]
    weight_ends = (weight_starts.astype(int) + widths)[: channels + 1]
    least = min(int(v[: channels + 1].min()) for v in (starts, weight_starts, widths))
    check(op, None, least >= 0, "starts and widths of 0 or more", str(least))
    check(op, x, int(ends.max()) <= x.size, f"bands inside {x.size} inputs", str(int(ends.max())))
    room = min(weights.size, unweights.size)
    check(op, None, int(weight_ends.max()) <= room, f"bands inside {room} weights", str(int(weight_ends.max())))
    macs = 2 * int(widths[: channels + 1].sum())
    p.emit("signal_filter_bank", op, [x], [y], FilterBank(channels, weights, unweights, starts, weight_starts, widths), macs)


def square_root(p: Program, op: Op) -> None:
    (x, bits), (y,) = values(p, op, 2, 1)
    check_dtype(op, x, "uint64")
    check_dtype(op, bits, "int32")
    check_dtype(op, y, "uint32")
    check(op, bits, bits.size == 1, "one value", str(bits.size))
    check(op, y, y.size == x.size, f"{x.size} values", str(y.size))
    p.emit("signal_root", op, [x, bits], [y], Channels(x.size))


def subtraction(p: Program, op: Op) -> None:
    (x,), (y, noise) = values(p, op, 1, 2)
    n = op.options.number("num_channels")
    for t in (x, y, noise):
        check_dtype(op, t, "uint32")
        check(op, t, t.size == n, f"{n} channels", str(t.size))
    get = op.options.number
    params = Subtract(
        n,
        (get("smoothing") & 0xFFFFFFFF, get("alternate_smoothing") & 0xFFFFFFFF),
        (get("one_minus_smoothing") & 0xFFFFFFFF, get("alternate_one_minus_smoothing") & 0xFFFFFFFF),
        check_number(op, "smoothing_bits", 0, 31),
        check_number(op, "spectral_subtraction_bits", 0, 63),
        check_number(op, "min_signal_remaining", 0, (1 << 31) - 1),
        op.options.flag("clamping"),
    )
    p.emit("signal_subtract", op, [x], [y, noise, kept(p, noise, (n,), "noise")], params)


def kept(p: Program, like: Tensor, shape: tuple[int, ...], name: str) -> Tensor:
    """A state of the operator's own, of `like`'s type, 0 after a reset."""
    t = p.temporary(like, shape, name)
    p.states.append(t.index)
    return t


GAINS = 125
"""Three values of the curve for inputs below 3, then four for every further bit of an input, the last without its fourth."""


def pcan(p: Program, op: Op) -> None:
    (x, noise, curve), (y,) = values(p, op, 3, 1)
    for t in (x, noise, y):
        check_dtype(op, t, "uint32")
        check(op, t, t.size == x.size, f"{x.size} channels", str(t.size))
    check_dtype(op, curve, "int16")
    gains = constant(op, curve, "the gain curve").ravel()
    check(op, curve, gains.size >= GAINS, f"{GAINS} values", str(gains.size))
    p.emit("signal_pcan", op, [x, noise], [y], Pcan(x.size, check_number(op, "snr_shift", 0, 63), gains))


def log(p: Program, op: Op) -> None:
    (x,), (y,) = values(p, op, 1, 1)
    check_dtype(op, x, "uint32")
    check_dtype(op, y, "int16")
    check(op, y, y.size == x.size, f"{x.size} channels", str(y.size))
    i = np.arange(129) / 128
    table = np.floor((np.log2(1 + i) - i) * 65536 + 0.5).astype(np.uint16)
    bits = check_number(op, "input_correction_bits", 0, 31)
    p.emit("signal_log", op, [x], [y], Log(x.size, bits, op.options.number("output_scale") & 0xFFFFFFFF, table))
