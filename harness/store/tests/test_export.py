"""What other programs are given: every line and number, in each format."""

from __future__ import annotations

import csv
import io
import json
import sys
from itertools import pairwise

import pytest

from tinyrig.analysis.evaluation import metric_values
from tinyrig.core.errors import HostError
from tinyrig.core.records import Accepted
from tinyrig.store import decisions
from tinyrig.store.export import METRIC_COLUMNS, RUN_COLUMNS, SAMPLE_COLUMNS, export
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_run, make_variant_run


@pytest.fixture
def store(any_url):
    with Store(any_url) as opened:
        opened.save(make_run("b", "2026-01-02T00:00:00+00:00"))
        opened.save(make_run("a", "2026-01-01T00:00:00+00:00", ("pqt",)))
        decisions.begin_night(opened, "night", "2026-01-02", ["virtual"])
        decisions.add_to_night(opened, "night", "b")
        decisions.accept(opened, Accepted("b", "pqt", "2026-01-02", "me", 'new, "better" layer\n', True))
        yield opened


def written(store, form, **which):
    out = io.StringIO()
    count = export(store, out, form, **which)
    text = out.getvalue()
    lines = json.loads(text) if form == "json" else list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(lines) == count
    return lines


def test_every_metric_of_every_variant_run(store):
    lines = written(store, "json")
    assert [(line["run_id"], line["variant"]) for line in lines] == [
        *(("b", name) for name in ("simple", "pruned", "reshaped", "pqt")),
        ("a", "pqt"),  # stored later, whatever its date
    ]
    for line in lines:
        assert tuple(line) == RUN_COLUMNS
        expected = metric_values(make_variant_run(line["variant"]))
        low, high = expected.pop("accuracy_ci95")
        assert {name: line[name] for name in METRIC_COLUMNS} == {**expected, "accuracy_ci95_low": low, "accuracy_ci95_high": high}
    assert [(line["night"], line["rerun"], line["accepted"]) for line in lines] == [
        *[("night", 0, None)] * 3,
        ("night", 0, 'new, "better" layer\n'),
        (None, None, None),
    ]


def test_csv_says_the_same_as_json(store):
    for samples in (False, True):
        plain = [{k: "" if v is None else str(v) for k, v in line.items()} for line in written(store, "json", samples=samples)]
        assert written(store, "csv", samples=samples) == plain


def test_every_sample(store):
    lines = written(store, "json", samples=True, variant="pqt", since="2026-01-02")
    assert tuple(lines[0]) == SAMPLE_COLUMNS
    expected = [(s.kind, s.index, s.cycles, s.stack_bytes) for s in make_variant_run("pqt").samples]
    assert [(line["kind"], line["window"], line["cycles"], line["stack_bytes"]) for line in lines] == expected


def test_samples_of_one_run_stand_together(store):
    lines = written(store, "json", samples=True)
    places = [(line["run_id"], line["variant"], line["position"]) for line in lines]
    assert len(set(places)) == len(places) == 5 * 272
    runs = [place[:2] for place in places]
    assert sum(a != b for a, b in pairwise(runs)) == 4


def test_more_variant_runs_than_are_read_at_once(store, monkeypatch):
    whole = written(store, "json")
    monkeypatch.setattr("tinyrig.store.export._CHUNK", 2)
    assert written(store, "json") == whole


def test_nothing_fits(store):
    assert written(store, "json", variant="x") == written(store, "csv", board="x") == []


def test_parquet_holds_the_same(store, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    assert export(store, tmp_path / "out.parquet", "parquet") == 5
    table = pandas.read_parquet(tmp_path / "out.parquet")
    assert list(table.columns) == list(RUN_COLUMNS)
    for line, row in zip(written(store, "json"), table.to_dict("records"), strict=True):
        assert {k: None if pandas.isna(v) else v for k, v in row.items()} == line


def test_without_pyarrow_the_remedy_names_the_extra(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(HostError, match="Parquet needs") as caught:
        export(store, tmp_path / "out.parquet", "parquet")
    assert "tinyrig[parquet]" in caught.value.remedy


def test_a_file_that_can_not_be_written(store, tmp_path):
    for form in ("csv", "parquet"):
        with pytest.raises(HostError, match="can't write"):
            export(store, tmp_path / "none" / "x", form)
