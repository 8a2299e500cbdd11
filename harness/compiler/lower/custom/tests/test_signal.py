"""The signal library against tflite-micro's own, to the byte."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.lower.custom.tests import signal_models as models
from tinyrig.compiler.tests.cases import compare, random_values
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel, run_sanitized
from tinyrig.workload.oracle import TflmOracle


def windows(model, n: int = 4) -> list[list[np.ndarray]]:
    """Whole ranges, small values, and silence."""
    rng = np.random.default_rng(11)
    given = [[random_values(rng, t.shape, t.dtype) for t in model.inputs] for _ in range(n)]
    small = [[(x / 500).astype(x.dtype) for x in given[0]], [np.zeros_like(x) for x in given[0]]]
    return given + small


def check(data: bytes, sanitize: bool = False) -> None:
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    host, oracle = HostModel(model), TflmOracle(data)
    given = windows(model)
    for x in given:
        compare(host.invoke(x), oracle.run(x))
    if sanitize:
        for got, x in zip(run_sanitized(model, given), given, strict=True):
            compare(got, oracle.run(x))


@pytest.mark.parametrize(("length", "given"), [(8, 5), (512, 480)])
@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_transforms_equal_the_references(dtype: str, length: int, given: int) -> None:
    check(models.fft("SignalRfft", dtype, length, 2, given))
    check(models.fft("SignalIrfft", dtype, length, 2, length))


def test_filter_banks_and_roots() -> None:
    rng = np.random.default_rng(1)
    for inputs, channels, bits in ((20, 5, 0), (257, 40, 7), (9, 1, 15)):
        check(models.filter_bank(rng, inputs, channels, bits))


@pytest.mark.parametrize("clamping", [False, True])
def test_noise_gain_and_logarithm(clamping: bool) -> None:
    check(models.subtraction(np.random.default_rng(2), 7, clamping, 3))


FRAMERS = {
    "whole_steps": ("SignalFramer", [(2, 12), (2, 3, 8)], {"frame_size": 8, "frame_step": 4, "prefill": True}),
    "odd_steps": ("SignalFramer", [(15,), (5, 7)], {"frame_size": 7, "frame_step": 3, "prefill": True}),
    "no_overlap": ("SignalFramer", [(12,), (3, 4)], {"frame_size": 4, "frame_step": 4, "prefill": False}),
}


@pytest.mark.parametrize("name", FRAMERS)
def test_frames(name: str) -> None:
    code, (given, frames), options = FRAMERS[name]
    check(models.one(code, [given, frames, ()], ["int16", "int16", "bool"], **options))


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_overlapping_frames_are_added(dtype: str) -> None:
    check(models.one("SignalOverlapAdd", [(2, 5, 6), (2, 20)], [dtype, dtype], T=models.TYPE[dtype], frame_step=4))


@pytest.mark.parametrize("length", [0, 3, 10, 25])
def test_delays(length: int) -> None:
    check(models.one("SignalDelay", [(2, 10), (2, 10)], ["int16", "int16"], delay_length=length))


@pytest.mark.parametrize(("left", "right", "step"), [(2, 0, 1), (1, 1, 2), (0, 0, 1)])
def test_stacks(left: int, right: int, step: int) -> None:
    check(models.stacker(left, right, step, 3))


def test_a_front_end_from_audio_to_features() -> None:
    check(models.front_end(np.random.default_rng(3)))


@pytest.mark.slow
def test_a_front_end_is_clean_under_sanitizers() -> None:
    check(models.front_end(np.random.default_rng(3)), sanitize=True)
    check(models.subtraction(np.random.default_rng(2), 7, True, 2), sanitize=True)


@pytest.mark.parametrize("given", ["int8", "int16", "int32", "bool"])
def test_casts_by_way_of_unsigned_numbers(given: str) -> None:
    b = ModelBuilder()
    x, unsigned = b.tensor((9,), given), b.tensor((9,), "uint32")
    outputs = [b.tensor((9,), dtype) for dtype in ("int8", "int16", "int32", "float32")]
    b.op("CAST", [x], [unsigned])
    for y in outputs:
        b.op("CAST", [unsigned], [y])
    check(b.finish([x], outputs))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int16", "int32", "float32"])
def test_transforms_of_every_small_length(dtype: str) -> None:
    for length in (4, 16, 32, 64):
        check(models.fft("SignalRfft", dtype, length, 1, length))
        check(models.fft("SignalIrfft", dtype, length, 1, length))


def several() -> bytes:
    """What keeps samples, in one model."""
    b = ModelBuilder()
    x, frames, whole, later, sums = (
        b.tensor(shape, dtype)
        for shape, dtype in (((12,), "int16"), ((3, 6), "int16"), ((), "bool"), ((12,), "int16"), ((12,), "int16"))
    )
    b.op("CUSTOM", [x], [frames, whole], custom="SignalFramer", frame_size=6, frame_step=4, prefill=True)
    b.op("CUSTOM", [x], [later], custom="SignalDelay", delay_length=17)
    b.op("CUSTOM", [frames], [sums], custom="SignalOverlapAdd", T=7, frame_step=4)
    return b.finish([x], [later, sums])


@pytest.mark.slow
def test_what_keeps_samples_is_clean_under_sanitizers() -> None:
    check(several(), sanitize=True)


REFUSED = {
    "length": (models.fft("SignalRfft", "int16", 12, 1, 12), "power of two"),
    "frames": (
        models.one("SignalFramer", [(8,), (2, 6), ()], ["int16", "int16", "bool"], frame_size=6, frame_step=4, prefill=False),
        "prefill=True",
    ),
    "options": (models.one("SignalDelay", [(4,), (4,)], ["int16", "int16"], delay=3), "lack 'delay_length'"),
    "no_options": (models.one("SignalDelay", [(4,), (4,)], ["int16", "int16"]), "lack 'delay_length'|can't be read"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_result_is_refused(name: str) -> None:
    data, told = REFUSED[name]
    with pytest.raises(ModelError) as caught:
        compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    assert re.search(told, str(caught.value)), caught.value
