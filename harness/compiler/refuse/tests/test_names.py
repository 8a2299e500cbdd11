"""Layers by the names that converters write."""

import pytest

from tinyrig.compiler.refuse.names import layer_in


@pytest.mark.parametrize(
    ("tensor", "layer"),
    [
        ("functional_3_1/sequential_1_1/gru_1/while", "gru_1"),
        ("functional_1_1/sequential_1/conv2d_1/Relu;functional_1_1/sequential_1/conv2d_1/BiasAdd", "conv2d_1"),
        ("functional_1_1/sequential_1/lstm_1/while/lstm_cell_1/MatMul_1", "lstm_1"),
        ("sequential/pool/Mean", "pool"),
        ("encoder/block1/conv/Relu6", "encoder/block1/conv"),
        ("model/dense/MatMul/ReadVariableOp", "dense"),
        ("conv2d_1/convolution_dequant", "conv2d_1"),
        ("StatefulPartitionedCall:0", ""),
        ("tfl.pseudo_qconst", ""),
        ("arith.constant12", ""),
        ("Identity", ""),
        ("matmul2", ""),
        ("", ""),
        ("///;;", ""),
    ],
)
def test_the_layer_is_the_scope_below_the_models(tensor: str, layer: str) -> None:
    assert layer_in(tensor) == layer
