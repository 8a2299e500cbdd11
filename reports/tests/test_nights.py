import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.analysis.evaluation import metric_values
from tinyrig.core.plans import RunPlan
from tinyrig.core.records import Accepted, BoardInfo, Night, NotMeasured, OpInfo, Run, VerdictKind
from tinyrig.reports import __main__ as command
from tinyrig.reports.charts.flame import differences, flame
from tinyrig.reports.nights import svg
from tinyrig.reports.nights.gather import gather
from tinyrig.reports.nights.headline import headline, rig_faults, statuses, worst
from tinyrig.reports.nights.html import render
from tinyrig.reports.nights.page import nights_page, page_of
from tinyrig.reports.nights.records import Cell, Finding, NightsReport, NightValue, Trend, UnmeasuredVariant
from tinyrig.reports.nights.words import sentence
from tinyrig.reports.tests import night_stories as stories
from tinyrig.reports.tests.pages import ParsedPage
from tinyrig.reports.text import clipped
from tinyrig.store.decisions import accept, add_to_night, begin_night, end_night, save_verdicts
from tinyrig.store.night_cells import Measured
from tinyrig.store.runs import Store
from tinyrig.tests.fake_nights import Plan
from tinyrig.tests.fake_runs import make_run, make_variant_run


@pytest.fixture(scope="module")
def url(eventful_url):
    return eventful_url


@pytest.fixture(scope="module")
def page(url):
    with Store(url) as store:
        return gather(store)


@pytest.fixture(scope="module")
def source(eventful_page):
    return eventful_page


def squeezed(source):
    return re.sub(r"\s+", " ", ParsedPage(source).text)


# ---- what it says ----


def test_the_verdict_comes_first_in_words(source):
    text = squeezed(source)
    top = text[: text.index("What changed since the baseline")]
    for needed in (
        "Regression: 5 metrics got worse, 1 exact value changed and the rig failed in part",
        "exit code 1",
        "pruned on nano33ble 0000000000000001: latency (median), measured rose from 4,339.8 us to 4,384.1 us (+44.3 us, "
        "+1.02 %); threshold ± 9.6 us (0.22 %); seen in 2 runs; p = 1e-07. Also: cycles (median), latency (95th percentile).",
        "reshaped on virtual 5649525455414c00: accuracy fell from 100.00 % to 50.00 % (-50.00 points); threshold ± 45.80 points",
        "simple on virtual 5649525455414c00: flash of the model rose from 10,692 bytes to 10,820 bytes (+128 bytes, +1.20 %); "
        "any difference counts",
        "they say nothing about a model",
        "the board stopped answering in window 17",
        "3 boards requested",
        "Synthetic data",
        "estimated: estimated cycles of the virtual board's Cortex-M4F timing model: zero wait states",
        "2 metrics are not comparable",
    ):
        assert needed in top, needed
    assert "pqt on virtual" not in top  # accepted


def test_an_accepted_change_is_told_and_is_no_regression(page, source):
    (finding,) = page.having("accepted")
    assert (finding.cell.variant, finding.verdict.metric) == ("pqt", "flash_model_total")
    changes = squeezed(source[source.index('id="changes"') : source.index('id="matrix"')])
    assert "flash of the model◆ acceptedpqt" in changes and "accepted: four more bytes for the new wake-up" in changes
    assert finding not in page.having("worse")


def test_a_rerun_s_verdict_stands_in_place_of_the_first(page):
    found = [f for f in page.findings if f.cell.variant == "pruned" and f.verdict.metric == "latency_us_median" and f.cell.timing]
    assert [f.verdict.run_id for f in found if f.cell.board == "nano33ble"] == [stories.RERUN]


def test_the_matrix_tells_rig_faults_from_regressions(page):
    found = {(cell.variant, cell.board): worst(counts) for cell, counts in statuses(page).items()}
    assert found == {
        ("simple", "virtual"): "worse",
        ("pruned", "virtual"): "same",
        ("reshaped", "virtual"): "worse",
        ("pqt", "virtual"): "accepted",
        ("simple", "nano33ble"): "same",
        ("pruned", "nano33ble"): "worse",
        ("reshaped", "nano33ble"): "not comparable",
        ("pqt", "nano33ble"): "not measured",
    }


def test_where_the_latency_moved_the_operator_is_named(source):
    assert "Steps that differ: 1 CONV_2D model/conv_2d +2,833 cycles (+1.1 %)" in squeezed(source)
    assert f"Baseline, run {stories.BASELINE_RUN}" in squeezed(source)


def test_every_latency_says_how_it_was_told(source):
    latencies = source[source.index("Latency (median)</h3>") : source.index("Accuracy</h3>")]
    captions = re.findall(r"<figcaption>.*?</figcaption>", latencies)
    assert len(captions) == 8 and all("(estimated)" in c or "(measured)" in c for c in captions)


def test_trends_carry_bands_accepted_changes_and_alarms(page):
    (trend,) = [t for t in page.trends if (t.metric, *t.cell[:2]) == ("latency_us_median", "pruned", "nano33ble")]
    assert trend.values[-1].moved == "worse" and trend.values[-1].low < trend.values[-1].high < trend.values[-1].value
    assert len(trend.values) == 62  # one a night: the rerun is none of its own
    drawn = svg.draw(trend, (svg.seconds(trend.values[0].started), svg.seconds(stories.LATE)), "t")
    assert drawn.count('class="band"') == 1 and drawn.count('class="accepted"') == 2 and drawn.count('class="alarm worse"') == 1


def test_the_paper_s_tables_are_there(source):
    text = squeezed(source)
    assert "Table 1: accuracy, paper and measured" in text and "Table 2: latency, RAM, flash, paper and measured" in text


def test_since_leaves_out_what_is_older_but_never_tonight(url):
    with Store(url) as store:
        page = gather(store, "2024-02-20")
    assert page.tonight.night_id == "night-late" and len(page.nights) == 12
    assert all(v.started >= "2024-02-20" for t in page.trends for v in t.values)


# ---- headlines ----

CELL = Cell("v", "b", "i", "measured")


def finding(status, metric="ram_arena", **more):
    run = replace(stories.on(stories.SILICON, "pqt"))
    return Finding(CELL, stories.verdict("r", run, metric, status, 1, 2, **more), status)


def quiet(exit_code=0, findings=(), **more):
    night = Night("n", "2026-01-01", ("b",), "2026-01-01", exit_code, "", ("r",), (0,))
    measured = (history_line(),)
    return replace(NightsReport(True, (night,), night, tuple(findings), measured=measured), **more)


def history_line(*failed):
    return Measured("r", "v", "b", "i", "measured", "glove", False, False, failed)


@pytest.mark.parametrize(
    ("page", "tone", "title"),
    [
        (quiet(0, [finding("same")]), "good", "Good: nothing changed"),
        (quiet(0, [finding("better")]), "good", "Good: nothing got worse, 1 metric got better"),
        (quiet(0, [finding("accepted")]), "good", "Good: only accepted changes"),
        (quiet(1, [finding("worse")]), "bad", "Regression: 1 metric got worse"),
        (quiet(1, [finding("changed"), finding("same")]), "bad", "Change: 1 exact value changed"),
        (quiet(3, [finding("same")]), "rig", "Rig fault: the rig failed in part"),
        (quiet(3, measured=()), "rig", "Rig fault: the rig failed"),
        (quiet(0, [finding("not measured")]), "rig", "Rig fault: the rig failed in part"),
        (quiet(1, [finding("same")]), "bad", "Not good: exit code 1"),
        (
            quiet(1, [finding("same"), finding("not comparable", "macs")]),
            "bad",
            "Not good: exit code 1, and 1 metric could not be compared",
        ),
        (
            quiet(1, [finding("same")], measured=(history_line(("accuracy", "93 % < 95 %")),)),
            "bad",
            "Claim failed: 1 claim failed",
        ),
        (quiet(1, [finding("accepted")]), "good", "Good: only accepted changes"),
        (quiet(2, [finding("same")]), "bad", "Not good: the input or a model could not be used"),
        (quiet(0), "plain", "Measured, not judged: no verdicts are stored for this night"),
        (quiet(0, [finding("not comparable")]), "plain", "Not comparable: no metric has a baseline, so nothing was judged"),
        (NightsReport(False, (), None), "plain", "Nothing has been measured yet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_headlines(page, tone, title):
    assert (headline(page).tone, headline(page).title) == (tone, title)
    assert not ParsedPage(render(page)).faults


def test_a_night_that_was_cut_off_is_not_good():
    night = replace(quiet().tonight, finished=None, exit_code=None)
    assert headline(quiet(0, [finding("same")], tonight=night)).title.startswith("Not finished")


def test_a_rig_fault_hides_no_regression_and_is_none_itself():
    page = quiet(3, [finding("worse"), finding("not measured", reason="link lost")])
    assert headline(page).title == "Regression: 1 metric got worse and the rig failed in part"
    assert rig_faults(page) == ["v on b i: ram_arena was not measured: link lost"]


def test_a_model_that_can_not_be_used_is_no_rig_fault():
    fault = UnmeasuredVariant("r", ("i",), "", NotMeasured("odd", "no such op", "model"))
    page = quiet(2, [finding("same")], unmeasured=(fault,))
    assert headline(page).title == "Not good: the input or a model could not be used" and rig_faults(page) == []
    assert "Models and requests that could not be used✗ odd on b i: no such op" in squeezed(render(page))


def test_a_board_that_measured_nothing_is_named_as_it_was_asked_for(tmp_path):
    with Store(f"sqlite:///{tmp_path}/r.sqlite") as store:
        begin_night(store, "n1", "2026-01-01T00:00:00+00:00", ["desk"])
        store.begin_run("r1", "2026-01-01T00:00:00+00:00", {}, RunPlan("desk"))
        store.add_not_measured("r1", NotMeasured("pqt", "no answer", "link"))
        add_to_night(store, "n1", "r1")
        end_night(store, "n1", "2026-01-01T00:01:00+00:00", 3)
        assert "pqt on desk: no answer" in squeezed(nights_page(store))


def test_a_slow_drift_is_told_as_one():
    drift = finding("worse", "latency_us_median")
    drift = replace(drift, verdict=replace(drift.verdict, kind=VerdictKind.DRIFT))
    assert "rose slowly from 1.0 us to 2.0 us" in sentence(drift)


# ---- little in the database ----


def test_without_nights_each_run_counts_as_one(tmp_path):
    url = f"sqlite:///{tmp_path}/r.sqlite"
    with Store(url) as store:
        store.save(make_run("old-1", "2026-01-01T00:00:00+00:00"))
        store.save(make_run("new-2", "2026-01-02T00:00:00+00:00"))
        assert {len(t.values) for t in gather(store).trends} == {2}
        text = squeezed(nights_page(store))
    assert "Measured, not judged" in text and "holds no nights" in text and "each run counts as one" in text and "new-2" in text


def test_an_empty_database_says_so(tmp_path):
    with Store(f"sqlite:///{tmp_path}/r.sqlite") as store:
        source = nights_page(store)
    assert "Nothing has been measured yet" in squeezed(source) and not ParsedPage(source).faults


def test_a_night_without_any_run_is_a_rig_fault(tmp_path):
    with Store(f"sqlite:///{tmp_path}/r.sqlite") as store:
        begin_night(store, "n1", "2026-01-01T00:00:00+00:00", ["nano33ble"])
        end_night(store, "n1", "2026-01-01T00:01:00+00:00", 3, "no port")
        text = squeezed(nights_page(store))
    for needed in ("Rig fault: the rig failed", "no port", "1 board requested (nano33ble), 0 measured anything"):
        assert needed in text


def test_pruned_runs_have_no_tables_and_the_page_says_so(tmp_path):
    url = f"sqlite:///{tmp_path}/r.sqlite"
    with stories.history(url, Plan(3, 1, 2)):
        pass
    assert "The samples of 2 runs were pruned" in squeezed(page_of(url))


# ---- safe and self-contained ----


def hostile_store(url):
    """Every name that a user, a board or an error can bring in."""
    name, store = stories.HOSTILE, Store(url)
    run = stories.on(BoardInfo(name, name[:40], 64_000_000, "measured"), "pqt")
    image = replace(run.image, ops=tuple(OpInfo(o.index, name, name, o.macs) for o in run.image.ops))
    run = replace(run, variant=replace(run.variant, name=name, dataset=name), image=image)
    run_id = name[:60]
    begin_night(store, name[:64], stories.LATE, [name])
    store.save(Run(run_id, stories.LATE, (run,), {name: name}, (NotMeasured(name + "2", name, "link"),)))
    add_to_night(store, name[:64], run_id)
    found = {"outputs": "changed", "macs": "worse", "zip_bytes": "not comparable", name[:64]: "better"}
    save_verdicts(store, [stories.verdict(run_id, run, m, status, name, name, reason=name) for m, status in found.items()])
    accept(store, Accepted(run_id, name, stories.LATE, name, name, True))
    end_night(store, name[:64], stories.LATE, 1, name)
    return store


def test_hostile_names_stay_text(tmp_path):
    with hostile_store(f"sqlite:///{tmp_path}/r.sqlite") as store:
        source = nights_page(store)
    page = ParsedPage(source)
    assert not page.faults
    assert source.count("<script>") == 1 and "alert(1)" in page.text
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "\u202e" not in source


def test_the_page_is_whole_and_fetches_nothing(source):
    page = ParsedPage(source)
    assert not page.faults
    assert not re.search(r"https?://|@import|url\(", source)
    assert set(page.values("src")) == set() and all(link.startswith("#") for link in page.values("href"))
    assert "default-src 'none'" in source
    ids = page.values("id")
    assert len(ids) == len(set(ids)) and {link[1:] for link in page.values("href")} <= set(ids)


def test_it_can_be_read_without_seeing_it(source):
    page = ParsedPage(source)
    assert len(re.findall("<h1>", source)) == 1 and 'lang="en"' in source and "width=device-width" in source
    assert all('aria-label="' in tag for tag in re.findall(r"<svg[^>]*>", source))
    assert all('scope="' in tag for tag in re.findall(r"<th\b[^>]*>", source[: source.index('id="tables"')]))
    assert "prefers-color-scheme: dark" in source and page.values("role").count("img") >= 32


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_colours_have_enough_contrast_in_light_and_dark(source):
    for block in re.findall(r":root \{(.*?)\}", source, re.S):
        colours = {
            name: "#" + "".join(2 * c for c in code) if len(code) == 3 else f"#{code}"
            for name, code in re.findall(r"--(\w+): #([0-9a-f]{6}|[0-9a-f]{3});", block)
        }
        assert len(colours) == 18
        for name in ("text", "soft", "good", "bad", "rig", "line", "accepted"):
            assert all(contrast(colours[name], colours[ground]) >= 4.5 for ground in ("page", "card")), name
        assert all(contrast(colours[f"c{i}"], colours["page"]) >= 4.5 for i in range(8))  # names stand in them


def test_a_password_is_not_shown():
    from tinyrig.reports.nights.page import _without_password

    assert "geheim" not in _without_password("postgresql://rig:geheim@host/tinyrig")


# ---- thinning ----


@given(st.lists(st.tuples(st.floats(0, 320), st.floats(-1e3, 1e3)), min_size=1, max_size=400))
def test_thinning_keeps_every_extreme(points):
    points.sort(key=lambda point: point[0])
    kept = svg.thin(points)
    assert len(kept) <= 2 * 321 + 1
    for pick in (min, max):
        assert abs(pick(y for _, y in kept) - pick(y for _, y in points)) <= 0.051
    assert abs(kept[0][0] - points[0][0]) <= 1.1 and abs(kept[-1][0] - points[-1][0]) <= 0.051


def test_flat_lines_cost_two_points():
    assert svg.straight([(0, 1), (1, 1), (2, 1), (3, 2)]) == [(0, 1), (2, 1), (3, 2)]


def test_a_line_is_cut_where_nights_may_not_be_compared():
    values = tuple(NightValue(str(i), f"2026-01-0{i + 1}", str(i), "a" if i < 2 else "b", 1.0 + i) for i in range(4))
    drawn = svg.draw(Trend("accuracy", CELL, values, ""), (0, 2e9), "t")
    assert drawn.count('class="line"') == 2


def test_ten_times_the_nights_are_not_ten_times_the_page(tmp_path):
    sizes = []
    for nights in (40, 400):
        with stories.history(f"sqlite:///{tmp_path}/{nights}.sqlite", Plan(nights, 2, 2, accept_every=100)) as store:
            sizes.append(len(nights_page(store)))
    assert sizes[1] < 3 * sizes[0] < 500_000
    # 8 x 4 cells cost at most 8 times what these 2 x 2 cost, and no trend has more than two points for each of 320 columns.
    assert 8 * sizes[1] < 5_000_000


# ---- flame ----


def test_a_flame_shows_all_cycles():
    steps = [("CONV_2D", "a", 900.0), ("SOFTMAX", "b", 99.0), ("RESHAPE", "c", 0.0), ("MEAN", "d", 1.0), ("CONV_2D", "e", 0.0)]
    drawn = flame(steps)
    assert "CONV_2D 90.0 %" in drawn and "RESHAPE" not in drawn and not ParsedPage(drawn).faults
    assert flame([("X", "x", 0.0)]) == "<p>No cycles were counted.</p>"


def test_differences_need_the_same_steps():
    assert differences([("A", "a", 100.0)], [("A", "a", 110.0)]) == [("0 A a", 10.0, "+10.0 %")]
    assert differences([("A", "a", 1.0)], [("B", "a", 2.0)]) == []


def test_plain_text_is_one_visible_line():
    assert clipped("a\nb\u202ec\x00") == "a b c "


# ---- the command ----


def test_the_command_writes_the_page(url, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYRIG_FOLDERS_REPORTS", str(tmp_path / "out"))
    assert command.main(["--nights", "--store", url]) == 0
    assert (tmp_path / "out" / "nights.html").read_text().startswith("<!doctype html>")
    assert "nights.html" in capsys.readouterr().out
    assert command.main(["--nights", "--since", "2024-02-01", "--store", url, "-o", str(tmp_path / "b.html")]) == 0
    assert command.main(["--nights", "--since", "soon", "--store", url]) == 2


@pytest.mark.parametrize("words", ["--nights r1", "--nights --format md", "--since 90d", "--nights --summary"])
def test_what_does_not_go_together_is_refused(words, capsys):
    with pytest.raises(SystemExit) as error:
        command.main(words.split())
    assert error.value.code == 2 and "--nights" in capsys.readouterr().err


def test_a_missing_database_is_the_user_s_to_mend(tmp_path):
    assert command.main(["--nights", "--store", f"sqlite:///{tmp_path}/none.sqlite"]) == 2


def test_nights_stand_newest_first(page):
    assert len(page.nights) == 62  # 60 quiet ones, the one before, tonight
    assert page.nights[0] is page.tonight and page.tonight.night_id == "night-late"
    started = [night.started for night in page.nights]
    assert started == sorted(started, reverse=True)


def nights_of_estimates(count=12):
    """The last `count - 2` nights of estimates with a band, before them two without; every third night is 1 % slower."""
    store = Store("sqlite://")
    for i in range(count):
        run = stories.slower(make_variant_run("pqt", stories.WINDOWS), 1 + 0.01 * (i % 3 == 0))
        median = metric_values(run)["latency_cycles_median"]
        band = {"low": 0.9 * median, "high": 1.5 * median} if i > 1 else None
        run = replace(run, settings=replace(run.settings, band=band))
        store.save(Run(f"r{i:02}", f"2026-01-{i + 1:02}T01:00:00+00:00", (run,)))
    value = metric_values(run)["latency_us_median"]
    save_verdicts(store, [stories.verdict(f"r{count - 1:02}", run, "latency_us_median", "worse", 0.9 * value, value)])
    return store, value


def test_estimates_have_bars_to_the_ends_of_their_band_and_older_nights_none():
    store, value = nights_of_estimates()
    with store:
        report = gather(store)
        (trend,) = [t for t in report.trends if t.metric == "latency_us_median"]
        page = nights_page(store)
    assert [v.ends is None for v in trend.values] == [True] * 2 + [False] * 10
    assert trend.values[-1].ends == pytest.approx((0.9 * value, 1.5 * value))
    drawn = svg.draw(trend, (svg.seconds(trend.values[0].started), svg.seconds(trend.values[-1].started)), "x")
    assert re.search(r'class="ends" d="([^"]*)"', drawn)[1].count("M") == 10
    assert svg.scale(trend, (0, 1)).high == pytest.approx(1.01 * 1.5 * value, rel=1e-4), "a bar is not cut off"
    text = ParsedPage(page).text
    shown = f"{value:,.1f} ({0.9 * value:,.1f}-{1.5 * value:,.1f}) us"
    assert text.count(shown) >= 3, "in the verdict, in the table of changes and above the curve"


def test_bars_of_many_nights_are_thinned_to_the_widest():
    times = (f"2026-01-01T{i // 60:02}:{i % 60:02}:00+00:00" for i in range(600))
    many = tuple(NightValue(f"r{i}", t, f"n{i}", "c", 5.0, ends=(4.0, 6.0 + i % 2)) for i, t in enumerate(times))
    trend = Trend("latency_us_median", Cell("pqt", "virtual", "00", "estimated"), many, "")
    drawn = svg.draw(trend, (svg.seconds(many[0].started), svg.seconds(many[-1].started)), "x")
    bars = re.search(r'class="ends" d="([^"]*)"', drawn)[1]
    assert 30 < bars.count("M") < 60 and set(re.findall(r"V([\d.]+)", bars)) == {"6.0"}
