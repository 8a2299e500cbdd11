"""Graph -> Lowered: the steps to run, which tensors share memory, which are constants. LOWER is the table of ops."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tinyrig.compiler.lower import conv, elementwise, logic, matmul, move, pick, reduce, space, unary
from tinyrig.compiler.lower.custom import detection, frames, signal
from tinyrig.compiler.lower.flow import control, state, variables
from tinyrig.compiler.lower.flow.lists import with_updates
from tinyrig.compiler.lower.litert import beyond
from tinyrig.compiler.lower.program import Program, check
from tinyrig.compiler.model.extent import Empty, Open
from tinyrig.compiler.model.graph import Graph, Op, Tensor, kept_state, read_graph, several_subgraphs
from tinyrig.compiler.model.layers import Bounded
from tinyrig.compiler.model.litert.dynamic import with_float_weights
from tinyrig.compiler.model.obstacle import Obstacle, Refused
from tinyrig.compiler.model.options import custom_name
from tinyrig.compiler.model.params import Clamp
from tinyrig.compiler.model.shapes import infer
from tinyrig.compiler.model.step import AnyStep, ProgramStep
from tinyrig.compiler.refuse.names import shown_name, with_layers
from tinyrig.compiler.refuse.remedies import Case, remedy_for
from tinyrig.core.errors import ModelError

LOWER: dict[str, Callable[[Program, Op], None]] = {
    "CONV_2D": conv.conv2d,
    "DEPTHWISE_CONV_2D": conv.depthwise_conv2d,
    "FULLY_CONNECTED": conv.fully_connected,
    "AVERAGE_POOL_2D": reduce.pool2d,
    "MAX_POOL_2D": reduce.pool2d,
    "MEAN": reduce.mean,
    "SUM": reduce.mean,
    "REDUCE_MAX": reduce.extreme,
    "REDUCE_MIN": reduce.extreme,
    "REDUCE_PROD": reduce.product,
    "BATCH_MATMUL": matmul.batch_matmul,
    "RESIZE_BILINEAR": matmul.resize_bilinear,
    "DIV": elementwise.div,
    "SQUARED_DIFFERENCE": elementwise.squared_difference,
    "SOFTMAX": reduce.softmax,
    "RESHAPE": unary.reshape,
    "EXPAND_DIMS": unary.reshape,
    "SQUEEZE": unary.reshape,
    "RELU": unary.relu,
    "RELU6": unary.relu,
    "RELU_N1_TO_1": unary.relu,
    "RELU_0_TO_1": unary.relu,
    "QUANTIZE": unary.quantize,
    "DEQUANTIZE": unary.dequantize,
    "DENSIFY": unary.densify,
    "TRANSPOSE": move.transpose,
    "CONCATENATION": move.concatenation,
    "SPLIT": move.split,
    "PACK": move.pack,
    "UNPACK": move.unpack,
    "PAD": move.pad,
    "PADV2": move.pad,
    "STRIDED_SLICE": move.strided_slice,
    "SHAPE": move.shape,
    "RESIZE_NEAREST_NEIGHBOR": move.resize_nearest_neighbor,
    "SPACE_TO_BATCH_ND": space.space_to_batch,
    "BATCH_TO_SPACE_ND": space.batch_to_space,
    "DEPTH_TO_SPACE": space.depth_to_space,
    "SPACE_TO_DEPTH": space.space_to_depth,
    "SLICE": space.slice_,
    "SPLIT_V": space.split_v,
    "GATHER": pick.gather,
    "ONE_HOT": pick.one_hot,
    "GATHER_ND": pick.gather_nd,
    "EMBEDDING_LOOKUP": pick.embedding_lookup,
    "DYNAMIC_UPDATE_SLICE": pick.dynamic_update_slice,
    "BROADCAST_ARGS": pick.broadcast_args,
    "CUMSUM": pick.cumsum,
    "ADD_N": pick.add_n,
    "L2_NORMALIZATION": pick.l2_normalization,
    "L2_POOL_2D": pick.l2_pool,
    "CAST": logic.cast,
    "SELECT": logic.select,
    "SELECT_V2": logic.select,
    "LOGICAL_AND": logic.logical,
    "LOGICAL_OR": logic.logical,
    "LOGICAL_NOT": logic.logical_not,
    "REDUCE_ALL": logic.reduce_all,
    "VAR_HANDLE": variables.var_handle,
    "READ_VARIABLE": variables.read_variable,
    "ASSIGN_VARIABLE": variables.assign_variable,
    "CALL_ONCE": variables.call_once,
    "WHILE": control.while_,
    "IF": control.if_,
    "SVDF": state.svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": state.lstm,
    "MIRROR_PAD": space.mirror_pad,
    "BROADCAST_TO": space.broadcast_to,
    "TILE": space.broadcast_to,
    "REVERSE_V2": space.reverse,
    "FILL": space.fill,
    "ZEROS_LIKE": space.zeros_like,
    "TRANSPOSE_CONV": conv.transpose_conv,
    "LOG_SOFTMAX": reduce.log_softmax,
    "ARG_MAX": reduce.arg_best,
    "ARG_MIN": reduce.arg_best,
    "FLOOR_DIV": elementwise.floor_div_mod,
    "FLOOR_MOD": elementwise.floor_div_mod,
    **beyond.LOWER,
    "ADD": elementwise.add_sub,
    "SUB": elementwise.add_sub,
    "MUL": elementwise.mul,
    "MINIMUM": elementwise.minimum_maximum,
    "MAXIMUM": elementwise.minimum_maximum,
    "PRELU": elementwise.prelu,
    "LEAKY_RELU": elementwise.leaky_relu,
    **dict.fromkeys(("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"), logic.compare),
    **dict.fromkeys(("LOGISTIC", "TANH", "HARD_SWISH", "ABS", "RSQRT", "ELU"), elementwise.unary),
    **dict.fromkeys(
        ("EXP", "LOG", "SQRT", "GELU", "SQUARE", "NEG", "SIGN", "FLOOR", "CEIL", "ROUND", "SIN", "COS"), elementwise.float_unary
    ),
}

_CUSTOM: dict[str, Callable[[Program, Op], None]] = {
    "SignalWindow": signal.window,
    "SignalFftAutoScale": signal.auto_scale,
    "SignalRfft": signal.rfft,
    "SignalIrfft": signal.irfft,
    "SignalEnergy": signal.energy,
    "SignalFilterBank": signal.filter_bank,
    "SignalFilterBankSquareRoot": signal.square_root,
    "SignalFilterBankSpectralSubtraction": signal.subtraction,
    "SignalPCAN": signal.pcan,
    "SignalFilterBankLog": signal.log,
    "SignalFramer": frames.framer,
    "SignalOverlapAdd": frames.overlap_add,
    "SignalStacker": frames.stacker,
    "SignalDelay": frames.delay,
    "TFLite_Detection_PostProcess": detection.detection,
}
LOWER |= {custom_name(name): lowering for name, lowering in _CUSTOM.items()}


@dataclass(frozen=True)
class Lowered:
    """`tensors` by index (the file's, then temporaries); `roots` maps a view to the tensor that owns its bytes; `states` are kept
    from one inference to the next."""

    tensors: tuple[Tensor, ...]
    steps: tuple[AnyStep, ...]
    roots: dict[int, int]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    states: tuple[int, ...] = ()
    on_reset: tuple[int, ...] = ()
    """Blocks that run when the model is reset."""

    def root(self, index: int) -> int:
        return self.roots.get(index, index)

    @property
    def top_steps(self) -> list[AnyStep]:
        """Those that run by themselves: steps of control flow's blocks are run by its own."""
        return [s for s in self.steps if s.block == 0]


MAX_OBSTACLES = 100
"""Beyond so many nobody reads on, and a hostile file would cost time."""


def lower(graph: Graph) -> Lowered:
    """Raises ModelError naming op, index, layer and tensor for all that can't be compiled."""
    program = Program(graph := with_float_weights(with_updates(graph)))
    program.lower_ops = partial(_block, program)
    for i in graph.inputs:  # an open batch is run with the size that the file gives, as TFLM does
        program.settle(program.tensors[i], program.tensors[i].shape)
    if found := [*graph.obstacles, *_lower_ops(program), *_border(program)]:
        raise Refused(found[:MAX_OBSTACLES])
    steps = fuse_clamps(program)
    roots = {i: program.root(i) for i in program.roots}
    return Lowered(
        tuple(program.tensors), steps, roots, graph.inputs, graph.outputs, tuple(program.states), tuple(program.on_reset)
    )


def lower_file(data: bytes) -> Lowered:
    """Raises ModelError with all obstacles of the file at once."""
    return lower(read_graph(data))


def _lower_ops(program: Program) -> list[Obstacle]:
    """Goes on behind an op that is refused: the file says what its outputs are. Where it does not, because the shape is open or
    the op would have given a constant, later complaints about them tell nothing new."""
    graph = program.graph
    program.lost = {i for i in graph.inputs if isinstance(graph.tensors[i].extent, Open) and graph.obstacles}
    first = [op for op in graph.ops if op.code == "CALL_ONCE"]  # at the reset, wherever it stands
    found = _each(program, [*first, *(op for op in graph.ops if op.code != "CALL_ONCE")])
    if len(found) >= MAX_OBSTACLES:
        return found
    known = [op for op in graph.ops if op.code in LOWER]
    found += kept_state(graph, known)
    return found + (several_subgraphs(graph) if len(known) == len(graph.ops) else [])


def _each(program: Program, ops: Sequence[Op]) -> list[Obstacle]:
    """Of the first subgraph, or of one that control flow runs."""
    graph, lost, found = program.graph, program.lost, list[Obstacle]()
    if graph.subgraphs > 1 or any(op.code not in LOWER for op in ops):
        ops = with_layers(dataclasses.replace(graph, ops=tuple(ops)))
    for op in ops:
        told = list[Obstacle]()
        try:
            _lower_op(program, op)
        except Refused as e:
            told = [_inside(op, o) for o in e.obstacles]
        except ModelError as e:
            told = [_obstacle(graph, op, e)]
        if op.code not in LOWER or not lost & set(op.inputs):
            found += told
        if told or lost & set(op.inputs):
            lost |= set(_unsure(program, op, lost))
        if len(found) >= MAX_OBSTACLES:
            break
    return found


def _block(program: Program, ops: Sequence[Op]) -> None:
    if found := _each(program, ops):
        raise Refused(found)


def _inside(op: Op, o: Obstacle) -> Obstacle:
    """One of a subgraph that `op` runs: told as `op`'s, whose index is the one that the file's reader can find."""
    return dataclasses.replace(o, index=op.index, reason=f"inside {op}: {o.reason}")


def _lower_op(program: Program, op: Op) -> None:
    if op.code not in LOWER:
        raise ModelError(f"{op} is not supported", remedy=remedy_for(Case(program.graph, op, False), ""))
    _fix_shapes(program, op)
    LOWER[op.code](program, op)


def _unsure(program: Program, op: Op, lost: set[int]) -> list[int]:
    """Outputs of which the file does not say all that a refused op would have told."""
    constant = all(i < 0 or i in lost or program.tensors[i].data is not None for i in op.inputs)
    return [i for i in op.outputs if constant or isinstance(program.graph.tensors[i].extent, Open)]


def _obstacle(graph: Graph, op: Op, error: ModelError) -> Obstacle:
    (op,) = with_layers(dataclasses.replace(graph, ops=(op,)))
    remedy = remedy_for(Case(graph, op, op.code in LOWER), error.remedy)
    plain = f"op {op.index} {op.code}"
    reason = error.what if op.layer and op.layer in error.what else error.what.replace(plain, str(op), 1)
    if plain not in error.what:  # of a tensor
        reason = f"{op}: {reason}"
    return Obstacle(op.code, op.index, shown_name(graph, op), reason, remedy, error.expected, error.received)


def _border(program: Program) -> list[Obstacle]:
    found = []
    for i in program.graph.inputs + program.graph.outputs:
        try:
            _check_border(program.tensors[i])
        except ModelError as e:
            found.append(Obstacle("", -1, program.tensors[i].name, e.what, e.remedy, e.expected, e.received))
    return found


_EMPTY_CONSTANT = {"RESHAPE", "REDUCE_PROD"}
"""Ops that converters write with constants of no elements: shapes of scalars, and their product, 1."""


def _fix_shapes(program: Program, op: Op) -> None:
    """Settles the outputs that the converter left open: their shapes follow from the inputs."""
    outputs = [program.tensors[i] for i in op.outputs]
    if any(isinstance(t.extent, Open) for t in outputs):
        inferred = infer(op, [program.tensors[i] if i >= 0 else None for i in op.inputs])
        if inferred is None and any(isinstance(t.extent, Open) and not t.extent.only_batch for t in outputs):
            raise ModelError(
                f"{op} has an output of dynamic shape",
                expected="fixed dimensions",
                received=str(outputs[0]),
                remedy="convert with a fixed batch of 1",
            )
        shapes = [t.shape for t in outputs] if inferred is None else inferred
        check(op, None, len(shapes) == len(outputs), f"{len(shapes)} outputs", str(len(outputs)))
        for t, shape in zip(outputs, shapes, strict=True):
            program.settle(t, shape)
    _check_empty(program, op)


def _check_empty(program: Program, op: Op) -> None:
    """No op reads or writes nothing, but for constants where the op means them, and for unused parts of a SPLIT_V."""
    read = [program.tensors[i] for i in op.inputs if i >= 0]
    given = [t for t in read if t.data is None or op.code not in _EMPTY_CONSTANT]
    made = [] if op.code == "SPLIT_V" else [program.tensors[i] for i in op.outputs]
    for t in (*given, *made):
        if isinstance(t.extent, Empty):
            raise ModelError(
                f"{op}: {t} has an unusable shape: it is empty",
                expected="no dimension of 0",
                received=str(list(t.shape)),
                remedy="convert the model again, with fixed input shapes",
            )


def _check_border(t: Tensor) -> None:
    """A model's input or output must be something the wire protocol can describe."""
    if isinstance(t.extent, Empty):
        raise ModelError(f"input or output {t} is empty", expected="no dimension of 0", received=str(list(t.shape)))
    if t.dtype not in ("float32", "int8", "int16", "int32", "uint8", "int64", "bool"):
        raise ModelError(f"input or output {t} has a dtype that is not supported", expected="float32, int8, int16 or int32")


_CLAMPABLE = {
    "conv2d",
    "depthwise_conv2d",
    "fully_connected",
    "transpose_conv",
    "average_pool",
    "max_pool",
    "clamp",
    "add",
    "sub",
    "mul",
}


def fuse_clamps(program: Program) -> tuple[AnyStep, ...]:
    """A separate clamp behind its only producer moves into the producer's activation bounds. Exact: both work on the same
    scale, and clamping twice is clamping to the narrower bounds."""
    readers: dict[int, int] = {}
    for index in [t.index for s in program.steps for t in s.inputs] + list(program.graph.outputs):
        readers[program.root(index)] = readers.get(program.root(index), 0) + 1
    done: list[AnyStep] = []
    for step in program.steps:
        source = step.inputs[0].index
        made_by = next((i for i, s in enumerate(done) if s.outputs[0].index == source), None)
        if made_by is None or not _can_take(done[made_by], step) or readers[done[made_by].outputs[0].index] != 1:
            done.append(step)
            continue
        done[made_by] = _with_clamp(done[made_by], step)
    return tuple(dataclasses.replace(s, index=i) for i, s in enumerate(done))


def _can_take(producer: AnyStep, step: AnyStep) -> bool:
    if not step.kind.startswith("clamp_") or producer.kind.rpartition("_")[0] not in _CLAMPABLE:
        return False
    a, b = step.inputs[0], step.outputs[0]
    return a.shape == b.shape and a.index == producer.outputs[0].index and (a.scale, a.zero_point) == (b.scale, b.zero_point)


def _with_clamp(producer: AnyStep, clamp: ProgramStep[Clamp]) -> AnyStep:
    lo, hi = clamp.params.act_min, clamp.params.act_max
    if getattr(producer.params, "requant", None) is not None:
        q = producer.params.requant
        params = dataclasses.replace(producer.params, requant=dataclasses.replace(q, **_narrowed(q, lo, hi)))
    else:
        params = dataclasses.replace(producer.params, **_narrowed(producer.params, lo, hi))
    return dataclasses.replace(producer, params=params, outputs=clamp.outputs)


def _narrowed(bounds: Bounded, lo: float, hi: float) -> dict[str, float]:
    """The value after both clamps, in this order: clamp(clamp(x, a, b), lo, hi)."""

    def both(v: float) -> float:
        return min(max(v, lo), hi)

    return {"act_min": both(bounds.act_min), "act_max": both(bounds.act_max)}
