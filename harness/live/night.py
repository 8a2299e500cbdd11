"""The claim `live` of a night: a recording through a virtual board's sensors, or over the line to a physical board; every
decision the host's, nothing lost."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.board.resolve import is_started_here
from tinyrig.board.rig import Rig
from tinyrig.core.boards import BoardTarget, Target
from tinyrig.core.config import Config
from tinyrig.core.errors import LinkError, RigError
from tinyrig.core.records import INSTRUCTIONS, BoardInfo, Claim, ClaimStatus, Variant
from tinyrig.host.signals import interrupt
from tinyrig.live import playing
from tinyrig.live.image import PORT
from tinyrig.live.pipeline import MANIFEST
from tinyrig.live.run import Plan, live, pipeline_for
from tinyrig.live.sensors import sensor_named
from tinyrig.measure.parity import allowed, difference, split_outputs
from tinyrig.measure.variant import compiled_for
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import ORACLES

log = logging.getLogger(__name__)
NAME = "live"
TRIALS = 10
"""Of each class, of a recording that is made here."""
Way = Callable[[Plan, BoardTarget, Config], Claim]
LOST = ("dropped_samples", "missed_deadlines", "frames_not_fetched", "decisions_not_fetched")


def night_claims(target: Target, config: Config) -> Callable[[Variant], tuple[Claim, ...]] | None:
    """None without [live] in rig.toml, and for what has no line of ours. A virtual board plays the recording through its sensors.
    The sensors of a physical one see what there is: it gets the recording's windows over the line. Raises UserError for a sensor
    that is not known."""
    if config.live is None or not isinstance(target, BoardTarget):
        return None
    sensor_named(config.live.sensor)
    if not is_started_here(target, config):
        return lambda variant: _claims(variant, target, config, _streamed)
    if target.board is None or target.board.port != PORT:
        return None
    return lambda variant: _claims(variant, target, config, _sampled)


def _claims(variant: Variant, target: BoardTarget, config: Config, way: Way) -> tuple[Claim, ...]:
    """None for a model that was not built with a pipeline."""
    if not (variant.tflite.parent / MANIFEST).exists():
        return ()
    try:
        return (way(_plan(variant, config), target, config),)
    except RigError as error:
        return (Claim(NAME, ClaimStatus.NOT_MEASURED, str(error)),)


def _sampled(plan: Plan, target: BoardTarget, config: Config) -> Claim:
    found = live(plan, target, config, lambda *_: None)
    if found["cut_short"]:
        interrupt(found["cut_short"])
    return claim_of(found)


def _streamed(plan: Plan, target: BoardTarget, config: Config) -> Claim:
    """Every window that the board would decide on, sent as a run sends it: the decision must be the oracle's, and come before the
    next window is due. Raises RigErrors."""
    with tempfile.TemporaryDirectory(prefix="tinyrig-play-") as folder:
        source = playing.source(plan.play or plan.sensor.plays, Path(folder), TRIALS, plan.seed).read_by(plan.sensor)
    with Rig(target, config) as rig, ORACLES[plan.oracle](plan.variant.model) as oracle:
        model = compiled_for(plan.variant.model, rig.board, config, plan.engine)
        pipeline = pipeline_for(plan, model)
        session, hello = rig.prepare(build_image(model, rig.board, Path(config.folders.build), config.limits.build_s))
        board = rig.info(hello)
        due_s = plan.hop / plan.rate_hz
        found = Counter[str]()
        try:
            for window in windows(source.x, pipeline.length, plan.hop, round(plan.seconds * plan.rate_hz)):
                payload = pipeline.input_bytes(window, np.ones(window.shape[1], np.float32), model.inputs[0])
                sample = session.run(payload, index=found["windows"])
                (expected,) = oracle.run([np.frombuffer(payload, model.inputs[0].dtype).reshape(model.inputs[0].shape)])
                (received,) = split_outputs(sample.outputs, model.outputs)
                found["windows"] += 1
                found["differ"] += difference(expected, received) > allowed(expected, config.float_tolerance)
                found["late"] += timed(board) and sample.cycles > due_s * board.clock_hz
        except LinkError as error:
            raise rig.diagnose(error) from error
    return streamed_claim(found["windows"], found["differ"], found["late"], timed(board))


def timed(board: BoardInfo) -> bool:
    """Whether its cycles say when a decision comes: instructions do not."""
    return bool(board.clock_hz) and board.timing != INSTRUCTIONS


def windows(x: np.ndarray, length: int, hop: int, frames: int) -> Iterator[np.ndarray]:
    """float32 [length,C] at every hop of the first `frames` frames of trials [N,T,C], played in turn, again and again."""
    stream = x.reshape(-1, x.shape[2])
    for end in range(length, frames + 1, hop):
        yield stream[np.arange(end - length, end) % len(stream)]


def streamed_claim(streamed: int, differ: int, late: int, known: bool) -> Claim:
    """`known`: whether it is known when a decision came."""
    if not streamed:
        return Claim(NAME, ClaimStatus.NOT_MEASURED, "no window was complete")
    lost = {"decisions that differ": differ, "missed deadlines": late}
    reason = ", ".join(f"{n} {what}" for what, n in lost.items() if n)
    reason = reason or ("" if known else "when decisions come is not known of this board")
    status = ClaimStatus.FAILED if differ or late else ClaimStatus.PASSED
    return Claim(NAME, status, reason, limit=0.0, value=float(differ + late), unit="windows")


def _plan(variant: Variant, config: Config) -> Plan:
    wanted = config.live
    assert wanted is not None
    return Plan(
        variant,
        sensor_named(wanted.sensor),
        float(wanted.rate),
        wanted.hop,
        float(wanted.seconds),
        verify=True,
        oracle="tflm" if config.oracle == "none" else config.oracle,
        play=wanted.play,
        speed=float(wanted.speed),
    )


def claim_of(found: Mapping[str, Any]) -> Claim:
    """Of a session's document. `value`: decisions and samples that are not as they must be."""
    counts, verified = found["counts"], found["verified"]
    lost = {key.replace("_", " "): counts[key] for key in LOST if counts[key]}
    if verified["differ"]:
        lost["decisions that differ"] = verified["differ"]
    if verified["unseen"]:
        lost["decisions not seen"] = verified["unseen"]
    if not lost and not verified["compared"]:
        return Claim(NAME, ClaimStatus.NOT_MEASURED, "no window was complete")
    reason = ", ".join(f"{n} {what}" for what, n in lost.items())
    status = ClaimStatus.FAILED if lost else ClaimStatus.PASSED
    return Claim(NAME, status, reason, limit=0.0, value=float(sum(lost.values())), unit="windows")
