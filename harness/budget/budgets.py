"""The budgets of one model, as the command line, rig.toml, the API and pytest name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tinyrig.budget import quantity


@dataclass(frozen=True)
class Budgets:
    """What a model may cost at most and must reach at least; None: no limit.

    Shares are 0 to 1, `max_latency` microseconds (compared with the median), `max_ram` and `max_flash` bytes (compared with what
    the model costs, without the rig). `max_accuracy_drop`: how far the accuracy on the board may lie below the reference's.
    """

    min_accuracy: float | None = None
    max_accuracy_drop: float | None = None
    max_latency: float | None = None
    max_ram: int | None = None
    max_flash: int | None = None

    def __bool__(self) -> bool:
        return any(value is not None for value in asdict(self).values())

    @property
    def claims(self) -> frozenset[str]:
        """Names of the claims that are judged by these limits: a drop of accuracy is the limit of `accuracy`."""
        return frozenset("accuracy" if name == "max_accuracy_drop" else name for name in self.to_json())

    def over(self, other: Budgets) -> Budgets:
        """Its own limits, and `other`'s where it has none."""
        return replace(other, **self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Without what is None."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Budgets:
        """Keys that are not known are left out."""
        return cls(**{f.name: stored[f.name] for f in fields(cls) if f.name in stored})


READ: dict[str, tuple[Callable[[object], Any], str]] = {
    "min_accuracy": (quantity.share, quantity.SHARE_WORDS),
    "max_accuracy_drop": (quantity.drop, quantity.DROP_WORDS),
    "max_latency": (quantity.microseconds, quantity.TIME_WORDS),
    "max_ram": (quantity.whole_bytes, quantity.BYTES_WORDS),
    "max_flash": (quantity.whole_bytes, quantity.BYTES_WORDS),
}
"""Budget -> (what reads it as people write it, what it takes in words)."""


def read_budgets(given: Mapping[str, object | None]) -> Budgets:
    """From texts or numbers by name; None: no limit. Raises ValueError, with the name and what was expected."""
    found: dict[str, Any] = {}
    for name, (read, words) in READ.items():
        value = given.get(name)
        if value is None:
            continue
        try:
            found[name] = read(value)
        except ValueError as error:
            raise BudgetError(name, words, value) from error
    return Budgets(**found)


class BudgetError(ValueError):
    """A budget that can't be read: `name`, what was `expected`, what was `received`."""

    def __init__(self, name: str, expected: str, received: object) -> None:
        super().__init__(f"{name}: {expected}, not {received!r:.80}")
        self.name, self.expected, self.received = name, expected, received
