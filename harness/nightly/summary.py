"""What a night came to, in words and as JSON: one line for a notification, one text for each thing that moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinyrig.analysis.metric_table import METRICS
from tinyrig.analysis.run_json import claim_to_json
from tinyrig.analysis.verdicts import OUTPUTS
from tinyrig.core.errors import EXIT_RIG, EXIT_USER, kind_of
from tinyrig.core.records import MOVED, VerdictKind, VerdictStatus
from tinyrig.nightly.results import SUMS, NightResult, VariantResult, Verdict

_FAMILIES = {"cycles": "latency", "tflite": "file", "zip": "file", "flops": "work", "macs": "work"}


def family(metric: str) -> str:
    """Metrics that move together are named once: latency, flash, ram, accuracy, outputs, parity, file, work."""
    head = metric.split("_")[0]
    return _FAMILIES.get(head, head)


def finding(verdict: Verdict) -> str:
    """`latency +1.0 %`, `flash +256 bytes (+2.3 %)`, `outputs changed`."""
    j = verdict.judgement
    name = family(j.metric) + (" drift" if verdict.kind == VerdictKind.DRIFT else "")
    if j.metric == OUTPUTS or j.difference is None:
        return f"{name} changed"
    percent = "" if j.difference_percent is None else f"{j.difference_percent:+.1f} %"
    if j.metric == "accuracy":
        return f"{name} {100 * j.difference:+.1f} points"
    if name.startswith("latency") and percent:
        return f"{name} {percent}"
    unit = METRICS[j.metric].unit if j.metric in METRICS else ""
    return f"{name} {j.difference:+,.0f} {unit}" + (f" ({percent})" if percent else "")


def findings(result: VariantResult, status: VerdictStatus) -> list[str]:
    """One text for each family and kind that has this status, of its largest difference."""
    chosen: dict[tuple[str, str], Verdict] = {}
    for v in result.verdicts:
        j = v.judgement
        if j.moved and j.status == status and j.metric not in SUMS:
            key = (v.kind, family(j.metric))
            if key not in chosen or abs(j.difference or 0) > abs(chosen[key].judgement.difference or 0):
                chosen[key] = v
    return [finding(v) for v in chosen.values()]


def summary(result: NightResult, lacking: Sequence[str] = (), exit_code: int | None = None) -> str:
    """One line for a notification. `lacking`: what could not be written, with the exit code that this makes it."""
    several = len({r.board for r in result.results}) > 1
    found = [(f"{r.variant} on {r.board}" if several else r.variant, r) for r in result.results]
    groups: dict[str, list[str]] = {s: [f"{where} {text}" for where, r in found for text in findings(r, s)] for s in MOVED}
    groups["claims failed"] = [f"{where} {claim.name}" for where, r in found for claim in r.failed_claims]
    groups[VerdictStatus.NOT_COMPARABLE] = [where for where, r in found if r.not_comparable]
    groups["unusable"] = [where for where, r in found for e in r.errors if e.exit_code == EXIT_USER]
    faults = [(where, e.what) for where, r in found for e in r.errors if e.exit_code == EXIT_RIG]
    worse = VerdictStatus.WORSE
    parts = [_counted(groups[worse], worse), *(_counted(groups[s], s) for s in groups if s != worse and groups[s])]
    parts.append(_counted(_by_reason(faults), "rig fault" + "s" * (len(faults) != 1), len(faults)))
    code = result.exit_code if exit_code is None else exit_code
    return f"tinyrig nightly {result.started[:10]}: {', '.join([*parts, *lacking])}, exit {code}"


_MAX_TEXTS = 3


def _by_reason(faults: list[tuple[str, str]]) -> list[str]:
    """One text for each reason: a board that is gone leaves everything unmeasured."""
    reasons: dict[str, list[str]] = {}
    for who, why in faults:
        reasons.setdefault(why, []).append(who)
    names = {why: ", ".join(who[:_MAX_TEXTS]) + (" ..." if len(who) > _MAX_TEXTS else "") for why, who in reasons.items()}
    return [f"{names[why]} not measured: {why}" for why in reasons]


def _counted(texts: list[str], word: str, count: int | None = None) -> str:
    more = f"; {len(texts) - _MAX_TEXTS} more" if len(texts) > _MAX_TEXTS else ""
    listed = "; ".join(_line(text) for text in texts[:_MAX_TEXTS])
    return f"{len(texts) if count is None else count} {word}" + (f" ({listed}{more})" if texts else "")


def _line(text: str) -> str:
    return " ".join(text.split())[:160]


def night_to_json(result: NightResult, finished: str) -> dict[str, Any]:
    """Schema 1; keys may be added."""
    return {
        "schema": 1,
        "night_id": result.night_id,
        "started": result.started,
        "finished": finished,
        "exit_code": result.exit_code,
        "summary": summary(result),
        "runs": [{"board": board, "run_id": run_id, "rerun": rerun} for board, run_id, rerun in result.runs],
        "results": [_result_to_json(r) for r in result.results],
    }


def _result_to_json(result: VariantResult) -> dict[str, Any]:
    return {
        "board": result.board,
        "board_id": result.info.id if result.info else None,
        "variant": result.variant,
        "run_id": result.run_id,
        "accepted": result.accepted,
        "regressions": [v.judgement.metric for v in result.regressions],
        "claims": {c.name: {k: v for k, v in claim_to_json(c).items() if k != "name"} for c in result.claims},
        "not_measured": [{"error": str(e), "kind": kind_of(e)} for e in result.errors],
        "verdicts": [{**vars(v.judgement), "kind": v.kind, "gate": v.gate} for v in result.verdicts],
    }
