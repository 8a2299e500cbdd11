"""What the comment on a pull request says: only what changed, never a difference between what can't be compared."""

import json

import pytest

from tinyrig.analysis.run_json import run_to_json
from tinyrig.reports import changes
from tinyrig.tests.fake_runs import make_run


def result(run_id="now", names=("simple", "pqt")):
    return json.loads(json.dumps(run_to_json(make_run(run_id, "2026-01-02T00:00:00+00:00", names))))


@pytest.fixture
def said(tmp_path, capsys):
    """What is printed for these documents."""

    def tell(now, base=None, *words):
        files = []
        for name, document in (("now", now), ("base", base)):
            (tmp_path / f"{name}.json").write_text(json.dumps(document))
            files.append(str(tmp_path / f"{name}.json"))
        code = changes.main([files[0], *(["--base", files[1]] if base else []), *words])
        out, err = capsys.readouterr()
        return code, out + err

    return tell


def test_nothing_changed_says_nothing(said):
    assert said(result(), result("base")) == (0, "")
    code, text = said(result(), result("base"), "--always")
    assert code == 0 and text.startswith("<!-- tinyrig -->\n### tinyrig: nothing changed\n") and "→" not in text


def test_each_change_shows_both_values(said):
    now = result()
    model = now["runs"][0]
    before = model["latency"]["us_median"]
    model["latency"]["us_median"] = before * 1.5
    model["ram"]["model_total"] += 512
    text = said(now, result("base"))[1]
    row = next(line for line in text.splitlines() if line.startswith("| `simple`"))
    assert f"{before / 1000:.3f} ms → {before * 1.5 / 1000:.3f} ms (+50.0 %)" in row and "(+512 B)" in row
    assert "1 model changed" in text and "against base of the main branch" in text


def test_an_estimates_band_is_shown(said):
    now = result()
    latency = now["runs"][0]["latency"]
    latency |= {"us_low": latency["us_median"] * 0.9, "us_high": latency["us_median"] * 1.2}
    shown = f"{latency['us_median'] / 1000:.3f} ({latency['us_low'] / 1000:.3f}-{latency['us_high'] / 1000:.3f}) ms"
    text = said(now, result("base"), "--always")[1]
    assert text.count(shown) == 1 and text.count(" ms ") == len(now["runs"])


@pytest.mark.parametrize(
    ("key", "value"), [("engine", "portable"), ("windows", 7), ("toolchain", {"cc": "gcc 99", "flags": "-O3"})]
)
def test_what_can_not_be_compared_has_no_difference(said, key, value):
    now = result()
    now["runs"][0][key] = value
    now["runs"][0]["latency"]["us_median"] *= 2
    text = said(now, result("base"))[1]
    assert "not comparable with main" in text and "→" not in text


def test_new_and_gone_models_are_named(said):
    text = said(result(names=("simple",)), result("base", ("pqt",)))[1]
    assert "`simple`: new" in text and "`pqt` is gone" in text


def test_noise_of_a_physical_board_is_no_change(said):
    now, base = result(), result("base")
    for document in (now, base):
        for model in document["runs"]:
            model["board"]["timing"] = "measured"
    now["runs"][0]["latency"]["us_median"] *= 1.005
    assert said(now, base) == (0, "")


def test_failed_claims_and_what_was_not_measured_are_always_said(said):
    now = result()
    now["runs"][0]["claims"] = [
        {"name": "max_latency", "status": "failed", "reason": "5 ms, at most 1 ms", "limit": 1, "value": 5}
    ]
    now["not_measured"] = [{"variant": "lost", "error": "no port\nmore", "kind": "link"}]
    text = said(now)[1]
    assert (
        "1 claim failed, 1 model not measured" in text
        and "5 ms, at most 1 ms" in text
        and "`lost` was not measured: no port" in text
    )


def test_names_can_not_write_markdown(said):
    now = result()
    now["runs"][0]["variant"] = "a`|<img src=x>@team"
    text = said(now, result("base"))[1]
    assert "`a'\\|<img src=x>@team`" in text  # within a code span, nothing of it counts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"schema": 2}',
        '{"schema": 1, "run_id": "a", "runs": [{"variant": 3}]}',
        '{"schema": 1, "runs": NaN}',
        "[" * 99999,
    ],
)
def test_another_file_is_refused(tmp_path, capsys, text):
    (tmp_path / "x.json").write_text(text)
    assert changes.main([str(tmp_path / "x.json")]) == 2
    assert "what `tinyrig run --json` writes" in capsys.readouterr().err
