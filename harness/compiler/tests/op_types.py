"""Which types each built-in operator takes, asked of the compiler itself: `python -m tinyrig.compiler.tests.op_types` writes the
table into docs/operators.md; test_operator_page.py holds it against the compiler.

Each operator is lowered with tensors of a type that none takes. What the refusal expects is noted, the tensor gets a type that it
names, and so on until no type is refused any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from tinyrig.compiler.lower.lower import LOWER
from tinyrig.compiler.lower.move import MOVABLE
from tinyrig.compiler.lower.program import Program, check_dtype, constant
from tinyrig.compiler.model.graph import Graph, Tensor, read_graph
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.errors import RigError

PAGE = Path(__file__).parents[3] / "docs" / "operators.md"
BEGIN = "<!-- begin: python -m tinyrig.compiler.tests.op_types -->\n"
END = "<!-- end -->\n"
NONE = ("complex64", "float16")
"""Hardly any operator computes with the first, and those that do don't with the second."""
COUNTS = ((1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (2, 2), (1, 4), (2, 4), (3, 4))
"""Inputs and outputs that operators have."""
SHAPE = (1, 4, 4, 4)
OTHERWISE = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "float32, int8, int16",
    **dict.fromkeys(("FILL", "SPLIT", "SPLIT_V", "UNPACK"), ", ".join(MOVABLE)),
    **dict.fromkeys(("IF", "RANK"), "any"),
}
"""Whose lowering asks for more than a type first."""


@dataclass
class Asked:
    """Inputs, then the output, by number: the types that have been named, and the one that is tried."""

    allowed: dict[int, tuple[str, ...]] = field(default_factory=dict)
    given: dict[int, str] = field(default_factory=dict)
    constants: set[int] = field(default_factory=set)


def _graph(code: str, count: int, outputs: int, asked: Asked, none: str) -> Graph:
    b = ModelBuilder()
    tensors = []
    for i in range(count + outputs):
        dtype = asked.given.get(i, none)
        data = np.ones(SHAPE) if i in asked.constants else None
        tensors.append(b.tensor(SHAPE, dtype, 0.1 if dtype in ("int8", "int16") else None, 0, data))
    b.op(code, tensors[:count], tensors[count:])
    activations = [t for i, t in enumerate(tensors[:count]) if i not in asked.constants]
    return read_graph(b.finish(activations, tensors[count:]))


def _refusal(graph: Graph) -> tuple[CodeType, dict[str, Any]] | None:
    """Where the lowering ended, and what was at hand there; None if it did not refuse."""
    program = Program(graph)
    try:
        LOWER[graph.ops[0].code](program, graph.ops[0])
    except (RigError, AssertionError, KeyError, IndexError, ValueError, TypeError, ZeroDivisionError) as e:
        frame = e.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        return (frame.tb_frame.f_code, frame.tb_frame.f_locals) if frame is not None else None
    return None


@dataclass(frozen=True)
class Form:
    """How an operator is asked: `given` says what else than the first type that is named an input gets."""

    code: str
    count: int
    outputs: int
    constants: bool
    none: str

    def ask(self, given: dict[int, str] | None = None) -> Asked:
        asked = Asked(constants=set(range(1, self.count)) if self.constants else set())
        for _ in range(4 * self.count + 8):
            found = _refusal(_graph(self.code, self.count, self.outputs, asked, self.none))
            tensor = found[1].get("tensor") if found else None
            if found is None or not isinstance(tensor, Tensor) or tensor.index >= self.count + self.outputs:
                break
            at = tensor.index
            if found[0] is check_dtype.__code__ and at not in asked.given:
                allowed: tuple[str, ...] = found[1]["allowed"]
                asked.allowed[at] = allowed
                wanted = (given or {}).get(at)
                asked.given[at] = wanted if wanted in allowed else allowed[0]
            elif found[0] is constant.__code__ and at not in asked.constants:
                asked.constants.add(at)
            else:
                break
        return asked


def types_of(code: str) -> str:
    """A cell of the table: the types of what the operator computes with, and of the output where that is another."""
    if code in OTHERWISE:
        return OTHERWISE[code]
    none = NONE[1] if code in ("COMPLEX_ABS", "REAL", "IMAG", "RFFT2D") else NONE[0]
    forms = [Form(code, n, m, c, none) for n, m in COUNTS for c in (False, True)]
    form, asked = max(((f, f.ask()) for f in forms), key=lambda pair: (len(pair[1].allowed), -pair[0].count))
    inputs = [i for i in sorted(asked.allowed) if i < form.count]
    made = next((asked.allowed[i] for i in sorted(asked.allowed) if i >= form.count), ())
    main = max(inputs, key=lambda i: (len(asked.allowed[i]), "float32" in asked.allowed[i], -i), default=None)
    if main is None or (len(asked.allowed[main]) == 1 and len(made) > 1 and asked.allowed[main][0] in made):
        return ", ".join(made) or "any"
    ways = dict[tuple[str, ...], list[str]]()
    for dtype in asked.allowed[main]:
        to = form.ask({main: dtype}).allowed
        ways.setdefault(next((to[i] for i in sorted(to) if i >= form.count), (dtype,)), []).append(dtype)
    if all(to == tuple(of) for to, of in ways.items()):
        return ", ".join(asked.allowed[main])
    return "; ".join(f"{', '.join(of)} to {', '.join(to)}" if list(to) != of else of[0] for to, of in ways.items())


def table() -> str:
    rows = dict[str, list[str]]()
    for code in sorted(code for code in LOWER if not code.startswith("CUSTOM")):
        rows.setdefault(types_of(code), []).append(code)
    lines = [f"| {', '.join(codes)} | {types} |" for types, codes in sorted(rows.items(), key=lambda row: row[1])]
    return "\n".join(["| operators | types |", "|---|---|", *lines]) + "\n"


def written(page: str, new: str) -> str:
    head, _, rest = page.partition(BEGIN)
    return head + BEGIN + "\n" + new + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8"), table()), "utf-8")
