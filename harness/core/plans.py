"""What was asked for and how it was measured: frozen records, with the one place that reads and writes their stored JSON.

A key that whoever stored the JSON did not know leaves its field at the default, which then means "not kept".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tinyrig.budget.budgets import Budgets
from tinyrig.core.scoring import Caution, Scoring


@dataclass(frozen=True)
class RunSettings:
    """What the numbers and claims of a run depend on beside model and board: one run has one of each.

    `limit` windows at most, None for all; `oracle` a name of ORACLES or "none".
    """

    engine: str
    limit: int | None
    oracle: str
    repeats: int
    seed: int
    optimise: str
    float_tolerance: float
    accuracy_drop: float
    memory: str = "none"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RunSettings | None:
        """None where not all of it was kept."""
        kept = {f.name: stored[f.name] for f in fields(cls) if f.name in stored}
        needed = [f.name for f in fields(cls) if f.default is MISSING]
        return cls(**kept) if all(name in kept for name in needed) else None


@dataclass(frozen=True)
class AskedModel:
    """A model of the user's as it was asked for. `name` is that of rig.toml, else its file's stem; `windows` None for seeded
    random ones, `labels` where they lie in a file of their own, `output` the one that they belong to."""

    name: str
    file: Path
    windows: Path | None = None
    budgets: Budgets = field(default_factory=Budgets)
    labels: Path | None = None
    output: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Without what was not said of labels and output."""
        more = {"labels": _text(self.labels), "output": self.output}
        return {
            "name": self.name,
            "file": _text(self.file),
            "windows": _text(self.windows),
            "budgets": self.budgets.to_json(),
            **{key: value for key, value in more.items() if value is not None},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> AskedModel:
        budgets = Budgets.from_json(stored.get("budgets") or {})
        labels, output = _path(stored.get("labels")), stored.get("output")
        return cls(stored["name"], Path(stored["file"]), _path(stored.get("windows")), budgets, labels, output)


@dataclass(frozen=True)
class NightOptions:
    """What `tinyrig nightly --resume` needs beside the plans of its runs."""

    limit: int | None
    oracle: str | None
    engine: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> NightOptions:
        return cls(stored["limit"], stored["oracle"], stored["engine"])


@dataclass(frozen=True)
class RunPlan:
    """What was asked for when a run was begun, so that --resume needs no further word. `board` as --board named it, empty where
    that was not kept; `models` of the user's, else `variants`, empty for all; `windows` those of a firmware of which no model is
    known; `budgets` those of variants; `host` is the machine that makes the run; `night` the id of its night."""

    board: str = ""
    dataset: str | None = None
    variants: tuple[str, ...] = ()
    models: tuple[AskedModel, ...] = ()
    windows: Path | None = None
    budgets: Budgets = field(default_factory=Budgets)
    host: str | None = None
    settings: RunSettings | None = None
    night: str | None = None
    nightly: NightOptions | None = None
    labels: Path | None = None
    output: str | None = None

    def to_json(self) -> dict[str, Any]:
        night = {"night": self.night, "nightly": self.nightly and self.nightly.to_json()}
        return {
            "board": self.board,
            "dataset": self.dataset,
            "variants": list(self.variants),
            "models": [model.to_json() for model in self.models],
            "windows": _text(self.windows),
            "budgets": self.budgets.to_json(),
            "host": self.host,
            **({"labels": _text(self.labels)} if self.labels else {}),
            **({"output": self.output} if self.output is not None else {}),
            **({"settings": self.settings.to_json()} if self.settings else {}),
            **{key: value for key, value in night.items() if value},
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RunPlan:
        return cls(
            stored.get("board") or "",
            stored.get("dataset"),
            tuple(stored.get("variants") or ()),
            _models(stored),
            _path(stored.get("windows")),
            Budgets.from_json(stored.get("budgets") or {}),
            stored.get("host"),
            RunSettings.from_json(stored.get("settings") or {}),
            stored.get("night"),
            NightOptions.from_json(stored["nightly"]) if stored.get("nightly") else None,
            _path(stored.get("labels")),
            stored.get("output"),
        )


def _models(stored: Mapping[str, Any]) -> tuple[AskedModel, ...]:
    """A plan from before models had names of their own kept one file, or those of a night, with the windows of all."""
    if "models" in stored:
        return tuple(map(AskedModel.from_json, stored["models"]))
    files = [stored["model"]] if stored.get("model") else (stored.get("nightly") or {}).get("models", ())
    return tuple(AskedModel(Path(file).stem, Path(file), _path(stored.get("windows"))) for file in files)


@dataclass(frozen=True)
class Subject:
    """What the samples of an open measurement belong to: it is resumed only where all of it is the same."""

    model_sha256: str
    build_id: str
    windows_sha256: str
    board: str
    board_id: str
    settings: RunSettings | None = None

    def to_json(self) -> dict[str, Any]:
        """Flat: the settings stand beside the rest."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "settings"}
        return own | (self.settings.to_json() if self.settings else {})

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Subject:
        own = {f.name: str(stored.get(f.name, "")) for f in fields(cls) if f.name != "settings"}
        return cls(**own, settings=RunSettings.from_json(stored))


@dataclass(frozen=True)
class MeasurementSettings:
    """How one measurement was made; None: not kept, or does not apply.

    `float_tolerance` in real units. `timing_model` names that of an estimate, None: zero wait states.
    `band`: cycles of one inference at the ends of an estimate's band, `low` and `high`.
    `link` is the session's summary (link/exchange.py), `energy` what the power meter recorded
    (energy/meter.py), `mlperf` what was found out about a firmware built elsewhere (mlperf/bench.py). `resumed_at` are the
    numbers of samples after which measuring was interrupted; `injected` counts the faults that were injected on purpose.
    `test_set` names the test windows as they were given, before the model's quantisation.
    `scoring` says what is scored, `cautions` what about the windows can hardly be meant. `targets` are the right answers of each
    window where it has no single label, one number after another; `window_errors` the mean squared difference of each window's
    output from its input, which is not stored itself. `sequences`: how many the windows form, each from the engine's beginning;
    None: each window is on its own. `more` holds what other versions of tinyrig kept.
    """

    oracle: str | None = None
    optimise: str | None = None
    random_windows: bool | None = None
    windows_sha256: str | None = None
    float_tolerance: float | None = None
    retries: int | None = None
    flash_tries: int | None = None
    link: Mapping[str, Any] | None = None
    timer_overhead_cycles: int | None = None
    timing_model: str | None = None
    band: Mapping[str, float] | None = None
    resumed_at: tuple[int, ...] | None = None
    energy: Mapping[str, Any] | None = None
    injected_faults: tuple[str, ...] | None = None
    injected: Mapping[str, int] | None = None
    mlperf: Mapping[str, Any] | None = None
    test_set: str | None = None
    scoring: Scoring | None = None
    cautions: tuple[Caution, ...] | None = None
    targets: tuple[tuple[float, ...], ...] | None = None
    window_errors: tuple[float, ...] | None = None
    sequences: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Without what is None."""
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "more"}
        values["scoring"] = self.scoring and self.scoring.to_json()
        values["cautions"] = tuple(c.to_json() for c in self.cautions or ()) or None
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return {name: value for name, value in plain.items() if value is not None} | dict(self.more)

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> MeasurementSettings:
        """A known key with a value of another kind is left in `more`, where no metric looks for it."""
        known = {name: value for name, value in stored.items() if name in _KINDS and isinstance(value, _KINDS[name])}
        fitting = {name: _READERS.get(name, _as_tuple)(value) for name, value in known.items()}
        fitting = {name: value for name, value in fitting.items() if value is not None}
        more = {name: value for name, value in stored.items() if name not in fitting}
        return cls(**fitting, more=more)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _rows(value: list[Any]) -> tuple[tuple[float, ...], ...] | None:
    """None where it is no table."""
    return tuple(map(tuple, value)) if all(isinstance(row, list) for row in value) else None


def _cautions(value: list[Any]) -> tuple[Caution, ...] | None:
    """None where one is of another kind."""
    found = [Caution.from_json(entry) if isinstance(entry, dict) else None for entry in value]
    known = tuple(c for c in found if c is not None)
    return known if len(known) == len(found) else None


_READERS: dict[str, Callable[[Any], Any]] = {"scoring": Scoring.from_json, "cautions": _cautions, "targets": _rows}
"""Field -> what makes it of its JSON; None: it can't be read."""


_KINDS: dict[str, type | tuple[type, ...]] = {
    "oracle": str,
    "optimise": str,
    "random_windows": bool,
    "windows_sha256": str,
    "float_tolerance": (int, float),
    "retries": int,
    "flash_tries": int,
    "link": dict,
    "timer_overhead_cycles": int,
    "timing_model": str,
    "band": dict,
    "resumed_at": list,
    "energy": dict,
    "injected_faults": list,
    "injected": dict,
    "mlperf": dict,
    "test_set": str,
    "scoring": dict,
    "cautions": list,
    "targets": list,
    "window_errors": list,
    "sequences": int,
}
"""Field of MeasurementSettings -> what it is in JSON."""


def _text(path: Path | None) -> str | None:
    """The whole path: whoever resumes may do so from another folder."""
    return None if path is None else str(path.absolute())


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
