"""What the trials of a search depend on, kept with its study: a resumed search takes from there what is not given again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tinyrig.search.space import FAMILIES, PRECISIONS


@dataclass(frozen=True)
class Budgets:
    """Hard limits, None: none. RAM and flash in bytes of the model (arena + static + stack; weights + engine), latency in us."""

    ram_bytes: int | None = None
    flash_bytes: int | None = None
    latency_us: float | None = None

    def excess(self, **values: float | None) -> float:
        """By how much the limits are exceeded, as shares of them; 0 where none is."""
        return sum(max(0.0, value / limit - 1) for _, value, limit in self._known(values) if limit)

    def exceeded(self, **values: float | None) -> str:
        """Which limit is exceeded, in words; empty where none is. What is not known yet exceeds nothing."""
        for name, value, limit in self._known(values):
            if value > limit:
                return f"{name.replace('_', ' ')} {value:,.0f}, the budget is {limit:,.0f}"
        return ""

    def _known(self, values: Mapping[str, float | None]) -> list[tuple[str, float, float]]:
        """(name, value, limit) of what has both."""
        limits: dict[str, float | None] = asdict(self)
        pairs = [(name, value, limits[name]) for name, value in values.items()]
        return [(name, value, limit) for name, value, limit in pairs if value is not None and limit is not None]


@dataclass(frozen=True)
class SearchPlan:
    """`epochs` None: each candidate's own length. Limits: bytes, bytes, microseconds, percent; None: none."""

    dataset: str
    seed: int
    epochs: int | None = None
    families: tuple[str, ...] = FAMILIES
    precisions: tuple[str, ...] = PRECISIONS
    max_ram: int | None = None
    max_flash: int | None = None
    max_latency: float | None = None
    min_accuracy: float | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any], otherwise: Mapping[str, Any]) -> SearchPlan:
        """`given` by field, None where `otherwise` counts, where there is any."""
        known: dict[str, Any] = {name: otherwise.get(name) if value is None else value for name, value in given.items()}
        known |= {name: tuple(value) for name, value in known.items() if isinstance(value, list)}
        return cls(**{name: value for name, value in known.items() if value is not None})

    def stored(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @property
    def budgets(self) -> Budgets:
        return Budgets(self.max_ram, self.max_flash, self.max_latency)
