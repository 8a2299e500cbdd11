"""A list of tensors inside a loop, as TensorFlow's converter writes the setting of one element: the rows before it, the element
and the rows behind it, put together. What lies before and behind has no fixed size; the whole has. It is DYNAMIC_UPDATE_SLICE.

    size  = CONCATENATION(RESHAPE(i), [-1, ...])        head = SLICE(list, [0, ...], size)
    begin = CONCATENATION(RESHAPE(i + 1), [0, ...])     tail = SLICE(list, begin, [-1, ...])
    next  = CONCATENATION(head, element, tail)

Keras 3 writes it for every LSTM and GRU with return_sequences=True, and so for all but the last of several."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinyrig.compiler.model.graph import Graph, Op, Tensor
from tinyrig.compiler.model.options import OpOptions


@dataclass(frozen=True)
class ListUpdate:
    """By the ops' numbers in their subgraph: `join` becomes the update, `size` gives [i, 0, ...] from `zeros` then; `gone` are
    ops that nobody else needs."""

    join: int
    size: int
    zeros: int
    gone: frozenset[int]


def list_updates(tensors: Sequence[Tensor], ops: Sequence[Op]) -> list[ListUpdate]:
    """In one subgraph. `tensors`: the graph's."""
    made = {i: op for op in ops for i in op.outputs}
    users = Counter(i for op in ops for i in op.inputs)
    found = (_update(tensors, made, users, op) for op in ops if op.code == "CONCATENATION" and len(op.inputs) == 3)
    return [one for one in found if one is not None]


def _update(tensors: Sequence[Tensor], made: Mapping[int, Op], users: Counter[int], join: Op) -> ListUpdate | None:
    head, tail = (made.get(join.inputs[i]) for i in (0, 2))
    if head is None or tail is None or (head.code, tail.code) != ("SLICE", "SLICE") or head.inputs[0] != tail.inputs[0]:
        return None
    rows, element = tensors[head.inputs[0]], tensors[join.inputs[1]]
    size, begin = made.get(head.inputs[2]), made.get(tail.inputs[1])
    whole = tensors[join.outputs[0]].shape == rows.shape and element.shape == (1, *rows.shape[1:])
    first = "axis" in join.options and join.options.number("axis") in (0, -len(rows.shape))
    if (
        not whole
        or not first
        or size is None
        or begin is None
        or not _all(tensors, head.inputs[1], 0)
        or not _all(tensors, tail.inputs[2], -1)
    ):
        return None
    i, j = _row(tensors, made, size, -1), _row(tensors, made, begin, 0)
    after = made.get(j)
    counted = after is not None and after.code == "ADD" and i in after.inputs and any(_all(tensors, k, 1) for k in after.inputs)
    if i < 0 or not counted or users[size.outputs[0]] != 1:
        return None
    wrapped = made.get(begin.inputs[0])
    maybe = [head, tail, begin, *([wrapped] if wrapped is not None and wrapped.code == "RESHAPE" else [])]
    gone = frozenset(op.index for op in maybe if users[op.outputs[0]] == 1)
    return ListUpdate(join.index, size.index, begin.inputs[1], gone)


def _row(tensors: Sequence[Tensor], made: Mapping[int, Op], places: Op, rest: int) -> int:
    """The tensor whose single value stands before so many of `rest`; -1 for another op."""
    if places.code != "CONCATENATION" or len(places.inputs) != 2 or not _all(tensors, places.inputs[1], rest):
        return -1
    first = made.get(places.inputs[0])
    if tensors[places.inputs[0]].size != 1:
        return -1
    return first.inputs[0] if first is not None and first.code == "RESHAPE" else places.inputs[0]


def _all(tensors: Sequence[Tensor], index: int, value: int) -> bool:
    data = tensors[index].data if index >= 0 else None
    return data is not None and data.dtype.kind == "i" and bool(data.size) and bool((data == value).all())


def with_updates(graph: Graph) -> Graph:
    """The graph with each of them as one op."""
    inner = tuple(dataclasses.replace(part, ops=_with(graph.tensors, part.ops)) for part in graph.inner)
    return dataclasses.replace(graph, ops=_with(graph.tensors, graph.ops), inner=inner)


def _with(tensors: Sequence[Tensor], ops: tuple[Op, ...]) -> tuple[Op, ...]:
    updates = list_updates(tensors, ops)
    if not updates:
        return ops
    by_join, by_size = {u.join: u for u in updates}, {u.size: u for u in updates}
    made, gone = {i: op for op in ops for i in op.outputs}, frozenset[int]().union(*(u.gone for u in updates))
    found = []
    for op in ops:
        if op.index in by_join:
            head = made[op.inputs[0]]
            operands = (head.inputs[0], op.inputs[1], head.inputs[2])
            found.append(dataclasses.replace(op, code="DYNAMIC_UPDATE_SLICE", inputs=operands, options=OpOptions()))
        elif op.index in by_size:
            found.append(dataclasses.replace(op, inputs=(op.inputs[0], by_size[op.index].zeros)))
        elif op.index not in gone:
            found.append(op)
    return tuple(found)
