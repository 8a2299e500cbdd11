"""What runs found -> test cases: one for each claim, and an error for each model of which nothing is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinyrig.core.errors import RigError, UserError
from tinyrig.core.records import Claim, ClaimStatus
from tinyrig.junit.xml import Case, Outcome

_OUTCOMES = {ClaimStatus.PASSED: Outcome.PASSED, ClaimStatus.FAILED: Outcome.FAILED, ClaimStatus.NOT_MEASURED: Outcome.SKIPPED}
MEASURED = "measured"
"""The case of a model that could not be measured at all."""


def group(variant: str, board: str) -> str:
    """A case's class. Readers take the last dot for the end of a package, which a board's path or a file's name may hold."""
    return f"{board.replace('.', '_')}.{variant.replace('.', '_')}"


def claim_cases(where: str, claims: Sequence[Claim], unjudged: Iterable[str] = ()) -> list[Case]:
    """`unjudged`: names of budgets that somebody set and that could not be judged, an error rather than skipped."""
    lacking = set(unjudged)
    return [_claim_case(where, claim, claim.name in lacking) for claim in claims]


def _claim_case(where: str, claim: Claim, unjudged: bool) -> Case:
    if unjudged:
        return Case(where, claim.name, Outcome.ERROR, f"not judged: {claim.reason}", UserError.__name__)
    kind = "ClaimError" if claim.status == ClaimStatus.FAILED else ""
    return Case(where, claim.name, _OUTCOMES[claim.status], claim.reason, kind)


def error_case(where: str, error: RigError, name: str = MEASURED) -> Case:
    return Case(where, name, Outcome.ERROR, str(error), type(error).__name__)
