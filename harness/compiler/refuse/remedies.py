"""What helps against an obstacle: a literal table, the first row that applies. variants/tests/test_remedies.py builds
models with the remedies and runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinyrig.compiler.model.graph import Graph, Op, Tensor


@dataclass(frozen=True)
class Case:
    """An op that was refused. `supported`: whether the compiler knows the op, and only this form of it is refused."""

    graph: Graph
    op: Op
    supported: bool

    @property
    def reads(self) -> list[Tensor]:
        return [self.graph.tensors[i] for i in self.op.inputs if 0 <= i < len(self.graph.tensors)]

    @property
    def codes(self) -> set[str]:
        return {op.code for op in self.graph.ops}


@dataclass(frozen=True)
class Row:
    """`ops`: the operators it is for; () for all. `applies`: what else must hold."""

    ops: tuple[str, ...]
    remedy: str
    applies: Callable[[Case], bool] = lambda case: True
    only_unsupported: bool = True


def _integer_activation(case: Case) -> bool:
    return any(t.data is None and t.dtype in ("int8", "int16") and len(t.scales) for t in case.reads)


def _hybrid(case: Case) -> bool:
    weights = any(t.data is not None and t.dtype == "int8" for t in case.reads[1:])
    return weights and case.reads[0].dtype == "float32"


def _uint8(case: Case) -> bool:
    return any(t.data is None and t.dtype == "uint8" for t in case.reads)


def _unfrozen(case: Case) -> bool:
    return not case.codes & {"CALL_ONCE", "ASSIGN_VARIABLE"}


def _weight(case: Case) -> bool:
    """Is it a variable that nothing in the file writes, in a model that keeps state in others?"""
    ops = [*case.graph.ops, *(op for part in case.graph.inner for op in part.ops)]
    written = {op.inputs[0] for op in ops if op.code == "ASSIGN_VARIABLE" and op.inputs}
    return bool(written) and not set(case.op.outputs) & written


UNROLL = (
    "give the layer unroll=True and convert with a batch of 1: x = keras.Input(batch_shape=(1, TIME, CHANNELS)); "
    "keras.layers.LSTM(..., unroll=True)(x), likewise GRU and SimpleRNN"
)
FROZEN = (
    "the weights are not in the file: convert with TFLiteConverter.from_keras_model(model) or from_saved_model(folder) instead "
    "of from_concrete_functions, which leaves the variables of a Keras 3 model out"
)
FROZEN_STATE = (
    "the weights are not in the file: convert with TFLiteConverter.from_keras_model(model) or from_saved_model(folder) instead "
    "of from_concrete_functions, which leaves the variables of a Keras 3 model out; the state stays with "
    "converter.experimental_enable_resource_variables = True"
)
WHERE = "a list of the places where something holds has no fixed length: multiply by the mask, tf.cast(x > 0, tf.float32) * x"
GELU = "write GELU as x * tf.sigmoid(1.702 * x), or train with ReLU or hard swish"
IN_FLOAT = (
    "keep this op in float: o = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=['{op}']); "
    "d = tf.lite.experimental.QuantizationDebugger(converter=converter, debug_dataset=representative, debug_options=o); "
    "d.get_nondebug_quantized_model(); or replace it, or move it behind the model's output"
)
FULL = (
    "convert to full int8: converter.optimizations = [tf.lite.Optimize.DEFAULT]; converter.representative_dataset = windows; "
    "converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]; or to float32, without optimizations"
)

STRINGS = "tables of strings don't go onto a board: look the words up outside, and give the model their numbers (int32)"
DRAWN = (
    "what is drawn at random can't be compared with an oracle: make it an input of the model; of Dropout and GaussianNoise "
    "nothing is left when the model is exported for inference (training=False)"
)
NO_LENGTH = "its result has no fixed length: end the model in front of it, and do the rest in the program around"
BOXES = "end the model in front of it and suppress boxes in the program around, or export TFLite_Detection_PostProcess"
ROWS: tuple[Row, ...] = (
    Row(("BIDIRECTIONAL_SEQUENCE_LSTM", "UNIDIRECTIONAL_SEQUENCE_RNN", "LSTM", "RNN"), UNROLL),
    Row(("VAR_HANDLE",), FROZEN_STATE, _weight, only_unsupported=False),
    Row(("VAR_HANDLE", "READ_VARIABLE"), FROZEN, _unfrozen, only_unsupported=False),
    Row(("CUSTOM 'edgetpu-custom-op'",), "the file is compiled for an Edge TPU: give the .tflite that edgetpu_compiler read"),
    Row(("CUSTOM 'ethos-u'",), "the file is compiled for an Arm Ethos-U: give the .tflite that Vela read"),
    Row(
        ("CUSTOM 'TFLite_Detection_PostProcess'",),
        "give it float32 boxes and scores of one image (DEQUANTIZE in front), or export the network without the post-processing",
        only_unsupported=False,
    ),
    Row(("WHERE",), WHERE),
    Row(("HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE", "HASHTABLE_LOOKUP"), STRINGS),
    Row(("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL"), DRAWN),
    Row(("UNIQUE",), NO_LENGTH),
    Row(("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"), BOXES),
    Row(("GELU",), GELU, _integer_activation, only_unsupported=False),
    Row((), FULL, _hybrid, only_unsupported=False),
    Row(
        ("EXP", "LOG", "SQRT", "RSQRT", "SQUARE", "NEG", "FLOOR", "CEIL", "ROUND", "SIGN", "SIN", "COS", "DIV", "ELU"),
        IN_FLOAT,
        _integer_activation,
        only_unsupported=False,
    ),
    Row(
        (),
        "convert again with a current TensorFlow, which writes int8 instead of uint8 activations",
        _uint8,
        only_unsupported=False,
    ),
)


def remedy_for(case: Case, otherwise: str) -> str:
    for row in ROWS:
        if (not row.ops or case.op.code in row.ops) and not (row.only_unsupported and case.supported) and row.applies(case):
            return row.remedy.replace("{op}", case.op.code)
    if case.supported:
        return otherwise
    if case.op.code.startswith("CUSTOM 'Flex"):
        return "the op runs inside TensorFlow only: convert without tf.lite.OpsSet.SELECT_TF_OPS and replace the layer"
    if case.op.code.startswith("CUSTOM"):
        return "only the program that this custom op was written for can run it: replace the layer with built-in ops"
    return "replace the layer that makes this op, or compute it outside the model"
