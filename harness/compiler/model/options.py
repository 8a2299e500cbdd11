"""OPTIONS: which fields of which schema table each op carries. A literal table; ops without options are absent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import tflite


def enum_names(enum: type) -> dict[int, str]:
    """A generated enum class -> its names by number."""
    return {v: k for k, v in vars(enum).items() if isinstance(v, int) and not k.startswith("_")}


_PADDING = enum_names(tflite.Padding)
_ACTIVATION = enum_names(tflite.ActivationFunctionType)
_TYPE = enum_names(tflite.TensorType)
_FORMAT = enum_names(tflite.FullyConnectedOptionsWeightsFormat)

_CONV = {"padding": ("Padding", _PADDING), "stride_h": "StrideH", "stride_w": "StrideW"}
_DILATION = {"dilation_h": "DilationHFactor", "dilation_w": "DilationWFactor"}
_ACT = {"activation": ("FusedActivationFunction", _ACTIVATION)}
_POOL = {**_CONV, **_ACT, "filter_h": "FilterHeight", "filter_w": "FilterWidth"}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
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
    "MIRROR_PAD": ("MirrorPadOptions", {"mode": ("Mode", enum_names(tflite.MirrorPadMode))}),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", {"block": "BlockSize"}),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", {"block": "BlockSize"}),
    "SPLIT_V": ("SplitVOptions", {"count": "NumSplits"}),
    "SQUEEZE": ("SqueezeOptions", {"dims": "SqueezeDimsAsNumpy"}),
    "SHAPE": ("ShapeOptions", {"out_type": ("OutType", _TYPE)}),
}
"""op -> (schema table, our key -> getter, or (getter, names of the enum)). Numbers whose enum has no name stay numbers."""

_TABLE_NUMBERS = {name: number for number, name in enum_names(tflite.BuiltinOptions).items()}


def _empty() -> bytes:
    """A table without fields: every getter then answers with the schema's default."""
    builder = flatbuffers.Builder(16)
    builder.StartObject(0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


_EMPTY = _empty()


def read_options(op: Any, name: str) -> dict[str, Any]:
    """The options of a schema Operator; the schema's defaults where the file carries none."""
    if name not in OPTIONS:
        return {}
    table_name, fields = OPTIONS[name]
    reader, table = getattr(tflite, table_name)(), op.BuiltinOptions()
    if table is not None and op.BuiltinOptionsType() == _TABLE_NUMBERS[table_name]:
        reader.Init(table.Bytes, table.Pos)
    else:
        reader.Init(_EMPTY, flatbuffers.encode.Get(flatbuffers.packer.uoffset, _EMPTY, 0))
    return {key: _value(reader, getter) for key, getter in fields.items()}


def _value(reader: Any, getter: str | tuple[str, dict[int, str]]) -> Any:
    if isinstance(getter, str):
        return getattr(reader, getter)()
    method: Callable[[], int] = getattr(reader, getter[0])
    return getter[1].get(method(), method())
