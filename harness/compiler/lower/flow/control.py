"""Lowering of control flow: a subgraph becomes a block of steps, which the step of its WHILE or IF calls.

All steps stand in one list, blocks in front of the step that runs them, so that one plan of the arena covers them. What a
loop carries lives in the WHILE's outputs from before the first round on; a block reads its inputs there and has its outputs
copied there.
"""

from __future__ import annotations

import dataclasses
import math

from tinyrig.compiler.lower.move import block as copy_block
from tinyrig.compiler.lower.move import strides
from tinyrig.compiler.lower.program import Program, check, check_dtype, check_shape
from tinyrig.compiler.model.extent import Open
from tinyrig.compiler.model.graph import Inner, Op, Tensor
from tinyrig.compiler.model.obstacle import Obstacle, Refused
from tinyrig.compiler.model.params import If, Move, While


def subgraph(p: Program, op: Op, key: str, inputs: int, outputs: int) -> Inner:
    number = op.options.number(key)
    check(op, None, 1 <= number <= len(p.graph.inner), f"a subgraph of the file for {key}", str(number))
    check(op, None, number not in p.used, f"a {key} of its own", f"subgraph {number}, which is used twice")
    p.used.add(number)
    inner = p.graph.inner[number - 1]
    for what, n, m in (("inputs", inputs, len(inner.inputs)), ("outputs", outputs, len(inner.outputs))):
        check(op, None, n == m, f"{n} {what} of the {key}", str(m))
    return inner


def lowered(p: Program, inner: Inner) -> int:
    """-> the number of its block. Raises Refused with all its obstacles."""
    outside, p.blocks = p.block, p.blocks + 1
    p.block = p.blocks
    try:
        p.lower_ops(inner.ops)
        return p.block
    finally:
        p.block = outside


def _both(p: Program, one: Inner, other: Inner) -> tuple[int, int]:
    """Two of them: what is wrong in the first does not hide what is wrong in the second."""
    numbers, found = list[int](), list[Obstacle]()
    for inner in (one, other):
        try:
            numbers.append(lowered(p, inner))
        except Refused as e:
            found += e.obstacles
    if found:
        raise Refused(found)
    return numbers[0], numbers[1]


def _view(p: Program, op: Op, source: int, inside: int) -> None:
    """The subgraph's input is the tensor `source`."""
    _same(p, op, source, inside)
    p.alias(op, p.tensors[source], p.tensors[inside])


def copy(p: Program, op: Op, source: Tensor, target: Tensor) -> None:
    whole = copy_block(0, 0, (0, 0), source.shape, (strides(source.shape), strides(target.shape)), source.nbytes // source.size)
    p.emit("move", op, [source], [target], Move((whole,)))


def _same(p: Program, op: Op, source: int, target: int) -> None:
    """Type and shape; an open one is settled."""
    a, b = p.tensors[source], p.tensors[target]
    if isinstance(b.extent, Open):
        p.settle(b, a.shape)
    else:
        check_shape(op, b, a.shape)
    check_dtype(op, b, a.dtype)


def while_(p: Program, op: Op) -> None:
    n = len(op.inputs)
    check(op, None, n > 0 and -1 not in op.inputs and len(op.outputs) == n, "as many outputs as inputs")
    cond, body = subgraph(p, op, "cond", n, 1), subgraph(p, op, "body", n, n)
    kept = [a == b for a, b in zip(body.inputs, body.outputs, strict=True)]
    for i, (source, target) in enumerate(zip(op.inputs, op.outputs, strict=True)):
        _same(p, op, source, target)
        if kept[i]:
            p.alias(op, p.tensors[source], p.tensors[target])
        else:
            copy(p, op, p.tensors[source], p.tensors[target])
    for inner in (cond, body):
        for target, inside in zip(op.outputs, inner.inputs, strict=True):
            _view(p, op, target, inside)
    first = len(p.steps)
    blocks = _both(p, cond, body)
    told = p.tensors[cond.outputs[0]]
    check_dtype(op, told, "bool")
    check(op, told, told.size == 1 and told.data is None, "a condition of one value that the loop changes")
    carried = [i for i in range(n) if not kept[i]]
    check(op, None, bool(carried), "a loop that changes something")
    sources = [_result(p, op, body, blocks[1], op.outputs, i) for i in carried]
    outputs = [p.tensors[op.outputs[i]] for i in carried]
    alive = [p.tensors[i] for i in op.outputs if p.tensors[i].data is None]
    rounds = _rounds(p, op, cond, body)
    p.steps[first:] = [dataclasses.replace(s, macs=s.macs * rounds) for s in p.steps[first:]]
    p.emit("while", op, [told, *sources, *alive], outputs, While(*blocks, len(carried)))


def _result(p: Program, op: Op, inner: Inner, block: int, targets: tuple[int, ...], i: int) -> Tensor:
    """What the block gives for output i. Another carried value is set aside first: its place may be written before it is read."""
    _same(p, op, targets[i], inner.outputs[i])
    value = p.tensors[inner.outputs[i]]
    if value.data is not None or p.root(value.index) not in {p.root(t) for j, t in enumerate(targets) if j != i}:
        return value
    aside = p.temporary(value, value.shape, f"{value.name}_aside")
    outside, p.block = p.block, block
    copy(p, op, value, aside)
    p.block = outside
    return aside


def _rounds(p: Program, op: Op, cond: Inner, body: Inner) -> int:
    """How often the loop runs, where that shows: counters that begin with a constant, grow by another and stop below a third.
    Else 1: the work of one round."""
    found = []
    for test in cond.ops:
        if test.code != "LESS" or test.inputs[0] not in cond.inputs:
            continue
        i = cond.inputs.index(test.inputs[0])
        start, end = p.graph.tensors[op.inputs[i]].data, p.graph.tensors[test.inputs[1]].data
        step = next((p.graph.tensors[o.inputs[1]].data for o in body.ops if _counts(o, body, i)), None)
        if all(v is not None and v.size == 1 for v in (start, end, step)) and int(step.ravel()[0]) > 0:  # type: ignore[union-attr]
            a, b, by = (float(v.ravel()[0]) for v in (start, end, step))  # type: ignore[union-attr]
            found.append(max(0, math.ceil((b - a) / by)))
    return min(found, default=1)


def _counts(o: Op, body: Inner, i: int) -> bool:
    return o.code == "ADD" and o.inputs[0] == body.inputs[i] and o.outputs[0] == body.outputs[i]


def if_(p: Program, op: Op) -> None:
    n, m = len(op.inputs) - 1, len(op.outputs)
    check(op, None, n >= 0 and m > 0 and -1 not in op.inputs, "a condition and outputs")
    told = p.tensors[op.inputs[0]]
    check_dtype(op, told, "bool")
    check(op, told, told.size == 1, "a condition of one value")
    branches = subgraph(p, op, "then", n, m), subgraph(p, op, "else", n, m)
    for inner in branches:
        for source, inside in zip(op.inputs[1:], inner.inputs, strict=True):
            _view(p, op, source, inside)
    yes, no = _both(p, *branches)
    for target, inside in zip(op.outputs, branches[0].outputs, strict=True):
        _same(p, op, inside, target)
    sources = [p.tensors[i] for inner in branches for i in inner.outputs]
    for i, given in zip(op.outputs * 2, sources, strict=True):
        wanted = p.tensors[i]
        check_dtype(op, given, wanted.dtype)
        check(op, given, given.size == wanted.size, f"{wanted.size} elements", str(given.size))
    alive = [p.tensors[i] for i in op.inputs[1:] if p.tensors[i].data is None]
    p.emit("if", op, [told, *sources, *alive], [p.tensors[i] for i in op.outputs], If(yes, no, m))
