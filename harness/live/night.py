"""The claim `live` of a night: a recording through a virtual board's sensors, every decision the host's, nothing lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from tinyrig.board.resolve import is_started_here
from tinyrig.core.boards import BoardTarget, Target
from tinyrig.core.config import Config
from tinyrig.core.errors import RigError
from tinyrig.core.records import Claim, ClaimStatus, Variant
from tinyrig.host.signals import interrupt
from tinyrig.live.image import PORT
from tinyrig.live.pipeline import MANIFEST
from tinyrig.live.run import Plan, live
from tinyrig.live.sensors import sensor_named

log = logging.getLogger(__name__)
NAME = "live"
LOST = ("dropped_samples", "missed_deadlines", "frames_not_fetched", "decisions_not_fetched")


def night_claims(target: Target, config: Config) -> Callable[[Variant], tuple[Claim, ...]] | None:
    """None without [live] in rig.toml, and for boards whose sensors can't play a recording: physical ones see what there is.
    Raises UserError for a sensor that is not known."""
    if config.live is None or not isinstance(target, BoardTarget) or not is_started_here(target, config):
        return None
    if target.board is None or target.board.port != PORT:
        return None
    sensor_named(config.live.sensor)
    return lambda variant: _claims(variant, target, config)


def _claims(variant: Variant, target: BoardTarget, config: Config) -> tuple[Claim, ...]:
    """None for a model that was not built with a pipeline."""
    if not (variant.tflite.parent / MANIFEST).exists():
        return ()
    try:
        found = live(_plan(variant, config), target, config, lambda *_: None)
    except RigError as error:
        return (Claim(NAME, ClaimStatus.NOT_MEASURED, str(error)),)
    if found["cut_short"]:
        interrupt(found["cut_short"])
    return (claim_of(found),)


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
