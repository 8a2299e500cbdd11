"""The Markdown summary of a night: verdict first, then what changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tinyrig.analysis.evaluation import metric_values
from tinyrig.core.errors import UserError
from tinyrig.core.records import Accepted, Claim, ClaimStatus, NotMeasured, Run, StoredVerdict, VerdictKind
from tinyrig.reports.markdown import render
from tinyrig.reports.nights.summary import build, load, main
from tinyrig.store import decisions
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_variant_run

BOARD = ("virtual", "5649525455414c00")
HASHES = ("0123456789abcdef" * 4, "fedcba9876543210" * 4)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/nights.sqlite"


@pytest.fixture
def store(url):
    with Store(url) as opened:
        yield opened


def verdict(metric, status, old=None, new=None, variant="pqt", **more):
    change = new - old if isinstance(old, int | float) else None
    percent = 100 * change / old if change is not None else None
    return StoredVerdict("r1", variant, *BOARD, metric, VerdictKind.NIGHT, status, old, new, change, percent, **more)


def keep(store, *verdicts, night="n1", code=1, claims=(), not_measured=()):
    started = "2026-01-08T01:00:00+00:00"
    store.save(Run("r1", started, (make_variant_run("pqt", 8, claims=claims),), {}, not_measured))
    decisions.begin_night(store, night, started, ["virtual"])
    decisions.add_to_night(store, night, "r1")
    decisions.save_verdicts(store, verdicts)
    decisions.end_night(store, night, started, code, "tinyrig nightly 2026-01-08: 1 worse (pqt latency +1.0 %), exit 1")


def text(store, night=""):
    return render(build(load(store, night)), Path())


def test_the_verdict_stands_first_and_then_what_changed(store):
    keep(
        store,
        verdict("latency_cycles_median", "worse", 70000, 70700),
        verdict("outputs", "changed", *HASHES),
        verdict("accuracy", "worse", 0.9, 0.8),
        verdict("ram_arena", "same", 10, 10),
    )
    lines = text(store).splitlines()
    assert lines[0] == "# Night of 2026-01-08: something is worse"
    assert "pqt latency +1.0 %" in lines[2] and lines.index("## What changed") < lines.index("## Metrics judged")
    table = "\n".join(lines)
    assert "70,000" in table and "70,700" in table and "+700 cycles" in table and "+1.00" in table
    assert "`0123456789ab`" in table and "-10.00 points" in table and "tinyrig accept" in table


def test_what_was_not_measured_is_told_apart_from_what_got_worse(store):
    keep(
        store,
        verdict("ram_arena", "same", 10, 10),
        code=3,
        not_measured=(NotMeasured("simple", "flash verification failed", "device"),),
    )
    found = text(store)
    assert "the rig failed" in found.splitlines()[0] and "says nothing about the models" in found
    assert "`simple` (device): flash verification failed" in found and "No metric changed." in found


def test_claims_reasons_and_acceptances_are_told(store):
    keep(
        store,
        verdict("ram_arena", "not comparable", reason="compiler: 'a' in the baseline, 'b' tonight"),
        claims=(Claim("parity", ClaimStatus.FAILED, "2 windows differ"),),
    )
    decisions.accept(store, Accepted("r1", "pqt", "2026-01-08T08:00:00+00:00", "me@home", "the | new compiler", True))
    found = text(store)
    assert "parity: 2 windows differ" in found and "Not comparable, because:" in found and "in the baseline" in found
    assert "me@home" in found and "the | new compiler" in found


def test_a_night_under_way(store):
    decisions.begin_night(store, "n0", "2026-01-07T01:00:00+00:00", ["virtual"])
    assert "under way, or cut off" in text(store)


def test_the_command_writes_the_newest_or_refuses(store, url, tmp_path, capsys):
    assert main(["--store", url]) == 2 and "tinyrig nightly makes one" in capsys.readouterr().err
    keep(store, verdict("ram_arena", "same", 10, 10), code=0)
    assert main(["n1", "--store", url, "-o", str(tmp_path / "night.md")]) == 0
    assert (tmp_path / "night.md").read_text().startswith("# Night of 2026-01-08: nothing worse")
    with pytest.raises(UserError):
        load(store, "x")


def test_the_values_of_estimates_have_their_band_and_say_what_was_checked(store):
    run = make_variant_run("pqt", 24)
    median = metric_values(run)["latency_cycles_median"]
    run = replace(run, settings=replace(run.settings, band={"low": median / 2, "high": 2 * median}))
    decisions.begin_night(store, "n", "2026-01-01T01:00:00+00:00", ["virtual"])
    store.save(Run("r1", "2026-01-01T01:00:00+00:00", (run,)))
    decisions.add_to_night(store, "n", "r1", 0)
    decisions.save_verdicts(store, [verdict("latency_cycles_median", "worse", median - 1, median)])
    text = render(build(load(store, "")), Path())
    assert f"{median:,.0f} ({median / 2:,.0f}-{2 * median:,.0f})" in text
    assert text.count("Estimated latencies: estimated cycles of") == 1
