"""Which operators the reference has, and how far a right kernel may lie from it."""

from __future__ import annotations

from collections.abc import Sequence

from tinyrig.compiler.model.graph import Op, Tensor
from tinyrig.reference.arithmetic import ARITHMETIC, Function
from tinyrig.reference.call import QUANTIZED
from tinyrig.reference.layers import LAYERS
from tinyrig.reference.moves import MOVES
from tinyrig.reference.recurrent import RECURRENT
from tinyrig.reference.reductions import REDUCTIONS

OPERATORS: dict[str, Function] = {**LAYERS, **ARITHMETIC, **REDUCTIONS, **MOVES, **RECURRENT}
"""Besides those that control flow and variables are made of (interpreter.py)."""

STEPS = 1
"""Of an integer with a scale, each operator by itself: kernels round once or twice, by factors of 16 or 31 bits."""
FUNCTION_STEPS: dict[tuple[str, str], int] = {
    ("LOG_SOFTMAX", "int8"): 4,
    ("RESIZE_BILINEAR", "int8"): 2,
    ("TANH", "int16"): 3,
    ("SOFTMAX", "int16"): 96,
    ("SQUARED_DIFFERENCE", "int16"): 64,
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "int8"): 3,
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "int16"): 64,
    ("QUANTIZE", "int32"): 2,
}
"""(operator, type) -> steps, where kernels take a table or a series, or round on the way: what right kernels were seen to need,
and a little more. 96 steps of an int16 SOFTMAX are 0.3 % of its range."""


def steps(op: Op, tensor: Tensor) -> int:
    """By how many steps a right kernel's value may differ; 0 where stored numbers are moved, compared or counted."""
    if tensor.dtype not in QUANTIZED and not (op.code == "QUANTIZE" and tensor.dtype == "int32"):
        return 0
    return FUNCTION_STEPS.get((op.code, tensor.dtype), STEPS)


def objection(op: Op, tensors: Sequence[Tensor]) -> str:
    """Why the reference's value is not the one that microcontrollers' runtimes mean; "" where it is."""
    made = [tensors[i] for i in op.outputs]
    if not any(t.dtype in QUANTIZED for t in made):
        return ""
    if op.code == "CUMSUM":
        return f"{op}: runtimes begin integer sums at the zero point, not at 0"
    if op.code == "ADD_N" and made[0].zero_point:
        return f"{op}: runtimes leave the zero point of integers out"
    x = tensors[op.inputs[0]] if op.inputs and op.inputs[0] >= 0 else made[0]
    if op.code in CLAMPS and (x.scale, x.zero_point) != (made[0].scale, made[0].zero_point):
        return f"{op}: runtimes clamp at the input's scale, whatever the output's is"
    return ""


CLAMPS = ("RELU6", "RELU_N1_TO_1", "RELU_0_TO_1")
