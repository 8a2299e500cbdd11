import re
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tinyrig.analysis.metrics import latency
from tinyrig.core.plans import MeasurementSettings
from tinyrig.core.records import Claim, NotMeasured, OpInfo, Run, Sample
from tinyrig.reports import __main__ as command
from tinyrig.reports import html, markdown
from tinyrig.reports.blocks import Bullets, Grid, Heading, Picture, Text, code
from tinyrig.reports.run import plots
from tinyrig.reports.run.report import band_notes, build, report_of
from tinyrig.reports.run.sections import sections
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import BOARD, SUBJECT, make_run, make_variant_run

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRIG_FOLDERS_REPORTS", str(tmp_path / "out"))
    return tmp_path / "out"


@pytest.fixture
def url(tmp_path):
    address = f"sqlite:///{tmp_path}/results.sqlite"
    with Store(address) as store:
        store.save(make_run("old-1", "2026-01-01", ("pqt",)))
        store.save(make_run("new-2", "2026-02-02", ("pqt",)))
    return address


def texts(run, folder=None):
    return markdown.render(build(report_of([run]), folder and folder / "plots"), folder or Path())


def test_an_estimates_band_stands_beside_its_median(tmp_path):
    run = make_run()
    one = run.runs[0]
    banded = replace(one, settings=replace(one.settings, band={"low": 64_000.0, "high": 128_000.0}))
    text = texts(replace(run, runs=(banded, *run.runs[1:])), tmp_path)
    assert "(1.000-2.000)" in text and "us, low" in text and "us, high" in text


def test_the_summary_says_once_what_estimates_with_a_band_were_checked_against():
    run = make_run()
    band = {"low": 64_000.0, "high": 128_000.0}
    banded = replace(run, runs=tuple(replace(r, settings=replace(r.settings, band=band)) for r in run.runs))
    (note,) = band_notes(report_of([banded]))
    assert note.startswith("Timing: estimated cycles of") and band_notes(report_of([run])) == ()


@pytest.mark.parametrize(("worst", "said"), [(64_000.0 * 1.06, True), (64_000.0 * 1.01, False)])
def test_a_layout_that_matters_is_told(worst, said):
    run = make_run()
    one = run.runs[0]
    median = latency(one)["cycles_median"]
    band = {"low": median, "high": 2 * median, "layout_best": median, "layout_worst": median * worst / 64_000.0}
    text = texts(replace(run, runs=(replace(one, settings=replace(one.settings, band=band)), *run.runs[1:])))
    assert ("other layouts of the same code in the flash differ by 6.0%" in text) is said


def test_the_report_says_what_has_to_be_said():
    text = texts(make_run())
    for needed in (
        "zero wait states",
        "flash wait states and cache are not modelled",
        "no silicon check",  # the estimate's limits
        "synthetic: generated, not recorded",
        "Edge Impulse's estimator",
        "not from a board in the loop",
        "Wilson's, 95 %",
        "Exact McNemar",
        "within noise",
        "input and output included",
        "an image linked with an empty engine",
        "TFLM's reference kernels",
        "arm-none-eabi-gcc 12.2.1",
        "-mfpu=fpv4-sp-d16",
        "numpy 2.4.0",
        "cycles/MAC",
        "Optimized TinyML Implementation for Resource-Constrained Microcontrollers",
    ):
        assert needed in text, needed


def test_pictures_exist_and_are_linked_relatively(tmp_path):
    links = re.findall(r"!\[[^]]*]\(([^)]+)\)", texts(make_run(), tmp_path))
    assert links == ["plots/accuracy-latency.png", "plots/memory.png", "plots/ops.png"]
    assert all((tmp_path / link).read_bytes().startswith(PNG) for link in links)


def test_plots_without_data_are_left_out(tmp_path):
    unverified = make_variant_run("pqt", parity=None)
    (section,) = sections([Run("r", "2026", (unverified,))])
    assert set(plots.draw(section, tmp_path)) == {"memory"}
    text = texts(Run("r", "2026", (unverified,)))
    assert "not verified: no timing" in text and "no oracle compared the outputs" in text


def test_odd_names_and_many_steps_still_draw(tmp_path):
    base = make_variant_run("pqt")
    ops = tuple(OpInfo(i, "CONV_2D", "a/b$x|`", 100) for i in range(40))
    samples = tuple(replace(s, op_cycles=tuple(range(40)) if s.kind == "profile" else ()) for s in base.samples)
    variant = replace(base.variant, name="_$\\frac$ <b>|`")
    odd = replace(base, variant=variant, image=replace(base.image, ops=ops), samples=samples)
    text = texts(Run("r", "2026", (odd,)), tmp_path)
    assert "<b>" not in re.sub(r"`[^`]*`", "", text)
    assert len(plots._most_costly([{"index": i, "op": "X", "cycles": i, "share": 0.1} for i in range(40)])) == plots.MAX_OPS


def test_points_stand_where_their_values_are():
    """Two of the four differ by 35 cycles of 272,000: they were once drawn 0.12 ms apart."""
    (section,) = sections([make_run()])
    figure = plots._accuracy_latency(section)
    drawn = [(bars[0].get_xdata()[0], bars[0].get_ydata()[0]) for bars in figure.axes[0].containers]
    rows = [row.values for row in section.rows]
    assert drawn == [(row["latency_us_median"] / 1000, 100 * row["accuracy"]) for row in rows]
    sizes = [bars[0].get_markersize() for bars in figure.axes[0].containers]
    assert sizes == sorted(set(sizes), reverse=True)  # so that one below another shows


def test_runs_that_differ_get_parts(tmp_path):
    silicon = make_run("b", names=("pqt",))
    silicon = replace(silicon, runs=tuple(replace(r, board=replace(r.board, timing="measured")) for r in silicon.runs))
    text = markdown.render(build(report_of([make_run("a", names=("pqt",)), silicon]), tmp_path / "p"), tmp_path)
    assert "2 parts: timing differ" in text
    assert "Part 1: virtual, estimated cycles, glove" in text and "Part 2: virtual, measured cycles, glove" in text
    assert (tmp_path / "p/2-memory.png").exists()


def test_other_data_have_no_paper_column_and_it_says_so():
    run = make_variant_run("pqt")
    watch = replace(run, variant=replace(run.variant, dataset="watch", synthetic=False))
    text = texts(Run("r", "2026", (watch,)))
    assert "Dataset `watch` is not the paper's, so there is no paper column." in text and "`watch`, recorded" in text
    variant = replace(run.variant, dataset=None, synthetic=False)
    own = replace(run, variant=variant, labels=None, settings=MeasurementSettings(random_windows=True))
    text = texts(Run("r", "2026", (own,)))
    assert "have no labels" in text and "seeded random windows" in text and "These models are not the paper's" in text


def test_what_the_manifest_knows_is_told():
    run = make_variant_run("pqt")
    details = {
        "host_interpreter": "LiteRT BUILTIN_REF",
        "packages": {"tensorflow": "2.21.0"},
        "seed": 7,
        "weights": {"total": 920, "nonzero": 913},
        "training": {"epochs": 50, "start": "literal"},
        "dataset": {"source": "made up", "split": "stratified 80%/20%", "n_train": 960, "n_test": 240},
    }
    text = texts(Run("r", "2026", (replace(run, variant=replace(run.variant, details=details)), make_variant_run("simple"))))
    for needed in (
        "LiteRT BUILTIN\\_REF",
        "tensorflow 2.21.0",
        "made up; split stratified 80%/20%; 960 windows to train",
        "240 to test",
        "Seed of the variants: 7",
        "literal",
    ):
        assert needed in text, needed
    assert "learning rate" not in text  # a column that nobody fills is left out


def test_a_run_without_finished_variants():
    assert "nothing to report" in texts(Run("r", "2026", ()))


def test_both_renderers_escape_user_text(tmp_path):
    import pandas as pd

    (tmp_path / "a b.png").write_bytes(PNG)
    blocks = [
        Heading(2, "a_b <i>"),
        Text("x | *y* `<z>|`"),
        Bullets(("[l](u)",)),
        Grid(pd.DataFrame({"h|": [code("a|`b")]})),
        Picture(tmp_path / "a b.png", "alt"),
    ]
    text = markdown.render(blocks, tmp_path)
    assert text == (
        "## a\\_b \\<i>\n\nx | \\*y\\* `<z>|`\n\n- \\[l\\](u)\n\n| h\\|     |\n|:--------|\n| `a\\|'b` |\n\n![alt](<a b.png>)\n"
    )
    page = html.body(blocks)
    assert "<h2>a_b &lt;i&gt;</h2>" in page and "<code>&lt;z&gt;|</code>" in page and "<code>a|&#39;b</code>" in page


def test_command_writes_the_latest_run_and_latest_md(url, out, capsys):
    assert command.main(["--store", url, "--summary"]) == 0
    assert (out / "new-2.md").read_text() == (out / "latest.md").read_text()
    assert (out / "new-2/memory.png").exists()
    printed = capsys.readouterr().out
    assert "pqt" in printed and "1.180" in printed and "`" not in printed and "new-2.md" in printed


def test_both_kinds_stand_beside_each_other(url, out, tmp_path):
    """As `tinyrig run` has them written."""
    assert command.main(["--store", url, "--format", "both"]) == 0
    assert {p.name for p in out.iterdir()} == {"new-2", "new-2.md", "new-2.html", "latest.md", "latest.html"}
    assert (out / "latest.html").read_text() == (out / "new-2.html").read_text()
    assert command.main(["--store", url, "--format", "both", "-o", str(tmp_path / "x.md")]) == 0
    assert (tmp_path / "x.md").exists() and (tmp_path / "x.html").read_text().startswith("<!doctype html>")


def test_an_older_run_does_not_become_latest(url, out):
    assert command.main(["old", "--store", url]) == 0
    assert (out / "old-1.md").exists() and not (out / "latest.md").exists()


def test_command_writes_html_where_it_is_told(url, tmp_path, out):
    target = tmp_path / "deep/x.html"
    assert command.main(["new", "old", "--store", url, "-o", str(target)]) == 0
    assert target.read_text().startswith("<!doctype html>")
    assert [p.name for p in target.parent.iterdir()] == ["x.html"] and not out.exists()
    assert command.main(["--store", url, "-o", str(tmp_path / "deep")]) == 0
    assert (tmp_path / "deep/new-2.md").exists()
    assert command.main(["--store", url, "-o", str(tmp_path / "deep/plain")]) == 0
    assert (tmp_path / "deep/plain-plots/ops.png").exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nosuch", "--store", "{url}"], 2, "no run 'nosuch'"),
        (["--store", "sqlite:///{tmp}/none.sqlite"], 2, "no results database"),
        (["--store", "sqlite:///{tmp}/bad.sqlite"], 3, "damaged"),
        (["--store", "{url}", "-o", "{tmp}/results.sqlite/x.md"], 3, "can't write"),
    ],
)
def test_command_failures(url, tmp_path, capsys, arguments, status, message):
    (tmp_path / "bad.sqlite").write_bytes(b"no database" * 500)
    filled = [a.format(url=url, tmp=tmp_path) for a in arguments]
    assert command.main(filled) == status
    error = capsys.readouterr().err
    assert message in error and "remedy" in error


def test_report_only_reads(url, tmp_path, out):
    before = sqlite3.connect(tmp_path / "results.sqlite").execute("SELECT count(*) FROM samples").fetchone()
    command.main(["--store", url])
    assert sqlite3.connect(tmp_path / "results.sqlite").execute("SELECT count(*) FROM samples").fetchone() == before


def test_help_loads_nothing_heavy():
    probe = (
        "import sys\nfrom tinyrig.reports.__main__ import parse\nparse([])\n"
        "heavy = {'pandas', 'matplotlib', 'scipy', 'sqlalchemy', 'tensorflow', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(sorted(heavy)) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_split_by_group_says_what_its_intervals_do_not_cover():
    run = make_variant_run("simple")
    split = "split by group, 2 of 10 groups in the test part (6, 8), seed 0"
    grouped = replace(run, variant=replace(run.variant, details={"dataset": {"split": split}}))
    assert "windows, not groups" in texts(Run("r", "2026", (grouped,)))
    assert "windows, not groups" not in texts(Run("r", "2026", (run,)))


def test_what_can_hardly_be_meant_of_the_data_stands_above_the_figures():
    run = make_variant_run("simple")
    said = "channel 't' is named like a clock"
    for cautions, there in (([said], True), ([3, None], False), ("no list", False)):
        warned = replace(run, variant=replace(run.variant, details={"dataset": {"cautions": cautions}}))
        assert (f"Warning: data: {said}" in texts(Run("r", "2026", (warned,)))) is there


def test_claims_stand_in_three_words_with_their_reasons():
    claims = (Claim("parity", "passed"), Claim("accuracy", "not measured", "no labels"), Claim("memory", "failed", "big"))
    text = texts(Run("r", "2026", (make_variant_run("pqt", claims=claims),)))
    assert re.search(r"\| `pqt` +\| passed +\| not measured +\| failed +\|", text)
    assert "`pqt`, accuracy not measured: no labels" in text and "`pqt`, memory failed: big" in text
    assert "## Claims" not in texts(make_run())  # from before claims were kept


@pytest.mark.parametrize("names", [("pqt",), ()])
def test_what_was_not_measured_is_told_as_no_fault_of_the_model(names):
    lost = NotMeasured("simple|<b>", "the board is gone\n  remedy: look for it", "link")
    text = texts(replace(make_run(names=names), not_measured=(lost,)))
    assert "says nothing about these models" in text
    assert "`simple|<b>` (a fault of the link): the board is gone; remedy: look for it" in text


def test_a_run_that_is_not_complete_says_so(url, out, capfd):
    with Store(url) as store:
        store.set_state("new-2", "interrupted")
        store.begin_measurement("new-2", "simple", SUBJECT, BOARD).add(Sample("window", 0, b"x", 1))
    assert command.main(["new-2", "--store", url, "--summary"]) == 0
    words = "Run new-2 is not complete: it is interrupted; 1 sample of an unfinished variant is kept. "
    words += "`tinyrig run --resume new-2` continues it."
    assert words in capfd.readouterr().out and words in (out / "new-2.md").read_text()
    assert command.main(["old-1", "--store", url]) == 0
    assert "not complete" not in (out / "old-1.md").read_text()


def test_steps_that_do_not_pay_are_told_so_beside_the_parents_figures():
    details = {"notes": ["its zeros are stored", 7], "parent": "simple", "compressed_bytes": 900, "weight_bytes": 7328}
    run = make_variant_run("pruned")
    pruned = replace(run, variant=replace(run.variant, details=details))
    text = texts(Run("r", "2026", (make_variant_run("simple"), pruned)))
    line = next(line for line in text.splitlines() if line.startswith("- `pruned`: its zeros are stored; 7; weights 7,328 B"))
    assert "coded 900 B; measured here:" in line and "its parent `simple`:" in line and line.count(" B flash") == 2
    assert "nothing on the board reads this code" in text
    assert "What the steps change" not in texts(Run("r", "2026", (make_variant_run("simple"),)))
    odd = replace(run, variant=replace(run.variant, details={"notes": "text", "compressed_bytes": "x"}))
    assert "What the steps change" not in texts(Run("r", "2026", (odd,)))
