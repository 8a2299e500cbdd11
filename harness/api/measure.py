"""`tinyrig.run`: one model on one board, from Python."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from tinyrig.analysis.evaluation import Evaluation
from tinyrig.analysis.run_json import variant_to_json
from tinyrig.api.result import Result, result_of
from tinyrig.budget.budgets import Budgets
from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config, load_config, with_optimise
from tinyrig.core.deadlines import Deadline
from tinyrig.core.plans import AskedModel, RunPlan
from tinyrig.core.records import Measurement
from tinyrig.host.signals import alarm
from tinyrig.measure.claims import budget_error, judge
from tinyrig.measure.run import measuring
from tinyrig.measure.variant import run_settings
from tinyrig.measure.variants import Said, asked_models, budgets_of, own_variant

Name = str | os.PathLike[str]
Amount = str | float
"""`"5ms"`, `"8KiB"`, `"90%"`, or a number: bytes, or a share from 0 to 1."""


def run(
    model: Name,
    windows: Name | None = None,
    *,
    board: str = "virtual",
    engine: str = "tinyrig",
    limit: int | None = None,
    oracle: str | None = None,
    optimise: str | None = None,
    labels: Name | None = None,
    output: str | int | None = None,
    min_accuracy: Amount | None = None,
    max_accuracy_drop: Amount | None = None,
    max_latency: str | None = None,
    max_ram: Amount | None = None,
    max_flash: Amount | None = None,
) -> Result:
    """Measures `model` on `board`, as `tinyrig run` does, and stores the run.

    `model` is a .tflite file or the name of a table [models.NAME] of rig.toml, whose windows and budgets are then used where none
    are given here; `windows` the test windows, None for seeded random ones (then there is no accuracy). `limit`: at most so many
    windows. `oracle`: "tflm", "litert-ref", "numpy" or "none", None for rig.toml's. `optimise`: "speed", "size" or "ram",
    None for rig.toml's. `labels`: those of `windows`, in a file;
    `output`: which of several outputs they belong to, by name or number. Budgets are as on the command line.

    A claim that fails is in the result (`failed`), it is not raised. Raises UserError for what can't be used, a budget that could
    not be judged among it, and another RigError where the rig failed, so that nothing is known of the model.
    """
    config = load_config()
    budgets = budgets_of(
        {
            "min_accuracy": min_accuracy,
            "max_accuracy_drop": max_accuracy_drop,
            "max_latency": max_latency,
            "max_ram": max_ram,
            "max_flash": max_flash,
        }
    )
    (asked,) = asked_models([os.fspath(model)], Said(_path(windows), _path(labels), as_text(output), budgets), config, oracle)
    return take(asked, board, config, How(engine, limit, oracle, optimise)).result(asked.budgets, config)


def _path(name: Name | None) -> Path | None:
    return None if name is None else Path(name)


def as_text(output: str | int | None) -> str | None:
    """As --output takes it."""
    return None if output is None else str(output)


@dataclass(frozen=True)
class Taken:
    """A model as it was measured; how it is judged depends on the budgets."""

    measurement: Measurement
    evaluation: Evaluation
    run_id: str

    def result(self, budgets: Budgets, config: Config) -> Result:
        """Raises UserError where a budget could not be judged."""
        found = replace(self.measurement, variant=replace(self.measurement.variant, budgets=budgets))
        found = replace(found, claims=judge(found, self.evaluation, config))
        if (error := budget_error(found, found.claims)) is not None:
            raise error
        return result_of(variant_to_json(found, self.evaluation), self.run_id)


@dataclass(frozen=True)
class How:
    """As on the command line; `oracle` and `optimise` None for rig.toml's."""

    engine: str = "tinyrig"
    limit: int | None = None
    oracle: str | None = None
    optimise: str | None = None


def take(asked: AskedModel, board: str, config: Config, how: How = How()) -> Taken:
    """One model in a run of its own, stored; the board is given back afterwards. Raises RigErrors."""
    config = with_optimise(config, how.optimise)
    target, deadline = parse_board(board, config.boards), Deadline("run_s", config.limits.run_s)
    variant = own_variant(asked)
    settings = run_settings(config, how.engine, how.limit, how.oracle)
    plan = RunPlan(board, config.dataset, models=(asked,), settings=settings)
    with alarm(deadline), measuring(target, config, plan, deadline=deadline) as open_run:
        found = open_run.run(variant)
        return Taken(found, open_run.evaluated[variant.name], open_run.run_id)
