"""The procedure of a night, with plausible runs instead of a board: verdicts, reruns, acceptances, exit codes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinyrig.core.errors import DeviceError, LinkError, ModelError
from tinyrig.core.records import MEASURED, Accepted, BoardInfo, Claim, ClaimStatus, Run, VerdictKind
from tinyrig.nightly.judging import FIRST, NOTHING_MOVED
from tinyrig.nightly.procedure import Procedure
from tinyrig.nightly.results import BoardRun, NightResult
from tinyrig.nightly.summary import findings, night_to_json, summary
from tinyrig.store import decisions, history
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import INT8_OUT, make_variant_run, outputs_for

REAL = BoardInfo("nano33ble", "0123456789abcdef", 64_000_000, MEASURED)
WINDOWS = 48


@pytest.fixture
def store(tmp_path):
    with Store(f"sqlite:///{tmp_path}/nights.sqlite") as opened:
        yield opened


def made(name="pqt", factor=1.0, **changes):
    """A run whose cycles are multiplied by `factor`."""
    run = make_variant_run(name, WINDOWS, **changes)
    return replace(run, samples=tuple(replace(s, cycles=round(s.cycles * factor)) for s in run.samples))


class Nights:
    """Nights one after another. What a run finds, a Measurement or a RigError for each name, may depend on the rerun."""

    def __init__(self, store):
        self.store, self.nights, self.asked = store, 0, []

    def night(self, finds, boards=("virtual",)):
        self.nights += 1
        night_id = f"night-{self.nights:03d}"
        started = f"2026-{1 + self.nights // 28:02d}-{1 + self.nights % 28:02d}T01:00:00+00:00"
        decisions.begin_night(self.store, night_id, started, boards)
        self.asked = []

        def measure(board, names, rerun):
            self.asked.append((board, tuple(names), rerun))
            run_id = f"{night_id}-{board}-{len(self.asked)}"
            found = finds(board, rerun) if callable(finds) else finds
            runs = {n: found[n] for n in names if not isinstance(found[n], Exception)}
            self.store.save(Run(run_id, started, tuple(runs.values())))
            return BoardRun(run_id, runs, {n: found[n] for n in names if isinstance(found[n], Exception)})

        cells, runs = [], []
        for board in boards:
            procedure = Procedure(self.store, night_id, measure)
            found = finds(board, 0) if callable(finds) else finds
            cells += procedure.board(board, list(found))
            runs += procedure.runs
        return NightResult(night_id, started, tuple(cells), tuple(runs))


def accept(store, run_id, variant=None):
    decisions.accept(store, Accepted(run_id, variant, "2026-12-01T00:00:00+00:00", "me", "meant", True))


def moved(cell):
    return {(v.judgement.metric, v.judgement.status) for v in cell.verdicts if v.judgement.moved}


# ---- exact metrics, on the virtual board ----


def test_the_first_night_is_accepted_by_itself_and_so_is_one_in_which_nothing_moved(store):
    bench = Nights(store)
    first, second = bench.night({"pqt": made()}), bench.night({"pqt": made()})
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert [c.accepted for c in (*first.results, *second.results)] == [FIRST, NOTHING_MOVED]
    assert [(a.run_id, a.variant, a.wanted) for a in history.accepted(store)] == [
        ("night-001-virtual-1", "pqt", False),
        ("night-002-virtual-1", "pqt", False),
    ]
    assert all(v.judgement.status == "same" for v in second.results[0].verdicts)


def test_one_percent_of_estimated_cycles_is_worse_at_once_and_stays_so_until_it_is_accepted(store):
    bench = Nights(store)
    bench.night({"pqt": made()})
    for _ in range(2):
        slow = bench.night({"pqt": made(factor=1.01)})
        assert slow.exit_code == 1 and not slow.results[0].accepted and len(bench.asked) == 1
        assert ("latency_cycles_median", "worse") in moved(slow.results[0])
        assert findings(slow.results[0], "worse") == ["latency +1.0 %"]
    accept(store, slow.results[0].run_id)
    after = bench.night({"pqt": made(factor=1.01)})
    assert after.exit_code == 0 and after.results[0].accepted == NOTHING_MOVED
    assert bench.night({"pqt": made()}).exit_code == 0, "better is reported and does not end the night red"


def test_what_got_better_is_not_accepted_by_itself(store):
    bench = Nights(store)
    bench.night({"pqt": made()})
    fast = bench.night({"pqt": made(factor=0.9)})
    assert (fast.exit_code, fast.results[0].accepted) == (0, "") and "1 better (pqt latency -10.0 %)" in summary(fast)


def test_only_the_variant_that_moved_waits_for_a_person(store):
    bench = Nights(store)
    bench.night({"pqt": made(), "simple": made("simple")})
    cells = {c.variant: c for c in bench.night({"pqt": made(factor=1.01), "simple": made("simple")}).results}
    assert (cells["pqt"].accepted, cells["simple"].accepted) == ("", NOTHING_MOVED)


def test_flash_and_changed_outputs(store):
    bench, run = Nights(store), made()
    bench.night({"pqt": run})
    grown = replace(run.image, footprint=replace(run.image.footprint, flash_engine=run.image.footprint.flash_engine + 64))
    night = bench.night({"pqt": replace(run, image=grown)})
    assert night.exit_code == 1 and {("flash_engine", "worse"), ("flash_total", "changed")} <= moved(night.results[0])
    last = replace(run.samples[WINDOWS - 1], outputs=bytes(reversed(run.samples[WINDOWS - 1].outputs)))
    other = bench.night({"pqt": replace(run, samples=(*run.samples[: WINDOWS - 1], last, *run.samples[WINDOWS:]))})
    assert other.exit_code == 1 and ("outputs", "changed") in moved(other.results[0])


def test_less_flash_is_better_although_its_sum_has_no_direction(store):
    bench, run = Nights(store), made()
    bench.night({"pqt": run})
    less = replace(run.image, footprint=replace(run.image.footprint, flash_engine=run.image.footprint.flash_engine - 64))
    assert bench.night({"pqt": replace(run, image=less)}).exit_code == 0


def of_windows(name, right=40):
    """The usual run, of windows by this name, whose labels are the usual ones."""
    run = answering(right)
    return replace(run, settings=replace(run.settings, test_set=name))


def test_other_windows_with_the_same_labels_are_named_and_no_regression(store):
    bench = Nights(store)
    bench.night({"pqt": of_windows("aaaa")})
    other = bench.night({"pqt": of_windows("bbbb", right=20)})
    assert other.exit_code == 0 and not other.results[0].regressions
    judged = [v.judgement for v in other.results[0].verdicts]
    assert {j.status for j in judged} == {"not comparable"}
    assert all(j.reason == "test windows changed (hash of their values): 'aaaa' in the baseline, 'bbbb' tonight" for j in judged)
    accept(store, other.results[0].run_id)
    assert bench.night({"pqt": of_windows("bbbb", right=10)}).exit_code == 1, "now a loss is one again"


def test_a_history_from_before_the_windows_were_kept_goes_on(store):
    bench = Nights(store)
    bench.night({"pqt": of_windows(None)})
    upgraded = bench.night({"pqt": of_windows("aaaa")})
    assert upgraded.results[0].accepted == NOTHING_MOVED
    assert bench.night({"pqt": of_windows("aaaa", right=10)}).exit_code == 1
    assert bench.night({"pqt": of_windows("bbbb", right=10)}).exit_code == 0, "the last one had other windows"


def answering(right):
    """The usual run, with the label's class for the first `right` windows only."""
    run = made()
    outputs = outputs_for(np.arange(WINDOWS) % 8, right, INT8_OUT)
    windows = [replace(s, outputs=outputs[s.index]) if s.kind == "window" else s for s in run.samples]
    return replace(run, samples=tuple(windows))


@pytest.mark.parametrize(("right", "status"), [(WINDOWS, "same"), (WINDOWS - 5, "same"), (WINDOWS - 12, "worse")])
def test_accuracy_goes_by_the_windows_that_were_lost(store, right, status):
    bench = Nights(store)
    bench.night({"pqt": answering(WINDOWS)})
    night = bench.night({"pqt": answering(right)})
    (accuracy,) = (v.judgement for v in night.results[0].verdicts if v.judgement.metric == "accuracy")
    assert accuracy.status == status
    assert (("outputs", "changed") in moved(night.results[0])) is (right < WINDOWS)
    assert ("accuracy -25.0 points" in findings(night.results[0], "worse")) is (status == "worse")


# ---- noisy metrics, on a physical board ----


def usual_nights(bench, count=12):
    """Medians that scatter by 0.05 %."""
    rng = np.random.default_rng(1)
    for _ in range(count):
        bench.night({"pqt": made(factor=1 + 0.0005 * rng.standard_normal(), board=REAL)}, ("nano33ble",))


def test_a_rerun_confirms_before_any_alarm(store):
    bench = Nights(store)
    usual_nights(bench)
    slow = bench.night({"pqt": made(factor=1.01, board=REAL)}, ("nano33ble",))
    assert [rerun for _, _, rerun in bench.asked] == [0, 1], "one rerun for all metrics together"
    assert slow.exit_code == 1 and ("latency_cycles_median", "worse") in moved(slow.results[0])
    assert history.nights(store)[0].reruns == (0, 1)


def test_a_wild_run_is_taken_back_by_its_reruns_and_the_night_is_accepted(store):
    bench = Nights(store)
    usual_nights(bench)
    night = bench.night(lambda board, rerun: {"pqt": made(factor=1.0 if rerun else 1.03, board=REAL)}, ("nano33ble",))
    assert night.exit_code == 0 and night.results[0].accepted == NOTHING_MOVED and len(bench.asked) == 3


def test_before_the_noise_is_known_a_night_is_accepted_and_says_what_is_missing(store):
    bench = Nights(store)
    usual_nights(bench, 3)
    night = bench.night({"pqt": made(board=REAL)}, ("nano33ble",))
    reasons = {v.judgement.metric: v.judgement.reason for v in night.results[0].verdicts if v.kind == VerdictKind.NIGHT}
    assert "3 accepted runs, 10 are needed" in reasons["latency_cycles_median"] and night.results[0].accepted == NOTHING_MOVED


def test_a_rerun_that_the_rig_fails_is_not_measured_and_no_regression(store):
    bench = Nights(store)
    usual_nights(bench)
    gone = lambda board, rerun: {"pqt": LinkError("the port is gone") if rerun else made(factor=1.01, board=REAL)}  # noqa: E731
    night = bench.night(gone, ("nano33ble",))
    assert night.exit_code == 3 and not night.results[0].accepted and len(bench.asked) == 2
    statuses = {v.judgement.metric: v.judgement.status for v in night.results[0].verdicts if v.kind == VerdictKind.NIGHT}
    assert statuses["latency_cycles_median"] == "not measured" and statuses["flash_total"] == "same"


def test_a_slow_drift_is_found(store):
    bench, rng = Nights(store), np.random.default_rng(2)
    codes, kinds = [], set()
    for i in range(45):
        factor = (1 + 0.0003 * i) * (1 + 0.0002 * rng.standard_normal())
        night = bench.night({"pqt": made(factor=factor, board=REAL)}, ("nano33ble",))
        codes.append(night.exit_code)
        kinds |= {v.kind for v in night.results[0].regressions}
        if night.exit_code:
            break
    assert codes[-1] == 1 and VerdictKind.DRIFT in kinds
    assert "drift" in summary(night)


# ---- what the rig or the user did ----


def test_a_fault_of_the_rig_is_not_measured_and_leaves_the_baseline_alone(store):
    bench = Nights(store)
    bench.night({"pqt": made()})
    night = bench.night({"pqt": DeviceError("flash verification failed")})
    assert night.exit_code == 3
    assert "0 worse, 1 rig fault (pqt not measured: flash verification failed), exit 3" in summary(night)
    assert bench.night({"pqt": made()}).results[0].accepted == NOTHING_MOVED


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((None, None), 0),
        ((ModelError("too large"), None), 2),
        ((ModelError("too large"), LinkError("gone")), 3),
        ((LinkError("gone"), 1.01), 1),
        ((ModelError("too large"), 1.01), 1),
    ],
)
def test_the_exit_code_tells_a_regression_before_the_rig_before_the_user(store, found, code):
    bench = Nights(store)
    bench.night({"pqt": made(), "simple": made("simple")})
    one, two = found
    night = bench.night({"pqt": one or made(), "simple": two if isinstance(two, Exception) else made("simple", two or 1.0)})
    assert night.exit_code == code and summary(night).endswith(f"exit {code}")


def test_another_compiler_is_not_comparable_and_waits_for_a_person(store):
    bench, run = Nights(store), made()
    bench.night({"pqt": run})
    newer = replace(run, image=replace(run.image, toolchain=replace(run.image.toolchain, cc="arm-none-eabi-gcc 13.1")))
    night = bench.night({"pqt": newer})
    assert night.exit_code == 0 and night.results[0].not_comparable and not night.results[0].accepted
    assert "1 not comparable (pqt)" in summary(night)
    assert all("compiler" in v.judgement.reason for v in night.results[0].verdicts)
    accept(store, night.results[0].run_id)
    assert bench.night({"pqt": newer}).results[0].accepted == NOTHING_MOVED


def test_a_failed_claim_is_red_even_without_a_baseline(store):
    night = Nights(store).night({"pqt": made(claims=(Claim("parity", ClaimStatus.FAILED, "2 windows differ"),))})
    assert night.exit_code == 1 and not night.results[0].accepted and "claims failed (pqt parity)" in summary(night)


def test_boards_are_told_apart(store):
    bench = Nights(store)
    both = ("virtual", "nano33ble")
    finds = lambda board, rerun: {"pqt": made(board=REAL) if board == "nano33ble" else made()}  # noqa: E731
    bench.night(finds, both)
    night = bench.night(lambda b, r: {"pqt": made(board=REAL) if b == "nano33ble" else made(factor=1.01)}, both)
    assert "1 worse (pqt on virtual latency +1.0 %)" in summary(night)
    assert [(c.board, c.accepted) for c in night.results] == [("virtual", ""), ("nano33ble", NOTHING_MOVED)]


def test_json_has_every_verdict(store):
    bench = Nights(store)
    bench.night({"pqt": made()})
    document = night_to_json(bench.night({"pqt": made(factor=1.01)}), "2026-01-02T02:00:00+00:00")
    (result,) = document["results"]
    assert document["exit_code"] == 1 and document["runs"] == [{"board": "virtual", "run_id": result["run_id"], "rerun": 0}]
    assert "latency_cycles_median" in result["regressions"] and {v["kind"] for v in result["verdicts"]} == {"night"}
