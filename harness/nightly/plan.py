"""What a night was asked for, and a night that was begun."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from tinyrig.budget.budgets import Budgets
from tinyrig.core.config import Config
from tinyrig.core.plans import AskedModel, NightOptions, RunPlan
from tinyrig.measure.variant import run_settings


@dataclass(frozen=True)
class NightPlan:
    """Boards as --board names them; built variants by name, with the budgets of all of them, or models of the user's."""

    boards: tuple[str, ...]
    variants: tuple[str, ...] = ()
    models: tuple[AskedModel, ...] = ()
    budgets: Budgets = field(default_factory=Budgets)
    limit: int | None = None
    oracle: str | None = None
    engine: str = "tinyrig"

    def stored(self, board: str, config: Config, night_id: str) -> RunPlan:
        """What `tinyrig run --resume` goes by, and what `tinyrig nightly --resume` needs more."""
        return RunPlan(
            board=board,
            dataset=config.dataset,
            variants=self.variants,
            models=self.models,
            budgets=self.budgets,
            settings=run_settings(config, self.engine, self.limit, self.oracle),
            night=night_id,
            nightly=NightOptions(self.limit, self.oracle, self.engine),
        )


@dataclass(frozen=True)
class BegunNight:
    """A night that is stored as begun; `earlier`: for each board its runs from before the night was cut off. `cut_off_before`:
    what was said of the night before, empty: nothing."""

    plan: NightPlan
    config: Config
    night_id: str
    started: str
    earlier: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cut_off_before: str = ""


def new_night_id(now: datetime.datetime) -> str:
    return now.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)


def utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def iso(moment: datetime.datetime) -> str:
    return moment.isoformat(timespec="seconds")
