"""`tinyrig engines`: the same models on the same board with the engines side by side, and the figures against the peer's.

Every engine's image goes through the whole rig: flashed, streamed to, compared with the oracle. An engine whose outputs are
wrong yields no timing. Heavy imports wait inside the functions, because the command line needs `add_parser` for --help.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import EXIT_CLAIM, EXIT_GOOD, DeviceError, HostError, ModelError, UserError

if TYPE_CHECKING:
    from harness.boards import Target
    from harness.config import Config
    from harness.records import Variant, VariantRun
    from harness.rig import Rig

SCHEMA = 1
PEER = "cmsis-nn"
ENGINES = ("tinyrig", "portable", PEER)
INSTRUCTION_WINDOWS = 5
"""Windows of the instruction-counting pass at most: counts vary little between windows."""
VIRTUAL_REPEATS = 3
"""Repeats of one window on the virtual board, whose counts repeat to the digit."""

Say = Callable[[str], None]


def add_parser(commands: argparse._SubParsersAction) -> None:
    """The `engines` command, for cli.py."""
    parser = commands.add_parser("engines", help="one model with several engines side by side: tinyrig, portable C, CMSIS-NN")
    parser.add_argument("--board", default="virtual", help="board name, serial port or URL, or NAME@PORT (default: virtual)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--variant", nargs="+", action="extend", metavar="NAME", help="built variants (default: all)")
    what.add_argument("--model", nargs="+", action="extend", type=Path, metavar="FILE.tflite", help="models trained elsewhere")
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="test windows of every --model")
    parser.add_argument("--engine", nargs="+", action="extend", metavar="NAME|FOLDER", help=f"default: {' '.join(ENGINES)}")
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument("--oracle", choices=["tflm", "litert-ref"], help="whose outputs are right (default: rig.toml's)")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="the result (schema 1); without FILE to stdout")
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    """Runs, then prints the table, or the JSON alone when that goes to stdout. EXIT_CLAIM when an engine's outputs are wrong."""
    from harness.boards import parse_board
    from harness.campaign import built_variants, model_variant
    from harness.config import load_config
    from harness.progress import progress

    config = load_config()
    target = parse_board(arguments.board, config.boards)
    if arguments.windows and not arguments.model:
        raise UserError("--windows needs --model", expected="--model FILE.tflite --windows FILE.npz", received="--windows alone")
    if arguments.json not in (None, "-") and not _is_writable(Path(arguments.json)):
        raise UserError("--json can't be written", expected="a file in a folder that exists", received=arguments.json)
    models = arguments.model or ()
    variants = [model_variant(p, arguments.windows) for p in models] or built_variants(config, arguments.variant or ())
    engines = tuple(arguments.engine or ENGINES)
    with progress(len(variants) * len(engines), "engines") as bar:
        comparison = Comparison(target, config, engines, arguments.limit, arguments.oracle, bar.say, bar.step)
        document = comparison.run(variants)
    _write(document, arguments.json)
    return EXIT_CLAIM if wrong_engines(document) else EXIT_GOOD


def _write(document: dict[str, Any], json_to: str | None) -> None:
    text = json.dumps(document, indent=1)
    if json_to == "-":
        print(text)
        return
    print(markdown(document))
    for line in wrong_engines(document):
        print(f"tinyrig: claim failed: {line}", file=sys.stderr)
    if json_to:
        _save(Path(json_to), text)


def _is_writable(path: Path) -> bool:
    return path.absolute().parent.is_dir() and not path.is_dir()


def _save(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n")
    except OSError as error:
        raise HostError(f"--json can't be written to {path}", received=str(error), remedy="name a writable file") from error


def wrong_engines(document: dict[str, Any]) -> list[str]:
    """One line for each engine whose outputs the oracle refutes."""
    rows = ((model["model"], row) for model in document["models"] for row in model["engines"])
    return [f"{name}: {row['engine']}: {row['latency_reason']}" for name, row in rows if row["latency_reason"]]


@dataclasses.dataclass
class Row:
    """One engine on one model. `reason`: why the engine does not apply, `run` is then None; `fallbacks`: the steps that it
    leaves to the portable kernels; `notes`: the steps that it does in another way than the usual."""

    engine: str
    run: VariantRun | None = None
    reason: str | None = None
    instructions: float | None = None
    fallbacks: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    notes: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def name(self) -> str:
        """What the image calls itself; a user's engine is given as a folder."""
        return self.run.image.engine if self.run else Path(self.engine).name


@dataclasses.dataclass
class Comparison:
    """What to compare and how. `engines` are names of the compiler's engines, or folders of a user's own (docs/engine.md)."""

    target: Target
    config: Config
    engines: tuple[str, ...] = ENGINES
    limit: int | None = None
    oracle: str | None = None
    say: Say = lambda text: None
    step: Callable[[], None] = lambda: None

    @property
    def counts_instructions(self) -> bool:
        """Only a virtual board that we start ourselves can be told what to count."""
        return self.target.port is None and self.target.board is not None and self.target.board.name == "virtual"

    def run(self, variants: Sequence[Variant]) -> dict[str, Any]:
        """The JSON document, schema 1: per model a list of engines. Raises ModelError for a model that no engine can run."""
        from harness.rig import Rig

        with Rig(self.target, self.config) as rig:
            found = [(v, self._measure(v, rig)) for v in variants]
        if self.counts_instructions:
            with Rig(self.target, self.config, clock="instructions") as rig:
                for variant, rows in found:
                    self._count(variant, rows, rig)
        models = [_model_json(v, rows) for v, rows in found]
        return {"schema": SCHEMA, **_board_of(found), "versions": _versions(), "models": models}

    def _measure(self, variant: Variant, rig: Rig) -> list[Row]:
        """A row for each engine. An engine that can't take the model has a reason instead of a run; that of the first is
        raised where none can. A user's own engine says so, or fails, only on the board."""
        from harness.user_engine import is_folder

        rows, failures = [Row(engine) for engine in self.engines], []
        for row in rows:
            try:
                self._run(variant, row, rig)
            except (ModelError, DeviceError) as error:
                if isinstance(error, DeviceError) and not is_folder(row.engine):
                    raise
                row.reason = f"{error.what}: {error.received}" if error.received else error.what
                failures.append(error)
            self.step()
        if failures and not any(row.run for row in rows):
            raise failures[0]
        return rows

    def _run(self, variant: Variant, row: Row, rig: Rig) -> None:
        from harness.runner import Job, run_variant

        if row.engine == PEER:
            row.fallbacks, row.notes, row.reason = peer_coverage(variant)
        if not row.reason:
            repeats = VIRTUAL_REPEATS if self.counts_instructions else self.config.repeats
            job = Job(variant, row.engine, self.limit, self.oracle or self.config.oracle)
            self.say(f"{variant.name}: {row.name}")
            row.run = run_variant(job, rig, dataclasses.replace(self.config, repeats=repeats), self.say)

    def _count(self, variant: Variant, rows: list[Row], rig: Rig) -> None:
        """Fills in the instructions of one inference: the median over a few windows."""
        from harness.metrics import timed_cycles, withheld
        from harness.runner import Job, run_variant

        config = dataclasses.replace(self.config, repeats=1)
        for row in (r for r in rows if r.run is not None and not withheld(r.run)):
            self.say(f"{variant.name}: {row.name}: instructions")
            job = Job(variant, row.engine, min(self.limit or INSTRUCTION_WINDOWS, INSTRUCTION_WINDOWS), "none")
            row.instructions = statistics.median(timed_cycles(run_variant(job, rig, config)).tolist())


Steps = list[dict[str, Any]]


def peer_coverage(variant: Variant) -> tuple[Steps, Steps, str | None]:
    """The steps that the peer leaves to the portable kernels, those it does in its own way, and why it does not apply at all
    (None: it does)."""
    from harness.compiler.cmsis import coverage
    from harness.runner import read_model

    steps = coverage(read_model(variant.tflite))
    missing = [_step_json(s) | {"reason": why} for s, why, _ in steps if why]
    notes = [_step_json(s) | {"note": note} for s, _, note in steps if note]
    none = len(missing) == len(steps)
    return missing, notes, "CMSIS-NN as packaged (int8) has a function for none of this model's steps" if none else None


def _step_json(step: Any) -> dict[str, Any]:
    return {"index": step.index, "op": step.op, "name": step.name}


def _board_of(found: list[tuple[Variant, list[Row]]]) -> dict[str, Any]:
    from harness.metrics import TIMING_NOTES, checked_metadata, oracle_note

    run = next((row.run for _, rows in found for row in rows if row.run), None)
    if run is None:
        return {"board": None, "toolchain": None, "timing_note": None, "oracle_note": None}
    facts = checked_metadata(run)
    return {
        "board": {"name": run.board.name, "id": run.board.id, "clock_hz": run.board.clock_hz, "timing": run.board.timing},
        "toolchain": {"cc": facts["compiler"], "flags": facts["flags"]},
        "timing_note": TIMING_NOTES.get(run.board.timing), "oracle_note": oracle_note(run),
    }


def _versions() -> dict[str, str]:
    from harness.campaign import versions
    from harness.compiler.cmsis import PACKAGE, VERSION

    return {**versions(), "cmsis-nn": f"4.0.0, from {PACKAGE} {VERSION}"}


def _model_json(variant: Variant, rows: list[Row]) -> dict[str, Any]:
    from harness.metrics import total_macs

    counted = (total_macs(row.run) for row in rows if row.run)
    macs = next((n for n in counted if n), None)
    entries = [_engine_json(row, macs) for row in rows]
    peer = next((e for e in entries if e["engine"] == PEER), None)
    for entry in entries:
        entry["ratio_to_peer"] = _ratios(entry, peer)
    return {"model": variant.name, "tflite_sha256": variant.sha256, "macs": macs, "engines": entries}


_NOT_MEASURED = ("cycles", "timing", "cycles_per_mac", "ram", "flash", "parity", "windows", "latency_reason")


def _engine_json(row: Row, macs: int | None) -> dict[str, Any]:
    """`macs` as whichever engine counts them: a user's engine does not. None where a value was not measured, is withheld, or
    the engine does not apply (`reason` then says why)."""
    from harness import metrics

    run = row.run
    entry = {"engine": row.name, "reason": row.reason, "instructions": row.instructions}
    entry |= {"fallbacks": row.fallbacks, "notes": row.notes}
    if run is None:
        return entry | dict.fromkeys(_NOT_MEASURED)
    latency = metrics.latency(run)
    cycles = latency["cycles_median"] if latency else None
    return entry | {
        "cycles": cycles, "timing": run.board.timing, "cycles_per_mac": cycles / macs if cycles and macs else None,
        "ram": metrics.ram(run), "flash": metrics.flash(run), "parity": metrics.parity(run),
        "windows": len(metrics.window_samples(run)), "latency_reason": metrics.withheld(run),
        "fallbacks": _with_cycles(row.fallbacks, metrics.ops(run)),
    }


def _with_cycles(fallbacks: list[dict[str, Any]], ops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the steps left to the portable kernels cost, from the profile: without it the ratio can't be judged."""
    cycles = {op["index"]: op["cycles"] for op in ops}
    total = sum(c for c in cycles.values() if c)
    costs = [(f, cycles.get(f["index"])) for f in fallbacks]
    return [f | {"cycles": c, "share": c / total if c is not None and total else None} for f, c in costs]


def _figures(entry: dict[str, Any]) -> dict[str, float | None]:
    ram, flash = entry["ram"] or {}, entry["flash"] or {}
    return {
        "cycles": entry["cycles"], "instructions": entry["instructions"],
        "ram": ram.get("model_total"), "flash": flash.get("model_total"),
    }


def _ratios(entry: dict[str, Any], peer: dict[str, Any] | None) -> dict[str, float | None] | None:
    """This engine's figures over the peer's: below 1 is less than the peer needs. None without a peer to compare with."""
    if peer is None or peer["reason"]:
        return None
    mine, theirs = _figures(entry), _figures(peer)
    return {key: mine[key] / theirs[key] if mine[key] is not None and theirs[key] else None for key in mine}  # type: ignore[operator]


def markdown(document: dict[str, Any]) -> str:
    """The document as Markdown tables, one a model, with what stands beside every number said below."""
    board = document["board"] or {"name": "none", "clock_hz": 0}
    head = f"board {board['name']}, {board['clock_hz'] // 1_000_000} MHz; {(document['toolchain'] or {}).get('cc', '')}"
    notes = [f"Cycles: {document['timing_note']}." if document["timing_note"] else "", _LEGEND]
    notes += [f"Parity against {document['oracle_note']}."] if document["oracle_note"] else []
    return "\n\n".join([head, *map(_model_table, document["models"]), "\n".join(n for n in notes if n)]) + "\n"


_LEGEND = (
    "RAM is arena + static + stack, flash weights + engine, in bytes, without the rig's own share. "
    "x peer: this engine's cycles over CMSIS-NN's."
)


def _model_table(model: dict[str, Any]) -> str:
    from tabulate import tabulate

    timing = next((e["timing"] for e in model["engines"] if e["timing"]), "")
    headers = [
        "engine", "instructions", f"cycles ({timing})", "cycles/MAC", "x peer", "RAM", "arena", "static", "stack",
        "flash", "weights", "engine code", "parity",
    ]
    rows = [_table_row(e) for e in model["engines"]]
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True, colalign=("left", *["right"] * 11, "left"))
    macs = f" ({model['macs']:,} MACs)" if model["macs"] else ""
    return "\n".join([f"### {model['model']}{macs}", "", table, *_fallback_lines(model)])


def _table_row(e: dict[str, Any]) -> list[str]:
    if e["reason"]:
        return [e["engine"], *["n/a"] * 11, e["reason"]]
    ram, flash, ratio = e["ram"], e["flash"], (e["ratio_to_peer"] or {}).get("cycles")
    counts = (e["instructions"], e["cycles"])
    sizes = [ram[key] for key in ("model_total", "arena", "static", "stack")]
    sizes += [flash[key] for key in ("model_total", "weights", "engine")]
    return [
        e["engine"], *map(_count, counts), _decimal(e["cycles_per_mac"]), _decimal(ratio), *map(_count, sizes), _parity(e),
    ]


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _parity(e: dict[str, Any]) -> str:
    if e["latency_reason"]:
        return e["latency_reason"]
    p = e["parity"]
    exact = "exact" if p["max_abs_diff"] == 0 else f"within {p['max_abs_diff']:.2g}"
    return f"{exact}, {p['compared']} windows"


def _fallback_lines(model: dict[str, Any]) -> list[str]:
    peer = next((e for e in model["engines"] if e["engine"] == PEER and not e["reason"]), None)
    if peer is None or not peer["fallbacks"] + peer["notes"]:
        return []
    portable = [(f, f"{_share(f['share'])} of its cycles, on the portable kernel") for f in peer["fallbacks"]]
    lines = [f"- {_step_text(f)}, {where}: {f['reason']}" for f, where in portable]
    lines += [f"- {_step_text(f)}: {f['note']}" for f in peer["notes"]]
    return ["", f"Of {PEER}'s steps", "", *lines]


def _step_text(step: dict[str, Any]) -> str:
    return f"{step['index']} {step['op']} `{step['name']}`"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
