"""A history of nights whose last one has everything: a regression, a flash growth, an accuracy drop, an accepted change, a rig
fault. Nothing in it was measured.

    python -m tinyrig.reports.tests.night_stories FILE.sqlite
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from tinyrig.analysis.evaluation import metric_values
from tinyrig.core.records import Accepted, BoardInfo, Measurement, NotMeasured, Run, StoredVerdict, VerdictKind
from tinyrig.store.decisions import accept, add_to_night, begin_night, end_night, save_verdicts
from tinyrig.store.runs import Store
from tinyrig.tests.fake_nights import Plan, fill
from tinyrig.tests.fake_runs import make_variant_run

WINDOWS = 24
NAMES = ("simple", "pruned", "reshaped", "pqt")
SILICON = BoardInfo("nano33ble", f"{1:016x}", 64_000_000, "measured")
HOSTILE = "<script>alert(1)</script>\" onload='x' & \u202ename"
VIRTUAL_RUN, SILICON_RUN, RERUN = "20240301-010000-0000", "20240301-010000-0001", "20240301-010900-0002"
BEFORE, BASELINE_RUN = "2024-02-29T21:00:00+00:00", "20240229-210000-0001"
LATE = "2024-03-01T01:00:00+00:00"
_NIGHTS = 60
_SLOWER = 1.0102


def history(url: str, plan: Plan | None = None) -> Store:
    """An open store with quiet nights, some of their changes accepted."""
    store = Store(url)
    fill(store, plan or Plan(_NIGHTS, 4, 2, accept_every=20))
    return store


def on(board: BoardInfo, name: str, **changes: Any) -> Measurement:
    run = make_variant_run(name, WINDOWS)
    return replace(run, **({"board": board} if board != run.board else {}), **changes)


def verdict(
    run_id: str, run: Measurement, metric: str, status: str, old: Any = None, new: Any = None, **more: Any
) -> StoredVerdict:
    change = new - old if isinstance(old, int | float) and isinstance(new, int | float) else None
    percent = 100 * change / old if change is not None and old else None
    where = (run_id, run.variant.name, run.board.name, run.board.id)
    return StoredVerdict(*where, metric, VerdictKind.NIGHT, status, old, new, change, percent, **more)


def slower(run: Measurement, factor: float) -> Measurement:
    """All of it in the operator that costs most."""

    def steps(cycles: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(c + round((factor - 1) * sum(cycles)) if c == max(cycles) else c for c in cycles)

    samples = (replace(s, cycles=round(s.cycles * factor), op_cycles=steps(s.op_cycles)) for s in run.samples)
    return replace(run, samples=tuple(samples))


def bigger(run: Measurement, more: int) -> Measurement:
    footprint = replace(run.image.footprint, flash_engine=run.image.footprint.flash_engine + more)
    return replace(run, image=replace(run.image, footprint=footprint))


def less_right(run: Measurement, lost: int) -> Measurement:
    """The first `lost` windows answer as the one after them."""
    data = [s.outputs for s in run.samples if s.kind == "window"]
    samples = (replace(s, outputs=data[s.index + 1]) if s.kind == "window" and s.index < lost else s for s in run.samples)
    return replace(run, samples=tuple(samples))


def eventful(store: Store) -> None:
    """The last night: one run on each board, and a rerun on silicon. `pruned` and `reshaped` had got 2 % slower before."""
    _before(store)
    begin_night(store, "night-late", LATE, ["virtual", "nano33ble", "nano33ble@/dev/ttyACM7"])
    level = {"simple": 1.0, "pruned": 1.02, "reshaped": 1.02, "pqt": 1.0}
    virtual = [slower(on(make_variant_run().board, name), level[name]) for name in NAMES]
    virtual[0], virtual[2], virtual[3] = bigger(virtual[0], 128), less_right(virtual[2], 12), bigger(virtual[3], 4)
    silicon = [slower(on(SILICON, name), level[name]) for name in NAMES[:3]]
    silicon[1] = slower(silicon[1], _SLOWER)
    fault = NotMeasured("pqt", "the board stopped answering in window 17 (3 resets did not help)", "link")
    store.save(Run(VIRTUAL_RUN, LATE, tuple(virtual)))
    store.save(Run(SILICON_RUN, LATE, tuple(silicon), {}, (fault,)))
    store.save(Run(RERUN, LATE.replace("01:00", "01:09", 1), (silicon[1],)))
    for run_id, rerun in ((VIRTUAL_RUN, 0), (SILICON_RUN, 0), (RERUN, 1)):
        add_to_night(store, "night-late", run_id, rerun)
    save_verdicts(store, [*_virtual(virtual), *_silicon(silicon)])
    accept(store, Accepted(VIRTUAL_RUN, "pqt", LATE, "kim", "four more bytes for the new wake-up", True))
    end_night(store, "night-late", LATE, 1, "5 metrics worse; 1 variant not measured")


def _before(store: Store) -> None:
    """The last quiet run on silicon, with its samples and cycles by operator."""
    begin_night(store, "night-before", BEFORE, ["nano33ble"])
    store.save(Run(BASELINE_RUN, BEFORE, (slower(on(SILICON, "pruned"), 1.02),)))
    add_to_night(store, "night-before", BASELINE_RUN)
    accept(store, Accepted(BASELINE_RUN, None, BEFORE, "tinyrig", "nothing changed", False))
    end_night(store, "night-before", BEFORE, 0, "nothing changed")


def _virtual(runs: list[Measurement]) -> list[StoredVerdict]:
    same = [(run, metric) for run in runs for metric in ("ram_model_total", "latency_us_median")]
    found = [verdict(VIRTUAL_RUN, run, m, "same", metric_values(run)[m], metric_values(run)[m], threshold=0.0) for run, m in same]
    for i, more in ((0, 128), (3, 4)):
        new = metric_values(runs[i])["flash_model_total"]
        found.append(verdict(VIRTUAL_RUN, runs[i], "flash_model_total", "worse", new - more, new, threshold=0.0))
    found.append(verdict(VIRTUAL_RUN, runs[0], "outputs", "changed", "ab" * 32, "cd" * 32))
    lost = {"threshold": 0.458, "detectable": 0.458, "p_value": 6e-5, "reason": "12 windows lost, 0 won"}
    return [*found, verdict(VIRTUAL_RUN, runs[2], "accuracy", "worse", 1.0, metric_values(runs[2])["accuracy"], **lost)]


def _silicon(runs: list[Measurement]) -> list[StoredVerdict]:
    simple, pruned, reshaped = runs
    quiet = {"threshold": 9.4, "detectable": 16.0, "p_value": 0.4}
    found = [
        verdict(SILICON_RUN, simple, "latency_us_median", "same", 4254.2, metric_values(simple)["latency_us_median"], **quiet)
    ]
    for run_id in (SILICON_RUN, RERUN):
        for metric in ("latency_us_median", "latency_cycles_median", "latency_us_p95"):
            new = metric_values(pruned)[metric]
            noise = {"threshold": 0.0022 * new, "detectable": 0.0038 * new, "p_value": 1e-7, "details": {"runs": 2}}
            found.append(verdict(run_id, pruned, metric, "worse", new / _SLOWER, new, **noise))
    reason = "cc: 'arm-none-eabi-gcc 12.2.1' in the baseline, 'arm-none-eabi-gcc 13.2.1' tonight"
    apart = ("accuracy", "latency_us_median")
    return [*found, *(verdict(SILICON_RUN, reshaped, metric, "not comparable", reason=reason) for metric in apart)]


def main() -> None:
    with history(f"sqlite:///{sys.argv[1]}") as store:
        eventful(store)


if __name__ == "__main__":
    main()
