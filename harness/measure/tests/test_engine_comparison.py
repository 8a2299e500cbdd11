"""Engines side by side: one comparison on the virtual board, and what the document and its table say."""

from __future__ import annotations

import argparse
import json

import pytest

from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config
from tinyrig.core.errors import EXIT_GOOD, DeviceError, HostError, ModelError, UserError
from tinyrig.core.records import ESTIMATED
from tinyrig.engines_command import add_parser, main, markdown
from tinyrig.measure.engine_comparison import ENGINES, PEER, Comparison, wrong_engines
from tinyrig.measure.variants import model_variant
from tinyrig.tests import small_models
from tinyrig.workload.tests.test_user_engine import EXAMPLE


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two variants: an int8 and a float dense net, on random windows."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "int8.tflite").write_bytes(small_models.dense_int8())
    (folder / "float.tflite").write_bytes(small_models.dense_float())
    return [model_variant(folder / name, None) for name in ("int8.tflite", "float.tflite")]


@pytest.fixture(scope="module")
def document(models):
    """The comparison, as --json would write it."""
    found = Comparison(parse_board("virtual"), Config(), limit=3).run(models)
    return json.loads(json.dumps(found))


def rows(document, model):
    return {e["engine"]: e for e in document["models"][model]["engines"]}


def test_every_engine_is_measured_on_the_same_model(document):
    found = rows(document, 0)
    assert document["schema"] == 1 and document["board"]["timing"] == ESTIMATED
    assert tuple(found) == ENGINES
    for entry in found.values():
        assert entry["parity"]["mismatched_windows"] == 0 and entry["parity"]["compared"] == entry["windows"] == 3
        assert 0 < entry["instructions"] < entry["cycles"] and entry["timing"] == ESTIMATED
        assert entry["cycles_per_mac"] == pytest.approx(entry["cycles"] / document["models"][0]["macs"])
        assert entry["ram"]["model_total"] == entry["ram"]["arena"] + entry["ram"]["static"] + entry["ram"]["stack"]
        assert entry["flash"]["model_total"] == entry["flash"]["weights"] + entry["flash"]["engine"]
    assert document["models"][0]["macs"] == 20 * 12 + 12 * 4


def test_ratios_are_over_the_peers_figures(document):
    found = rows(document, 0)
    assert found[PEER]["ratio_to_peer"] == dict.fromkeys(
        ("cycles", "cycles_low", "cycles_high", "instructions", "ram", "flash"), 1.0
    )
    ratio = found["tinyrig"]["ratio_to_peer"]
    assert ratio["cycles"] == pytest.approx(found["tinyrig"]["cycles"] / found[PEER]["cycles"])
    assert ratio["flash"] == pytest.approx(found["tinyrig"]["flash"]["model_total"] / found[PEER]["flash"]["model_total"])


def test_what_the_peer_leaves_to_portable_code_is_named_with_its_cost(document):
    (left,) = rows(document, 0)[PEER]["fallbacks"]
    assert left["op"] == "SOFTMAX" and "no such function" in left["reason"]
    assert 0 < left["share"] < 1 and left["cycles"] > 0
    assert rows(document, 0)["tinyrig"]["fallbacks"] == []


def test_a_float_model_has_no_peer(document):
    entry = rows(document, 1)[PEER]
    assert "int8" in entry["reason"] and entry["cycles"] is None and entry["ratio_to_peer"] is None
    assert rows(document, 1)["tinyrig"]["cycles"] > 0 and rows(document, 1)["tinyrig"]["ratio_to_peer"] is None


def test_the_table_shows_every_figure_and_its_label(document):
    text = markdown(document)
    for entry in rows(document, 0).values():
        assert f"{entry['cycles']:,.0f}" in text and f"{entry['ram']['model_total']:,}" in text
    assert "cycles (estimated)" in text and "303 published measurements" in text
    assert "n/a" in text and "SOFTMAX" in text and "tflite-micro" in text


def test_ratios_stand_at_both_ends_of_the_band(document):
    entry, peer = rows(document, 0)["tinyrig"], rows(document, 0)[PEER]
    assert entry["cycles_low"] < entry["cycles"] < entry["cycles_high"]
    for end in ("cycles_low", "cycles_high"):
        assert entry["ratio_to_peer"][end] == entry[end] / peer[end]
    assert f"({entry['cycles_low']:,.0f}-{entry['cycles_high']:,.0f})" in markdown(document)


def test_wrong_outputs_fail_the_comparison(document):
    assert wrong_engines(document) == []
    spoiled = json.loads(json.dumps(document))
    entry = spoiled["models"][0]["engines"][1]
    entry |= {"latency_reason": "parity failed: 1 of 3 windows differ from tflm", "cycles": None, "instructions": None}
    assert wrong_engines(spoiled) == ["int8: portable: parity failed: 1 of 3 windows differ from tflm"]
    assert "parity failed" in markdown(spoiled)


def test_an_engine_that_cannot_take_the_model_says_why_beside_the_others(tmp_path):
    """A folder whose arena is larger than the board's RAM."""
    (tmp_path / "engine.c").write_text("int nothing;\n")
    (tmp_path / "engine_config.h").write_text('#define ENGINE_NAME "greedy"\n#define ENGINE_ARENA_BYTES 999999\n')
    (tmp_path / "m.tflite").write_bytes(small_models.dense_int8())
    variant = model_variant(tmp_path / "m.tflite", None)
    found = Comparison(parse_board("virtual"), Config(), ("portable", str(tmp_path)), limit=1).run([variant])
    portable, greedy = found["models"][0]["engines"]
    assert portable["cycles"] > 0 and greedy["cycles"] is None and "arena" in greedy["reason"]
    with pytest.raises(ModelError, match="arena"):
        Comparison(parse_board("virtual"), Config(), (str(tmp_path),), limit=1).run([variant])


def test_a_users_engine_that_refuses_the_model_on_the_board_costs_only_its_own_row(models):
    """The example knows float32 only and says so through engine_init; the engine behind it is measured all the same."""
    found = Comparison(parse_board("virtual"), Config(), (str(EXAMPLE), "portable"), limit=1).run(models[:1])
    own, portable = found["models"][0]["engines"]
    assert own["cycles"] is None and "engine_init" in own["reason"] and portable["cycles"] > 0
    with pytest.raises(DeviceError, match="engine_init"):
        Comparison(parse_board("virtual"), Config(), (str(EXAMPLE),), limit=1).run(models[:1])


def parse(*words):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    return parser.parse_args(["engines", *words])


def test_json_goes_to_a_file_or_to_stdout(models, tmp_path, capsys):
    path = str(models[0].tflite)
    assert main(parse("--model", path, "--engine", "portable", "--limit", "1", "--json")) == EXIT_GOOD
    printed = json.loads(capsys.readouterr().out)
    assert printed["models"][0]["engines"][0]["engine"] == "portable"
    target = tmp_path / "out.json"
    assert main(parse("--model", path, "--engine", "portable", "--limit", "1", "--json", str(target))) == EXIT_GOOD
    assert json.loads(target.read_text())["models"][0]["model"] == "int8"
    assert "| portable" in capsys.readouterr().out


def test_a_result_that_cannot_be_written_is_the_rigs_fault_and_the_table_is_there(models, capsys):
    with pytest.raises(HostError, match="can't be written"):
        main(parse("--model", str(models[0].tflite), "--engine", "portable", "--limit", "1", "--json", "/dev/full"))
    assert "| portable" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("--windows", "w.npz"), *(("--model", "m.tflite", "--json", target) for target in ("/no/such/folder/x.json", "/"))]
)
def test_unusable_options_are_refused_before_any_work(words):
    with pytest.raises(UserError):
        main(parse(*words))
