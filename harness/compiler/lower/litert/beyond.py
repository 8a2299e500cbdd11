"""LOWER: operators that LiteRT runs and tflite-micro does not."""

from __future__ import annotations

from collections.abc import Callable

from tinyrig.compiler.lower.litert import functions, layers, places
from tinyrig.compiler.lower.program import Program
from tinyrig.compiler.model.graph import Op

LOWER: dict[str, Callable[[Program, Op], None]] = {
    "POW": functions.of_two,
    "ATAN2": functions.of_two,
    "BITWISE_XOR": functions.bits,
    "RIGHT_SHIFT": functions.bits,
    "REDUCE_ANY": functions.reduce_any,
    "LOCAL_RESPONSE_NORMALIZATION": functions.local_response,
    "BUCKETIZE": functions.bucketize,
    "RFFT2D": functions.rfft,
    "COMPLEX_ABS": functions.of_complex,
    "REAL": functions.of_complex,
    "IMAG": functions.of_complex,
    "TOPK_V2": places.top_k,
    "SCATTER_ND": places.scatter_nd,
    "SEGMENT_SUM": places.segments,
    "UNSORTED_SEGMENT_SUM": places.segments,
    "UNSORTED_SEGMENT_PROD": places.segments,
    "UNSORTED_SEGMENT_MAX": places.segments,
    "UNSORTED_SEGMENT_MIN": places.segments,
    "REVERSE_SEQUENCE": places.reverse_sequence,
    "MATRIX_DIAG": places.diagonal,
    "MATRIX_SET_DIAG": places.diagonal,
    "RANGE": places.range_,
    "RANK": places.rank_,
    "CONV_3D": layers.conv3d,
}
