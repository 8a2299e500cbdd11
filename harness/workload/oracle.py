"""The reference outputs: TFLM's reference kernels on the host (`tflm`), LiteRT with BUILTIN_REF (`litert-ref`), and where neither
can judge a model this engine's portable kernels, as far as a reference in numpy agrees with them (`numpy`).

The default LiteRT interpreter is never used: its XNNPACK kernels round differently (22 of 240 int8 windows of the paper's
model), so they can't tell a wrong kernel from a right one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from tinyrig.compiler.model import schema
from tinyrig.compiler.model.graph import DTYPES, Graph, Op, Tensor, read_graph, read_model
from tinyrig.compiler.model.options import custom_name
from tinyrig.compiler.oracle_form import litert_form, oracle_form
from tinyrig.core.errors import HostError, ModelError, RigError
from tinyrig.core.text import NUMPY
from tinyrig.host.forked import memory_kills
from tinyrig.host.isolated import Child, ChildFailed, Ending
from tinyrig.places.remedies import AGAIN, extra
from tinyrig.reference.interpreter import Interpreter
from tinyrig.workload.judge.judge import Judge

TIMEOUT_S = 120.0
"""For one inference: reference kernels take seconds for the largest models that a microcontroller can hold."""

NONE = "--oracle none shows whether it runs, without a timing"


class Oracle:
    """The library runs in a child of its own, made at the first use: it may abort or write where it should not for a file
    that no check of ours refuses, or for one window of it. A context manager, which ends the child."""

    name = ""
    _library = ""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._child: Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """One inference: input tensors (their dtype, any shape of the right size) -> output tensors. Raises ModelError when
        the library refuses the model, dies of it again and again or is at work for longer than TIMEOUT_S; HostError when its
        process was ended from outside or held up: that says nothing about the model."""
        outputs: list[np.ndarray] = self._call("run", inputs)
        return outputs

    def run_on(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """As run(), on the state that the inference before has left: the next window of its sequence."""
        outputs: list[np.ndarray] = self._call("run_on", inputs)
        return outputs

    def tensors(self, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
        """Every activation tensor's value by its index in the file, after one inference."""
        values: dict[int, np.ndarray] = self._call("tensors", inputs)
        return values

    def can_run(self) -> bool:
        """Does the library run the model, on zeros? It is tried."""
        try:
            self._ask("run", [np.zeros(t.shape, t.dtype) for t in _inputs(self._data)])
        except (ChildFailed, RigError):
            return False
        return True

    def _make(self) -> Callable[[], Any]:
        raise NotImplementedError

    def _elsewhere(self) -> str:
        """What to do where the library can't judge the model."""
        raise NotImplementedError

    def _call(self, method: str, inputs: list[np.ndarray]) -> Any:
        kills = memory_kills()
        try:
            return self._ask(method, inputs)
        except ChildFailed as first:
            if first.ending != Ending.CRASHED:
                raise _failed(self._library, first, self._elsewhere(), memory_kills() - kills) from first
            raise self._crashed(first, method, inputs) from first

    def _ask(self, method: str, inputs: list[np.ndarray]) -> Any:
        try:
            if self._child is None:
                self._child = Child(self._make(), TIMEOUT_S)
            return self._child.call(method, inputs)
        except ChildFailed as e:
            if e.ending != Ending.LIVES:
                self._child = None
            raise
        except OSError as e:
            raise HostError(
                f"no process for {self._library} can be started",
                received=str(e),
                remedy="see that processes, memory and the folder for temporary files are not used up; then run again",
            ) from e

    def _crashed(self, first: ChildFailed, method: str, inputs: list[np.ndarray]) -> RigError:
        """Only what happens again in a new process is the model's doing."""
        try:
            self._ask(method, inputs)
        except ChildFailed as second:
            if second.ending == Ending.CRASHED:
                return _crashes(self._library, second, self._elsewhere())
            return _failed(self._library, second, self._elsewhere())
        return HostError(
            f"{self._library} ended with {first.died} once; another process of it then ran the same window",
            expected="the same from every process",
            received=first.text,
            remedy="run again; if it happens again, check this machine's memory",
        )


def _failed(library: str, e: ChildFailed, elsewhere: str, memory_kills: int = 0) -> RigError:
    """For anything but a crash. `memory_kills`: processes that this machine ended meanwhile for want of memory."""
    if e.ending == Ending.LIVES:
        return ModelError(
            f"{library} can't run the model",
            expected="outputs to compare the board's with: unverified, there is no timing",
            received=e.text,
            remedy=elsewhere,
        )
    if e.ending == Ending.SLOW:
        return ModelError(f"{library} takes too long for one inference of the model", received=e.died, remedy=elsewhere)
    if e.ending == Ending.KILLED:
        why = "; the system ended a process for want of memory meanwhile" if memory_kills > 0 else ""
        return HostError(
            f"the process of {library} was ended from outside",
            expected="nobody to end it",
            received=f"{e.died}{why}",
            remedy="free memory, or find out who ended it; then run again: it says nothing about the model",
        )
    return HostError(
        f"the process of {library} gave no answer",
        received=e.died,
        remedy="see that this machine is not overloaded; then run again: it says nothing about the model",
    )


def _crashes(library: str, e: ChildFailed, elsewhere: str) -> ModelError:
    return ModelError(
        f"{library} can't run the model: it ended with {e.died}, and again in a process of its own",
        expected="outputs to compare the board's with: unverified, there is no timing",
        received=e.text,
        remedy=elsewhere,
    )


class TflmOracle(Oracle):
    """tflite-micro's interpreter with its reference kernels."""

    name = "tflm"
    _library = "tflite-micro"

    def _elsewhere(self) -> str:
        return elsewhere(self._data, LitertRefOracle)

    def _make(self) -> Callable[[], Any]:
        try:
            from tflite_micro.python.tflite_micro import runtime
        except ImportError as e:
            raise HostError("the oracle tflite-micro can't be imported", received=str(e), remedy=AGAIN) from e
        data, types = _as_meant(self._data, oracle_form), _output_types(self._data)
        return lambda: _Tflm(data, runtime, types)


class _Tflm:
    """Lives in the child."""

    def __init__(self, data: bytes, runtime: Any, types: list[str]) -> None:
        self._data, self._runtime, self._types = data, runtime, types
        self._once = any(op.code == "CALL_ONCE" for op in _ops(data))
        """A reset does not run such a subgraph again."""
        self._unwritten = unwritten_rows(data)
        self._plain = self._create(keep=False)
        self._keeping: Any = None

    def _create(self, keep: bool) -> Any:
        config = self._runtime.InterpreterConfig
        mode = config.kPreserveAllTensors if keep else config.kAllocationRecording
        # The arena is host memory: generous, because 64-bit pointers and kept tensors need more than a board does.
        size = max(10 * len(self._data), 1 << 22) + (1 << 24 if keep else 0)
        return self._runtime.Interpreter.from_bytes(self._data, arena_size=size, intrepreter_config=mode)

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        self._plain = self._create(keep=False) if self._once else self._plain
        self._plain.reset()
        return self._invoke(self._plain, inputs)

    def run_on(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        return self._invoke(self._plain, inputs)

    def _invoke(self, interpreter: Any, inputs: list[np.ndarray]) -> list[np.ndarray]:
        for i, x in enumerate(inputs):
            details = interpreter.get_input_details(i)
            interpreter.set_input(np.ascontiguousarray(x, details["dtype"]).reshape(details["shape"]), i)
        interpreter.invoke()
        outputs = [np.array(interpreter.get_output(i)) for i in range(_output_count(self._data))]
        outputs = [y.astype(t) for y, t in zip(outputs, self._types, strict=True)] if self._types else outputs
        for rows, count in self._unwritten:
            outputs[rows].reshape(-1, 4 if outputs[rows].ndim == 3 else 1)[int(outputs[count].ravel()[0]) :] = 0
        return outputs

    def tensors(self, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
        self._keeping = self._create(keep=True) if self._once or not self._keeping else self._keeping
        self._keeping.reset()
        self._invoke(self._keeping, inputs)
        return {i: _tensor_value(self._keeping, i) for i in _activations(self._data)}


def unwritten_rows(data: bytes) -> list[tuple[int, int]]:
    """Outputs, by number, of which tflite-micro writes only as many rows as another one says; behind them lies whatever was in
    its memory, for which zeros are taken here. Of detection heads that are asked for a box's best class alone."""
    try:
        graph = read_graph(data)
    except ModelError:
        return []
    found = []
    for op in graph.ops:
        if op.code == custom_name("TFLite_Detection_PostProcess") and not op.options.flag("use_regular_nms"):
            at = [graph.outputs.index(i) if i in graph.outputs else -1 for i in op.outputs]
            found += [(rows, at[3]) for rows in at[:3] if rows >= 0 and at[3] >= 0]
    return found


def _output_types(data: bytes) -> list[str]:
    """numpy names, of the model itself: its copy may have others. Empty where it can't be read."""
    try:
        graph = read_graph(data)
    except ModelError:
        return []
    types = [graph.tensors[i].dtype for i in graph.outputs]
    return types if set(types) <= set(DTYPES.values()) else []


def _as_meant(data: bytes, form: Callable[[bytes], bytes]) -> bytes:
    """See compiler/oracle_form.py."""
    try:
        return form(data)
    except ModelError:  # not for the compiler, but perhaps for the oracle
        return data


class LitertRefOracle(Oracle):
    """LiteRT's interpreter restricted to its reference kernels (OpResolverType.BUILTIN_REF)."""

    name = "litert-ref"
    _library = "LiteRT"

    def _elsewhere(self) -> str:
        return elsewhere(self._data, TflmOracle)

    def _make(self) -> Callable[[], Any]:
        try:
            from ai_edge_litert import interpreter as litert
        except ImportError as e:
            raise HostError("the oracle LiteRT can't be imported", received=str(e), remedy=extra("litert")) from e
        _check_roundings(self._data)
        data = _as_meant(self._data, litert_form)
        return lambda: _Litert(data, litert)


LITERT_DIFFERS = {
    "SUM": ("int8", "int16"),
    "MUL": ("int16",),
    "SOFTMAX": ("int16",),
    "LOCAL_RESPONSE_NORMALIZATION": ("float32",),
}
"""Where LiteRT's reference kernels give other values than microcontrollers' runtimes and TensorFlow, seen on models: SUM loses
the scales, MUL and SOFTMAX now and then differ in the last bit, and the response leaves out the last of the neighbours."""


def _check_roundings(data: bytes) -> None:
    try:
        graph = read_model(data)
    except ModelError:
        return
    for op in graph.ops:
        y = graph.tensors[op.outputs[0]] if op.outputs else None
        if y is not None and (y.dtype in LITERT_DIFFERS.get(op.code, ()) or _narrow_bias(graph, op)):
            raise ModelError(
                f"litert-ref can't judge this model: LiteRT's reference kernel of {op} in {y.dtype} gives other values than "
                "TensorFlow and TensorFlow Lite Micro",
                expected="an oracle that computes as they do",
                received="litert-ref",
                remedy=elsewhere(data, TflmOracle),
            )


def _narrow_bias(graph: Graph, op: Op) -> bool:
    """A bias of int32 in a layer of int16, which LiteRT sums up in 64 bits."""
    given = [graph.tensors[i].dtype for i in op.inputs[:3] if i >= 0] if op.code in ("CONV_2D", "FULLY_CONNECTED") else []
    return given == ["int16", "int8", "int32"]


class _Litert:
    """Lives in the child."""

    def __init__(self, data: bytes, litert: Any) -> None:
        self._data, self._litert = data, litert
        self._resources = any(op.code == "VAR_HANDLE" for op in _ops(data))
        """LiteRT's reset does not reach resource variables."""
        self._it = self._create()
        self._it.invoke()

    def _create(self) -> Any:
        resolver = self._litert.OpResolverType.BUILTIN_REF
        it = self._litert.Interpreter(
            model_content=self._data, experimental_op_resolver_type=resolver, experimental_preserve_all_tensors=True
        )
        it.allocate_tensors()
        return it

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        self._it = self._create() if self._resources else self._it
        self._it.reset_all_variables()
        return self.run_on(inputs)

    def run_on(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        for x, d in zip(inputs, self._it.get_input_details(), strict=True):
            self._it.set_tensor(d["index"], np.ascontiguousarray(x, d["dtype"]).reshape(d["shape"]))
        self._it.invoke()
        return [np.array(self._it.get_tensor(d["index"])) for d in self._it.get_output_details()]

    def tensors(self, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
        self.run(inputs)
        return {d["index"]: np.array(self._it.get_tensor(d["index"])) for d in self._it.get_tensor_details()}


class NumpyOracle(Oracle):
    """The engine's portable kernels, as far as each operator lies within its tolerance of the numpy reference: weaker than the
    others, for tinyrig is judged by tinyrig."""

    name = "numpy"
    _library = NUMPY

    def _elsewhere(self) -> str:
        return NONE

    def _make(self) -> Callable[[], Any]:
        judge = Judge(self._data)
        return lambda: judge


def elsewhere(data: bytes, other: type[Oracle]) -> str:
    """What can judge a model that one library can't: the other one where it was seen to run it, else the numpy reference."""
    with other(data) as oracle:
        if oracle.can_run():
            return f"compare with --oracle {other.name}, or none"
    try:
        Interpreter(data)
    except ModelError as error:
        return f"{NONE}: {other.name} can't run it either, and the numpy reference neither: {error.received or error.what}"
    return f"compare with --oracle numpy, {NUMPY}, or none"


ORACLES: dict[str, type[Oracle]] = {
    TflmOracle.name: TflmOracle,
    LitertRefOracle.name: LitertRefOracle,
    NumpyOracle.name: NumpyOracle,
}
"""--oracle's names; the name goes into every report."""


def _inputs(data: bytes) -> list[Tensor]:
    graph = read_graph(data)
    return [graph.tensors[i] for i in graph.inputs]


def _ops(data: bytes) -> tuple[Op, ...]:
    """Of the first subgraph; none where the file can't be read."""
    try:
        return read_graph(data).ops
    except ModelError:
        return ()


def _subgraph(data: bytes) -> schema.SubGraph:
    return schema.root(data).Subgraphs(0)


def _output_count(data: bytes) -> int:
    return _subgraph(data).OutputsLength()


def _activations(data: bytes) -> list[int]:
    sub = _subgraph(data)
    made = {sub.Operators(i).Outputs(j) for i in range(sub.OperatorsLength()) for j in range(sub.Operators(i).OutputsLength())}
    return sorted(made | {sub.Inputs(i) for i in range(sub.InputsLength())})


def _tensor_value(interpreter: Any, index: int) -> np.ndarray:
    return np.array(interpreter.GetTensor(index, 0)["tensor_data"])
