"""The words of other programs, compared with their published schemas, and Prometheus' against its own parser.

Sources: bencher.dev/bmf.json; README of benchmark-action/github-action-benchmark, "customSmallerIsBetter"; the JSON that
pytest-benchmark 5 writes and that its own `compare` reads.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import replace

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tinyrig.analysis.metrics import timed_cycles
from tinyrig.cli import main
from tinyrig.core.records import Run
from tinyrig.store import dashboards
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_run, make_variant_run

BMF = {
    "type": "object",
    "patternProperties": {
        ".+": {
            "type": "object",
            "patternProperties": {
                ".+": {
                    "type": "object",
                    "properties": {name: {"type": "number"} for name in ("value", "lower_value", "upper_value")},
                    "required": ["value"],
                    "additionalProperties": False,
                },
                "^.{65,}$": False,  # Bencher's longest name of a measure
            },
        },
        "^.{1025,}$": False,
    },
}
SMALLER = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"value": {"type": "number"}, **{name: {"type": "string"} for name in ("name", "unit", "range", "extra")}},
        "required": ["name", "unit", "value"],
        "additionalProperties": False,
    },
}
_NUMBERS = ("min", "max", "mean", "stddev", "median", "iqr", "q1", "q3", "ld15iqr", "hd15iqr", "ops", "total")
_COUNTS = ("rounds", "iterations", "iqr_outliers", "stddev_outliers")
STATS = {
    "type": "object",
    "properties": {
        **{name: {"type": "number"} for name in _NUMBERS},
        **{name: {"type": "integer"} for name in _COUNTS},
        "outliers": {"type": "string", "pattern": r"^\d+;\d+$"},
    },
    "required": [*_NUMBERS, *_COUNTS, "outliers"],
}
BENCHMARK = {
    "type": "object",
    "properties": {
        "benchmarks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "fullname": {"type": "string"}, "stats": STATS},
                "required": ["group", "name", "fullname", "params", "param", "extra_info", "options", "stats"],
            },
        }
    },
    "required": ["machine_info", "commit_info", "benchmarks", "datetime", "version"],
}


def renamed(measured, name):
    return replace(measured, variant=replace(measured.variant, name=name))


@pytest.fixture
def store(any_url):
    with Store(any_url) as opened:
        old = make_run("old", "2026-01-01T00:00:00+00:00", ("pqt", "simple"))
        opened.save(replace(old, runs=(old.runs[0], renamed(old.runs[1], "gone"))))
        opened.save(make_run("new", "2026-01-02T00:00:00+00:00"))
        yield opened


def written(store, form, **which):
    with store.reading() as db:
        return dashboards.text(form, dashboards.latest(db, **which))


def test_the_newest_of_each_variant_counts(store):
    with store.reading() as db:
        found = {entry.line["variant"]: entry.line["run_id"] for entry in dashboards.latest(db)}
    assert found == {"pqt": "new", "gone": "old", "simple": "new", "pruned": "new", "reshaped": "new"}


def test_bencher(store):
    document = json.loads(written(store, "bmf"))
    jsonschema.validate(document, BMF)
    with store.reading() as db:
        line = next(entry.line for entry in dashboards.latest(db, variant="pqt"))
    assert document["pqt on virtual"]["latency"]["value"] == pytest.approx(line["latency_us_median"] * 1000)
    assert document["pqt on virtual"]["ram-bytes"] == {"value": line["ram_model_total"]}


def test_github_action_benchmark(store):
    rows = json.loads(written(store, "github-action-benchmark"))
    jsonschema.validate(rows, SMALLER)
    assert len({row["name"] for row in rows}) == len(rows)
    with store.reading() as db:
        line = next(entry.line for entry in dashboards.latest(db, variant="simple"))
    error = next(row for row in rows if row["name"] == "simple on virtual: top-1 error")
    assert error["value"] == pytest.approx(100 * (1 - line["accuracy"]), abs=1e-3)


def test_pytest_benchmark(store):
    document = json.loads(written(store, "pytest-benchmark"))
    jsonschema.validate(document, BENCHMARK)
    stats = next(b["stats"] for b in document["benchmarks"] if b["name"] == "simple")
    measured = make_variant_run("simple")
    seconds = [float(c) / measured.board.clock_hz for c in timed_cycles(measured)]
    assert stats["rounds"] == len(seconds) and stats["total"] == pytest.approx(sum(seconds))
    assert stats["median"] == pytest.approx(statistics.median(seconds))
    assert stats["stddev"] == pytest.approx(statistics.stdev(seconds))


def test_prometheus_reads_it(store):
    families = {family.name: family for family in text_string_to_metric_families(written(store, "prometheus"))}
    assert {"tinyrig_latency_median_seconds", "tinyrig_accuracy_ratio", "tinyrig_ram_bytes"} <= families.keys()
    assert all(family.type == "gauge" and family.documentation for family in families.values())
    assert {s.labels["variant"] for s in families["tinyrig_ram_bytes"].samples} == {"simple", "pruned", "reshaped", "pqt", "gone"}


def test_an_estimates_band_is_told_and_nothing_where_there_is_none():
    plain = make_variant_run("simple")
    cycles = float(plain.samples[0].cycles)
    banded = replace(plain, settings=replace(plain.settings, band={"low": cycles / 2, "high": 2 * cycles}))
    silicon = replace(banded, board=replace(plain.board, name="nano33ble", id="00", timing="measured"))
    with Store("sqlite://") as store:
        store.save(make_run("old", "2026-01-01", ("pqt",)))
        store.save(Run("new", "2026-01-02", (banded, silicon)))
        families = {family.name: family for family in text_string_to_metric_families(written(store, "prometheus"))}
        rows = json.loads(written(store, "github-action-benchmark"))
        benchmarks = json.loads(written(store, "pytest-benchmark"))["benchmarks"]
    for end in ("low", "high"):
        assert [s.labels["board"] for s in families[f"tinyrig_latency_{end}_seconds"].samples] == ["virtual"]
    assert [row["name"] for row in rows if "band" in row["extra"]] == ["simple on virtual: latency"]
    assert [b["extra_info"]["latency_us_low"] is None for b in benchmarks].count(False) == 1


def test_hostile_names_stay_names(any_url):
    name = 'a "b" \\ c\nd{e}'
    run = make_run("x", "2026-01-01T00:00:00+00:00", ("simple",))
    (measured,) = run.runs
    with Store(any_url) as store:
        store.save(replace(run, runs=(renamed(measured, name),)))
        families = list(text_string_to_metric_families(written(store, "prometheus")))
        assert {s.labels["variant"] for family in families for s in family.samples} == {name}
        jsonschema.validate(json.loads(written(store, "bmf")), BMF)


@pytest.mark.parametrize("form", dashboards.WRITERS)
def test_an_empty_history_is_an_empty_document(any_url, form):
    with Store(any_url) as store:
        text = written(store, form)
    assert text == "" if form == "prometheus" else json.loads(text) is not None


@pytest.mark.parametrize("form", dashboards.WRITERS)
def test_the_command_writes_it(tmp_path, monkeypatch, form, capsys):
    url = f"sqlite:///{tmp_path}/r.sqlite"
    monkeypatch.setenv("TINYRIG_RESULTS", url)
    with Store(url) as store:
        store.save(make_run("x", "2026-01-01T00:00:00+00:00", ("simple",)))
    assert main(["export", "--format", form, "-o", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}: 1 measurements\n"
    assert main(["export", "--format", form]) == 0
    assert capsys.readouterr().out == (tmp_path / "out").read_text()
    assert main(["export", "--format", form, "--samples"]) == 2
