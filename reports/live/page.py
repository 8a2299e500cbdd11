"""A live session's log (`tinyrig live --json`) as one HTML page: what was counted, and the decisions on a timeline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tinyrig.core.errors import UserError
from tinyrig.reports.charts.svg import COLOURS, WIDTH, bar, drawing, element, text, ticks
from tinyrig.reports.html import page
from tinyrig.reports.text import clipped

MOST_BYTES = 1 << 26
_LEFT, _ROW, _BAR, _CURVE = 66.0, 22.0, 14.0, 60.0


@dataclass(frozen=True)
class Tile:
    """A number, what it is, and a word about it; `tone` is good, bad or empty."""

    name: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Counted:
    """A cell of the confusion."""

    truth: str
    decided: str
    decisions: int


def live_page(path: Path) -> str:
    """The whole document. Raises UserError for what is no log of a session."""
    log = _read(path)
    try:
        verified = log["verified"]
        accuracy = log["accuracy"] or {"confusion": []}
        return page(
            "live.html",
            title=f"{clipped(log['variant'])} live",
            line=_line(log),
            tone="rig" if verified is None else "good" if verified["passed"] else "bad",
            facts=_facts(log),
            tiles=_tiles(log),
            classes=[(i % COLOURS, clipped(name)) for i, name in enumerate(log["class_names"])],
            timeline=_timeline(log),
            confusion=[Counted(clipped(c["truth"]), clipped(c["decided"]), int(c["decisions"])) for c in accuracy["confusion"]],
        )
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise _unusable(path, repr(error)) from error


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        log = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(path, str(error)) from error
    if not isinstance(log, dict) or log.get("kind") != "live" or log.get("schema") != 1:
        raise _unusable(path, "another document")
    return log


def _unusable(path: Path, received: str) -> UserError:
    expected = "a log of schema 1 that tinyrig live has written"
    return UserError(f"{path} can't be shown", expected=expected, received=received[:300], remedy="run tinyrig live again")


def _line(log: Mapping[str, Any]) -> str:
    verified, decisions = log["verified"], log["counts"]["decisions"]
    if verified is None:
        return f"{decisions} decisions, not verified: no times"
    if verified["passed"]:
        return f"All {verified['compared']} decisions equal the host's ({clipped(verified['oracle'])})"
    return f"Of {verified['compared']} decisions compared, some differ or were not seen: no times"


def _facts(log: Mapping[str, Any]) -> list[str]:
    every = f"{float(log['rate_hz']):g} Hz, a decision every {log['hop']} samples, smoothing: {clipped(log['smoothing'])}"
    where = (
        f"{clipped(log['board'])} ({clipped(log['board_id'])}), sensor {clipped(log['sensor'])}, {clipped(log['timing'])} times"
    )
    cut = [f"cut short by {clipped(log['cut_short'])}"] if log.get("cut_short") else []
    faults = [f"injected: {clipped(', '.join(map(str, log['faults'])))}"] if log["faults"] else []
    firmware = f"{clipped(log['at'])}, firmware {clipped(log['build_id'])[:16]}"
    return [where, every, firmware, clipped(log["arithmetic"]), *cut, *faults]


def _tiles(log: Mapping[str, Any]) -> list[Tile]:
    counts, clock, times, accuracy = log["counts"], log["clock"], log["times"], log["accuracy"]
    lost = {
        "dropped samples": counts["dropped_samples"],
        "missed deadlines": counts["missed_deadlines"],
        "not fetched": counts["frames_not_fetched"] + counts["decisions_not_fetched"],
    }
    tiles = [Tile(name, f"{n:,}", "", "bad" if n else "good") for name, n in lost.items()]
    ends = log.get("clipped", {})  # logs of before this key was written have none
    if ends:
        named = ", ".join(f"{clipped(name)} {int(n)}" for name, n in list(ends.items())[:8])
        tiles.append(Tile("at an end of their range", f"{sum(map(int, ends.values())):,}", named, "bad"))
    if clock:
        tiles.append(Tile("jitter", f"{clock['jitter_worst_us']:.0f} us", f"worst; median {clock['jitter_median_us']:.0f} us"))
    if times:
        latency = f"{times['decision_latency_median_us'] / 1000:.2f} ms"
        worst = f"after the last sample; worst {times['decision_latency_worst_us'] / 1000:.2f} ms"
        tiles.append(Tile("decision", latency, worst))
        tiles.append(Tile("load", f"{times['load']:.1%}", f"inference {times['inference_median_us'] / 1000:.2f} ms"))
    if accuracy:
        right = accuracy["right_smoothed"]
        tiles.append(Tile("right", f"{right / accuracy['decisions']:.1%}", f"{right} of {accuracy['decisions']}"))
    return tiles


def _timeline(log: Mapping[str, Any]) -> Markup:
    """Strips of classes over time, and the confidence below them."""
    decisions = log["decisions"]
    period = float(log["period_us"]) / 1e6
    names = {name: i for i, name in enumerate(log["class_names"])}
    end = max([float(d["last"]) + 1 for d in decisions] + [1.0]) * period
    strips = [("shown", "truth"), ("decided", "class"), ("smoothed", "smoothed")]
    strips = [s for s in strips if s[1] != "truth" or any(d["truth"] is not None for d in decisions)]
    parts: list[Markup] = []
    for row, (label, key) in enumerate(strips):
        parts.append(text(0, row * _ROW + _BAR - 3, label, class_="soft", room=_LEFT))
        parts += _strip(decisions, key, row * _ROW, names, int(log["hop"]) * period, period, end)
    below = len(strips) * _ROW + 4
    parts += _curve(decisions, below, period, end)
    height = below + _CURVE + 18
    parts += [text(_x(t, end), height - 3, f"{word} s", anchor="middle", class_="soft") for t, word in ticks(0, end)]
    return drawing(height, f"{len(decisions)} decisions over {end:.1f} seconds", parts)


def _x(seconds: float, end: float) -> float:
    return _LEFT + (WIDTH - _LEFT - 14) * seconds / end


def _strip(
    decisions: Sequence[Mapping[str, Any]], key: str, y: float, names: Mapping[str, int], hop: float, period: float, end: float
) -> list[Markup]:
    found = []
    for d in decisions:
        if d[key] is None:
            continue
        at = (float(d["last"]) + 1) * period
        left = _x(at, end)
        wide = max(1.0, min(_x(at + hop, end), WIDTH - 14) - left)
        found.append(bar(left, y, wide, _BAR, names.get(d[key], 6), f"{at:.2f} s: {clipped(d[key])}"))
    return found


def _curve(decisions: Sequence[Mapping[str, Any]], y: float, period: float, end: float) -> list[Markup]:
    """Confidence from 0 to 1."""
    known = [(float(d["last"]) + 1, float(d["confidence"])) for d in decisions if d["confidence"] is not None]
    points = " ".join(f"{_x(n * period, end):.1f},{y + _CURVE * (1 - min(1.0, max(0.0, c))):.1f}" for n, c in known)
    frame = element("rect", x=_LEFT, y=y, width=WIDTH - _LEFT - 14, height=_CURVE, class_="ground")
    label = text(0, y + 12, "confidence", class_="soft", room=_LEFT)
    return [frame, label, element("polyline", points=points, class_="line")] if known else [frame, label]
