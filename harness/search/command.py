"""`tinyrig search`; glue only."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.places.project import made

if TYPE_CHECKING:
    from optuna import Study

    from tinyrig.core.boards import BoardTarget
    from tinyrig.core.config import Config
    from tinyrig.search.plan import SearchPlan

FOLDER = "search"
REPORT_S = 300.0


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser], exits: str) -> None:
    parser = commands.add_parser(
        "search", help="search architectures and compressions, with each candidate measured on the board", epilog=exits
    )
    add = parser.add_argument
    add(
        "--trials",
        type=_count,
        default=60,
        metavar="N",
        help="total number of candidates, including those before --resume (default 60)",
    )
    add("--board", action="append", metavar="BOARD", help="as for `tinyrig run`; give it once per board")
    add("--workers", type=_count, metavar="N", help="candidates at once (default: one per core; one per physical board)")
    add("--dataset", metavar="DATA", help="glove (synthetic), watch, an .npz file or a folder of CSV files")
    add("--seed", type=int, metavar="N", help="seed of data, split, training and search")
    add("--epochs", type=_count, metavar="N", help="train every candidate for N epochs instead of its own number")
    add("--family", action="append", choices=["cnn", "mlp"], help="search only this family")
    add("--precision", action="append", choices=["float32", "int8", "int16x8"], help="search only this precision")
    add("--max-ram", type=_count, metavar="BYTES", help="hard limit of the model's RAM (arena, static data, stack)")
    add("--max-flash", type=_count, metavar="BYTES", help="hard limit of the model's flash (weights and engine)")
    add("--max-latency", type=float, metavar="US", help="hard limit of the median latency, microseconds")
    add(
        "--min-accuracy",
        type=_percent,
        metavar="PERCENT",
        help="least validation accuracy of candidates on the front (default: more than always naming the most frequent class)",
    )
    add("--study", metavar="NAME", help="name of the search (default: the dataset's)")
    add("--storage", metavar="URL", help="SQLAlchemy URL, for hosts that share a search (default: a SQLite file)")
    add("--resume", action="store_true", help="continue an interrupted search, or extend it")
    add("--json", type=Path, metavar="FILE", help="write all trials and the front as JSON")
    parser.set_defaults(command=search)


@dataclass(frozen=True)
class _Opened:
    """A study and the folder of its results."""

    name: str
    study: Study
    plan: SearchPlan
    folder: Path


def search(arguments: argparse.Namespace) -> int:
    from tinyrig.core.config import load_config
    from tinyrig.core.text import printable
    from tinyrig.search import study as studies

    config = load_config()
    name = printable(arguments.study or Path(arguments.dataset or config.dataset).stem, 60)
    folder = Path(config.folders.variants) / FOLDER / name.replace("/", "-")
    targets = worker_targets(arguments.board or ["virtual"], arguments.workers, config)
    _make(folder)
    url = studies.storage_url(arguments.storage, folder)
    plan = _plan(arguments, config, studies.known_plan(name, url) if arguments.resume else None)
    with studies.watched():
        study = studies.open_study(name, url, plan, arguments.resume, startup=max(10, arguments.trials // 4))
        cut_off = studies.end_cut_off(study)
        if cut_off:
            _say(f"{cut_off} candidates were cut off and count as not tried")
        opened = _Opened(name, study, plan, folder)
        _run(opened, arguments.trials, targets, config)
        return _finish(opened, arguments.json)


def _plan(arguments: argparse.Namespace, config: Config, known: dict[str, Any] | None) -> SearchPlan:
    """A resumed search takes what isn't given from how it was begun, a new one from rig.toml."""
    from tinyrig.search.plan import SearchPlan

    given = {
        "dataset": arguments.dataset,
        "seed": arguments.seed,
        "epochs": arguments.epochs,
        "families": arguments.family,
        "precisions": arguments.precision,
        "max_ram": arguments.max_ram,
        "max_flash": arguments.max_flash,
        "max_latency": arguments.max_latency,
        "min_accuracy": arguments.min_accuracy,
    }
    return SearchPlan.of(given, {"dataset": config.dataset, "seed": config.seed} | (known or {}))


def worker_targets(boards: Sequence[str], workers: int | None, config: Config) -> list[BoardTarget]:
    """One for each worker. Emulators are started as often as they are needed; a physical board is one."""
    from tinyrig.core.boards import parse_own_board

    targets = [parse_own_board(text, config.boards) for text in boards]
    if not all(t.port is None and t.board is not None and t.board.starter for t in targets):
        return targets[:workers]
    return [targets[i % len(targets)] for i in range(workers or os.cpu_count() or 1)]


def _run(opened: _Opened, trials: int, targets: Sequence[BoardTarget], config: Config) -> None:
    from tinyrig.core.deadlines import Deadline
    from tinyrig.host.log import shown
    from tinyrig.host.signals import alarm
    from tinyrig.search.workers import Search, SearchTask

    deadline = Deadline("run_s", config.limits.run_s)
    task = SearchTask(opened.study, opened.plan, trials, config, opened.folder, deadline)
    with alarm(deadline), shown(_say, source="tinyrig.search"):
        Search(task, targets).run()


def _finish(opened: _Opened, json_file: Path | None) -> int:
    """Writes the results; the exit status of their report."""
    from tinyrig.search import study as studies

    found = studies.entries(opened.study)
    studies.check_board(found)
    measured, floor = [e for e in found if e["state"] == "complete"], opened.plan.min_accuracy
    document = {
        "schema": 1,
        "study": opened.name,
        "plan": opened.plan.stored(),
        "objectives": studies.OBJECTIVES,
        "trials": found,
        "front": [e["number"] for e in studies.front(found, floor)],
        "below_floor": [e["number"] for e in measured if not studies.is_above_floor(e, floor)],
    }
    text, target = json.dumps(document, indent=1, allow_nan=False), opened.folder / "search.json"
    for path in filter(None, (target, json_file)):
        _write(path, text)
    return _report(target)


def _report(target: Path) -> int:
    from tinyrig.core.errors import HostError
    from tinyrig.host.own_command import run_module

    try:
        return run_module(["tinyrig.reports.search.page", str(target)], REPORT_S)[0]
    except subprocess.TimeoutExpired as error:
        raise HostError(
            "the page of the search is not done",
            expected=f"within {REPORT_S:g} s",
            received="more",
            remedy=f"the search is stored: python -m tinyrig.reports.search.page {target}",
        ) from error


def _make(folder: Path) -> None:
    from tinyrig.core.errors import HostError

    try:
        made(folder)
    except OSError as error:
        raise HostError(f"{folder} can't be made", received=str(error), remedy="check permissions and free space") from error


def _write(path: Path, text: str) -> None:
    from tinyrig.core.errors import HostError

    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise HostError(f"{path} can't be written", received=str(error), remedy="check permissions and free space") from error


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _percent(text: str) -> float:
    value = float(text)
    if not (value == 0 or 1 <= value <= 100):
        raise argparse.ArgumentTypeError("percent, 0 or 1 to 100, like 85")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value
