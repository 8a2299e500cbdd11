"""Every live decision against the host: the same frames through the pipeline and the oracle."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from tinyrig.core.records import TensorSpec
from tinyrig.host.signals import Held
from tinyrig.link.session import Session
from tinyrig.live.pipeline import Pipeline
from tinyrig.live.protocol import Decision
from tinyrig.live.session import Gathered
from tinyrig.measure.parity import allowed, difference
from tinyrig.workload.oracle import Oracle


@dataclass(frozen=True)
class Verified:
    """Counts of decisions: compared, unseen (frames or whole decisions that never came), and those that differ, by the first step
    that does. `worst`: the largest difference of an output."""

    oracle: str
    compared: int = 0
    unseen: int = 0
    inputs_differ: int = 0
    outputs_differ: int = 0
    classes_differ: int = 0
    worst: float = 0.0
    replayed: int = 0
    """Windows that were streamed to the board afterwards, as a run does."""
    replays_differ: int = 0

    @property
    def passed(self) -> bool:
        """Whether every decision was compared and is equal."""
        return bool(self.compared) and not self.differ and not self.unseen

    @property
    def differ(self) -> int:
        """Decisions that are not what they should be."""
        return self.inputs_differ + self.outputs_differ + self.classes_differ + self.replays_differ


@dataclass(frozen=True)
class Model:
    """What a session decides with. `scale` float32 for each of the sensor's channels."""

    pipeline: Pipeline
    input: TensorSpec
    output: TensorSpec
    scale: np.ndarray
    tolerance: float


def verify(gathered: Gathered, model: Model, oracle: Oracle) -> Verified:
    """Raises ModelError, HostError as the oracle does."""
    status = gathered.status
    made = (status.windows - status.missed) if status else 0
    found = {"inputs_differ": 0, "outputs_differ": 0, "classes_differ": 0}
    compared, worst = 0, 0.0
    for decision in gathered.decisions:
        window = gathered.window(decision)
        if window is None:
            continue
        compared += 1
        what, distance = _compare(decision, window, model, oracle)
        worst = max(worst, distance)
        if what:
            found[what] += 1
    return Verified(oracle.name, compared, max(0, made - compared), **found, worst=worst)


def replay(gathered: Gathered, model: Model, board: Session, held: Held) -> tuple[int, int]:
    """The same windows streamed to the board, until a signal is held: (how many, of how many the outputs differ). Raises
    LinkError, DeviceError."""
    done = differ = 0
    for decision in gathered.decisions:
        window = gathered.window(decision)
        if window is None:
            continue
        if held.number:
            break
        sample = board.run(model.pipeline.input_bytes(window, model.scale, model.input), index=done)
        differ += zlib.crc32(sample.outputs) != decision.outputs_crc
        done += 1
    return done, differ


def _compare(decision: Decision, window: np.ndarray, model: Model, oracle: Oracle) -> tuple[str, float]:
    """(which step differs, "" for none; by how much an output does)."""
    data = model.pipeline.input_bytes(window, model.scale, model.input)
    if zlib.crc32(data) != decision.inputs_crc:
        return "inputs_differ", 0.0
    x = np.frombuffer(data, model.input.dtype).reshape(model.input.shape)
    expected = oracle.run([x])[0]
    if not decision.scores:
        same = zlib.crc32(np.ascontiguousarray(expected, model.output.dtype).tobytes()) == decision.outputs_crc
        return ("" if same else "outputs_differ"), 0.0
    received = np.frombuffer(decision.scores, model.output.dtype).reshape(model.output.shape)
    distance = difference(expected.reshape(received.shape), received)
    if zlib.crc32(decision.scores) != decision.outputs_crc or distance > allowed(expected, model.tolerance):
        return "outputs_differ", distance
    return ("" if int(expected.argmax()) == decision.best else "classes_differ"), distance
