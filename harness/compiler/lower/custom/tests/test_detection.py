"""TFLite_Detection_PostProcess against tflite-micro's kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.errors import ModelError
from tinyrig.workload.host_build import HostModel, run_sanitized
from tinyrig.workload.oracle import TflmOracle

OPTIONS: dict[str, Any] = {
    "max_classes_per_detection": 1,
    "nms_score_threshold": 0.3,
    "nms_iou_threshold": 0.4,
    "y_scale": 10.0,
    "x_scale": 10.0,
    "h_scale": 5.0,
    "w_scale": 5.0,
}


def head(n: int, scored: int, classes: int, most: int, shapes: bool = True, **more: Any) -> bytes:
    """Boxes and scores in, detections out. `shapes`: does the file say those of the outputs?"""
    b = ModelBuilder()
    boxes, scores = b.tensor((1, n, 4)), b.tensor((1, n, scored))
    rng = np.random.default_rng(n)
    anchors = b.tensor((n, 4), data=np.hstack([rng.random((n, 2)), 0.2 + 0.3 * rng.random((n, 2))]))
    wanted = ((1, most, 4), (1, most), (1, most), (1,))
    outputs = [b.tensor(shape if shapes else ()) for shape in wanted]
    options = {**OPTIONS, "max_detections": most, "num_classes": classes, **more}
    b.op("CUSTOM", [boxes, scores, anchors], outputs, custom="TFLite_Detection_PostProcess", **options)
    return b.finish([boxes, scores], outputs)


def windows(n: int, scored: int) -> list[list[np.ndarray]]:
    """Also with equal scores, with none that counts, and with nothing but overlapping boxes."""
    rng = np.random.default_rng(4)
    found = [[rng.standard_normal((1, n, 4)), rng.random((1, n, scored))] for _ in range(3)]
    found.append([found[0][0], np.round(found[0][1] * 3) / 3])
    found += [[found[0][0], np.zeros((1, n, scored))], [np.zeros((1, n, 4)), found[0][1]]]
    return [[x.astype(np.float32) for x in given] for given in found]


HEADS: dict[str, tuple[int, int, int, int, dict[str, Any]]] = {
    "background": (30, 4, 3, 8, {}),
    "no_background": (30, 3, 3, 40, {}),
    "more_than_there_are": (5, 2, 1, 10, {"nms_score_threshold": 0.0}),
    "regular": (30, 4, 3, 8, {"use_regular_nms": True, "detections_per_class": 5}),
    "regular_by_default_100": (20, 3, 3, 25, {"use_regular_nms": True}),
}


@pytest.mark.parametrize("name", HEADS)
def test_a_detection_head_equals_the_references(name: str) -> None:
    n, scored, classes, most, more = HEADS[name]
    data = head(n, scored, classes, most, **more)
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    host, oracle = HostModel(model), TflmOracle(data)
    counts = []
    for given in windows(n, scored):
        got = host.invoke(given)
        compare(got, oracle.run(given), name)
        counts.append(float(got[3].ravel()[0]))
    assert max(counts) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", HEADS)
def test_a_detection_head_is_clean_under_sanitizers(name: str) -> None:
    n, scored, classes, most, more = HEADS[name]
    data, given = head(n, scored, classes, most, **more), windows(n, scored)
    model = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)
    for got, x in zip(run_sanitized(model, given), given, strict=True):
        compare(got, TflmOracle(data).run(x), name)


def test_shapes_that_the_file_leaves_out_follow_from_the_options() -> None:
    model = compile_model(head(12, 3, 2, 6, shapes=False), flash_bytes=1 << 20, ram_bytes=1 << 18)
    assert [t.shape for t in model.outputs] == [(1, 6, 4), (1, 6), (1, 6), (1,)]
    given, oracle = windows(12, 3)[0], TflmOracle(head(12, 3, 2, 6, shapes=False))
    compare(HostModel(model).invoke(given), oracle.run(given))


@pytest.mark.parametrize(
    ("more", "told"),
    [({"max_classes_per_detection": 2}, "max_classes_per_detection"), ({"nms_iou_threshold": 0.0}, "nms_iou_threshold")],
)
def test_what_the_reference_can_not_do_is_refused(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        compile_model(head(12, 3, 2, 6, **more), flash_bytes=1 << 20, ram_bytes=1 << 18)
