"""The reference outputs: TFLM's reference kernels on the host (`tflm`), LiteRT with BUILTIN_REF (`litert-ref`).

The default LiteRT interpreter is never used: its XNNPACK kernels round differently (22 of 240 int8 windows of the paper's
model), so they can't tell a wrong kernel from a right one.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from harness.compiler.lower import open_shape
from harness.errors import HostError, ModelError


@contextmanager
def _quiet() -> Iterator[list[str]]:
    """Collects what the C++ libraries write to file descriptors 1 and 2; the list holds the text afterwards."""
    caught: list[str] = []
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as sink:
        try:
            os.dup2(sink.fileno(), 1)
            os.dup2(sink.fileno(), 2)
            yield caught
        finally:
            for fd, old in zip((1, 2), saved, strict=True):
                os.dup2(old, fd)
                os.close(old)
            sink.seek(0)
            caught.append(sink.read().decode("utf-8", "replace").strip())


class TflmOracle:
    """tflite-micro's interpreter with its reference kernels. Raises ModelError when TFLM refuses the model."""

    name = "tflm"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._plain = None
        self._keeping = None

    def _interpreter(self, keep: bool):
        try:
            from tflite_micro.python.tflite_micro import runtime
        except ImportError as e:
            raise HostError("the oracle tflite-micro can't be imported", received=str(e), remedy="run `make setup`") from e
        config = runtime.InterpreterConfig
        mode = config.kPreserveAllTensors if keep else config.kAllocationRecording
        # The arena is host memory: generous, because 64-bit pointers and kept tensors need more than a board does.
        size = max(10 * len(self._data), 1 << 22) + (1 << 24 if keep else 0)

        def create():
            return runtime.Interpreter.from_bytes(self._data, arena_size=size, intrepreter_config=mode)

        if self._plain is None and self._keeping is None:
            _check_shapes(self._data)
            _check_survives("tflite-micro", lambda: create().invoke())
        with _library_errors("tflite-micro"):
            return create()

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """One inference: input tensors (their dtype, any shape of the right size) -> output tensors."""
        if self._plain is None:
            self._plain = self._interpreter(keep=False)
        return self._invoke(self._plain, inputs)

    def _invoke(self, interpreter, inputs: list[np.ndarray]) -> list[np.ndarray]:
        with _library_errors("tflite-micro"):
            for i, x in enumerate(inputs):
                details = interpreter.get_input_details(i)
                interpreter.set_input(np.ascontiguousarray(x, details["dtype"]).reshape(details["shape"]), i)
            interpreter.invoke()
            return [np.array(interpreter.get_output(i)) for i in range(_output_count(self._data))]

    def tensors(self, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
        """Every activation tensor's value by its index in the file, after one inference."""
        if self._keeping is None:
            self._keeping = self._interpreter(keep=True)
        self._invoke(self._keeping, inputs)
        with _library_errors("tflite-micro"):
            return {i: _tensor_value(self._keeping, i) for i in _activations(self._data)}


def _check_shapes(data: bytes) -> None:
    """TFLM takes a free batch's shapes as they stand in the file: it would run, and give other values than LiteRT."""
    try:
        tensor = open_shape(data)
    except ModelError:  # not for the compiler, but perhaps for the oracle
        return
    if tensor is not None:
        raise ModelError(
            "tflite-micro can't be the oracle of this model", expected="a model converted with a fixed batch",
            received=f"{tensor}, which the file leaves open", remedy="compare with --oracle litert-ref",
        )


class LitertRefOracle:
    """LiteRT's interpreter restricted to its reference kernels (OpResolverType.BUILTIN_REF)."""

    name = "litert-ref"

    def __init__(self, data: bytes) -> None:
        try:
            from ai_edge_litert import interpreter as litert
        except ImportError as e:
            raise HostError("the oracle LiteRT can't be imported", received=str(e), remedy="run `make setup`") from e

        def create():
            resolver = litert.OpResolverType.BUILTIN_REF
            it = litert.Interpreter(
                model_content=data, experimental_op_resolver_type=resolver, experimental_preserve_all_tensors=True
            )
            it.allocate_tensors()
            return it

        _check_survives("LiteRT", lambda: create().invoke())
        with _library_errors("LiteRT"):
            self._it = create()

    def run(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        with _library_errors("LiteRT"):
            for x, d in zip(inputs, self._it.get_input_details(), strict=True):
                self._it.set_tensor(d["index"], np.ascontiguousarray(x, d["dtype"]).reshape(d["shape"]))
            self._it.invoke()
            return [np.array(self._it.get_tensor(d["index"])) for d in self._it.get_output_details()]

    def tensors(self, inputs: list[np.ndarray]) -> dict[int, np.ndarray]:
        self.run(inputs)
        with _library_errors("LiteRT"):
            return {d["index"]: np.array(self._it.get_tensor(d["index"])) for d in self._it.get_tensor_details()}


ORACLES = {TflmOracle.name: TflmOracle, LitertRefOracle.name: LitertRefOracle}
"""--oracle's names; the name goes into every report."""


def _check_survives(library: str, action: Callable[[], object]) -> None:
    """Tries `action` in a forked child first: the libraries abort the whole process where a parameter is out of the range
    that they assert. Other errors are left to the real call."""
    with _quiet() as caught, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads: the child only runs this
        child = os.fork()
        if child == 0:
            faulthandler.disable()  # an abort is expected here: no dump for it
            try:
                action()
            finally:
                os._exit(0)
        try:
            status = os.waitpid(child, 0)[1]
        except BaseException:  # the run's time is up, or the user's patience
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        raise ModelError(f"{library} can't run the model: it ended with {name}", received=" ".join(caught),
                         remedy="its quantisation is out of the reference's range; use another --oracle, or none")


@contextmanager
def _library_errors(library: str) -> Iterator[None]:
    try:
        with _quiet() as caught:
            yield
    except (RuntimeError, ValueError) as e:
        text = " / ".join(t for t in (*caught, str(e)) if t)
        raise ModelError(f"{library} can't run the model", received=text, remedy="compare with another --oracle, or none") from e


def _subgraph(data: bytes):
    import tflite

    return tflite.Model.GetRootAsModel(data, 0).Subgraphs(0)


def _output_count(data: bytes) -> int:
    return _subgraph(data).OutputsLength()


def _activations(data: bytes) -> list[int]:
    sub = _subgraph(data)
    made = {sub.Operators(i).Outputs(j) for i in range(sub.OperatorsLength()) for j in range(sub.Operators(i).OutputsLength())}
    return sorted(made | {sub.Inputs(i) for i in range(sub.InputsLength())})


def _tensor_value(interpreter, index: int) -> np.ndarray:
    return np.array(interpreter.GetTensor(index, 0)["tensor_data"])
