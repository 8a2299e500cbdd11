"""`tinyrig engines`: the same models on the same board with the engines side by side, and the figures against the peer's.

Every engine's image goes through the whole rig: flashed, streamed to, compared with the oracle. An engine whose outputs are
wrong yields no timing. Heavy imports wait inside the functions, because the command line needs `add_parser` for --help.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, HostError, UserError
from tinyrig.measure.engine_comparison import ENGINES, PEER, Comparison, wrong_engines

if TYPE_CHECKING:
    from tinyrig.core.config import Config


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The `engines` command, for cli.py."""
    parser = commands.add_parser("engines", help="compare engines on the same models: tinyrig, portable C, CMSIS-NN")
    parser.add_argument("--board", default="virtual", help="board name, serial port or URL, or NAME@PORT (default: virtual)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--variant", nargs="+", action="extend", metavar="NAME", help="built variants (default: all)")
    what.add_argument("--model", nargs="+", action="extend", type=Path, metavar="FILE.tflite", help="models trained elsewhere")
    parser.add_argument("--windows", type=Path, metavar="FILE.npz", help="test windows of every --model")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="labels of --windows in a file of their own: .npy or CSV")
    parser.add_argument("--output", metavar="NAME|N", help="which of several outputs the labels belong to")
    parser.add_argument("--engine", nargs="+", action="extend", metavar="NAME|FOLDER", help=f"default: {' '.join(ENGINES)}")
    parser.add_argument(
        "--tflm-dir",
        metavar="FOLDER",
        help="checkout of tflite-micro for the engines tflm and tflm-cmsis-nn (default: rig.toml's)",
    )
    parser.add_argument(
        "--tflm-ops", choices=["used", "all"], help="which operators these two link (default: rig.toml's, else used)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="at most N windows")
    parser.add_argument("--oracle", choices=["tflm", "litert-ref", "numpy"], help="whose outputs are right (default: rig.toml's)")
    parser.add_argument("--optimise", choices=["speed", "size", "ram"], help="what counts first (default: rig.toml's)")
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write the result (schema 1) to FILE, or to stdout without FILE"
    )
    parser.set_defaults(command=main)


def main(arguments: argparse.Namespace) -> int:
    """Runs, then prints the table, or the JSON alone when that goes to stdout. EXIT_CLAIM when an engine's outputs are wrong."""
    from tinyrig.core.boards import parse_own_board
    from tinyrig.core.config import load_config
    from tinyrig.host.progress import progress
    from tinyrig.measure.variants import built_variants, model_variants

    config = _with_settings(load_config(), arguments)
    target = parse_own_board(arguments.board, config.boards)
    if arguments.labels and not arguments.windows:
        raise UserError("--labels needs --windows", expected="--windows x.npy --labels y.npy", received="--labels alone")
    if arguments.windows and not arguments.model:
        raise UserError("--windows needs --model", expected="--model FILE.tflite --windows FILE.npz", received="--windows alone")
    if arguments.json not in (None, "-") and not _is_writable(Path(arguments.json)):
        raise UserError("--json can't be written", expected="a file in a folder that exists", received=arguments.json)
    models = arguments.model or ()
    if models:
        variants = model_variants(models, arguments.windows, arguments.labels, arguments.output)
    else:
        variants = built_variants(config, arguments.variant or ())
    engines = tuple(arguments.engine or ENGINES)
    with progress(len(variants) * len(engines), "engines") as bar:
        comparison = Comparison(target, config, engines, arguments.limit, arguments.oracle, bar.step)
        document = comparison.run(variants)
    _write(document, arguments.json)
    return EXIT_CLAIM if wrong_engines(document) else EXIT_GOOD


def _with_settings(config: Config, arguments: argparse.Namespace) -> Config:
    given = {"tflm_dir": arguments.tflm_dir, "tflm_ops": arguments.tflm_ops, "optimise": arguments.optimise}
    return dataclasses.replace(config, **{key: value for key, value in given.items() if value is not None})


def _write(document: dict[str, Any], json_to: str | None) -> None:
    text = json.dumps(document, indent=1, allow_nan=False)
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


def markdown(document: dict[str, Any]) -> str:
    """The document as Markdown tables, one a model, with what stands beside every number said below."""
    from tinyrig.analysis.metric_table import unit
    from tinyrig.core.records import INSTRUCTIONS

    board = document["board"] or {"name": "none", "clock_hz": 0}
    clock = "" if board.get("timing") == INSTRUCTIONS else f", {board['clock_hz'] // 1_000_000} MHz"
    head = f"board {board['name']}{clock}; {(document['toolchain'] or {}).get('cc', '')}"
    counts = unit(board.get("timing", "")).capitalize()
    notes = [f"{counts}: {document['timing_note']}." if document["timing_note"] else "", _LEGEND]
    notes += [f"Parity against {document['oracle_note']}."] if document["oracle_note"] else []
    return "\n\n".join([head, *map(_model_table, document["models"]), "\n".join(n for n in notes if n)]) + "\n"


_LEGEND = (
    "RAM is arena + static + stack, flash weights + engine, in bytes, without the rig's own share. "
    "x peer: this engine's cycles over CMSIS-NN's; in brackets the same at the low and at the high end of the estimates' band."
)


def _model_table(model: dict[str, Any]) -> str:
    from tabulate import tabulate

    from tinyrig.analysis.metric_table import counted, unit
    from tinyrig.core.records import INSTRUCTIONS

    timing = next((e["timing"] for e in model["engines"] if e["timing"]), "")
    counts = counted(timing) if timing == INSTRUCTIONS else f"cycles ({timing})"
    headers = [
        "engine",
        "instructions",
        counts,
        f"{unit(timing)}/MAC",
        "x peer",
        "RAM",
        "arena",
        "static",
        "stack",
        "flash",
        "weights",
        "engine code",
        "parity",
    ]
    rows = [_table_row(e) for e in model["engines"]]
    table = tabulate(rows, headers, tablefmt="github", disable_numparse=True, colalign=("left", *["right"] * 11, "left"))
    macs = f" ({model['macs']:,} MACs)" if model["macs"] else ""
    return "\n".join([f"### {model['model']}{macs}", "", table, *_fallback_lines(model)])


def _table_row(e: dict[str, Any]) -> list[str]:
    if e["reason"]:
        return [e["engine"], *["n/a"] * 11, e["reason"]]
    ram, flash = e["ram"], e["flash"]
    sizes = [ram[key] for key in ("model_total", "arena", "static", "stack")]
    sizes += [flash[key] for key in ("model_total", "weights", "engine")]
    counts = [_count(e["instructions"]), _banded(_count, e, "cycles"), _decimal(e["cycles_per_mac"])]
    return [e["engine"], *counts, _banded(_decimal, e["ratio_to_peer"] or {}, "cycles"), *map(_count, sizes), _parity(e)]


def _banded(form: Callable[[float | None], str], values: Mapping[str, float | None], name: str) -> str:
    """`0.38 (0.40-0.42)`: by default, at the low end of the band and at the high one."""
    ends = [values.get(f"{name}_{end}") for end in ("low", "high")]
    text = form(values.get(name))
    return text if None in ends else f"{text} ({'-'.join(map(form, ends))})"


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _parity(e: dict[str, Any]) -> str:
    if e["latency_reason"]:
        return str(e["latency_reason"])
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
