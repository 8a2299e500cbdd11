import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.analysis import metric_table, metrics, outputs, provenance, run_json, verification
from tinyrig.analysis.evaluation import metric_values
from tinyrig.analysis.stats import wilson
from tinyrig.core.errors import InfraError
from tinyrig.core.plans import MeasurementSettings
from tinyrig.core.records import Parity, Run, Sample, TensorSpec
from tinyrig.tests.fake_runs import SHAPES, make_run, make_variant_run

SCHEMA_1 = {
    "variant",
    "tflite_sha256",
    "windows",
    "accuracy",
    "accuracy_ci95",
    "parity",
    "latency",
    "ram",
    "flash",
    "tflite_bytes",
    "zip_bytes",
    "flops",
    "macs",
    "ops",
}


def with_parity(name="simple", **fields):
    run = make_variant_run(name)
    return replace(run, parity=replace(run.parity, **fields))


def test_json_has_exactly_the_contracts_keys_or_more():
    doc = run_json.run_to_json(make_run())
    assert {"schema", "run_id", "started", "board", "toolchain", "runs"} <= set(doc)
    assert doc["schema"] == 1
    assert set(doc["board"]) == {"name", "id", "clock_hz", "timing", "timer_hz", "timer_overhead_cycles"}
    assert set(doc["toolchain"]) == {"cc", "flags"}
    entry = doc["runs"][0]
    assert set(entry) >= SCHEMA_1
    assert set(entry["parity"]) >= {"oracle", "compared", "mismatched_windows", "max_abs_diff", "top1_changed", "first_mismatch"}
    percentiles = {"us_p95", "us_p99", "us_min", "us_max"}
    assert set(entry["latency"]) == {
        *("cycles_median", "us_median", "us_low", "us_high", "layout_spread", "samples"),
        *percentiles,
    }
    assert set(entry["ram"]) == {"arena", "static", "stack", "model_total", "rig"}
    assert set(entry["flash"]) == {"weights", "engine", "model_total", "rig", "total"}
    assert set(entry["ops"][0]) >= {"index", "op", "name", "cycles"}
    assert doc == json.loads(json.dumps(doc, allow_nan=False))


@pytest.mark.parametrize("name", SHAPES)
def test_accuracy_and_interval_recompute_from_outputs(name):
    run, right = make_variant_run(name), SHAPES[name][0]
    assert outputs.accuracy(run) == (pytest.approx(right / 240), wilson(right, 240))
    assert int(outputs.top1_hits(run).sum()) == right


def test_accuracy_is_null_without_labels_and_for_a_single_output():
    assert outputs.accuracy(make_variant_run(labels=None)) == (None, None)
    run = make_variant_run()
    one = tuple(replace(s, outputs=s.outputs[:4]) for s in run.samples)
    run = replace(run, image=replace(run.image, outputs=(TensorSpec("y", (1, 1), "float32"),)), samples=one)
    assert outputs.accuracy(run) == (None, None)
    assert run_json.run_to_json(Run("r", "t", (run,)))["runs"][0]["accuracy_ci95"] is None


def test_labels_follow_the_window_index_not_the_order_of_samples():
    run = make_variant_run()
    assert outputs.accuracy(replace(run, samples=tuple(reversed(run.samples)))) == outputs.accuracy(run)


def test_int8_predictions_use_the_dequantised_first_output_only():
    run = make_variant_run("pqt")
    second = TensorSpec("embedding", (1, 3), "int8", 0.1, 0)
    samples = tuple(replace(s, outputs=s.outputs + b"\x7f\x7f\x7f") for s in run.samples)
    both = replace(run, image=replace(run.image, outputs=(*run.image.outputs, second)), samples=samples)
    np.testing.assert_array_equal(outputs.predictions(both), outputs.predictions(run))


def test_truncated_outputs_are_an_error():
    run = make_variant_run(samples=(Sample("window", 0, b"\0", 5),))
    with pytest.raises(InfraError, match="32 bytes"):
        outputs.predictions(run)


def test_a_window_without_a_label_is_an_error():
    run = make_variant_run(labels=(0,) * 239)
    with pytest.raises(InfraError, match="window 239 has no label"):
        outputs.top1_hits(run)


def test_latency_takes_windows_and_repeats_and_nothing_else():
    run = make_variant_run()
    kinds = [s for s in run.samples if s.kind in ("window", "repeat")]
    slow = tuple(replace(s, cycles=10**9) if s.kind in ("profile", "stack") else s for s in run.samples)
    got = metrics.latency(replace(run, samples=slow))
    assert got["samples"] == len(kinds) == 270
    assert got["cycles_median"] == float(np.median([s.cycles for s in kinds]))
    assert got["us_median"] == pytest.approx(got["cycles_median"] / 64)
    assert got["us_max"] == pytest.approx(max(s.cycles for s in kinds) / 64)


@settings(max_examples=50)
@given(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=60), st.integers(1_000_000, 600_000_000))
def test_latency_statistics_are_ordered(cycles, clock_hz):
    run = make_variant_run(windows=1)
    repeats = tuple(Sample("repeat", i, b"", c) for i, c in enumerate(cycles))
    window = replace(run.samples[0], cycles=cycles[0])
    got = metrics.latency(replace(run, samples=(window, *repeats), board=replace(run.board, clock_hz=clock_hz)))
    assert got["us_min"] <= got["us_median"] <= got["us_max"]
    assert got["us_median"] <= got["us_p95"] * (1 + 1e-12) or len(cycles) < 2
    assert got["us_p95"] <= got["us_p99"] * (1 + 1e-12) <= got["us_max"] * (1 + 1e-9)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (make_variant_run(parity=None), "unverified"),
        (with_parity("pqt", mismatched_windows=3, first_mismatch=9), "3 of 240 windows differ"),
        (with_parity("simple", top1_changed=1), "top-1 changed in 1"),
        (with_parity("simple", max_abs_diff=2e-5), "differ from tflm by 2e-05"),
        (with_parity("simple", max_abs_diff=float("nan")), "differ from tflm by nan"),
        (with_parity("simple", compared=100), "compared 100 of 240"),
        (make_variant_run(samples=()), "0 of 0"),
    ],
)
def test_unverified_outputs_yield_no_timing(run, reason):
    entry = run_json.run_to_json(Run("r", "t", (run,)))["runs"][0]
    assert entry["latency"] is None
    assert reason in entry["latency_reason"]
    assert all(op["cycles"] is None for op in entry["ops"])
    json.dumps(entry, allow_nan=False)


def test_repeats_that_disagree_yield_no_timing():
    run = make_variant_run()
    samples = (*run.samples, Sample("repeat", 30, b"\0" * 32, 5))
    assert "2 different outputs" in verification.withheld(replace(run, samples=samples))


def test_float_outputs_may_differ_in_the_last_digits_but_not_int8():
    assert verification.withheld(with_parity("simple", max_abs_diff=9e-6)) is None
    assert "1 of 240" in verification.withheld(with_parity("simple", mismatched_windows=1, max_abs_diff=9e-6))
    assert verification.withheld(with_parity("pqt", mismatched_windows=1, max_abs_diff=1.0)) is not None


def test_a_runs_own_tolerance_counts():
    run = with_parity("simple", max_abs_diff=5e-4)
    assert verification.withheld(replace(run, settings=MeasurementSettings(float_tolerance=1e-3))) is None


def test_large_float_outputs_are_compared_relatively():
    run = make_variant_run(parity=Parity("tflm", 240, 0, 5e-4, 0, None))
    samples = tuple(replace(s, outputs=(np.frombuffer(s.outputs, "<f4") * 100).tobytes()) for s in run.samples)
    assert verification.withheld(run) is not None
    assert verification.withheld(replace(run, samples=samples)) is None


def test_memory_totals():
    run = make_variant_run("pqt")
    assert metrics.ram(run) == {"arena": 2140, "static": 88, "stack": 244, "model_total": 2472, "rig": 9100}
    assert metrics.flash(run) == {"weights": 1180, "engine": 3800, "model_total": 4980, "rig": 5200, "total": 10180}
    unpainted = replace(run, samples=tuple(s for s in run.samples if s.kind != "stack"))
    assert metrics.ram(unpainted)["model_total"] is None


def test_ops_are_medians_of_the_profile_samples():
    run = make_variant_run("pqt")
    extra = tuple(Sample("profile", 1, b"", 0, None, (1, 2, 3, 4, 5)) for _ in range(2))
    lines = metrics.ops(replace(run, samples=run.samples + extra))
    assert [op["cycles"] for op in lines] == [1, 2, 3, 4, 5]
    assert [op["share"] for op in lines] == [n / 15 for n in (1, 2, 3, 4, 5)]
    assert [op["cycles_per_mac"] for op in lines] == [op["cycles"] / op["macs"] if op["macs"] else None for op in lines]
    assert all(op["cycles"] is None for op in metrics.ops(replace(run, samples=run.samples[:3])))


def test_measure_names_every_metric_and_all_values_format():
    for name, value in metric_values(make_variant_run("pqt")).items():
        metric = metric_table.METRICS[name]
        assert metric.better in ("lower", "higher", None)
        assert value is None or isinstance(metric.format(value), str)
    missing = [n for n, v in metric_values(make_variant_run("simple")).items() if v is None]
    others = ["auc", "f1", "cell_accuracy", "mae", "rmse", "r2", "reconstruction_error"]  # of outputs that are no list of classes
    ends = ["latency_us_low", "latency_us_high", "latency_layout_spread"]  # of estimates with a band
    assert missing == [*others, *ends, "energy_uj_median", "throughput"]  # with a power meter, and of foreign firmware


def test_checked_metadata_sees_another_board_clock_compiler_and_timing():
    run = make_variant_run()
    other = replace(run, board=replace(run.board, timing="measured"))
    assert provenance.checked_metadata(run) != provenance.checked_metadata(other)
    assert provenance.checked_metadata(run) == provenance.checked_metadata(make_variant_run("pqt"))


def test_a_run_without_variants_still_has_a_document():
    doc = run_json.run_to_json(Run("r", "2026-01-01T00:00:00+00:00", ()))
    assert doc["runs"] == [] and doc["board"] is None
