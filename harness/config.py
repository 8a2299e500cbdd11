"""rig.toml: the user's rig. Every key has a default, the file may be absent, TINYRIG_<KEY> overrides a top-level key."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.limits import Limits, read_limits

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class BoardPorts:
    """Where one board is wired: `link` the serial line of the Serial1 pins, `flash` the bootloader's USB port.
    `id`: the only board that may answer there, 16 hex digits as `tinyrig run` prints them; empty: any."""

    link: str = ""
    flash: str = ""
    id: str = ""


@dataclass(frozen=True)
class Config:
    """`results` is a SQLAlchemy URL; paths are relative to the checkout. Thresholds are the claims' limits.

    accuracy_drop: device accuracy may lie at most this much (0 to 1) below the host's.
    float_tolerance: largest absolute difference to the oracle that a float output may show.
    faults: what the virtual board injects, as `--fault` of `python -m harness.virtual`; with commas between in the environment.
    """

    dataset: str = "glove"
    seed: int = 0
    results: str = f"sqlite:///{ROOT / 'results.sqlite'}"
    oracle: str = "tflm"
    optimise: str = "speed"
    line_rate: int = 0
    accuracy_drop: float = 0.005
    float_tolerance: float = 1e-5
    repeats: int = 30
    limits: Limits = field(default_factory=Limits)
    faults: tuple[str, ...] = ()
    fault_seed: int = 0
    boards: dict[str, BoardPorts] = field(default_factory=dict)


def load_config(path: Path | None = None) -> Config:
    """Reads rig.toml from `path`, the working directory or the checkout. Raises UserError for what can't be used."""
    file = path or next((p for p in (Path("rig.toml"), ROOT / "rig.toml") if p.exists()), None)
    try:
        raw = tomllib.loads(file.read_text()) if file else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{file} can't be read: {error}", remedy="mend the line it names, or remove the file") from error
    known = {f.name: f for f in fields(Config)}
    unknown = sorted(set(raw) - set(known))
    if unknown:
        raise UserError(
            f"{file}: unknown key", expected=", ".join(known), received=", ".join(unknown), remedy="remove or correct it"
        )
    values = {"limits": {}} | raw | _from_environment(known)
    return Config(**{name: _value(name, value, file) for name, value in values.items()})


def _from_environment(known: dict[str, Any]) -> dict[str, str]:
    names = {name: f"TINYRIG_{name.upper()}" for name in known if name not in ("boards", "limits")}
    return {name: os.environ[key] for name, key in names.items() if os.environ.get(key)}


def _value(name: str, value: Any, file: Path | None) -> Any:
    if name == "boards":
        return _boards(value, file)
    if name == "limits":
        return read_limits(value, file or "rig.toml")
    if name == "faults":
        return _faults(value, file)
    default = getattr(Config, name, None)
    wanted = type(default)
    try:
        if isinstance(value, bool) or (wanted is str and not isinstance(value, str)):
            raise ValueError
        converted = wanted(value)
        if wanted is not str and converted < 0:
            raise ValueError
        return converted
    except (TypeError, ValueError) as error:
        raise UserError(
            f"the setting {name!r} can't be used",
            expected=f"a {wanted.__name__}, like {default!r}",
            received=repr(value),
            remedy=f"correct it in {file or 'rig.toml'} or TINYRIG_{name.upper()}",
        ) from error


def _faults(value: Any, file: Path | None) -> tuple[str, ...]:
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UserError(
            "the setting 'faults' can't be used", expected='a list of texts, like ["line-flip:1e-4"]', received=repr(value),
            remedy=f"correct it in {file or 'rig.toml'} or TINYRIG_FAULTS",
        )  # fmt: skip
    return tuple(word.strip() for word in words if word.strip())


def _boards(value: Any, file: Path | None) -> dict[str, BoardPorts]:
    try:
        return {name: BoardPorts(**ports) for name, ports in value.items()}
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"{file}: [boards.NAME] can't be used",
            expected='link = "PORT", flash = "PORT", id = "HEX"',
            received=repr(value),
            remedy="see docs/rig.md",
        ) from error
