"""Lowering of TFLite_Detection_PostProcess: boxes from their anchors, and the best ones that do not overlap."""

from __future__ import annotations

from tinyrig.compiler.lower.custom.signal import check_number, values
from tinyrig.compiler.lower.program import Program, check, check_dtype
from tinyrig.compiler.model.custom.records import Detect
from tinyrig.compiler.model.extent import Open
from tinyrig.compiler.model.graph import Op, Tensor

MAX_DETECTIONS = 4096


def detection(p: Program, op: Op) -> None:
    (boxes, scores, anchors), outputs = values(p, op, 3, 4)
    for t in (boxes, scores, anchors, *outputs):
        check_dtype(op, t, "float32")
    check(op, boxes, len(boxes.shape) == 3 and boxes.shape[0] == 1, "one image of boxes, [1, boxes, 4]", str(list(boxes.shape)))
    _, n, coded = boxes.shape
    check(op, boxes, coded >= 4, "4 numbers a box", str(coded))
    check(op, anchors, anchors.shape == (n, 4), f"{n} anchors of 4 numbers", str(list(anchors.shape)))
    check(op, scores, scores.shape[:2] == (1, n) and len(scores.shape) == 3, f"scores of {n} boxes", str(list(scores.shape)))
    classes = check_number(op, "num_classes", 1, scores.shape[2])
    check(op, scores, scores.shape[2] - classes <= 1, f"{classes} classes, or one more for the background", str(scores.shape[2]))
    most = check_number(op, "max_detections", 1, MAX_DETECTIONS)
    regular = op.options.flag("use_regular_nms")
    if not regular:  # with more, the reference writes beyond its outputs
        check_number(op, "max_classes_per_detection", 1, 1)
    overlap = op.options.real("nms_iou_threshold")
    check(op, None, 0 < overlap <= 1, "nms_iou_threshold above 0, at most 1", str(overlap))
    scales = tuple(op.options.real(f"{axis}_scale") for axis in "yxhw")
    check(op, None, all(scales), "scales other than 0", str(scales))
    for t, shape in zip(outputs, ((1, most, 4), (1, most), (1, most), (1,)), strict=True):
        _settle(p, op, t, shape)
    per_class = check_number(op, "detections_per_class", 1, MAX_DETECTIONS) if regular else 0
    params = Detect(
        n,
        coded,
        scores.shape[2],
        classes,
        most,
        per_class,
        op.options.real("nms_score_threshold"),
        overlap,
        (scales[0], scales[1], scales[2], scales[3]),
    )
    p.emit("detect", op, [boxes, scores, anchors], [p.tensors[t.index] for t in outputs], params)


def _settle(p: Program, op: Op, t: Tensor, shape: tuple[int, ...]) -> None:
    """Converters leave the outputs' shapes out: the options give them."""
    size = 1
    for d in shape:
        size *= d
    if isinstance(t.extent, Open) or t.shape == () or t.size == size:
        p.settle(t, shape if isinstance(t.extent, Open) or t.shape == () else t.shape)
    else:
        check(op, t, False, f"shape {list(shape)} from max_detections", str(list(t.shape)))
