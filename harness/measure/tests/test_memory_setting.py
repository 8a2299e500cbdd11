"""The setting `memory`: another timing model, whose estimates never pass for those of zero wait states."""

from __future__ import annotations

import dataclasses

import pytest

from tinyrig.analysis.metrics import band_of, latency, layout_spread, with_layouts
from tinyrig.analysis.provenance import checked_metadata, timing_note
from tinyrig.analysis.verdicts import differing
from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config
from tinyrig.core.errors import UserError
from tinyrig.core.plans import MeasurementSettings, RunSettings
from tinyrig.core.records import MEASURED, Sample
from tinyrig.measure.run import measuring
from tinyrig.measure.variants import model_variant
from tinyrig.tests.user_home import furnish, url
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.virtual.timing.systems import model_name

VIRTUAL = parse_board("virtual")


def cycles(run):
    return [s.cycles for s in run.samples if s.kind == "window"]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """(run without, run with the nRF52840's memory, configuration, id of the latter)."""
    folder = furnish(tmp_path_factory.mktemp("memory"))
    config = dataclasses.replace(Config(), results=url(folder), repeats=1, memory="none")
    variant = model_variant(folder / "dense.tflite", folder / "windows.npz")
    behind = dataclasses.replace(config, memory=Config().memory)
    found = []
    for each in (config, behind):
        with measuring(VIRTUAL, each) as open_run:
            found.append(open_run.run(variant))
    return *found, config, open_run.run_id


def test_the_same_outputs_take_longer_behind_the_flash(both):
    without, behind, *_ = both
    assert [s.outputs for s in behind.samples] == [s.outputs for s in without.samples]
    assert all(more > less for less, more in zip(cycles(without), cycles(behind), strict=True))


def test_models_are_told_apart(both):
    without, behind, *_ = both
    assert "timing_model" not in checked_metadata(without) and "zero wait states" in timing_note(without)
    assert checked_metadata(behind)["timing_model"] == model_name("nrf52840") and "303" in timing_note(behind)
    assert differing(checked_metadata(without), checked_metadata(behind)).startswith("timing model changed")


def test_an_estimate_has_the_ends_of_its_band(both):
    without, behind, *_ = both
    found = latency(behind)
    assert found["us_low"] < found["us_median"] < found["us_high"] < 2 * found["us_median"]
    assert MeasurementSettings.from_json(behind.settings.to_json()) == behind.settings
    assert latency(without)["us_low"] is None and latency(without)["us_high"] is None


def test_a_board_that_was_started_elsewhere_counts_as_it_is_labelled(both, tmp_path):
    """Nothing tells a run whose memory such a board has."""
    without, *_ = both
    folder = furnish(tmp_path)
    config = dataclasses.replace(Config(), results=url(folder), repeats=1)
    variant = model_variant(folder / "dense.tflite", folder / "windows.npz")
    with VirtualBoard() as board, measuring(parse_board(f"virtual@{board.port}"), config) as open_run:
        run = open_run.run(variant)
    assert run.settings.timing_model is None and run.settings.band is None
    assert cycles(run) == cycles(without)


def test_where_it_was_measured_the_ends_are_the_median(both):
    _, behind, *_ = both
    measured = dataclasses.replace(behind, board=dataclasses.replace(behind.board, timing=MEASURED))
    found = latency(measured)
    assert found["us_low"] == found["us_high"] == found["us_median"]


def test_the_ends_belong_to_the_samples_that_were_found():
    samples = [Sample("window", i, b"", cycles) for i, cycles in enumerate((1000, 1010, 2000))]
    assert band_of(samples, [(1003, 903, 1103), (1013, 913, 1213), (500, 400, 600)], 3) == pytest.approx(
        {"low": 1010 * (900 / 1000 + 910 / 1010) / 2, "high": 1010 * (1100 / 1000 + 1210 / 1010) / 2}
    )
    assert band_of(samples, [], 3) is None


def test_an_estimate_says_what_it_owes_to_its_layout(both):
    without, behind, *_ = both
    band = behind.settings.band
    assert band["layout_best"] <= latency(behind)["cycles_median"] <= band["layout_worst"]
    assert latency(behind)["layout_spread"] == layout_spread(behind) >= 0 and layout_spread(without) is None


def test_the_worst_layout_counts_for_the_high_end():
    seen = (1003, 903, 1203, 1103, 1803, 953, 1003)  # two other layouts: default and high of each; 3 of them overhead
    found = with_layouts({"low": 1800.0, "high": 2400.0}, 2000.0, seen, 3)
    assert found == {"low": 1800.0, "high": 3600.0, "layout_best": 1900.0, "layout_worst": 2200.0}
    assert with_layouts({"low": 1800.0, "high": 2400.0}, 2000.0, (1003, 903, 1203, 1003, 1103), 3)["high"] == 2400.0


def test_a_run_is_not_resumed_with_another_model(both):
    *_, config, run_id = both
    with pytest.raises(UserError, match="the setting `memory` has changed"), measuring(VIRTUAL, config, resume=run_id):
        pass


def test_what_was_stored_before_there_was_a_choice_is_read():
    old = {
        "engine": "tinyrig",
        "limit": None,
        "oracle": "tflm",
        "repeats": 30,
        "seed": 0,
        "optimise": "speed",
        "float_tolerance": 1e-5,
        "accuracy_drop": 0.005,
    }
    settings = RunSettings.from_json(old)
    assert settings is not None and settings.memory == "none" and settings.to_json() == {**old, "memory": "none"}
    del old["seed"]
    assert RunSettings.from_json(old) is None
    assert MeasurementSettings.from_json({}).timing_model is None
