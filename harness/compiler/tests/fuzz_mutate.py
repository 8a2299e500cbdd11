"""Mutations of a .tflite: of its bytes, and of its tables through the schema's object API. Deterministic by the generator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

Rng = np.random.Generator
EDGES = (-(2**31), -65536, -129, -7, -2, -1, 0, 1, 2, 3, 5, 127, 128, 255, 256, 1000, 65535, 65536, 2**24, 2**30, 2**31 - 1)
FLOATS = (float("nan"), float("inf"), -float("inf"), 0.0, -0.0, -1.0, 1e-45, 1e-38, 1e-20, 1e-6, 0.5, 1.0, 3.7, 1e6, 1e20, 3e38)
HOSTILE = (b"*/ int x; /*", b"../../etc/passwd", b'"; #include "x"', b"\\", b"a\0b", b"\xff\xfe", b"??/", b"%n%s", b"x" * 5000)


def mutate(data: bytes, others: list[bytes], rng: Rng, only: tuple[str, ...] = ()) -> tuple[bytes, str]:
    """-> (mutant, what was done to it). A third changes bytes, the rest one to three tables; `only` names the table changes."""
    changes = [c for c in TABLE_CHANGES if not only or c.__name__ in only]
    if not only and rng.random() < 0.33:
        change = _pick(rng, BYTE_CHANGES)
        return change(data, others, rng), change.__name__
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    names = []
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        change = _pick(rng, changes)
        try:
            change(model, rng)
        except (IndexError, ValueError, TypeError, AttributeError):  # an earlier change left nothing to change here
            continue
        names.append(change.__name__)
    try:
        return pack(model), "+".join(names)
    except Exception:  # the writer refuses what no file can hold
        return flip_bits(data, others, rng), "flip_bits"


def pack(model: Any) -> bytes:
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _pick(rng: Rng, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def _edge(rng: Rng, near: int = 0) -> int:
    """An extreme number, or one beside `near`."""
    return _pick(rng, EDGES) if rng.random() < 0.6 else near + int(rng.integers(-2, 3))


# Bytes


def truncate(data: bytes, others: list[bytes], rng: Rng) -> bytes:
    return data[: int(rng.integers(len(data)))]


def flip_bits(data: bytes, others: list[bytes], rng: Rng) -> bytes:
    spoilt = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        spoilt[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    return bytes(spoilt)


def set_word(data: bytes, others: list[bytes], rng: Rng) -> bytes:
    at = int(rng.integers(len(data) // 4)) * 4
    return data[:at] + (_edge(rng) % 2**32).to_bytes(4, "little") + data[at + 4 :]


def nudge_word(data: bytes, others: list[bytes], rng: Rng) -> bytes:
    """Offsets that point a little elsewhere."""
    at = int(rng.integers(len(data) // 4)) * 4
    value = int.from_bytes(data[at : at + 4], "little") + int(rng.integers(-8, 9))
    return data[:at] + (value % 2**32).to_bytes(4, "little") + data[at + 4 :]


def splice(data: bytes, others: list[bytes], rng: Rng) -> bytes:
    """A piece of another model over this one."""
    other, size = _pick(rng, others), int(rng.integers(1, 64))
    source, at = int(rng.integers(len(other))), int(rng.integers(len(data)))
    piece = other[source : source + size]
    return data[:at] + piece + data[at + len(piece) :]


def insert_or_cut(data: bytes, others: list[bytes], rng: Rng) -> bytes:
    at, size = int(rng.integers(len(data))), int(rng.integers(1, 16))
    return data[:at] + rng.bytes(size) + data[at:] if rng.random() < 0.5 else data[:at] + data[at + size :]


BYTE_CHANGES = (truncate, flip_bits, flip_bits, set_word, nudge_word, splice, insert_or_cut)

# Tables


def _sub(model: Any) -> Any:
    return model.subgraphs[0]


def _list(values: Any) -> list:
    return [] if values is None else list(values)


def op_index(model: Any, rng: Rng) -> None:
    """One tensor index of an op: out of range, cyclic, used early, written twice."""
    op, side = _pick(rng, _sub(model).operators), _pick(rng, ("inputs", "inputs", "outputs"))
    values, n = _list(getattr(op, side)), len(_sub(model).tensors)
    values[int(rng.integers(len(values)))] = int(rng.integers(n)) if rng.random() < 0.6 else _edge(rng, n)
    setattr(op, side, values)


def op_list(model: Any, rng: Rng) -> None:
    """Inputs or outputs too few or too many."""
    op, side = _pick(rng, _sub(model).operators), _pick(rng, ("inputs", "outputs"))
    values, n = _list(getattr(op, side)), len(_sub(model).tensors)
    way = rng.integers(4)
    values = values[:-1] if way == 0 else [] if way == 1 else [*values, int(rng.integers(-1, n))] if way == 2 else values * 300
    setattr(op, side, values)


def opcode(model: Any, rng: Rng) -> None:
    way = rng.integers(3)
    if way == 0:
        _pick(rng, _sub(model).operators).opcodeIndex = max(0, _edge(rng, len(model.operatorCodes)))
        return
    code = _pick(rng, model.operatorCodes)
    if way == 1:
        code.builtinCode = int(rng.integers(210))
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    else:
        code.version = _edge(rng, code.version)


def swap_ops(model: Any, rng: Rng) -> None:
    """Another order, an op twice, or one lost."""
    ops, way = list(_sub(model).operators), rng.integers(3)
    i, j = int(rng.integers(len(ops))), int(rng.integers(len(ops)))
    if way == 0:
        ops[i], ops[j] = ops[j], ops[i]
    elif way == 1:
        ops.insert(j, ops[i])
    else:
        del ops[i]
    _sub(model).operators = ops


def option(model: Any, rng: Rng) -> None:
    """One field of an op's options."""
    options = _pick(rng, [o for o in _sub(model).operators if o.builtinOptions is not None]).builtinOptions
    name = _pick(rng, sorted(vars(options)))
    old = getattr(options, name)
    if isinstance(old, bool):
        setattr(options, name, not old)
    elif isinstance(old, float):
        setattr(options, name, _pick(rng, FLOATS))
    else:
        setattr(options, name, _edge(rng, int(old or 0)) if rng.random() < 0.5 else int(rng.integers(0, 7)))


def no_options(model: Any, rng: Rng) -> None:
    op = _pick(rng, _sub(model).operators)
    op.builtinOptions = None
    op.builtinOptionsType = 0 if rng.random() < 0.5 else int(rng.integers(1, 100))


def shape(model: Any, rng: Rng) -> None:
    t = _pick(rng, _sub(model).tensors)
    dims, way = _list(t.shape), rng.integers(4)
    if way == 0 or not dims:
        dims.insert(int(rng.integers(len(dims) + 1)), max(-(2**31), _edge(rng, 1)))
    elif way == 1:
        del dims[int(rng.integers(len(dims)))]
    elif way == 2:
        dims = [int(rng.permutation(dims)[i]) for i in range(len(dims))]
    else:
        i = int(rng.integers(len(dims)))
        dims[i] = _edge(rng, int(dims[i]))
    t.shape = dims


def zero_dimension(model: Any, rng: Rng) -> None:
    """One dimension of one to all activations is 0: read by some as open, by others as empty."""
    tensors = [t for t in _sub(model).tensors if len(_list(t.shape)) and not len(_list(model.buffers[t.buffer].data))]
    some = tensors if rng.random() < 0.2 else [_pick(rng, tensors)]
    for t in some:
        dims = _list(t.shape)
        dims[int(rng.integers(len(dims)))] = 0
        t.shape = dims


def twin_tensors(model: Any, rng: Rng) -> None:
    """Two tensors that are one: the same table twice, one buffer, one name, or two ops that write the same."""
    sub, way = _sub(model), rng.integers(4)
    one, other = _pick(rng, sub.tensors), _pick(rng, sub.tensors)
    if way == 0:
        sub.tensors = [*sub.tensors, one]
        op = _pick(rng, sub.operators)
        op.inputs = [len(sub.tensors) - 1, *_list(op.inputs)[1:]]
    elif way == 1:
        other.buffer = one.buffer
    elif way == 2:
        other.name = one.name
    else:
        _pick(rng, sub.operators).outputs = _list(_pick(rng, sub.operators).outputs)


def cycle(model: Any, rng: Rng) -> None:
    """An op reads what it writes itself, or what a later one writes."""
    ops = _sub(model).operators
    first = int(rng.integers(len(ops)))
    later = int(rng.integers(first, len(ops)))
    values = _list(ops[first].inputs)
    values[int(rng.integers(len(values)))] = int(_pick(rng, _list(ops[later].outputs)))
    ops[first].inputs = values


def signature(model: Any, rng: Rng) -> None:
    t = _pick(rng, _sub(model).tensors)
    t.shapeSignature = [-1 if rng.random() < 0.4 else int(d) for d in _list(t.shape)] + [-1] * int(rng.integers(2))


def dtype(model: Any, rng: Rng) -> None:
    _pick(rng, _sub(model).tensors).type = int(_pick(rng, (0, 1, 2, 3, 4, 6, 7, 9, 9, 10, 17, 18, 100)))


def scales(model: Any, rng: Rng) -> None:
    t = _pick(rng, [t for t in _sub(model).tensors if t.quantization is not None and len(_list(t.quantization.scale))])
    values, way = np.array(t.quantization.scale, np.float32), rng.integers(4)
    if way == 0:
        values[int(rng.integers(len(values)))] = _pick(rng, FLOATS)
    elif way == 1:
        values = values * np.float32(2.0 ** int(rng.integers(-40, 41)))
    elif way == 2:
        values = np.repeat(values, 2)
    else:
        values = values[:0]
    t.quantization.scale = values


def zero_points(model: Any, rng: Rng) -> None:
    t = _pick(rng, [t for t in _sub(model).tensors if t.quantization is not None])
    q, way = t.quantization, rng.integers(3)
    values = np.array(_list(q.zeroPoint), np.int64)
    if way == 0:
        values[int(rng.integers(len(values)))] = _pick(rng, (*EDGES, 2**40, -(2**63)))
    elif way == 1:
        values = np.concatenate([values, values])
    else:
        q.quantizedDimension = _edge(rng, 1)
    q.zeroPoint = values


def quantization(model: Any, rng: Rng) -> None:
    """None at all, or another tensor's."""
    tensors = _sub(model).tensors
    _pick(rng, tensors).quantization = None if rng.random() < 0.5 else _pick(rng, tensors).quantization


def constant_values(model: Any, rng: Rng) -> None:
    """Extreme numbers in the data, read as what the tensor holds."""
    t = _pick(rng, [t for t in _sub(model).tensors if 0 < t.buffer < len(model.buffers)])
    kind = {0: np.float32, 2: np.int32, 4: np.int64, 7: np.int16}.get(t.type, np.int8)
    raw = np.asarray(model.buffers[t.buffer].data, np.uint8).tobytes()
    values = np.frombuffer(raw[: len(raw) // np.dtype(kind).itemsize * np.dtype(kind).itemsize], kind).copy()
    at = slice(None) if rng.random() < 0.3 else int(rng.integers(len(values)))
    if kind is np.float32:
        values[at] = _pick(rng, FLOATS)
    else:
        info = np.iinfo(kind)
        values[at] = min(max(_edge(rng, 1), info.min), info.max)
    model.buffers[t.buffer].data = np.frombuffer(values.tobytes(), np.uint8)


def constant_size(model: Any, rng: Rng) -> None:
    b = _pick(rng, model.buffers)
    data, way = bytes(bytearray(_list(b.data))), rng.integers(4)
    data = data[:-1] if way == 0 else data + b"\1" * int(rng.integers(1, 9)) if way == 1 else b"" if way == 2 else data * 2
    b.data = np.frombuffer(data, np.uint8)


def buffer_index(model: Any, rng: Rng) -> None:
    """Constants become activations and the other way round."""
    t, n = _pick(rng, _sub(model).tensors), len(model.buffers)
    t.buffer = int(rng.integers(n)) if rng.random() < 0.7 else max(0, _edge(rng, n))


def buffer_offset(model: Any, rng: Rng) -> None:
    b = _pick(rng, model.buffers)
    b.offset, b.size = max(0, _edge(rng, 100)), max(0, _edge(rng, 100))


def borders(model: Any, rng: Rng) -> None:
    """The model's inputs and outputs: out of range, twice, none, constants, swapped."""
    sub, side = _sub(model), _pick(rng, ("inputs", "outputs"))
    values, n, way = _list(getattr(sub, side)), len(sub.tensors), rng.integers(5)
    if way == 0:
        values.append(int(rng.integers(n)))
    elif way == 1:
        values = []
    elif way == 2:
        values[int(rng.integers(len(values)))] = _edge(rng, n)
    elif way == 3:
        values = _list(sub.outputs if side == "inputs" else sub.inputs)
    else:
        values = values * 2
    setattr(sub, side, values)


def subgraphs(model: Any, rng: Rng) -> None:
    model.subgraphs = model.subgraphs * int(_pick(rng, (0, 2, 50)))


def many_subgraphs(model: Any, rng: Rng) -> None:
    """As many as a file of a few hundred KB can hold: empty ones, or shells whose tensors are those of the first."""
    shell = schema.SubGraphT()
    if rng.random() < 0.5:
        shell.inputs, shell.outputs, shell.operators = [0], [0], []
        shell.tensors = _sub(model).tensors[:1]
    model.subgraphs = [*model.subgraphs, *[shell] * int(_pick(rng, (1, 300, 3000)))]


def flags(model: Any, rng: Rng) -> None:
    t, way = _pick(rng, _sub(model).tensors), rng.integers(3)
    if way == 0:
        t.isVariable = True
    elif way == 1:
        t.sparsity = schema.SparsityParametersT()
    else:
        model.version = max(0, _edge(rng, 3))


def name(model: Any, rng: Rng) -> None:
    _pick(rng, _sub(model).tensors).name = _pick(rng, HOSTILE)


def drop_table(model: Any, rng: Rng) -> None:
    """A whole list is gone."""
    sub = _sub(model)
    owner, field = _pick(rng, ((model, "buffers"), (model, "operatorCodes"), (sub, "tensors"), (sub, "operators")))
    values = _list(getattr(owner, field))
    setattr(owner, field, None if rng.random() < 0.3 else values[: int(rng.integers(len(values) + 1))])


TABLE_CHANGES: tuple[Callable[[Any, Rng], None], ...] = (
    op_index,
    op_index,
    op_list,
    opcode,
    swap_ops,
    option,
    option,
    option,
    no_options,
    shape,
    shape,
    zero_dimension,
    twin_tensors,
    cycle,
    signature,
    dtype,
    scales,
    scales,
    zero_points,
    quantization,
    constant_values,
    constant_values,
    constant_values,
    constant_size,
    buffer_index,
    buffer_offset,
    borders,
    subgraphs,
    many_subgraphs,
    flags,
    name,
    drop_table,
)
