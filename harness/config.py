"""rig.toml: the user's rig. Every key has a default, the file may be absent, TINYRIG_<KEY> overrides a top-level key."""

from __future__ import annotations

import math
import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from harness.ages import age
from harness.errors import UserError
from harness.limits import Limits, read_limits

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 1 << 20
CHOICES = {"oracle": ("tflm", "litert-ref", "none"), "optimise": ("speed", "size")}
MOST = 1_000_000_000
"""Of any number: repeats or seeds beyond it are slips of the hand."""


@dataclass(frozen=True)
class BoardPorts:
    """Where one board is wired: `link` the serial line of the Serial1 pins, `flash` the bootloader's USB port.
    `id`: the only board that may answer there, 16 hex digits as `tinyrig run` prints them; empty: any."""

    link: str = ""
    flash: str = ""
    id: str = ""


@dataclass(frozen=True)
class History:
    """What is kept of old runs. keep_samples: the age (90d, 12w, 1y) at which `tinyrig prune` deletes raw samples; "": none."""

    keep_samples: str = ""


@dataclass(frozen=True)
class Nightly:
    """What `tinyrig nightly` measures where the command line says nothing. boards: as --board names them, none: all [boards.*],
    else virtual. variants: built ones, none: all. models: .tflite files in their place, with the test windows of all of them."""

    boards: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    windows: str = ""


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
    history: History = field(default_factory=History)
    nightly: Nightly = field(default_factory=Nightly)
    boards: dict[str, BoardPorts] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    """The user's own networks by name: FILE.keras, FILE.h5 or module:function (docs/own_variants.md)."""


def load_config(path: Path | None = None) -> Config:
    """Reads rig.toml from `path`, the working directory or the checkout. Raises UserError for what can't be used."""
    file = path or next((p for p in (Path("rig.toml"), ROOT / "rig.toml") if p.exists()), None)
    try:
        raw = tomllib.loads(_text(file)) if file else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise UserError(f"{file} can't be read: {error}", remedy="mend the line it names, or remove the file") from error
    known = {f.name: f for f in fields(Config)}
    unknown = sorted(set(raw) - set(known))
    if unknown:
        raise UserError(
            f"{file}: unknown key", expected=", ".join(known), received=", ".join(unknown), remedy="remove or correct it"
        )
    values = {"limits": {}} | raw | _from_environment(known)
    return Config(**{name: _value(name, value, file) for name, value in values.items()})


def _text(file: Path) -> str:
    if not file.is_file() or file.stat().st_size > MAX_BYTES:  # a pipe would be waited for
        raise OSError(f"no regular file of up to {MAX_BYTES} bytes")
    return file.read_text("utf-8")


_TABLES = ("boards", "limits", "history", "nightly", "models")


def _from_environment(known: dict[str, Any]) -> dict[str, str]:
    names = {name: f"TINYRIG_{name.upper()}" for name in known if name not in _TABLES}
    return {name: os.environ[key] for name, key in names.items() if os.environ.get(key)}


def _value(name: str, value: Any, file: Path | None) -> Any:
    if name == "boards":
        return _boards(value, file)
    if name == "limits":
        return read_limits(value, file or "rig.toml")
    if name == "faults":
        return _faults(value, file)
    if name == "history":
        return _history(value, file)
    if name == "nightly":
        return _nightly(value, file)
    if name == "models":
        return _models(value, file)
    default = getattr(Config, name, None)
    wanted = type(default)
    try:
        if isinstance(value, bool) or (wanted is str and not isinstance(value, str)):
            raise ValueError
        converted = wanted(value)
        if not _usable(name, converted) or (wanted is int and isinstance(value, float) and value != converted):
            raise ValueError
        return converted
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"the setting {name!r} can't be used",
            expected=" or ".join(CHOICES.get(name, (f"a {wanted.__name__}, like {default!r}",))),
            received=repr(value)[:200],
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


def _usable(name: str, value: Any) -> bool:
    """Numbers finite and not below 0, text without control characters (none can be part of a path or URL)."""
    if isinstance(value, str):
        return value.isprintable() and value in CHOICES.get(name, (value,))
    return math.isfinite(value) and 0 <= value <= MOST


def _boards(value: Any, file: Path | None) -> dict[str, BoardPorts]:
    try:
        boards = {name: BoardPorts(**ports) for name, ports in value.items()}
        if not all(isinstance(v, str) and v.isprintable() for ports in value.values() for v in ports.values()):
            raise TypeError
        return boards
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"{file}: [boards.NAME] can't be used",
            expected='link = "PORT", flash = "PORT", id = "HEX"',
            received=repr(value)[:200],
            remedy="see docs/rig.md",
        ) from error


def _history(value: Any, file: Path | None) -> History:
    try:
        history = History(**value)
        return History(age(history.keep_samples) if history.keep_samples else "")
    except (AttributeError, TypeError, UserError) as error:
        raise UserError(
            f"{file}: [history] can't be used", expected='keep_samples = "90d"', received=repr(value),
            remedy="see docs/history.md",
        ) from error


def _nightly(value: Any, file: Path | None) -> Nightly:
    try:
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        nightly = Nightly(**lists)
        texts = [nightly.windows, *nightly.boards, *nightly.variants, *nightly.models]
        if any(isinstance(v, str) != (k == "windows") for k, v in lists.items()):
            raise TypeError
        if not all(isinstance(text, str) and text.isprintable() for text in texts) or (nightly.variants and nightly.models):
            raise TypeError
        return nightly
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"{file}: [nightly] can't be used", expected='boards = ["virtual"], and variants = ["pqt"] or models = ["a.tflite"]',
            received=repr(value)[:200], remedy="see docs/nightly.md",
        ) from error


def _models(value: Any, file: Path | None) -> dict[str, str]:
    """A file's path counts from rig.toml's folder."""
    if not isinstance(value, dict) or not all(isinstance(v, str) and v and v.isprintable() for v in value.values()):
        raise UserError(
            f"{file}: [models] can't be used", expected='NAME = "FILE.keras" or NAME = "module:function"',
            received=repr(value)[:200], remedy="see docs/own_variants.md",
        )  # fmt: skip
    folder = file.absolute().parent if file else Path.cwd()
    return {name: str(folder / v) if v.endswith((".keras", ".h5")) else v for name, v in value.items()}
