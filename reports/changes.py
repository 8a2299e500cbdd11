"""`python -m tinyrig.reports.changes NOW.json [--base BASE.json]`: what a pull request changes, as Markdown for its comment or
for a job's summary. Both files are what `tinyrig run --json` writes; BASE.json is the main branch's.

Nothing is printed where nothing changed and no claim failed, unless --always asks for the table.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tinyrig.analysis.metric_table import banded, ends
from tinyrig.core.errors import EXIT_GOOD, RigError, UserError
from tinyrig.host.own_command import ending
from tinyrig.reports.blocks import Block, Bullets, Grid, Heading, Text
from tinyrig.reports.markdown import render
from tinyrig.reports.text import count

MARKER = "<!-- tinyrig -->"
"""The first line of a comment, by which it is found again to be updated in place."""
MAX_BYTES = 64 << 20
NOISE = 0.01
"""Smaller relative differences of a measured latency are no change here: whether they are chance, a night judges."""
Real = Annotated[float, Field(allow_inf_nan=False)]


class _Read(BaseModel):
    """What is used of the document; other keys are for others."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class Latency(_Read):
    us_median: Real | None = None
    us_low: Real | None = None
    us_high: Real | None = None
    cycles_median: Real | None = None


class Total(_Read):
    model_total: int | None = None


class Board(_Read):
    name: str
    clock_hz: int
    timing: str


class Toolchain(_Read):
    cc: str
    flags: str


class ClaimRead(_Read):
    name: str
    status: str
    reason: str = ""


class Model(_Read):
    """One of `runs`."""

    variant: str
    windows: int
    accuracy: Real | None = None
    latency: Latency | None = None
    ram: Total | None = None
    flash: Total | None = None
    board: Board
    toolchain: Toolchain
    engine: str = ""
    claims: tuple[ClaimRead, ...] = Field(default=(), strict=False)

    @property
    def conditions(self) -> tuple[object, ...]:
        """What must be the same before numbers may be compared."""
        return self.board, self.toolchain, self.engine, self.windows


class NotMeasured(_Read):
    variant: str
    error: str


class Document(_Read):
    schema_: Literal[1] = Field(alias="schema")
    run_id: str
    runs: tuple[Model, ...] = Field(strict=False)
    not_measured: tuple[NotMeasured, ...] = Field(default=(), strict=False)


_DOCUMENT: TypeAdapter[Document] = TypeAdapter(Document)


def read(path: Path) -> Document:
    """Raises UserError for what `tinyrig run --json` has not written."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        return _DOCUMENT.validate_python(json.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        received = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:300]
        raise _unusable(path, received) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(path, str(error)[:300]) from error


def _unusable(path: Path, received: str) -> UserError:
    expected = "what `tinyrig run --json` writes"
    return UserError(f"{path} can't be used", expected=expected, received=received, remedy="write it again")


# ---- what changed ----


@dataclass(frozen=True)
class Change:
    """One model, before and now: `old` None: it is new, or can't be compared, for the reason in `note`."""

    new: Model
    old: Model | None
    note: str = ""

    def cells(self) -> dict[str, str]:
        return {what: _cell(what, self.new, self.old) for what in _METRICS}

    @property
    def moved(self) -> bool:
        return bool(self.note) or any(_moved(what, self.new, self.old) for what in _METRICS)

    @property
    def failed(self) -> tuple[ClaimRead, ...]:
        return tuple(claim for claim in self.new.claims if claim.status == "failed")


def changes(now: Document, base: Document | None) -> Iterator[Change]:
    before = {model.variant: model for model in base.runs} if base else {}
    for model in now.runs:
        old = before.get(model.variant)
        if old is None:
            yield Change(model, None, "new" if base else "")
        elif old.conditions != model.conditions:
            yield Change(model, None, f"not comparable with main: {_different(old, model)}")
        else:
            yield Change(model, old)


def _different(old: Model, new: Model) -> str:
    pairs = [("board", old.board.name, new.board.name), ("timing", old.board.timing, new.board.timing)]
    pairs += [("compiler", old.toolchain.cc, new.toolchain.cc), ("engine", old.engine, new.engine)]
    pairs += [("windows", str(old.windows), str(new.windows))]
    found = next((f"{what} `{_quoted(a)}`, now `{_quoted(b)}`" for what, a, b in pairs if a != b), "")
    return found or "the clock or the compiler's flags changed"


def _value(what: str, model: Model) -> float | None:
    parts = {"RAM": model.ram, "flash": model.flash}
    if what in parts:
        part = parts[what]
        return part.model_total if part else None
    if what == "latency":
        return model.latency.us_median if model.latency else None
    return model.accuracy


def _time(us: float) -> str:
    return f"{us / 1000:.3f} ms"


def _size(size: float) -> str:
    return f"{size:,.0f} B"


def _share(share: float) -> str:
    return f"{100 * share:.2f} %"


def _percent(old: float, new: float) -> str:
    return f"{100 * (new / old - 1):+.1f} %" if old else "from 0"


def _bytes(old: float, new: float) -> str:
    return f"{new - old:+,.0f} B"


def _points(old: float, new: float) -> str:
    return f"{100 * (new - old):+.2f} points"


_METRICS: dict[str, tuple[Callable[[float], str], Callable[[float, float], str]]] = {
    # title: (a number in words, a difference in words)
    "latency": (_time, _percent),
    "RAM": (_size, _bytes),
    "flash": (_size, _bytes),
    "accuracy": (_share, _points),
}


def _moved(what: str, new: Model, old: Model | None) -> bool:
    if old is None:
        return False
    after, before = _value(what, new), _value(what, old)
    if what == "latency" and new.board.timing == "measured" and after and before:
        return abs(after / before - 1) > NOISE
    return after != before


def _cell(what: str, new: Model, old: Model | None) -> str:
    words, difference = _METRICS[what]
    after, before = _value(what, new), _value(what, old) if old else None
    if after is None:
        return "not measured"
    now = _latency(new.latency) if what == "latency" and new.latency else words(after)
    if before is None or not _moved(what, new, old):
        return now
    return f"{words(before)} → {now} ({difference(before, after)})"


def _latency(found: Latency) -> str:
    """`1.158 (1.142-1.280) ms`: with the ends of an estimate's band."""
    us = found.us_median or 0.0
    band = ends("latency_us_median", {f"latency_{name}": value for name, value in found.model_dump().items()})
    return f"{banded(lambda value: f'{value / 1000:.3f}', us, band)} ms"


# ---- as Markdown ----


def document(now: Document, base: Document | None) -> list[Block]:
    found = list(changes(now, base))
    gone = sorted({m.variant for m in base.runs} - {m.variant for m in now.runs}) if base else []
    failed = [f"`{_quoted(c.new.variant)}`: {claim.name}: {claim.reason}" for c in found for claim in c.failed]
    lost = [f"`{_quoted(n.variant)}` was not measured: {n.error.partition(chr(10))[0]}" for n in now.not_measured]
    lines = [*failed, *lost]
    lines += [f"`{_quoted(c.new.variant)}`: {c.note}" for c in found if c.note] + [f"`{_quoted(name)}` is gone" for name in gone]
    rows = [{"model": f"`{_quoted(c.new.variant)}`", **c.cells()} for c in found]
    blocks: list[Block] = [Heading(3, f"tinyrig: {_verdict(found, len(failed), len(now.not_measured), base is not None)}")]
    if rows:
        blocks.append(Grid(pd.DataFrame(rows), left=1))
    if lines:
        blocks.append(Bullets(tuple(lines)))
    timing = sorted({f"{c.new.board.name}, {c.new.board.timing}" for c in found})
    origin = f"against {base.run_id} of the main branch" if base else "no run of the main branch to compare with"
    return [*blocks, Text(f"{'; '.join(timing) or 'nothing measured'}; run {now.run_id}, {origin}")]


def worth_saying(now: Document, base: Document | None) -> bool:
    """Whether anything changed, failed or was not measured."""
    found = list(changes(now, base))
    gone = base is not None and {m.variant for m in base.runs} != {m.variant for m in now.runs}
    return gone or bool(now.not_measured) or any(c.moved or c.failed for c in found)


def _verdict(found: Sequence[Change], failed: int, lost: int, compared: bool) -> str:
    moved = sum(change.moved for change in found)
    parts = [f"{count(failed, 'claim')} failed"] if failed else []
    parts += [f"{count(lost, 'model')} not measured"] if lost else []
    parts += [f"{count(moved, 'model')} changed"] if moved else []
    if parts:
        return ", ".join(parts)
    return "nothing changed" if compared else f"{count(len(found), 'model')} measured"


def _quoted(name: str) -> str:
    """For a `code` span."""
    return name.replace("`", "'")


def main(argv: Sequence[str] | None = None) -> int:
    """-> exit code: 0, or 2 for a file that can't be used."""
    parser = argparse.ArgumentParser(
        prog="python -m tinyrig.reports.changes", description="Print what changed against the main branch, as Markdown."
    )
    parser.add_argument("now", type=Path, metavar="NOW.json", help="what `tinyrig run --json` wrote here")
    parser.add_argument("--base", type=Path, metavar="BASE.json", help="what it wrote on the main branch")
    parser.add_argument("--always", action="store_true", help="print the table even where nothing changed")
    options = parser.parse_args(argv)
    try:
        with ending():
            now, base = read(options.now), read(options.base) if options.base else None
            if options.always or worth_saying(now, base):
                print(f"{MARKER}\n{render(document(now, base), Path())}", end="")
    except RigError as error:
        print(f"tinyrig: {error}", file=sys.stderr)
        return error.exit_code
    return EXIT_GOOD


if __name__ == "__main__":
    sys.exit(main())
