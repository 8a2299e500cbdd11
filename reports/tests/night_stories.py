"""A history of nights whose last one has everything: a regression, a flash growth, an accuracy drop, an accepted change, a rig
fault. Nothing in it was measured.

    python -m reports.tests.night_stories FILE.sqlite
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from harness.ledger import accept, add_to_night, begin_night, end_night, save_verdicts
from harness.records import Accepted, BoardInfo, NotMeasured, Run, StoredVerdict, VariantRun
from harness.store import Store
from harness.tests.fake_nights import Plan, fill
from harness.tests.fake_runs import make_variant_run

WINDOWS = 24
NAMES = ("simple", "pruned", "reshaped", "pqt")
SILICON = BoardInfo("nano33ble", f"{1:016x}", 64_000_000, "measured")
HOSTILE = "<script>alert(1)</script>\" onload='x' & \u202ename"
LATE = "2024-03-01T01:00:00+00:00"
_NIGHTS = 60
_SLOWER = 1.0102


def history(url: str, plan: Plan | None = None) -> Store:
    """An open store with quiet nights, some of their changes accepted."""
    store = Store(url)
    fill(store, plan or Plan(_NIGHTS, 4, 2, accept_every=20))
    return store


def on(board: BoardInfo, name: str, **changes: Any) -> VariantRun:
    run = make_variant_run(name, WINDOWS)
    return replace(run, **({"board": board} if board != run.board else {}), **changes)


def verdict(run_id: str, run: VariantRun, metric: str, status: str, old: Any = None, new: Any = None, **more: Any) -> StoredVerdict:
    change = new - old if isinstance(old, int | float) and isinstance(new, int | float) else None
    percent = 100 * change / old if change is not None and old else None
    where = (run_id, run.variant.name, run.board.name, run.board.id)
    return StoredVerdict(*where, metric, "night", status, old, new, change, percent, **more)


def slower(run: VariantRun, factor: float) -> VariantRun:
    return replace(run, samples=tuple(replace(s, cycles=round(s.cycles * factor)) for s in run.samples))


def eventful(store: Store) -> None:
    """The last night: one run on each board, and a rerun on silicon."""
    begin_night(store, "night-late", LATE, ["virtual", "nano33ble", "nano33ble@/dev/ttyACM7"])
    virtual = [on(make_variant_run().board, name) for name in NAMES]
    silicon = [on(SILICON, name) for name in NAMES[:3]]
    silicon[1] = slower(silicon[1], _SLOWER)
    fault = NotMeasured("pqt", "the board stopped answering in window 17 (3 resets did not help)", "link")
    store.save(Run("20240301-010000-0000", LATE, tuple(virtual)))
    store.save(Run("20240301-010000-0001", LATE, tuple(silicon), {}, (fault,)))
    store.save(Run("20240301-010900-0002", LATE, (silicon[1],)))
    for run_id, rerun in (("20240301-010000-0000", 0), ("20240301-010000-0001", 0), ("20240301-010900-0002", 1)):
        add_to_night(store, "night-late", run_id, rerun)
    save_verdicts(store, [*_virtual(virtual), *_silicon(silicon)])
    why = "four more bytes for the new wake-up"
    accept(store, Accepted("20240301-010000-0000", "pqt", LATE, "kim", why, True))
    end_night(store, "night-late", LATE, 1, "3 metrics worse; 1 variant not measured")


def _virtual(runs: list[VariantRun]) -> list[StoredVerdict]:
    first = "20240301-010000-0000"
    found = [verdict(first, run, m, "same", 100, 100, threshold=0.0) for run in runs for m in ("macs", "tflite_bytes", "ram_arena")]
    found += [verdict(first, run, "latency_us_median", "same", 4254.1, 4254.1, threshold=0.0) for run in runs]
    found.append(verdict(first, runs[0], "flash_model_total", "worse", 10692, 10820, threshold=0.0))
    found.append(verdict(first, runs[0], "outputs", "changed", "ab" * 32, "cd" * 32))
    found.append(verdict(first, runs[2], "accuracy", "worse", 231 / 240, 216 / 240, threshold=0.046, detectable=0.046,
                         p_value=6e-5, reason="15 windows lost, 0 won"))
    return [*found, verdict(first, runs[3], "flash_model_total", "worse", 4976, 4980, threshold=0.0)]


def _silicon(runs: list[VariantRun]) -> list[StoredVerdict]:
    first = "20240301-010000-0001"
    simple, pruned, reshaped = runs
    found = [verdict(first, simple, "latency_us_median", "same", 4254.2, 4255.0, threshold=9.4, detectable=16.0, p_value=0.4)]
    details = {"runs": 2}
    new = 4254.8 * _SLOWER
    for run_id in (first, "20240301-010900-0002"):
        for metric, unit in (("latency_us_median", 1.0), ("latency_cycles_median", 64.0), ("latency_us_p95", 1.0)):
            found.append(verdict(run_id, pruned, metric, "worse", 4254.8 * unit, new * unit, threshold=9.4 * unit,
                                 detectable=16.0 * unit, p_value=1e-7, details=details))
    reason = "cc: 'arm-none-eabi-gcc 12.2.1' in the baseline, 'arm-none-eabi-gcc 13.2.1' tonight"
    return [*found, *(verdict(first, reshaped, m, "not comparable", reason=reason) for m in ("accuracy", "latency_us_median"))]


def main() -> None:
    with history(f"sqlite:///{sys.argv[1]}") as store:
        eventful(store)


if __name__ == "__main__":
    main()
