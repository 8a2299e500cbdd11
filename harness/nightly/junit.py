"""A night as JUnit's XML: each claim a test case, and one more for what moved against the baseline."""

from __future__ import annotations

from tinyrig.core.records import VerdictStatus
from tinyrig.junit.cases import claim_cases, error_case, group
from tinyrig.junit.xml import Case, Outcome, Suite, document
from tinyrig.nightly.results import NightResult, VariantResult
from tinyrig.nightly.summary import findings

NOTHING_WORSE = "nothing got worse"


def night_document(night: NightResult) -> str:
    cases = [case for result in night.results for case in _cases(result)]
    runs = tuple(("run_id", run_id) for _, run_id, _ in night.runs)
    return document([Suite("tinyrig nightly", tuple(cases), night.started, properties=(("night_id", night.night_id), *runs))])


def _cases(result: VariantResult) -> list[Case]:
    where = group(result.variant, result.board)
    cases = claim_cases(where, result.claims)
    if result.error is None:
        cases.append(_worse(where, result))
    names = (("measured", result.error), ("measured again", result.rerun_error), ("budgets", result.budget_error))
    return cases + [error_case(where, error, name) for name, error in names if error is not None]


def _worse(where: str, result: VariantResult) -> Case:
    """Skipped where tonight can't be compared, which nobody must take for passed."""
    if result.regressions:
        texts = [text for status in (VerdictStatus.WORSE, VerdictStatus.CHANGED) for text in findings(result, status)]
        return Case(where, NOTHING_WORSE, Outcome.FAILED, "; ".join(texts), "ClaimError")
    if result.not_comparable:
        reasons = [v.judgement.reason for v in result.verdicts if v.judgement.status == VerdictStatus.NOT_COMPARABLE]
        return Case(where, NOTHING_WORSE, Outcome.SKIPPED, f"not comparable: {reasons[0] if reasons else 'see the report'}")
    return Case(where, NOTHING_WORSE)
