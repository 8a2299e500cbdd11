"""Measurements of a physical board beside the estimates of the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tinyrig.cli import main
from tinyrig.core.records import ESTIMATED, MEASURED, BoardInfo, Run
from tinyrig.reports.__main__ import main as report
from tinyrig.store.estimates.beside import beside, beside_lines, error_series
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_variant_run

VIRTUAL = BoardInfo("virtual", "5649525455414c00", 64_000_000, ESTIMATED)
NANO = BoardInfo("nano33ble-uart", "00112233", 64_000_000, MEASURED)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'results.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url) as opened:
        yield opened


def keep(store: Store, run_id: str, day: int, board: BoardInfo, factor: float = 1.0, engine: str = "tinyrig") -> None:
    run = make_variant_run("pqt", 8)
    samples = tuple(replace(s, cycles=round(s.cycles * factor)) for s in run.samples)
    run = replace(run, board=board, samples=samples, image=replace(run.image, engine=engine))
    store.save(Run(run_id, f"2026-01-{day:02d}T01:00:00+00:00", (run,)))


def test_a_measurement_stands_beside_the_newest_estimate_before_it(store: Store) -> None:
    keep(store, "e1", 1, VIRTUAL)
    keep(store, "m1", 2, NANO, 1.25)
    keep(store, "e3", 3, VIRTUAL, 1.1)
    keep(store, "m4", 4, NANO, 1.0)
    rows = beside(store)
    assert [(row.place.run_id, row.estimated_in, round(row.error, 2)) for row in rows] == [("m1", "e1", -0.2), ("m4", "e3", 0.1)]
    (series,) = error_series(store)
    assert (series.board, series.timing, [round(v, 2) for v in series.values]) == ("nano33ble-uart", MEASURED, [-0.2, 0.1])
    assert error_series(store, since="2026-01-03")[0].values == series.values[1:]
    assert error_series(store, board="virtual") == [] == error_series(store, variant="simple")
    (line,) = beside_lines(store, ["m4", "e3"])
    assert "(run e3)" in line and "+10.0" in line


def test_an_estimate_of_later_is_better_than_none_and_another_engines_is_not(store: Store) -> None:
    keep(store, "m1", 1, NANO)
    keep(store, "e2", 2, VIRTUAL, engine="cmsis-nn")
    assert beside(store) == []
    keep(store, "e3", 3, VIRTUAL, 1.5)
    assert [row.estimated_in for row in beside(store)] == ["e3"]


def test_history_and_report_show_it(
    store: Store, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TINYRIG_RESULTS", url)
    assert main(["history", "estimate_error"]) == 2
    assert "no stored estimate_error" in capsys.readouterr().err
    keep(store, "e1", 1, VIRTUAL)
    keep(store, "m1", 2, NANO, 1.25)
    assert main(["history", "estimate_error"]) == 0
    out = capsys.readouterr().out
    assert "estimate_error (fraction) of pqt on nano33ble-uart" in out and "-20.0" in out
    assert report(["m1", "--store", url, "-o", str(tmp_path / "page.md")]) == 0
    assert "the estimate is -20.0" in (tmp_path / "page.md").read_text()
