"""What a run answered: NaN and infinity are no answers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from tinyrig.analysis import outputs, verification
from tinyrig.analysis.evaluation import evaluate, metric_values
from tinyrig.analysis.metrics import energy, latency, ops
from tinyrig.analysis.run_json import variant_to_json
from tinyrig.core.config import Config
from tinyrig.core.records import ClaimStatus, Measurement
from tinyrig.measure.claims import judge
from tinyrig.tests.fake_runs import make_variant_run


def spoilt(value: float, *windows: int) -> Measurement:
    """A run whose parity says that the oracle agrees, with one output of these windows replaced."""
    run = make_variant_run("simple")
    samples = []
    for s in run.samples:
        data = np.frombuffer(s.outputs, "<f4").copy()
        if s.kind == "window" and s.index in windows:
            data[3] = value
        samples.append(replace(s, outputs=data.tobytes()))
    return replace(run, samples=tuple(samples))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_window_without_a_value_withholds_all_numbers(value: float) -> None:
    run = spoilt(value, 7, 12)
    said = "2 of 240 windows gave NaN or infinity, the first is window 7"
    assert outputs.nonfinite_windows(run) == [7, 12] and outputs.not_finite(run) == said
    assert said in (verification.withheld(run) or "")
    assert latency(run) is None and energy(run) is None and all(op["cycles"] is None for op in ops(run))
    assert outputs.accuracy(run) == (None, None) and outputs.predictions(run) is None and outputs.top1_hits(run) is None
    assert metric_values(run)["accuracy"] is None


def test_the_parity_claim_fails_and_accuracy_is_not_measured() -> None:
    for run in (spoilt(float("nan"), 0), replace(spoilt(float("nan"), 0), parity=None)):
        claims = {c.name: c for c in judge(run, evaluate(run), Config())}
        assert claims["parity"].status == ClaimStatus.FAILED and "1 of 240 windows gave NaN" in claims["parity"].reason
        assert claims["accuracy"].status == ClaimStatus.NOT_MEASURED and "NaN" in claims["accuracy"].reason


def test_json_says_which_window_and_holds_no_nan() -> None:
    entry = variant_to_json(spoilt(float("nan"), 5))
    json.dumps(entry, allow_nan=False)
    assert (entry["parity"]["nonfinite_windows"], entry["parity"]["first_nonfinite"]) == (1, 5)
    assert entry["accuracy"] is None and "window 5" in entry["accuracy_reason"] and entry["latency"] is None
    good = variant_to_json(make_variant_run("simple"))
    assert (good["parity"]["nonfinite_windows"], good["parity"]["first_nonfinite"]) == (0, None)
    assert good["accuracy_reason"] is None and good["accuracy"] is not None


def test_a_second_output_counts_too() -> None:
    run = spoilt(float("nan"), 5)
    spec = run.image.outputs[0]
    halves = (replace(spec, name="a", shape=(1, 2)), replace(spec, name="b", shape=(1, 6)))  # element 3 lies in the second
    assert outputs.nonfinite_windows(replace(run, image=replace(run.image, outputs=halves))) == [5]


def test_the_bytes_of_integers_are_never_nan() -> None:
    run = make_variant_run("pqt")
    samples = tuple(replace(s, outputs=b"\xff" * len(s.outputs)) for s in run.samples)
    assert outputs.nonfinite_windows(replace(run, samples=samples)) == []


def test_a_score_without_a_value_has_no_auc() -> None:
    run = spoilt(float("nan"), 5)
    spec = replace(run.image.outputs[0], shape=(1, 1))
    samples = tuple(replace(s, outputs=s.outputs[12:16]) for s in run.samples)
    labels = tuple(i % 2 for i in range(240))
    assert outputs.auc_test(replace(run, image=replace(run.image, outputs=(spec,)), samples=samples, labels=labels)) is None
