"""`tinyrig live`: from a variant or model to a session's document."""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tinyrig.board.attachment import Played
from tinyrig.board.resolve import is_started_here
from tinyrig.board.rig import Rig
from tinyrig.core.boards import BoardTarget
from tinyrig.core.config import Config
from tinyrig.core.errors import LinkError, ModelError, UserError
from tinyrig.core.records import CompiledModel, Hello, Image, Variant
from tinyrig.host.signals import held
from tinyrig.live import playing, session, summary
from tinyrig.live.image import live_image
from tinyrig.live.pipeline import MANIFEST, Pipeline, read_pipeline
from tinyrig.live.protocol import Asked, Fetched
from tinyrig.live.sampler import Sampler, period_us
from tinyrig.live.sensors import Sensor
from tinyrig.live.verify import Model, Verified, replay, verify
from tinyrig.measure.variant import compiled_for
from tinyrig.workload.oracle import ORACLES

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Plan:
    """`hop` in frames. `replay`: the same windows are streamed to the board afterwards. `manifest`: where the pipeline stands,
    None: beside the variant. `play`, `speed`, `seed` and `faults` are for a virtual board: what its sensors read."""

    variant: Variant
    sensor: Sensor
    rate_hz: float
    hop: int
    seconds: float
    verify: bool = False
    smooth: str = ""
    expect: str = ""
    oracle: str = "tflm"
    engine: str = "tinyrig"
    replay: bool = False
    manifest: Path | None = None
    self_test: bool = True
    play: str = ""
    speed: float = 1.0
    seed: int = 1
    faults: tuple[str, ...] = ()


Seen = Callable[[Fetched, Pipeline], None]


def live(plan: Plan, target: BoardTarget, config: Config, seen: Seen) -> dict[str, Any]:
    """The session's document (summary.py), which says so where a signal cut it short while the board sampled or afterwards; a
    second one interrupts at once. Raises RigErrors."""
    with tempfile.TemporaryDirectory(prefix="tinyrig-play-") as folder:
        source = _source(plan, target, config, Path(folder))
        played = Played(source.save(Path(folder) / "played.npz"), plan.speed) if source else None
        with Rig(target, config, faults=plan.faults, played=played) as rig:
            model = compiled_for(plan.variant.model, rig.board, config, plan.engine)
            pipeline = pipeline_for(plan, model)
            image = live_image(model, plan.sensor, rig.board, config)
            board_session, hello = rig.prepare(image)
            try:
                sampler = Sampler(board_session, plan.sensor)
                score_bytes = sampler.described.score_bytes
                need = session.line_need(plan.rate_hz, plan.hop, len(plan.sensor.channels), score_bytes, True)
                log.info("%s", session.check_line(need, rig.board.baud, plan.verify))
                decided = Model(pipeline, model.inputs[0], model.outputs[0], sampler.described.scale, config.float_tolerance)
                with held() as signals:
                    gathered = session.follow(sampler, _asked(plan, pipeline), plan.seconds, lambda f: seen(f, pipeline), signals)
                    wanted = plan.verify and plan.replay
                    replayed = replay(gathered, decided, board_session, signals) if wanted else (0, 0)
                    verified = _verified(plan, gathered, decided)
            except LinkError as error:
                raise rig.diagnose(error) from error
            board = rig.info(hello)
    if verified is not None:
        verified = dataclasses.replace(verified, replayed=replayed[0], replays_differ=replayed[1])
    subject = _subject(plan, hello, image) | {"board": board.name, "board_id": board.id, "timing": board.timing}
    subject |= {"cut_short": signals.name}
    rate = period_us(plan.rate_hz)
    setting = summary.Setting(subject, rate, plan.hop, board.clock_hz, pipeline.class_names, model.outputs[0], plan.sensor)
    return summary.document(setting, gathered, verified, _truth(plan, source))


def pipeline_for(plan: Plan, model: CompiledModel) -> Pipeline:
    """Raises UserError, ModelError."""
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(
            f"{plan.variant.name} can't decide live",
            expected="one input, a window, and one output, a score for each class",
            received=f"{len(model.inputs)} inputs, {len(model.outputs)} outputs",
        )
    manifest = plan.manifest or plan.variant.tflite.parent / MANIFEST
    pipeline = read_pipeline(manifest, plan.sensor, model.inputs[0])
    if plan.expect and plan.expect not in pipeline.class_names:
        expected = ", ".join(pipeline.class_names) or "a manifest with class names"
        raise UserError("--expect names no class", expected=expected, received=plan.expect[:200])
    if not 1 <= plan.hop <= 65_535:
        raise UserError("no such hop", expected="1 to 65,535 frames", received=str(plan.hop))
    if not 0 < plan.seconds <= session.LONGEST_S:
        raise UserError("no such time", expected=f"up to {session.LONGEST_S:g} s", received=f"{plan.seconds:g}")
    return pipeline


def _asked(plan: Plan, pipeline: Pipeline) -> Asked:
    smoothing, count = session.smoothing_of(plan.smooth)
    wanted = session.flags(True, plan.self_test)
    return Asked(period_us(plan.rate_hz), wanted, pipeline.length, plan.hop, pipeline.channels, smoothing, count)


def _source(plan: Plan, target: BoardTarget, config: Config, folder: Path) -> playing.Source | None:
    """None for a physical board, whose sensors read what there is. Raises UserError, HostError."""
    if not is_started_here(target, config):
        if plan.play:
            raise UserError("only a virtual board plays a recording", expected="--board virtual", received=str(target))
        return None
    found = playing.source(plan.play or plan.sensor.plays, folder, 10, plan.seed).read_by(plan.sensor)
    return found.of_class(plan.expect) if plan.expect and found.y is not None and plan.expect in found.class_names else found


def _truth(plan: Plan, source: playing.Source | None) -> summary.Truth:
    """Of what a person says is shown, or a recording with labels played sample for sample."""
    if plan.expect:
        return lambda _: plan.expect
    if source is None or source.rate_hz != plan.rate_hz:
        return lambda _: None
    return source.label_of


def _verified(plan: Plan, gathered: session.Gathered, model: Model) -> Verified | None:
    if not plan.verify:
        return None
    with ORACLES[plan.oracle](plan.variant.model) as oracle:
        return verify(gathered, model, oracle)


def _subject(plan: Plan, hello: Hello, image: Image) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "variant": plan.variant.name,
        "model_sha256": plan.variant.sha256,
        "engine": image.engine,
        "build_id": hello.build_id,
        "sensor": plan.sensor.name,
        "rate_hz": plan.rate_hz,
        "smoothing": plan.smooth or "none",
        "arithmetic": "float32 on the board, as firmware/live/pipeline.h says",
        "faults": list(plan.faults),
    }
