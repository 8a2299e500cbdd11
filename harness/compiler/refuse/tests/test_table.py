"""The table of remedies: what a refusal advises never contradicts the file."""

from __future__ import annotations

import pytest

from tinyrig.compiler.lower.lower import LOWER
from tinyrig.compiler.lower.program import Program
from tinyrig.compiler.model.graph import Op
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.preflight.check import check_model


def with_custom(name: str) -> bytes:
    b = conv_net()
    b.op("CUSTOM", [b.index("net/mean")], [b.tensor((1, 5), "int8", 0.1)], custom=name)
    return finish_net(b)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("edgetpu-custom-op", "edgetpu_compiler"),
        ("ethos-u", "Vela"),
        ("FlexErf", "SELECT_TF_OPS"),
        ("my_layer", "the program that this custom op was written for"),
    ],
)
def test_custom_ops_are_told_apart(name: str, told: str) -> None:
    (only,) = check_model(with_custom(name)).obstacles
    assert told in only.remedy


@pytest.mark.parametrize("op", ["SQUARE", "SIN", "FLOOR"])
def test_an_int8_model_is_never_told_to_become_one(op: str) -> None:
    b = ModelBuilder()
    x, y = b.tensor((1, 8), "int8", 0.1), b.tensor((1, 8), "int8", 0.1)
    b.op(op, [x], [y])
    obstacles = check_model(b.finish([x], [y])).obstacles
    assert all(f"denylisted_ops=['{op}']" in o.remedy and "full int8" not in o.remedy for o in obstacles)


def test_a_builtin_op_is_never_told_to_become_one() -> None:
    b = conv_net()
    b.op("UNIQUE", [b.index("net/mean")], [b.tensor((1, 5), "int8", 0.1)])
    (only,) = check_model(finish_net(b)).obstacles
    assert "built-in" not in only.remedy and "CONV_2D" not in only.reason + only.expected


def test_what_is_refused_inside_a_loop_names_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """The op inside, whose remedy counts, and the one that calls it."""

    def inner(program: Program, op: Op) -> None:
        program.lower_ops([Op(3, "WHERE", op.inputs, op.outputs)])

    monkeypatch.setitem(LOWER, "MEAN", inner)
    (only,) = check_model(finish_net(conv_net())).obstacles
    assert only.reason.startswith("inside op 3 MEAN") and "op 3 WHERE" in only.reason and "the mask" in only.remedy
