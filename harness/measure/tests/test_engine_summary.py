"""bench/engine_summary.py: the table of all networks, and the verdicts below it."""

from __future__ import annotations

from typing import Any

import pytest

from bench.engine_summary import summary


def engine(name: str, cycles: float | None, ratio: float | None = None, ram: float = 1.0, left: float = 0.0) -> dict[str, Any]:
    ends = {f"cycles_{end}": ratio for end in ("low", "high")}
    return {
        "engine": name,
        "cycles": cycles,
        "cycles_per_mac": 2.0,
        "ram": {"model_total": 1000},
        "flash": {"model_total": 9000},
        "ratio_to_peer": {"cycles": ratio, "ram": ram, "flash": 1.0, **ends},
        "fallbacks": [{"share": left}],
    }


def network(name: str, ratio: float, ram: float = 1.0, left: float = 0.0) -> dict[str, Any]:
    return {"model": name, "engines": [engine("tinyrig", 100 * ratio, ratio, ram), engine("cmsis-nn", 100.0, 1.0, left=left)]}


def alone(name: str, cycles: float | None) -> dict[str, Any]:
    return {"model": name, "engines": [engine("tinyrig", cycles), engine("cmsis-nn", None)]}


def test_the_worst_comes_first_and_each_verdict_is_said() -> None:
    text = summary([network("a", 0.3), network("b", 0.9, ram=2.0, left=0.25), network("c", 0.4)], {"b": 0.5})
    names = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")][2:]
    assert names == ["b", "c", "a"]
    assert "b 0.90 (target 0.65: missed; above it: b 0.90)" in text
    assert "median of 3: 0.40" in text and "best: a 0.30" in text
    assert "worst ratio of RAM: b 2.00" in text and "75 %" in text and "50 %" in text


@pytest.mark.parametrize(("cycles", "shown"), [(70.0, True), (None, False)])
def test_a_network_without_a_peer_has_a_row_and_no_verdict(cycles: float | None, shown: bool) -> None:
    """Without a verified figure of tinyrig's own it has no row either."""
    text = summary([alone("lonely", cycles)], {})
    assert ("lonely" in text) == shown and "worst" not in text
