"""`tinyrig live`: decisions as they fall. Heavy imports wait inside the functions."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, EXIT_RIG, HostError

if TYPE_CHECKING:
    from tinyrig.core.config import Config
    from tinyrig.core.records import Variant
    from tinyrig.live.pipeline import Pipeline
    from tinyrig.live.protocol import Fetched
    from tinyrig.live.run import Plan
    from tinyrig.live.sensors import Sensor


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `live` command, for cli.py."""
    parser = commands.add_parser("live", help="classify what a board's sensor sees, on the board")
    parser.add_argument("--board", default="virtual", help="board name, serial port or URL, or NAME@PORT (default: virtual)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--variant", default="pqt", metavar="NAME", help="a built variant (default: pqt)")
    what.add_argument("--model", type=Path, metavar="FILE.tflite", help="a model trained elsewhere; needs --manifest")
    parser.add_argument("--manifest", type=Path, metavar="FILE.json", help="its pipeline: length, channels, mean, std")
    parser.add_argument("--dataset", help="what the variant was trained on: glove, or a folder (default: rig.toml's)")
    parser.add_argument("--sensor", default="glove", help="what is wired to the board (default: glove)")
    parser.add_argument("--rate", type=float, metavar="HZ", help="samples a second (default: the sensor's usual one)")
    parser.add_argument("--hop", type=int, default=10, metavar="N", help="samples from one window to the next (default: 10)")
    parser.add_argument("--seconds", type=float, default=30.0, metavar="S", help="of the board's clock (default: 30)")
    parser.add_argument("--smooth", default="", metavar="majority:K|hysteresis:K", help="smooth decisions, on the board")
    parser.add_argument("--verify", action="store_true", help="compare every decision with the host's pipeline and oracle")
    parser.add_argument("--replay", action="store_true", help="with --verify: stream the same windows to the board too")
    parser.add_argument("--expect", default="", metavar="LABEL", help="the class that is shown, to judge decisions by")
    parser.add_argument("--oracle", choices=["tflm", "litert-ref", "numpy"], help="whose outputs are right (default: rig.toml's)")
    parser.add_argument("--no-self-test", action="store_true", help="leave out the sensor's self-test")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write the log (schema 1); without FILE to stdout")
    add_virtual(parser)
    parser.set_defaults(command=main)


def add_virtual(parser: argparse.ArgumentParser) -> None:
    """What only a virtual board takes; also for `tinyrig record`."""
    group = parser.add_argument_group("virtual board")
    group.add_argument("--play", default="", metavar="glove|watch|FILE.npz", help="what its sensors read")
    group.add_argument("--speed", type=float, default=1.0, metavar="N", help="seconds of the board in one of this machine")
    group.add_argument("--play-seed", type=int, default=1, metavar="N", help="seed of a synthetic recording (default: 1)")
    group.add_argument("--fault", action="append", default=[], metavar="NAME[:N]", help="inject a fault, as sensor-nack:200")


def main(arguments: argparse.Namespace) -> int:
    """EXIT_CLAIM where --verify finds a decision that differs or that nobody saw, EXIT_RIG where there is none."""
    from tinyrig.core.boards import parse_own_board
    from tinyrig.core.config import load_config
    from tinyrig.host.signals import interrupt
    from tinyrig.live.run import live
    from tinyrig.live.summary import text

    config = load_config()
    target = parse_own_board(arguments.board, config.boards, "only our own firmware samples")
    plan = _plan(arguments, config)
    shown = Shown(plan.sensor)
    try:
        found = live(plan, target, config, shown)
    finally:
        shown.end()
    log = _save(found, arguments.json, config)
    if arguments.json == "-":
        print(json.dumps(found, indent=1, allow_nan=False))
    else:
        print(text(found))
        print(f"log: {log}")
    if found["cut_short"]:
        interrupt(found["cut_short"])
    verified = found["verified"]
    if verified is None or verified["passed"]:
        return EXIT_GOOD
    return EXIT_CLAIM if verified["compared"] or verified["unseen"] else EXIT_RIG


def _plan(arguments: argparse.Namespace, config: Config) -> Plan:
    from tinyrig.core.errors import UserError
    from tinyrig.live.run import Plan
    from tinyrig.live.sensors import sensor_named

    sensor = sensor_named(arguments.sensor)
    if arguments.model and not arguments.manifest:
        raise UserError("--model needs --manifest", expected="a file with the key pipeline", received="none")
    if not 0.01 <= arguments.speed <= 1000:
        raise UserError("no such speed", expected="0.01 to 1000", received=f"{arguments.speed:g}")
    oracle = arguments.oracle or config.oracle
    return Plan(
        _variant(arguments, config),
        sensor,
        arguments.rate or sensor.rate_hz,
        arguments.hop,
        arguments.seconds,
        arguments.verify,
        arguments.smooth,
        arguments.expect,
        "tflm" if oracle == "none" else oracle,
        replay=arguments.replay,
        manifest=arguments.manifest,
        self_test=not arguments.no_self_test,
        play=arguments.play,
        speed=arguments.speed,
        seed=arguments.play_seed,
        faults=tuple(arguments.fault),
    )


def _variant(arguments: argparse.Namespace, config: Config) -> Variant:
    import dataclasses

    from tinyrig.measure.variants import built_variants, model_variants

    if arguments.model:
        return model_variants([arguments.model], None)[0]
    config = dataclasses.replace(config, dataset=arguments.dataset or config.dataset)
    return built_variants(config, [arguments.variant])[0]


def _save(found: dict[str, Any], where: str | None, config: Config) -> Path:
    """The log, for `tinyrig report`. Raises HostError."""
    from tinyrig.places.project import made

    stamp = "".join(c for c in found["at"] if c.isdigit())[:14]
    path = Path(where) if where not in (None, "-") else None
    try:
        path = path or made(Path(config.folders.reports)) / f"live-{stamp}-{found['variant']}.json"
        path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise HostError("the log can't be written", received=str(error), remedy="name another file with --json") from error
    return path


class Shown:
    """Traces and the newest decision on a terminal; nothing where stderr is piped."""

    def __init__(self, sensor: Sensor) -> None:
        self._sensor, self._clipped, self._shown = sensor, 0, False
        self._on = sys.stderr.isatty()
        self._low: Any = None
        self._high: Any = None
        self._decided = ""

    def __call__(self, fetched: Fetched, pipeline: Pipeline) -> None:
        columns = shutil.get_terminal_size().columns
        text = self.line(fetched, pipeline, columns)
        if self._on and fetched.frames:
            self._shown = True
            print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """What follows begins on a line of its own."""
        if self._shown:
            print(file=sys.stderr)

    def line(self, fetched: Fetched, pipeline: Pipeline, columns: int) -> str:
        """What is shown of a fetch, shorter than a line of the terminal: a longer one would wrap, and stay."""
        for d in fetched.decisions:
            name = pipeline.class_names[d.smoothed] if d.smoothed < len(pipeline.class_names) else str(d.smoothed)
            self._decided = f"{name} (window {d.window})"
        if not fetched.frames:
            return ""
        status = fetched.status
        self._clipped += sum(int(self._sensor.at_end(f.counts).sum()) for f in fetched.frames)
        counts = {"dropped": status.dropped, "missed": status.missed, "clipped": self._clipped}
        words = [self._decided, *(f"{name} {n}" for name, n in counts.items() if n)]
        text = f"{status.slots:6} {self._bars(fetched.frames[-1].counts)} {'; '.join(filter(None, words))}"
        return text if len(text) < columns else text[: max(0, columns - 2)] + "…"

    def _bars(self, counts: Any) -> str:
        import numpy as np

        values = np.asarray(counts, np.float64)
        self._low = values if self._low is None else np.minimum(self._low, values)
        self._high = values if self._high is None else np.maximum(self._high, values)
        return bars(values, self._low, self._high)


BARS = "▁▂▃▄▅▆▇█"
TRACES = 8
"""So many channels fit a line."""


def bars(values: Any, low: Any, high: Any) -> str:
    """The channels that move most, each as a bar between its ends so far; all arrays [C]."""
    import numpy as np

    span = high - low
    chosen = np.sort(np.argsort(-span, kind="stable")[:TRACES])
    share = (values - low) / np.where(span > 0, span, 1)
    return "".join(BARS[min(len(BARS) - 1, int(share[c] * len(BARS)))] for c in chosen)
