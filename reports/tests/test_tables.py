from dataclasses import replace

import pytest

from tinyrig.analysis.outputs import accuracy
from tinyrig.core.plans import MeasurementSettings
from tinyrig.core.records import Run
from tinyrig.reports import markdown
from tinyrig.reports.run import paper_tables, report, tables
from tinyrig.reports.run.paper import PAPER, TEST_WINDOWS, paper_row
from tinyrig.reports.run.sections import sections
from tinyrig.tests.fake_runs import SHAPES, make_run, make_variant_run


def one_section(*runs):
    (section,) = sections([Run("r", "2026", tuple(runs))])
    return section


def cell(grid, row, column):
    return grid.frame.iloc[row][column]


def measured_on_silicon(run):
    return replace(run, board=replace(run.board, name="nano33ble", timing="measured"))


def test_the_papers_accuracies_are_its_counts():
    for row in PAPER.values():
        assert round(100 * row.correct / TEST_WINDOWS, 2) == pytest.approx(row.accuracy_percent, abs=0.005)


def test_paper_rows_belong_to_the_papers_dataset_only():
    run = make_variant_run("pqt")
    assert paper_row(run).tflite_bytes == 4448
    assert paper_row(replace(run, variant=replace(run.variant, dataset="watch"))) is None
    assert paper_row(replace(run, variant=replace(run.variant, name="mine"))) is None


def test_table1_puts_paper_measured_and_delta_side_by_side():
    grid = paper_tables.accuracy(one_section(*make_run().runs))
    assert list(grid.frame.columns)[1:6] == ["paper", "paper, 95 %", "measured", "measured, 95 %", "delta, points"]
    assert cell(grid, 0, "paper") == "97.08 %"
    assert cell(grid, 0, "measured") == f"{100 * SHAPES['simple'][0] / 240:.2f} %"
    assert cell(grid, 0, "delta, points") == f"{100 * 236 / 240 - 97.08:+.2f}"
    sizes = paper_tables.size(one_section(*make_run().runs))
    assert cell(sizes, 3, "file B, delta") == "+2.3 %"
    assert cell(sizes, 3, "FLOPs, paper") == cell(sizes, 3, "FLOPs, delta") == "-"
    assert cell(sizes, 0, "FLOPs, measured") == "193,648"


LINK = {
    "requests": 1241,
    "retries": 37,
    "timeouts": 1,
    "damaged": 3,
    "refused": 33,
    "reconnects": 2,
    "bytes_sent": 151707,
    "bytes_resent": 27362,
    "recoveries": 35,
    "recovery_median_s": 0.0213,
    "recovery_worst_s": 1.4076,
}


def with_link(name="pqt", **settings):
    return replace(make_variant_run(name), settings=MeasurementSettings.from_json({"link": LINK, **settings}))


def test_the_serial_line_has_one_row_a_variant():
    assert tables.serial_line(one_section(make_variant_run())) is None
    grid = tables.serial_line(one_section(with_link(), make_variant_run("simple")))
    assert (cell(grid, 0, "requests"), cell(grid, 0, "damaged"), cell(grid, 0, "ms, worst")) == ("1,241", "36", "1,408")
    assert cell(grid, 0, "injected") == "-" and set(grid.frame.iloc[1, 1:]) == {"-"}


def test_injected_faults_are_named_and_stand_apart_from_a_clean_run(tmp_path):
    faulty = with_link(injected_faults=["line-flip:1e-4"], injected={"rx-flip": 40, "tx-flip": 2})
    assert cell(tables.serial_line(one_section(faulty)), 0, "injected") == "42"
    assert len(sections([Run("r", "2026", (faulty, with_link()))])) == 2
    text = markdown.render(report.build(report.report_of([Run("r", "2026", (faulty,))]), None), tmp_path)
    assert "injected into the line on purpose: `line-flip:1e-4`" in text and "Serial line" in text and "{'requests'" not in text


def test_table2_labels_its_timing_and_uses_1024():
    section = one_section(*make_run().runs)
    grid = paper_tables.cost(section)
    assert cell(grid, 3, "ms, paper") == "9"
    assert cell(grid, 3, "ms, estimated") == "1.18"
    assert cell(grid, 3, "ms, delta") == "-86.9 %"
    assert cell(grid, 3, "RAM KB, measured") == f"{2472 / 1024:.2f}"
    measured = paper_tables.cost(one_section(measured_on_silicon(make_variant_run("pqt"))))
    assert "ms, measured" in measured.frame.columns and "ms, estimated" not in measured.frame.columns


def test_other_datasets_have_no_paper_column():
    run = make_variant_run("pqt")
    section = one_section(replace(run, variant=replace(run.variant, dataset="watch", synthetic=False)))
    for grid in (paper_tables.accuracy(section), paper_tables.size(section), paper_tables.cost(section)):
        assert not [c for c in grid.frame.columns if "paper" in c or "delta" in c]


def test_a_variant_the_paper_lacks_stands_beside_those_it_has():
    run = make_variant_run("pqt")
    section = one_section(run, replace(run, variant=replace(run.variant, name="mine")))
    assert cell(paper_tables.cost(section), 1, "ms, paper") == "-"
    assert cell(paper_tables.cost(section), 1, "ms, estimated") == "1.18"


def test_unverified_variants_show_no_timing_anywhere():
    run = make_variant_run("pqt", parity=None)
    section = one_section(run)
    assert cell(tables.summary(section), 0, "ms, estimated") == tables.NO_TIMING
    assert cell(paper_tables.cost(section), 0, "ms, estimated") == tables.NO_TIMING
    assert cell(paper_tables.cost(section), 0, "ms, delta") == "-"
    assert cell(tables.latency(section), 0, "cycles/MAC") == "-"
    assert tables.per_op(section.rows[0]) is None
    assert accuracy(run)[0] is not None and cell(tables.summary(section), 0, "top-1") == "95.83 %"


def test_noise_pairs_only_runs_on_the_same_windows():
    simple, pqt = make_variant_run("simple"), make_variant_run("pqt")
    grid = tables.noise(one_section(simple, pqt))
    assert (cell(grid, 0, "only first right"), cell(grid, 0, "only second right")) == ("6", "0")
    assert cell(grid, 0, "reading") == "differs"
    assert tables.noise(one_section(simple, make_variant_run("pqt", windows=100))) is None
    assert tables.noise(one_section(simple, replace(pqt, labels=None))) is None


def test_shares_of_the_profile_add_up():
    (row,) = one_section(make_variant_run("pqt")).rows
    lines = tables.profiled_ops(row)
    assert sum(line["share"] for line in lines) == pytest.approx(1)
    assert lines[0]["cycles_per_mac"] is None
    assert lines[1]["cycles_per_mac"] == pytest.approx(lines[1]["cycles"] / lines[1]["macs"])


def test_runs_that_differ_in_what_must_agree_never_share_a_section():
    run = make_variant_run("pqt")
    tool = run.image.toolchain
    others = [
        measured_on_silicon(run),
        replace(run, board=replace(run.board, clock_hz=1)),
        replace(run, image=replace(run.image, toolchain=replace(tool, cc="gcc 1"))),
        replace(run, image=replace(run.image, toolchain=replace(tool, flags="-Os"))),
        replace(run, variant=replace(run.variant, dataset="watch")),
        replace(run, settings=MeasurementSettings(random_windows=True)),
    ]
    assert len(sections([Run("r", "2026", (run, *others))])) == 1 + len(others)
    assert len(sections([make_run("a"), replace(make_run("b"), versions={"unicorn": "other"})])) == 2
    assert len(sections([make_run("a"), make_run("b")])) == 1


def test_labels_tell_rows_apart():
    run = make_variant_run("pqt")
    portable = replace(run, image=replace(run.image, engine="portable"))
    assert [r.label for r in one_section(run, portable, make_variant_run("simple")).rows] == [
        "pqt (tinyrig)",
        "pqt (portable)",
        "simple",
    ]
    (section,) = sections([make_run("a", names=("pqt",)), make_run("b", names=("pqt",))])
    assert [r.label for r in section.rows] == ["pqt (a)", "pqt (b)"]


def test_shorten_keeps_the_end():
    assert tables.shorten("abcdef", 6) == "abcdef"
    assert tables.shorten("abcdefgh", 6) == "...fgh"
