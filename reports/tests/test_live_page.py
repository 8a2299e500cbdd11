"""The page of a live session's log."""

import json

import pytest

from tinyrig.core.errors import UserError
from tinyrig.reports.live.page import live_page


def decision(n, name, truth="cube"):
    return {"window": n, "first": n, "last": n + 4, "class": name, "smoothed": name, "confidence": 0.75, "truth": truth}


def log(**other):
    counts = {"samples": 60, "dropped_samples": 2, "frames_not_fetched": 0, "windows": 3, "missed_deadlines": 1}
    found = {
        "schema": 1,
        "kind": "live",
        "at": "2026-12-01T01:00:00+00:00",
        "variant": "pqt",
        "board": "virtual",
        "board_id": "56",
        "timing": "estimated",
        "sensor": "glove",
        "build_id": "ab" * 16,
        "rate_hz": 20.0,
        "smoothing": "none",
        "arithmetic": "float32",
        "faults": [],
        "period_us": 50_000,
        "hop": 10,
        "class_names": ["cube", "ball"],
        "counts": counts | {"decisions_not_fetched": 0, "decisions": 2},
        "clock": {"jitter_median_us": 1.0, "jitter_worst_us": 71.0},
        "verified": {"passed": True, "compared": 2, "oracle": "tflm"},
        "times": {
            "load": 0.0123,
            "decision_latency_median_us": 4110.0,
            "decision_latency_worst_us": 4700.0,
            "inference_median_us": 1170.0,
        },
        "accuracy": {"decisions": 2, "right_smoothed": 1, "confusion": [{"truth": "cube", "decided": "ball", "decisions": 1}]},
        "decisions": [decision(0, "cube"), decision(10, "ball")],
    }
    return found | other


def shown(tmp_path, document):
    path = tmp_path / "live.json"
    path.write_text(json.dumps(document))
    return live_page(path)


def test_what_a_session_came_to(tmp_path):
    page = shown(tmp_path, log())
    for text in ("All 2 decisions equal the host", "4.11 ms", "1.2%", "71 us", "50.0%", "0.25 s: cube", "0.75 s: ball", "shown"):
        assert text in page


def test_values_at_the_end_of_their_range(tmp_path):
    page = shown(tmp_path, log(clipped={"thumb_ax": 2, "<b>": 3}))
    assert "thumb_ax 2" in page and "at an end of their range" in page and "<b> 3" not in page
    assert "at an end of their range" not in shown(tmp_path, log())


def test_no_times_where_nothing_was_verified(tmp_path):
    page = shown(tmp_path, log(verified=None, times=None, accuracy=None, decisions=[decision(0, "cube", None)]))
    assert "not verified: no times" in page
    assert "4.11" not in page
    assert ">shown<" not in page
    assert "some differ" in shown(tmp_path, log(verified={"passed": False, "compared": 2}, times=None))


def test_a_session_that_was_cut_short(tmp_path):
    assert "cut short by SIGINT" in shown(tmp_path, log(cut_short="SIGINT"))
    assert "cut short" not in shown(tmp_path, log(cut_short=None))


def test_names_are_only_text(tmp_path):
    page = shown(tmp_path, log(variant="<script>x", class_names=["<b>", "ball"], decisions=[decision(0, "<img src=x>")]))
    assert "<script>x" not in page
    assert "<img" not in page


def test_a_session_without_decisions(tmp_path):
    assert "0 decisions" in shown(tmp_path, log(decisions=[], accuracy=None, clock=None))


@pytest.mark.parametrize("document", [[], {}, {"kind": "live", "schema": 1}, log(schema=2), log(counts=3), log(decisions=[{}])])
def test_what_is_no_log(tmp_path, document):
    with pytest.raises(UserError, match="can't be shown"):
        shown(tmp_path, document)
