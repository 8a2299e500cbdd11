"""One root error; its leaves are named by who is at fault, which also decides the exit code.

Exit codes of every tinyrig command: 0 good; 1 a claim failed; 2 the user's input or model is unusable;
3 the rig failed, so the result says nothing about the model.
"""

from __future__ import annotations

from collections.abc import Collection

from tinyrig.core.text import visible

EXIT_GOOD = 0
EXIT_CLAIM = 1
EXIT_USER = 2
EXIT_RIG = 3


def decisive(codes: Collection[int]) -> int:
    """The one exit code that stands for all of these, EXIT_GOOD where there is none. A failed claim counts most, because it says
    something about a model, whatever else happened; then what the rig left unmeasured; then unusable input."""
    return next((code for code in (EXIT_CLAIM, EXIT_RIG, EXIT_USER) if code in codes), EXIT_GOOD)


class RigError(Exception):
    """What went wrong, with what was expected, what was received and what to do about it."""

    exit_code = EXIT_RIG

    def __init__(self, what: str, *, expected: str = "", received: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.received = received
        self.remedy = remedy

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"expected: {self.expected}"] if self.expected else []
        parts += [f"received: {self.received}"] if self.received else []
        parts += [f"remedy: {self.remedy}"] if self.remedy else []
        return visible("\n  ".join(parts))  # a board, a file's name or another program may have put anything into it


class ClaimError(RigError):
    """A claim about the model failed: accuracy, parity, memory budget, regression."""

    exit_code = EXIT_CLAIM


class UserError(RigError):
    """The user's input can't be used: a bad option, file, dataset or configuration."""

    exit_code = EXIT_USER


class ModelError(UserError):
    """The model can't be compiled for the board: unknown op, dynamic shape, corrupt file, too large."""


class HostError(RigError):
    """The host lacks something: a compiler, a package, disk space, a permission."""


class LinkError(RigError):
    """Bytes did not get through: port missing or busy, timeout, corruption beyond the retries."""


class InUseError(LinkError):
    """Another process of tinyrig holds the board or port."""


class DeviceError(RigError):
    """The board answered, but wrongly: refusal, fault, foreign or stale firmware, failed verification."""


class InfraError(RigError):
    """The rig's own machinery failed: the virtual board's process died, the results database is unusable."""


_KINDS: tuple[tuple[type[RigError], str], ...] = (
    (ModelError, "model"),
    (UserError, "user"),
    (HostError, "host"),
    (LinkError, "link"),
    (DeviceError, "device"),
    (InfraError, "infra"),
    (ClaimError, "claim"),
)


def kind_of(error: RigError) -> str:
    """Who is at fault, in one word."""
    return next((kind for leaf, kind in _KINDS if isinstance(error, leaf)), "infra")
