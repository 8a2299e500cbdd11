"""The claims that a run must meet, in one place for the command and for bench/. Each returns None or why it failed."""

from __future__ import annotations

from harness.boards import BOARDS
from harness.config import Config
from harness.metrics import accuracy, withheld
from harness.records import VariantRun


def parity_claim(run: VariantRun, config: Config) -> str | None:
    """Outputs agree with the oracle: integers byte for byte, floats within tolerance and without a changed top-1."""
    if run.parity is None:
        return None  # the user asked for no oracle: nothing is claimed, and no timing is given
    return withheld(run)


def accuracy_claim(run: VariantRun, config: Config) -> str | None:
    """Accuracy on the device is not below the host's by more than config.accuracy_drop.

    Claimed only over all windows: a part of them has another accuracy.
    """
    measured, _ = accuracy(run)
    expected = run.variant.host_accuracy
    whole = run.variant.details.get("host_windows")
    streamed = sum(s.kind == "window" for s in run.samples)
    if measured is None or expected is None or (whole is not None and whole != streamed):
        return None
    if measured < expected - config.accuracy_drop:
        return f"accuracy {measured:.4f} on the board, {expected:.4f} on the host, allowed drop {config.accuracy_drop}"
    return None


def memory_claim(run: VariantRun, config: Config) -> str | None:
    """Arena, static data, the stack as measured and the rig's own RAM fit the board together; so does the flash."""
    board, footprint = BOARDS[run.board.name], run.image.footprint
    stack = max((s.stack_bytes or 0 for s in run.samples), default=0)
    ram = footprint.ram_arena + footprint.ram_static + footprint.ram_rig + stack
    if ram > board.ram_bytes:
        return f"{ram} bytes of RAM, the board has {board.ram_bytes}"
    if footprint.flash_total > board.flash_bytes:
        return f"{footprint.flash_total} bytes of flash, the board has {board.flash_bytes}"
    return None


CLAIMS = {"parity": parity_claim, "accuracy": accuracy_claim, "memory": memory_claim}


def failed_claims(run: VariantRun, config: Config) -> list[str]:
    """One line for each claim that failed, with the variant's and the claim's name."""
    failures = ((name, claim(run, config)) for name, claim in CLAIMS.items())
    return [f"{run.variant.name}: {name}: {why}" for name, why in failures if why]
