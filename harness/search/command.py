"""`tinyrig search`; glue only."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = "search"
REPORT_S = 300.0


def add_parser(commands: argparse._SubParsersAction, exits: str) -> None:
    parser = commands.add_parser(
        "search", help="search architectures and compressions, with each candidate measured on the board", epilog=exits
    )
    add = parser.add_argument
    add("--trials", type=_count, default=60, metavar="N", help="candidates in all, those before a resumption too (default 60)")
    add("--board", action="append", metavar="BOARD", help="as `tinyrig run` takes it; several times for several boards")
    add("--workers", type=_count, metavar="N", help="candidates at once (default: one a core; one a physical board)")
    add("--dataset", metavar="DATA", help="glove (synthetic), watch, an .npz file or a folder of CSV files")
    add("--seed", type=int, metavar="N", help="of data, split, training and search")
    add("--epochs", type=_count, metavar="N", help="train every candidate this long instead of its own length")
    add("--family", action="append", choices=["cnn", "mlp"], help="search only this family")
    add("--precision", action="append", choices=["float32", "int8", "int16x8"], help="search only this precision")
    add("--max-ram", type=_count, metavar="BYTES", help="hard limit of the model's RAM (arena, static data, stack)")
    add("--max-flash", type=_count, metavar="BYTES", help="hard limit of the model's flash (weights and engine)")
    add("--max-latency", type=float, metavar="US", help="hard limit of the median latency, microseconds")
    add(
        "--min-accuracy",
        type=_percent,
        metavar="PERCENT",
        help="what stands on the front has at least this validation accuracy "
        "(default: more than always naming the most frequent class)",
    )
    add("--study", metavar="NAME", help="name of the search (default: the dataset's)")
    add("--storage", metavar="URL", help="SQLAlchemy URL, for hosts that share a search (default: a SQLite file)")
    add("--resume", action="store_true", help="go on with a search that was cut off, or make it longer")
    add("--json", type=Path, metavar="FILE", help="write all trials and the front as JSON")
    parser.set_defaults(command=search)


def search(arguments: argparse.Namespace) -> int:
    from tinyrig.core.config import ROOT, load_config
    from tinyrig.core.errors import EXIT_GOOD
    from tinyrig.core.text import printable
    from tinyrig.search import study as studies

    config = load_config()
    dataset = arguments.dataset or config.dataset
    name = printable(arguments.study or Path(dataset).stem, 60)
    folder = ROOT / "variants" / "out" / FOLDER / name.replace("/", "-")
    _make(folder)
    url = studies.storage_url(arguments.storage, folder)
    plan = _plan(arguments, dataset, config, studies.known_plan(name, url) if arguments.resume else None)
    with studies.watched():
        study = studies.open_study(name, url, plan, arguments.resume, plan["seed"], startup=max(10, arguments.trials // 4))
        cut_off = studies.end_cut_off(study)
        if cut_off:
            _say(f"{cut_off} candidates were cut off and count as not tried")
        _run(arguments, study, plan, config, folder)
        return _finish(arguments, study, name, plan, folder) or EXIT_GOOD


def _plan(arguments: argparse.Namespace, dataset: str, config: Any, known: dict[str, Any] | None) -> dict[str, Any]:
    """What the trials depend on. A resumed search takes what isn't given from how it was begun."""
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
    from tinyrig.search.space import PRECISIONS

    default = {
        "dataset": dataset,
        "seed": config.seed,
        "epochs": None,
        "families": ["cnn", "mlp"],
        "precisions": list(PRECISIONS),
        "max_ram": None,
        "max_flash": None,
        "max_latency": None,
        "min_accuracy": None,
    }
    return {key: value if value is not None else (known or {}).get(key, default[key]) for key, value in given.items()}


def _run(arguments: argparse.Namespace, study: Any, plan: dict[str, Any], config: Any, folder: Path) -> None:
    from tinyrig.core.boards import parse_own_board
    from tinyrig.core.deadlines import Deadline
    from tinyrig.host.log import shown
    from tinyrig.host.signals import alarm
    from tinyrig.search.candidate import Budgets
    from tinyrig.search.workers import Search, Task

    deadline = Deadline("run_s", config.limits.run_s)
    boards = [parse_own_board(text) for text in arguments.board or ["virtual"]]
    workers = arguments.workers or (os.cpu_count() or 1 if all(_can_be_many(b) for b in boards) else len(boards))
    task = Task(
        study,
        arguments.trials,
        config,
        Budgets(plan["max_ram"], plan["max_flash"], plan["max_latency"]),
        folder,
        plan["dataset"],
        plan["seed"],
        plan["epochs"],
        tuple(plan["families"]),
        tuple(plan["precisions"]),
        deadline,
    )
    targets = [boards[i % len(boards)] for i in range(workers)] if all(_can_be_many(b) for b in boards) else boards[:workers]
    with alarm(deadline), shown(_say, source="tinyrig.search"):
        Search(task, targets).run()


def _can_be_many(target: Any) -> bool:
    """Emulators are started as often as they are needed; a physical board is one."""
    return target.port is None and target.board is not None and bool(target.board.starter)


def _finish(arguments: argparse.Namespace, study: Any, name: str, plan: dict[str, Any], folder: Path) -> int:
    from tinyrig.search import study as studies

    found = studies.entries(study)
    studies.check_board(found)
    measured, floor = [e for e in found if e["state"] == "complete"], plan["min_accuracy"]
    document = {
        "schema": 1,
        "study": name,
        "plan": plan,
        "objectives": studies.OBJECTIVES,
        "trials": found,
        "front": [e["number"] for e in studies.front(found, floor)],
        "below_floor": [e["number"] for e in measured if not studies.is_above_floor(e, floor)],
    }
    text = json.dumps(document, indent=1)
    for path in filter(None, (folder / "search.json", arguments.json)):
        _write(path, text)
    command = [sys.executable, "-m", "tinyrig.reports.search.page", str(folder / "search.json")]
    return subprocess.run(command, check=False, timeout=REPORT_S).returncode


def _make(folder: Path) -> None:
    from tinyrig.core.errors import HostError

    try:
        folder.mkdir(parents=True, exist_ok=True)
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
