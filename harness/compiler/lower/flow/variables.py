"""Lowering of resource variables: each is a state of the arena, known by its name in whatever subgraph it is read or written."""

from __future__ import annotations

from tinyrig.compiler.lower.flow.control import copy, lowered, subgraph
from tinyrig.compiler.lower.program import Program, check, check_dtype
from tinyrig.compiler.model.graph import Graph, Inner, Op, Tensor


def _key(op: Op) -> str:
    return f"{op.options.word('container')}/{op.options.word('name')}"


def _assigned(graph: Graph) -> set[str]:
    """Variables that something in the file writes."""
    found = set[str]()
    for part in (Inner(graph.ops, graph.inputs, graph.outputs), *graph.inner):
        handles = {op.outputs[0]: _key(op) for op in part.ops if op.code == "VAR_HANDLE" and op.outputs}
        found |= {
            handles[op.inputs[0]] for op in part.ops if op.code == "ASSIGN_VARIABLE" and op.inputs[:1] and op.inputs[0] in handles
        }
    return found


def var_handle(p: Program, op: Op) -> None:
    check(op, None, len(op.outputs) == 1 and not op.inputs, "one output and no inputs")
    check(op, None, _key(op) in _assigned(p.graph), "a variable that something in the file writes", _key(op))
    p.handles[op.outputs[0]] = _key(op)


def _variable(p: Program, op: Op, handle: Tensor, like: Tensor) -> Tensor:
    """The state behind the handle, which has the type and size of its first value."""
    key = p.handles.get(handle.index)
    check(op, handle, key is not None, "what a VAR_HANDLE of the same subgraph gives")
    assert key is not None
    if key not in p.resources:
        p.resources[key] = p.temporary(like, like.shape, key.rpartition("/")[2]).index
        p.states.append(p.resources[key])
    state = p.tensors[p.resources[key]]
    check_dtype(op, like, state.dtype)
    check(op, like, like.size == state.size, f"{state.size} elements", str(like.size))
    return state


def read_variable(p: Program, op: Op) -> None:
    (handle,) = p.inputs(op, 1)
    y = p.output(op)
    copy(p, op, _variable(p, op, handle, y), y)


def assign_variable(p: Program, op: Op) -> None:
    handle, value = p.inputs(op, 2)
    check(op, None, not op.outputs, "no outputs", str(len(op.outputs)))
    copy(p, op, value, _variable(p, op, handle, value))


def call_once(p: Program, op: Op) -> None:
    """Its subgraph runs when the model is reset, in front of everything."""
    check(op, None, not op.inputs and not op.outputs, "neither inputs nor outputs")
    before = [o for o in p.graph.ops if o.index < op.index and o.code in ("READ_VARIABLE", "ASSIGN_VARIABLE", "WHILE", "IF")]
    check(op, None, p.block == 0 and not before, "no variables used in front of it: it runs when the model is reset")
    p.on_reset.append(lowered(p, subgraph(p, op, "init", 0, 0)))
