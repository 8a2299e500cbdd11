"""The page and plot of a search: what stands on the front, what does not and why."""

import json

import pytest

from tinyrig.core.errors import EXIT_GOOD, EXIT_USER
from tinyrig.reports.search import page


def trial(number, accuracy=0.9, state="complete", **changes):
    measured = {
        "accuracy": accuracy,
        "latency_us": 100.0 + number,
        "ram_bytes": 3000,
        "flash_bytes": 6000 - number,
        "macs": 5000,
        "windows": 20,
        "timing": "estimated",
    }
    given_up = {"stage": "static analysis", "reason": "too much"} if state != "complete" else {"stage": None, "reason": None}
    values = measured | changes if state == "complete" else {}
    return {"number": number, "name": f"mlp-{number + 1}", "state": state, **given_up, **values}


def document(trials, front, below=(), **plan):
    return {
        "schema": 1,
        "study": "s",
        "plan": {"dataset": "glove", "seed": 0, "epochs": None, **plan},
        "objectives": {},
        "trials": trials,
        "front": list(front),
        "below_floor": list(below),
    }


def made(tmp_path, found):
    (tmp_path / "search.json").write_text(json.dumps(found))
    assert page.main([str(tmp_path / "search.json"), "--out", str(tmp_path / "out")]) == EXIT_GOOD
    assert (tmp_path / "out" / "pareto.png").read_bytes().startswith(b"\x89PNG")
    return (tmp_path / "out" / "search.md").read_text()


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({}, "better than always naming the most frequent class; 1 measured candidate is not"),
        ({"min_accuracy": 62.5}, "at least 62.5 % accurate; 1 measured candidate is not"),
    ],
)
def test_the_page_tells_the_floor_and_how_many_are_below(tmp_path, plan, words):
    found = document([trial(0), trial(1, 0.2), trial(2, state="pruned")], [0], [1], **plan)
    text = made(tmp_path, found)
    assert words in text and "mlp-1 " in text and "| mlp-3" in text.split("## Given up")[1]
    assert "mlp-2" not in text


def test_a_front_without_a_floor_needs_no_words_on_it(tmp_path):
    assert "Candidates on the front" not in made(tmp_path, document([trial(0)], [0]))


def test_estimates_have_the_ends_of_their_band_and_say_what_was_checked(tmp_path, capsys):
    band = {"latency_us_low": 90.5, "latency_us_high": 130.25, "timing_note": "checked against nothing"}
    text = made(tmp_path, document([trial(0, **band), trial(1, 0.95)], [1, 0]))
    for told in (text, capsys.readouterr().out):
        assert "100.0 (90.5-130.2)" in told and "101.0 |" in told
        assert told.count("Latencies: checked against nothing.") == 1


@pytest.mark.parametrize(
    ("trials", "words"),
    [([trial(0, state="pruned")], "no candidate could be measured"), ([trial(0, 0.1)], "no candidate is accurate enough")],
)
def test_an_empty_front_says_why(tmp_path, trials, words):
    assert words in made(tmp_path, document(trials, [], [0]))


def test_the_accuracy_axis_begins_below_the_front_and_not_at_chance():
    few = [trial(0, 0.95), trial(1, 0.85)]
    assert page.lowest([*few, trial(2, 0.12)], few) == pytest.approx(80.0)
    assert page.lowest([trial(0, 0.02)], []) == 0.0 == page.lowest([], [])


def test_another_file_is_the_users_error(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    assert page.main([str(tmp_path / "x.json")]) == EXIT_USER
    assert "not a search" in capsys.readouterr().err
