"""A stored run, or why there is none, as JUnit's XML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tinyrig.core.errors import HostError, RigError, UserError
from tinyrig.core.records import Claim, ClaimStatus, Measurement, Run
from tinyrig.junit.cases import MEASURED, claim_cases, error_case, group
from tinyrig.junit.xml import Case, Outcome, Suite, document


def run_document(run: Run, board: str, errors: Sequence[RigError] = ()) -> str:
    """`board` as it was asked for; `errors`: of the rig itself, beside what could not be measured."""
    cases = [case for m in run.runs for case in claim_cases(group(m.variant.name, board), m.claims, _unjudged(m, m.claims))]
    cases += [Case(group(n.variant, board), MEASURED, Outcome.ERROR, n.error, n.kind) for n in run.not_measured]
    cases += [error_case("tinyrig", error, "run") for error in errors]
    return document([Suite("tinyrig run", tuple(cases), run.started, properties=(("run_id", run.run_id),))])


def _unjudged(run: Measurement, claims: Sequence[Claim]) -> list[str]:
    """Budgets that could not be judged, where no failed claim says more."""
    failed = any(claim.status == ClaimStatus.FAILED for claim in claims)
    return (
        []
        if failed
        else [c.name for c in claims if c.name in run.variant.budgets.claims and c.status == ClaimStatus.NOT_MEASURED]
    )


@contextmanager
def told_in(path: Path | None, what: str) -> Iterator[None]:
    """Within, a RigError is also written to `path`, so that a CI sees an error and no missing file."""
    try:
        yield
    except RigError as error:
        if path is not None:
            save(path, document([Suite(f"tinyrig {what}", (error_case("tinyrig", error, what),))]))
        raise


def save(path: Path, text: str) -> None:
    """Raises HostError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise HostError(
            f"--junit can't be written to {path}", received=str(error), remedy="name another file; the results are stored"
        ) from error


def check_path(path: Path | None) -> None:
    """Before any work is done for it. Raises UserError."""
    if path and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise UserError(
            f"--junit can't be written to {path}",
            expected="a file in a folder that exists",
            received=str(path),
            remedy="name another file",
        )
