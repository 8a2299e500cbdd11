"""Models of the signal library's operators, as TensorFlow Lite Micro's audio front ends are put together."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrig.compiler.tests.model_builder import ModelBuilder

TYPE = {"int16": 7, "int32": 2, "float32": 0}


def one(code: str, shapes: list[tuple[int, ...]], types: list[str], **options: Any) -> bytes:
    """One op with one input; `shapes` and `types`: of the input, then of the outputs."""
    b = ModelBuilder()
    x, *made = (b.tensor(shape, dtype) for shape, dtype in zip(shapes, types, strict=True))
    b.op("CUSTOM", [x], made, custom=code, **options)
    return b.finish([x], made)


def fft(way: str, dtype: str, length: int, rows: int, given: int) -> bytes:
    wide, narrow = (rows, length + 2), (rows, given)
    shapes = [narrow, wide] if way == "SignalRfft" else [wide, narrow]
    return one(way, shapes, [dtype, dtype], T=TYPE[dtype], fft_length=length)


def bands(rng: np.random.Generator, inputs: int, channels: int) -> tuple[np.ndarray, ...]:
    """weights, unweights, starts, starts of the weights, widths."""
    edges = np.sort(rng.choice(inputs, channels + 2, replace=False))
    widths = np.diff(edges)
    weight_starts = np.concatenate([[0], np.cumsum(widths)[:-1]])
    weights = rng.integers(0, 4097, int(widths.sum()))
    return weights, 4096 - weights, edges[:-1], weight_starts, widths


def gain_curve(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(-3000, 32767, 125)


def _unsigned(b: ModelBuilder, x: int, shape: tuple[int, ...]) -> int:
    y = b.tensor(shape, "uint32")
    b.op("CAST", [x], [y])
    return y


def _told(b: ModelBuilder, x: int, shape: tuple[int, ...]) -> int:
    y = b.tensor(shape, "int32")
    b.op("CAST", [x], [y])
    return y


def filter_bank(rng: np.random.Generator, inputs: int, channels: int, bits: int) -> bytes:
    """int32 input (its bits are the uint32s) -> roots of the bands."""
    b = ModelBuilder()
    x, sums, out = b.tensor((inputs,), "int32"), b.tensor((channels,), "uint64"), b.tensor((channels,), "uint32")
    tables = [b.tensor(v.shape, "int16", data=v) for v in bands(rng, inputs, channels)]
    b.op("CUSTOM", [_unsigned(b, x, (inputs,)), *tables], [sums], custom="SignalFilterBank", num_channels=channels)
    b.op("CUSTOM", [sums, b.tensor((), "int32", data=bits)], [out], custom="SignalFilterBankSquareRoot")
    return b.finish([x], [_told(b, out, (channels,))])


def subtraction(rng: np.random.Generator, n: int, clamping: bool, rounds: int) -> bytes:
    """`rounds` ops in a row, each with its own noise; then the gain and the logarithm."""
    b = ModelBuilder()
    x = b.tensor((n,), "int32")
    signal, outputs = _unsigned(b, x, (n,)), []
    options = {
        "alternate_one_minus_smoothing": 15401,
        "alternate_smoothing": 983,
        "min_signal_remaining": 819,
        "num_channels": n,
        "one_minus_smoothing": 15975,
        "smoothing": 409,
        "smoothing_bits": 10,
        "spectral_subtraction_bits": 14,
    }
    for _ in range(rounds):
        left, noise, gained, logs = (b.tensor((n,), t) for t in ("uint32", "uint32", "uint32", "int16"))
        b.op("CUSTOM", [signal], [left, noise], custom="SignalFilterBankSpectralSubtraction", clamping=clamping, **options)
        curve = b.tensor((125,), "int16", data=gain_curve(rng))
        b.op("CUSTOM", [left, noise, curve], [gained], custom="SignalPCAN", snr_shift=6)
        b.op("CUSTOM", [gained], [logs], custom="SignalFilterBankLog", input_correction_bits=3, output_scale=64)
        outputs += [_told(b, left, (n,)), _told(b, noise, (n,)), _told(b, gained, (n,)), logs]
        signal = left
    return b.finish([x], outputs)


def stacker(left: int, right: int, step: int, channels: int) -> bytes:
    """The stack where it is whole, else zeros."""
    b = ModelBuilder()
    size = (left + 1 + right) * channels
    x, stack, whole = b.tensor((channels,), "int16"), b.tensor((size,), "int16"), b.tensor((), "bool")
    options = {"stacker_left_context": left, "stacker_right_context": right, "stacker_step": step}
    b.op("CUSTOM", [x], [stack, whole], custom="SignalStacker", num_channels=channels, **options)
    flag, out = b.tensor((1,), "bool"), b.tensor((size,), "int16", 1.0)
    b.op("RESHAPE", [whole, b.tensor((1,), "int32", data=[1])], [flag])
    b.op("SELECT_V2", [flag, stack, b.tensor((size,), "int16", data=np.zeros(size))], [out])
    return b.finish([x], [out, flag])


def front_end(rng: np.random.Generator) -> bytes:
    """30 ms of audio at 16 kHz -> 40 features of int8: a window, a transform, bands and their roots."""
    b, x, features = _features(rng)
    return b.finish([x], [features])


def keyword(rng: np.random.Generator) -> bytes:
    """The same and a dense layer: audio in, four classes out."""
    b, x, features = _features(rng)
    row, scores, classes = b.tensor((1, 40), "int8", 0.5), b.tensor((1, 4), "int8", 0.3), b.tensor((1, 4), "int8", 1 / 256, -128)
    b.op("RESHAPE", [features, b.tensor((2,), "int32", data=[1, 40])], [row])
    w = b.tensor((4, 40), "int8", 0.02, data=rng.integers(-127, 128, (4, 40)))
    b.op("FULLY_CONNECTED", [row, w], [scores])
    b.op("SOFTMAX", [scores], [classes], beta=1.0)
    return b.finish([x], [classes])


def _features(rng: np.random.Generator) -> tuple[ModelBuilder, int, int]:
    """-> builder, audio, features."""
    b = ModelBuilder()
    n, channels = 480, 40
    shapes: list[tuple[tuple[int, ...], str]] = [
        ((1, n), "int16"),
        ((1, n), "int16"),
        ((n,), "int16"),
        ((n,), "int16"),
        ((), "int32"),
        ((514,), "int16"),
        ((257,), "uint32"),
        ((channels,), "uint64"),
        ((channels,), "uint32"),
    ]
    x, cut, flat, scaled, bits, spectrum, energy, sums, roots = (b.tensor(shape, dtype) for shape, dtype in shapes)
    hann = np.round(4096 * np.hanning(n)).astype(int)
    b.op("CUSTOM", [x, b.tensor((n,), "int16", data=hann)], [cut], custom="SignalWindow", shift=12)
    b.op("RESHAPE", [cut, b.tensor((1,), "int32", data=[n])], [flat])
    b.op("CUSTOM", [flat], [scaled, bits], custom="SignalFftAutoScale")
    b.op("CUSTOM", [scaled], [spectrum], custom="SignalRfft", T=7, fft_length=512)
    b.op("CUSTOM", [spectrum], [energy], custom="SignalEnergy", start_index=0, end_index=257)
    tables = [b.tensor(v.shape, "int16", data=v) for v in bands(rng, 257, channels)]
    b.op("CUSTOM", [energy, *tables], [sums], custom="SignalFilterBank", num_channels=channels)
    b.op("CUSTOM", [sums, bits], [roots], custom="SignalFilterBankSquareRoot")
    wide, whole = (b.tensor((channels,), "int32") for _ in range(2))
    part = b.tensor((channels,), "int8", 0.5)
    b.op("CAST", [roots], [wide])
    b.op("DIV", [wide, b.tensor((), "int32", data=128)], [whole], fusedActivationFunction=0)
    b.op("CAST", [whole], [part])
    return b, x, part
