"""The claims that a run must meet, in one place for the command and for bench/.

A claim is `passed`, `failed` or `not measured`: a run that says nothing about the model is never shown as one that got worse.
"""

from __future__ import annotations

from collections.abc import Callable

from tinyrig.analysis.evaluation import Evaluation
from tinyrig.core.boards import known_boards
from tinyrig.core.config import Config
from tinyrig.core.errors import ClaimError
from tinyrig.core.records import Claim, ClaimStatus, Measurement

Finding = tuple[ClaimStatus, str]
"""(status, reason)."""


def parity_claim(run: Measurement, found: Evaluation, config: Config) -> Finding:
    """Outputs agree with the oracle: integers byte for byte, floats within tolerance and without a changed top-1. NaN and
    infinity fail it even where the oracle gives them too, or none was asked: the model is at fault."""
    if run.parity is None and found.not_finite:
        return ClaimStatus.FAILED, found.not_finite
    if run.parity is None:
        return ClaimStatus.NOT_MEASURED, "no oracle was requested"
    streamed = _streamed(run)
    if not run.parity.compared or run.parity.compared < streamed:
        return ClaimStatus.NOT_MEASURED, f"the oracle compared {run.parity.compared} of {streamed} windows"
    return (ClaimStatus.FAILED, found.withheld) if found.withheld else (ClaimStatus.PASSED, "")


def accuracy_claim(run: Measurement, found: Evaluation, config: Config) -> Finding:
    """Accuracy on the device is not below the host's by more than config.accuracy_drop.

    Claimed only over all windows: a part of them has another accuracy.
    """
    expected, whole, streamed = run.variant.host_accuracy, run.variant.details.get("host_windows"), _streamed(run)
    if expected is None:
        return ClaimStatus.NOT_MEASURED, "the host's accuracy is not known"
    if whole is not None and whole != streamed:
        return ClaimStatus.NOT_MEASURED, f"{streamed} of {whole} windows were streamed"
    if found.not_finite:
        return ClaimStatus.NOT_MEASURED, found.not_finite
    measured = found.values.get("accuracy")  # absent where there are fewer labels than windows
    if measured is None:
        return ClaimStatus.NOT_MEASURED, "the windows carry no labels, or not for each"
    if measured < expected - config.accuracy_drop:
        reason = f"accuracy {measured:.4f} on the board, {expected:.4f} on the host, allowed drop {config.accuracy_drop}"
        return ClaimStatus.FAILED, reason
    return ClaimStatus.PASSED, ""


def memory_claim(run: Measurement, found: Evaluation, config: Config) -> Finding:
    """Arena, static data, the stack as measured and the rig's own RAM fit the board together; so does the flash."""
    if run.image.footprint is None:
        return ClaimStatus.NOT_MEASURED, "the firmware was built elsewhere: what it needs is not known"
    board, footprint = known_boards(config.boards).get(run.board.name), run.image.footprint
    if board is None:
        return ClaimStatus.NOT_MEASURED, f"rig.toml no longer has a board {run.board.name}"
    marks = [s.stack_bytes for s in run.samples if s.stack_bytes is not None]
    if not marks:
        return ClaimStatus.NOT_MEASURED, "the stack was not measured"
    ram = footprint.ram_arena + footprint.ram_static + footprint.ram_rig + max(marks)
    if ram > board.ram_bytes:
        return ClaimStatus.FAILED, f"{ram} bytes of RAM, the board has {board.ram_bytes}"
    if footprint.flash_total > board.flash_bytes:
        return ClaimStatus.FAILED, f"{footprint.flash_total} bytes of flash, the board has {board.flash_bytes}"
    return ClaimStatus.PASSED, ""


CLAIMS: dict[str, Callable[[Measurement, Evaluation, Config], Finding]] = {
    "parity": parity_claim,
    "accuracy": accuracy_claim,
    "memory": memory_claim,
}


def judge(run: Measurement, found: Evaluation, config: Config) -> tuple[Claim, ...]:
    """Every claim about one measurement; `found` is what was computed of it."""
    return tuple(Claim(name, *claim(run, found, config)) for name, claim in CLAIMS.items())


def claim_error(run: Measurement, claim: Claim) -> ClaimError:
    """A failed claim as an error, named after its variant."""
    return ClaimError(f"{run.variant.name}: {claim.name}: {claim.reason}")


def _streamed(run: Measurement) -> int:
    return len({s.index for s in run.samples if s.kind == "window"})
