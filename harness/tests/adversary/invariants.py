"""What holds after any attack, whatever it was."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from tinyrig.core.boards import BOARDS
from tinyrig.tests.adversary.command import Outcome

MEMORY_KIB = 1 << 20
"""1 GB, of the command or of any one helper."""
_FLASH = max(board.flash_bytes for board in BOARDS.values())
_RAM = max(board.ram_bytes for board in BOARDS.values())
BOUNDS: dict[str, tuple[float, float]] = {
    "accuracy": (0.0, 1.0),
    "auc": (0.0, 1.0),
    "f1": (0.0, 1.0),
    "cell_accuracy": (0.0, 1.0),
    "flash_": (0, _FLASH),
    "ram_": (0, _RAM),
    "latency_cycles": (1, 2**31),
    "latency_us": (0.01, 60e6),
    "op_cycles": (0, 2**31),
    "throughput": (1e-3, 1e6),
    "mismatched": (0, 1e6),
}
"""By what a metric's name begins with: no metric of these small models can lie outside."""


def broken(outcome: Outcome, allowed: Collection[int]) -> Iterator[str]:
    """What the process itself did wrong. `allowed`: exit codes of whoever was attacked, and 0 where it did not matter."""
    if outcome.code is None:
        yield "it hung"
    elif outcome.code not in allowed:
        yield f"exit code {outcome.code}, not of {sorted(allowed)}: {outcome.errors[-700:]!r}"
    if "Traceback" in outcome.errors or "error in tinyrig itself" in outcome.errors:
        yield f"a traceback: {outcome.errors[-1500:]}"
    if found := _control(outcome.output + outcome.errors):
        yield f"control characters on the terminal: {found!r}"
    if outcome.memory_kib > MEMORY_KIB:
        yield f"{outcome.memory_kib >> 10} MiB of memory"
    if outcome.orphans:
        yield f"{len(outcome.orphans)} processes outlived it"


def _control(text: str) -> str:
    return "".join(sorted(set(re.findall(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text))))


def stored_wrongly(path: Path) -> Iterator[str]:
    """Of a results database that nobody damaged: lost and doubled rows, and metrics beyond their bounds."""
    if not path.exists():
        return
    with contextlib.closing(sqlite3.connect(path)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "variant_runs" not in tables:
            return  # killed before the tables were made
        if (verdict := db.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
            yield f"the database is damaged: {verdict}"
        doubled = "SELECT variant, count(*) FROM variant_runs GROUP BY run_seq, variant HAVING count(*) > 1"
        yield from (f"{variant} is stored {n} times in one run" for variant, n in db.execute(doubled))
        for name, value in db.execute("SELECT name, value FROM metrics"):
            yield from beyond(name, value)


def beyond(name: str, value: float) -> Iterator[str]:
    low, high = next((b for start, b in BOUNDS.items() if name.startswith(start)), (-math.inf, math.inf))
    if not (math.isfinite(value) and low <= value <= high):
        yield f"metric {name} is {value}, beyond {low} to {high}"


def metrics(path: Path) -> dict[str, float]:
    """Of all measurements together."""
    if not path.exists():
        return {}
    with contextlib.closing(sqlite3.connect(path)) as db, contextlib.suppress(sqlite3.OperationalError):
        return dict(db.execute("SELECT name, value FROM metrics"))
    return {}


def said_wrongly(path: Path) -> Iterator[str]:
    """Of a --json document: what is no JSON, and times without verified outputs."""
    if not path.exists():
        return
    try:
        document = json.loads(path.read_text(), parse_constant=_no_constant)
    except ValueError as error:
        yield f"--json is unusable: {error}"
        return
    for run in document["runs"]:
        yield from (f"{run['variant']}: {fault}" for fault in _unverified(run))


def _unverified(run: dict[str, Any]) -> Iterator[str]:
    parity = run["parity"] or {}
    verified = parity.get("compared") and not parity["mismatched_windows"] and not parity.get("nonfinite_windows")
    if run["latency"] is not None and not verified:
        yield "a latency without verified outputs"
    if parity.get("nonfinite_windows") and run["accuracy"] is not None:
        yield "an accuracy of values that are not finite"
    if parity.get("mismatched_windows") and ("parity", "passed") in {(c["name"], c["status"]) for c in run["claims"]}:
        yield "parity passed with outputs that differ"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} in it")
