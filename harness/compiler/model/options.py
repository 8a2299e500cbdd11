"""OPTIONS: which fields of which schema table each op carries. A literal table; ops without options are absent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinyrig.compiler.model.custom.options import CUSTOM, read_custom
from tinyrig.compiler.model.schema import Operator, enum_names, options_reader
from tinyrig.core.text import printable

Value = int | float | str | tuple[float, ...] | None
"""Of one option: a flag is an int, an enum's value its name or, without one, its number, a list that is absent None."""


@dataclass(frozen=True)
class OpOptions:
    """What the file says beside an op's inputs, by our keys. The getters raise KeyError for a key that OPTIONS does not give
    the op, TypeError for a value of another kind."""

    values: dict[str, Value] = field(default_factory=dict)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def number(self, key: str, default: int | None = None) -> int:
        value = self.values[key] if default is None else self.values.get(key, default)
        if not isinstance(value, int):
            raise TypeError(f"option {key} is {value!r}, not an integer")
        return value

    def real(self, key: str) -> float:
        value = self.values[key]
        if not isinstance(value, int | float):
            raise TypeError(f"option {key} is {value!r}, not a number")
        return float(value)

    def flag(self, key: str) -> bool:
        return bool(self.number(key))

    def word(self, key: str, default: str | None = None) -> str:
        """An enum's name; the number, as text, of a value without a name."""
        return str(self.values[key] if default is None else self.values.get(key, default))

    def numbers(self, key: str) -> tuple[int, ...] | None:
        value = self._list(key)
        return None if value is None else tuple(int(v) for v in value)

    def reals(self, key: str) -> tuple[float, ...]:
        return self._list(key) or ()

    def _list(self, key: str) -> tuple[float, ...] | None:
        value = self.values[key]
        if not isinstance(value, tuple | None):
            raise TypeError(f"option {key} is {value!r}, not a list")
        return value


_PADDING = enum_names("Padding")
_ACTIVATION = enum_names("ActivationFunctionType")
_TYPE = enum_names("TensorType")
_FORMAT = enum_names("FullyConnectedOptionsWeightsFormat")

Getter = str | tuple[str, dict[int, str]]
_CONV: dict[str, Getter] = {"padding": ("Padding", _PADDING), "stride_h": "StrideH", "stride_w": "StrideW"}
_DILATION: dict[str, Getter] = {"dilation_h": "DilationHFactor", "dilation_w": "DilationWFactor"}
_ACT: dict[str, Getter] = {"activation": ("FusedActivationFunction", _ACTIVATION)}
_POOL: dict[str, Getter] = {**_CONV, **_ACT, "filter_h": "FilterHeight", "filter_w": "FilterWidth"}

OPTIONS: dict[str, tuple[str, dict[str, Getter]]] = {
    "CONV_2D": ("Conv2DOptions", {**_CONV, **_DILATION, **_ACT}),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", {**_CONV, **_DILATION, **_ACT, "multiplier": "DepthMultiplier"}),
    "FULLY_CONNECTED": ("FullyConnectedOptions", {**_ACT, "format": ("WeightsFormat", _FORMAT), "keep_dims": "KeepNumDims"}),
    "TRANSPOSE_CONV": ("TransposeConvOptions", {**_CONV, **_ACT}),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "MEAN": ("ReducerOptions", {"keep_dims": "KeepDims"}),
    "SOFTMAX": ("SoftmaxOptions", {"beta": "Beta"}),
    "ADD": ("AddOptions", _ACT),
    "SUB": ("SubOptions", _ACT),
    "MUL": ("MulOptions", _ACT),
    "CONCATENATION": ("ConcatenationOptions", {**_ACT, "axis": "Axis"}),
    "LEAKY_RELU": ("LeakyReluOptions", {"alpha": "Alpha"}),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", {"align": "AlignCorners", "half_pixel": "HalfPixelCenters"}),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        {
            "begin_mask": "BeginMask",
            "end_mask": "EndMask",
            "ellipsis_mask": "EllipsisMask",
            "new_axis_mask": "NewAxisMask",
            "shrink_mask": "ShrinkAxisMask",
            "offset": "Offset",
        },
    ),
    "SPLIT": ("SplitOptions", {"count": "NumSplits"}),
    "PACK": ("PackOptions", {"axis": "Axis", "count": "ValuesCount"}),
    "UNPACK": ("UnpackOptions", {"axis": "Axis", "count": "Num"}),
    "ARG_MAX": ("ArgMaxOptions", {"output_type": ("OutputType", _TYPE)}),
    "REDUCE_MAX": ("ReducerOptions", {"keep_dims": "KeepDims"}),
    "REDUCE_MIN": ("ReducerOptions", {"keep_dims": "KeepDims"}),
    "SUM": ("ReducerOptions", {"keep_dims": "KeepDims"}),
    "REDUCE_PROD": ("ReducerOptions", {"keep_dims": "KeepDims"}),
    "DIV": ("DivOptions", _ACT),
    "BATCH_MATMUL": ("BatchMatMulOptions", {"adjoint_x": "AdjX", "adjoint_y": "AdjY"}),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", {"align": "AlignCorners", "half_pixel": "HalfPixelCenters"}),
    "GATHER": ("GatherOptions", {"axis": "Axis", "batch_dims": "BatchDims"}),
    "MIRROR_PAD": ("MirrorPadOptions", {"mode": ("Mode", enum_names("MirrorPadMode"))}),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", {"block": "BlockSize"}),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", {"block": "BlockSize"}),
    "SPLIT_V": ("SplitVOptions", {"count": "NumSplits"}),
    "SQUEEZE": ("SqueezeOptions", {"dims": "SqueezeDimsAsNumpy"}),
    "ARG_MIN": ("ArgMinOptions", {"output_type": ("OutputType", _TYPE)}),
    "CUMSUM": ("CumsumOptions", {"exclusive": "Exclusive", "reverse": "Reverse"}),
    "L2_NORMALIZATION": ("L2NormOptions", _ACT),
    "L2_POOL_2D": ("Pool2DOptions", _POOL),
    "REDUCE_ALL": ("ReducerOptions", {"keep_dims": "KeepDims"}),
    "VAR_HANDLE": ("VarHandleOptions", {"container": "Container", "name": "SharedName"}),
    "CALL_ONCE": ("CallOnceOptions", {"init": "InitSubgraphIndex"}),
    "WHILE": ("WhileOptions", {"cond": "CondSubgraphIndex", "body": "BodySubgraphIndex"}),
    "IF": ("IfOptions", {"then": "ThenSubgraphIndex", "else": "ElseSubgraphIndex"}),
    "SVDF": ("SVDFOptions", {**_ACT, "rank": "Rank"}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        "UnidirectionalSequenceLSTMOptions",
        {**_ACT, "cell_clip": "CellClip", "projection_clip": "ProjClip", "time_major": "TimeMajor"},
    ),
    "ONE_HOT": ("OneHotOptions", {"axis": "Axis"}),
    "GELU": ("GeluOptions", {"approximate": "Approximate"}),
    "REDUCE_ANY": ("ReducerOptions", {"keep_dims": "KeepDims"}),
    "LOCAL_RESPONSE_NORMALIZATION": (
        "LocalResponseNormalizationOptions",
        {"radius": "Radius", "bias": "Bias", "alpha": "Alpha", "beta": "Beta"},
    ),
    "BUCKETIZE": ("BucketizeOptions", {"boundaries": "BoundariesAsNumpy"}),
    "REVERSE_SEQUENCE": ("ReverseSequenceOptions", {"time": "SeqDim", "batch": "BatchDim"}),
    "CONV_3D": ("Conv3DOptions", {**_CONV, **_DILATION, **_ACT, "stride_d": "StrideD", "dilation_d": "DilationDFactor"}),
    "SHAPE": ("ShapeOptions", {"out_type": ("OutType", _TYPE)}),
}
"""op -> (schema table, our key -> getter, or (getter, names of the enum)). Numbers whose enum has no name stay numbers."""

_TABLE_NUMBERS = {name: number for number, name in enum_names("BuiltinOptions").items()}


def read_options(op: Operator, name: str) -> OpOptions:
    """The options of a schema Operator; what runtimes take where the file carries none, mostly the schema's defaults."""
    if name not in OPTIONS:
        return OpOptions(dict(_custom(op, name)))
    table_name, fields = OPTIONS[name]
    given = op.BuiltinOptionsType() == _TABLE_NUMBERS[table_name]
    reader = options_reader(table_name, op.BuiltinOptions() if given else None)
    values = {key: _value(reader, getter) for key, getter in fields.items()}
    return OpOptions(values if given else values | ABSENT.get(name, {}))


ABSENT: dict[str, dict[str, Value]] = {"MIRROR_PAD": {"mode": "SYMMETRIC"}}
"""What tflite-micro takes without the table, where that is not the schema's default: its kernel asks for REFLECT alone. LiteRT
refuses such a file."""


def custom_name(custom: str) -> str:
    """How an operator that the schema does not know is called here."""
    return f"CUSTOM {custom!r}"


_CUSTOM = {custom_name(name): name for name in CUSTOM}


def is_foreign(code: str) -> bool:
    """Is it a custom operator that nothing here knows?"""
    return code.startswith("CUSTOM ") and code not in _CUSTOM


def _custom(op: Operator, name: str) -> dict[str, int | float]:
    if name not in _CUSTOM:
        return {}
    return read_custom(_CUSTOM[name], bytes(op.CustomOptionsAsNumpy()) if op.CustomOptionsLength() else b"")


def _value(reader: Any, getter: Getter) -> Value:
    method: Callable[[], Any] = getattr(reader, getter if isinstance(getter, str) else getter[0])
    value = method()
    if value is None or isinstance(value, bytes):
        return printable((value or b"").decode("utf-8", "replace"), 300)
    if not isinstance(getter, str):
        return getter[1].get(value, int(value))
    if getter.endswith("AsNumpy"):  # answers 0 for an absent list
        return tuple(value.tolist()) if isinstance(value, np.ndarray) else None
    return float(value) if isinstance(value, float) else int(value)
