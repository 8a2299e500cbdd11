"""The claims that a run must meet, in one place for the command, the API, nights and pytest.

A claim is `passed`, `failed` or `not measured`: a run that says nothing about the model is never shown as one that got worse.
Budgets are claims too, of those models that have any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tinyrig.analysis.evaluation import Evaluation
from tinyrig.budget.quantity import show_bytes, show_share, show_us
from tinyrig.core.boards import known_boards
from tinyrig.core.config import Config
from tinyrig.core.errors import ClaimError, UserError
from tinyrig.core.records import Claim, ClaimStatus, Measurement
from tinyrig.core.text import oracle_label


@dataclass(frozen=True)
class Finding:
    """A claim without its name: the fields of Claim."""

    status: ClaimStatus
    reason: str = ""
    limit: float | None = None
    value: float | None = None
    unit: str = ""
    against: str = ""


ROUNDING = 1e-9
"""0.9 - 0.8 is not 0.1: a limit that is just kept must not fail by the last bit."""


def _not_measured(reason: str) -> Finding:
    return Finding(ClaimStatus.NOT_MEASURED, reason)


def parity_claim(run: Measurement, found: Evaluation, config: Config) -> Finding:
    """Outputs agree with the oracle: integers byte for byte, floats within tolerance and without a changed top-1. NaN and
    infinity fail it even where the oracle gives them too, or none was asked: the model is at fault."""
    if run.parity is None and found.not_finite:
        return Finding(ClaimStatus.FAILED, found.not_finite)
    if run.parity is None:
        return _not_measured("no oracle was requested")
    streamed = _streamed(run)
    if not run.parity.compared or run.parity.compared < streamed:
        return _not_measured(f"the oracle compared {run.parity.compared} of {streamed} windows")
    status = ClaimStatus.FAILED if found.withheld else ClaimStatus.PASSED
    wrong = float(run.parity.mismatched_windows)
    return Finding(status, found.withheld or "", 0.0, wrong, "windows", f"the oracle {oracle_label(run.parity.oracle)}")


# ---- accuracy ----


@dataclass(frozen=True)
class _Reference:
    """Whose accuracy (0 to 1) the board's must reach, or `reason`: why nobody's is known."""

    who: str = ""
    accuracy: float = 0.0
    reason: str = ""


def _reference(run: Measurement) -> _Reference:
    """The host's, which a built variant brings with it, over all windows: a part of them has another accuracy. For a model from
    elsewhere the oracle's, on the very windows that were streamed."""
    expected, whole, streamed = run.variant.host_accuracy, run.variant.details.get("host_windows"), _streamed(run)
    if expected is not None and whole is not None and whole != streamed:
        return _Reference(reason=f"{streamed} of {whole} windows were streamed")
    if expected is not None:
        return _Reference("the host", expected)
    parity = run.parity
    if parity is None or parity.oracle_correct is None or not parity.compared or parity.compared < streamed:
        return _Reference(reason="neither the host's accuracy nor the oracle's on these windows is known")
    return _Reference(f"the oracle {oracle_label(parity.oracle)}", parity.oracle_correct / parity.compared)


def accuracy_claim(run: Measurement, found: Evaluation, config: Config) -> Finding:
    """Accuracy on the board is not below the reference's by more than the model's budget, else config.accuracy_drop, allows."""
    if found.not_finite:
        return _not_measured(found.not_finite)
    measured = found.values.get("accuracy")  # absent where there are fewer labels than windows
    if measured is None:
        return _not_measured(found.accuracy_reason or "the windows carry no labels, or not for each")
    reference = _reference(run)
    if reference.reason:
        return _not_measured(reference.reason)
    own = run.variant.budgets.max_accuracy_drop
    drop = config.accuracy_drop if own is None else own
    limit = max(0.0, reference.accuracy - drop)
    numbers = (limit, measured, "fraction", reference.who)
    if measured >= limit - ROUNDING:
        return Finding(ClaimStatus.PASSED, "", *numbers)
    reason = f"accuracy {measured:.4f} on the board, {reference.accuracy:.4f} of {reference.who}, allowed drop {drop:g}: "
    return Finding(ClaimStatus.FAILED, reason + f"{limit - measured:.4f} too low", *numbers)


# ---- memory ----


def memory_claim(run: Measurement, found: Evaluation, config: Config) -> Finding:
    """Arena, static data, the stack as measured and the rig's own RAM fit the board together; so does the flash. The numbers are
    those of RAM, or of flash where it is that which does not fit."""
    if run.image.footprint is None:
        return _not_measured("the firmware was built elsewhere: what it needs is not known")
    board, footprint = known_boards(config.boards).get(run.board.name), run.image.footprint
    marks = [s.stack_bytes for s in run.samples if s.stack_bytes is not None]
    if not marks:
        return _not_measured(_no_stack(run))
    if board is None:
        return _not_measured(f"rig.toml no longer has a board {run.board.name}")
    ram = footprint.ram_arena + footprint.ram_static + footprint.ram_rig + max(marks)
    numbers = (float(board.ram_bytes), float(ram), "bytes")
    if ram > board.ram_bytes:
        return Finding(ClaimStatus.FAILED, f"{ram} bytes of RAM, the board has {board.ram_bytes}", *numbers)
    if footprint.flash_total > board.flash_bytes:
        reason = f"{footprint.flash_total} bytes of flash, the board has {board.flash_bytes}"
        return Finding(ClaimStatus.FAILED, reason, float(board.flash_bytes), float(footprint.flash_total), "bytes")
    return Finding(ClaimStatus.PASSED, "", *numbers)


def _no_stack(run: Measurement) -> str:
    asked = any(s.kind == "stack" for s in run.samples)
    return "the stack was not measured" + (": the board's firmware knows no bounds of it" if asked else "")


# ---- budgets ----


@dataclass(frozen=True)
class _Gauge:
    """How a budget is compared: with which metric, `sign` 1 for at most and -1 for at least, in words."""

    metric: str
    what: str
    unit: str
    show: Callable[[float], str]
    sign: int = 1


GAUGES = {
    "min_accuracy": _Gauge("accuracy", "accuracy", "fraction", show_share, -1),
    "max_latency": _Gauge("latency_us_median", "latency", "us", show_us),
    "max_ram": _Gauge("ram_model_total", "RAM", "bytes", show_bytes),
    "max_flash": _Gauge("flash_model_total", "flash", "bytes", show_bytes),
}
"""By the budget's name. `max_accuracy_drop` is not among them: it is the limit of the claim `accuracy`."""


def budget_claim(name: str, limit: float, found: Evaluation) -> Finding:
    """Outputs that are not verified keep no budget: what they cost says nothing."""
    gauge, unit = GAUGES[name], GAUGES[name].unit
    if found.withheld or found.not_finite:
        return Finding(ClaimStatus.NOT_MEASURED, found.withheld or found.not_finite or "", limit, None, unit)
    value = found.values.get(gauge.metric)
    if value is None:
        return Finding(ClaimStatus.NOT_MEASURED, f"no {gauge.what} was measured", limit, None, unit)
    value, beyond = float(value), gauge.sign * (float(value) - limit)
    if beyond <= ROUNDING * max(1.0, limit):
        return Finding(ClaimStatus.PASSED, "", limit, value, unit)
    percent = f" ({100 * beyond / limit:.1f} %)" if limit and unit != "fraction" else ""
    much, word = ("too low", "at least") if gauge.sign < 0 else ("too much", "at most")
    reason = f"{gauge.what} {gauge.show(value)}, budget {word} {gauge.show(limit)}: {gauge.show(beyond)}{percent} {much}"
    return Finding(ClaimStatus.FAILED, reason, limit, value, unit)


CLAIMS: dict[str, Callable[[Measurement, Evaluation, Config], Finding]] = {
    "parity": parity_claim,
    "accuracy": accuracy_claim,
    "memory": memory_claim,
}


def judge(run: Measurement, found: Evaluation, config: Config) -> tuple[Claim, ...]:
    """Every claim about one measurement, its budgets last; `found` is what was computed of it."""
    findings = {name: claim(run, found, config) for name, claim in CLAIMS.items()}
    budgets = run.variant.budgets.to_json()
    findings |= {name: budget_claim(name, float(limit), found) for name, limit in budgets.items() if name in GAUGES}
    return tuple(Claim(name, **vars(finding)) for name, finding in findings.items())


def unjudged(run: Measurement, claims: Sequence[Claim]) -> list[Claim]:
    """Budgets that somebody set and that could not be judged: nothing passes unseen."""
    return [c for c in claims if c.name in run.variant.budgets.claims and c.status == ClaimStatus.NOT_MEASURED]


def claim_error(run: Measurement, claim: Claim) -> ClaimError:
    """A failed claim as an error, named after its variant."""
    return ClaimError(f"{run.variant.name}: {claim.name}: {claim.reason}")


def budget_error(run: Measurement, claims: Sequence[Claim]) -> UserError | None:
    """Why budgets could not be judged; None where all were, or where a failed claim says more."""
    left = unjudged(run, claims)
    if not left or any(c.status == ClaimStatus.FAILED for c in claims):
        return None
    return UserError(
        f"{run.variant.name}: budgets that could not be judged",
        expected="verified outputs, and labels for budgets of accuracy",
        received="; ".join(f"{c.name}: {c.reason}" for c in left),
        remedy="give the run what is missing, or leave those budgets out",
    )


def _streamed(run: Measurement) -> int:
    return len({s.index for s in run.samples if s.kind == "window"})
