"""What each benchmark's firmware takes and prints: windows as bytes, and what the oracle would have printed.

Sizes and treatment as in the reference firmwares of mlcommons/tiny (docs/mlperf.md). A firmware with an unknown model takes the
windows as they lie in the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tinyrig.compiler.model.graph import Graph, Tensor, read_model
from tinyrig.core.errors import DeviceError, UserError
from tinyrig.core.files.content import Content
from tinyrig.core.files.npz import open_npz
from tinyrig.core.records import TensorSpec
from tinyrig.workload.windows import Windows, load_windows

_REMEDY = "docs/mlperf.md says what each benchmark takes"
PIXEL_OFFSET = 128
"""The image firmwares take unsigned pixels and subtract this for an int8 model."""


@dataclass(frozen=True)
class Form:
    """A window of `size` elements of `dtype`, sent little-endian; `results` numbers are printed. `error`: the number is the mean
    squared difference between the model's output and its input. quality: the closed division's target, of top-1 or AUC."""

    title: str
    dtype: str
    size: int
    results: int
    quality: float
    error: bool = False


FORMS = {
    "kws01": Form("keyword spotting", "int8", 490, 12, 0.90),
    "vww01": Form("visual wake words", "uint8", 96 * 96 * 3, 2, 0.80),
    "ic01": Form("image classification", "uint8", 32 * 32 * 3, 10, 0.85),
    "ad01": Form("anomaly detection", "float32", 640, 1, 0.85, error=True),
}
STREAMING = ("sww01", "strww01")


def check_supported(model: str) -> None:
    """Raises DeviceError for a benchmark that is not run by windows."""
    if model in STREAMING:
        raise DeviceError(
            f"the benchmark {model} can't be run here",
            expected=", ".join(FORMS),
            received="streaming audio",
            remedy="it needs MLCommons' interface board and runner",
        )


def windows_for(source: Content, model: str, graph: Graph | None, limit: int | None) -> Windows:
    """The test windows in the form that the firmware takes; float32 ones are quantised as the model file says where the firmware
    wants the model's own int8. Raises UserError."""
    form = FORMS.get(model)
    if form is None:
        return load_windows(source, (_as_stored(source),), limit)
    spec = TensorSpec(f"{model}'s window", (form.size,), form.dtype)
    if graph is not None and _spec(graph, graph.inputs[0]).dtype == form.dtype:
        spec = replace(_spec(graph, graph.inputs[0]), name=spec.name, shape=spec.shape)
    return load_windows(source, (spec,), limit)


def _as_stored(source: Content) -> TensorSpec:
    with open_npz(source, _REMEDY) as npz:
        x = npz.headers.get("x")
    if x is None or len(x.shape) < 2 or x.dtype.name not in ("int8", "uint8", "float32"):
        received = "no x" if x is None else f"{x.dtype} of shape {x.shape}"
        raise UserError(
            f"{source}: x can't be streamed", expected="N windows of int8, uint8 or float32", received=received, remedy=_REMEDY
        )
    return TensorSpec("the window", x.shape[1:], x.dtype.name)


def read_graph(data: bytes, path: Path) -> Graph:
    """A model that an oracle can stand for: one input. Raises ModelError, UserError."""
    graph = read_model(data)
    if len(graph.inputs) != 1:
        raise UserError(
            f"{path} can't be what the firmware runs",
            expected="one input",
            received=str(len(graph.inputs)),
            remedy="give the model that the firmware was built with, or none",
        )
    return graph


def _spec(graph: Graph, index: int) -> TensorSpec:
    t: Tensor = graph.tensors[index]
    quantised = t.dtype in ("int8", "uint8", "int16") and len(t.scales)
    return TensorSpec(t.name, t.shape, t.dtype, float(t.scale) if quantised else 0.0, int(t.zero_point) if quantised else 0)


def oracle_input(graph: Graph, window: np.ndarray) -> np.ndarray:
    """What the firmware hands its model for a window. Raises UserError where the model takes something else."""
    spec = _spec(graph, graph.inputs[0])
    if window.size != spec.size:
        raise UserError(
            "the windows do not fit the model file",
            expected=f"{spec.size} values, as its input {spec.name!r}",
            received=f"{window.size} values",
            remedy="give the model that the firmware was built with",
        )
    flat = window.reshape(spec.shape)
    if window.dtype == np.uint8 and spec.dtype == "int8":
        return (flat.astype(np.int16) - PIXEL_OFFSET).astype(np.int8)
    if window.dtype.name == spec.dtype:
        return flat
    if window.dtype == np.float32 and spec.scale:
        return spec.quantize(flat)
    raise UserError("the windows do not fit the model file", expected=spec.dtype, received=window.dtype.name, remedy=_REMEDY)


def oracle_results(graph: Graph, model: str, window: np.ndarray, output: np.ndarray) -> np.ndarray:
    """The numbers that the firmware should print for the oracle's first output, float64."""
    real = _spec(graph, graph.outputs[0]).dequantize(output).ravel().astype(np.float64)
    form = FORMS.get(model)
    if form is not None and form.error:
        return np.asarray([np.mean((real - window.ravel().astype(np.float64)) ** 2)])
    return real
