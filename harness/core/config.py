"""rig.toml: the user's rig. Every key has a default, the file may be absent, TINYRIG_<KEY> overrides a top-level key."""

from __future__ import annotations

import math
import os
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from tinyrig.core.boards import Board
from tinyrig.core.deadlines import Limits, read_limits
from tinyrig.core.errors import UserError
from tinyrig.core.time_spec import age
from tinyrig.core.user_boards import FACTS, own_board

ROOT = Path(__file__).resolve().parents[2]
MAX_BYTES = 1 << 20
CHOICES = {"oracle": ("tflm", "litert-ref", "none"), "optimise": ("speed", "size")}
MOST = 1_000_000_000
"""Of any number: repeats or seeds beyond it are slips of the hand."""


@dataclass(frozen=True)
class BoardPorts:
    """Where one board is wired: `link` the serial line of the Serial1 pins, `flash` the bootloader's USB port.
    `id`: the only board that may answer there, 16 hex digits as `tinyrig run` prints them; empty: any.
    `usb_serial`: of the USB device that carries the ports which are not named. `kind`: the board of boards.py that this one is
    ("virtual#3": the virtual one with this number); empty: its own name. `faults`: of this virtual board, beside all others'.
    `flasher`: another way to flash it than its record says; `probe`: the id of its debug probe, empty: the only one.
    `own`: the board itself, where its facts stand there too (own_boards.py); None: a known one."""

    link: str = ""
    flash: str = ""
    id: str = ""
    usb_serial: str = ""
    kind: str = ""
    faults: tuple[str, ...] = ()
    flasher: str = ""
    probe: str = ""
    own: Board | None = None


@dataclass(frozen=True)
class History:
    """What is kept of old runs. keep_samples: the age (90d, 12w, 1y) at which `tinyrig prune` deletes raw samples; "": none."""

    keep_samples: str = ""


@dataclass(frozen=True)
class Nightly:
    """What `tinyrig nightly` measures where the command line says nothing. boards: as --board names them, none: all [boards.*],
    else virtual. variants: built ones, none: all. models: .tflite files in their place, with the test windows of all of them.
    page: where the HTML page of all nights is written at the end, relative to the checkout; "": none."""

    boards: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    windows: str = ""
    page: str = "reports/out/nights.html"


@dataclass(frozen=True)
class Logs:
    """Of nights. file: relative to the checkout; "": none. size_kib: a file that would become longer is put aside; keep: how many
    of those stay."""

    file: str = "reports/out/logs/nightly.log"
    size_kib: int = 1024
    keep: int = 7


@dataclass(frozen=True)
class Labgrid:
    """How `--board labgrid:PLACE` finds its place. coordinator: HOST:PORT, "": LG_COORDINATOR, else labgrid's own default.
    wait_s: how long to queue for a place that somebody else holds. python: the interpreter that has labgrid, "": looked for."""

    coordinator: str = ""
    wait_s: float = 300.0
    python: str = ""


@dataclass(frozen=True)
class Energy:
    """A Power Profiler Kit II and how it is wired (docs/energy.md). port: "" finds it. board: the one it measures, "": any
    physical one. mode: "ampere" in the board's supply line, "source": it is the supply. channel: the logic input of the mark."""

    port: str = ""
    board: str = ""
    mode: str = "ampere"
    voltage_mv: int = 3300
    channel: int = 0


@dataclass(frozen=True)
class Config:
    """`results` is a SQLAlchemy URL; paths are relative to the checkout. Thresholds are the claims' limits.

    accuracy_drop: device accuracy may lie at most this much (0 to 1) below the host's.
    float_tolerance: largest absolute difference to the oracle that a float output may show.
    faults: what the virtual board injects, as `--fault` of `python -m tinyrig.virtual`; with commas between in the environment.
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
    logs: Logs = field(default_factory=Logs)
    energy: Energy | None = None
    boards: dict[str, BoardPorts] = field(default_factory=dict)
    labgrid: Labgrid = field(default_factory=Labgrid)
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
    values = {"limits": {}, "logs": {}} | raw | _from_environment(known)
    return Config(**{name: _value(name, value, file) for name, value in values.items()})


def _text(file: Path) -> str:
    if not file.is_file() or file.stat().st_size > MAX_BYTES:  # a pipe would be waited for
        raise OSError(f"no regular file of up to {MAX_BYTES} bytes")
    return file.read_text("utf-8")


_TABLES = ("boards", "limits", "history", "nightly", "logs", "labgrid", "energy", "models")


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
    if name == "logs":
        return _logs(value, file)
    if name == "labgrid":
        return _labgrid(value, file)
    if name == "energy":
        return _energy(value, file)
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
            "the setting 'faults' can't be used",
            expected='a list of texts, like ["line-flip:1e-4"]',
            received=repr(value),
            remedy=f"correct it in {file or 'rig.toml'} or TINYRIG_FAULTS",
        )
    return tuple(word.strip() for word in words if word.strip())


def _usable(name: str, value: Any) -> bool:
    """Numbers finite and not below 0, text without control characters (none can be part of a path or URL)."""
    if isinstance(value, str):
        return value.isprintable() and value in CHOICES.get(name, (value,))
    return math.isfinite(value) and 0 <= value <= MOST


def _boards(value: Any, file: Path | None) -> dict[str, BoardPorts]:
    try:
        given = {name: table | {"faults": _faults(table.get("faults", []), file)} for name, table in value.items()}
        wired = {name: {k: v for k, v in table.items() if k not in FACTS} for name, table in given.items()}
        texts = [v for ports in wired.values() for key, v in ports.items() if key != "faults"]
        if not all(isinstance(v, str) and v.isprintable() for v in (*texts, *value)):
            raise TypeError
        return {name: BoardPorts(**ports, own=own_board(name, value[name], file)) for name, ports in wired.items()}
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"{file}: [boards.NAME] can't be used",
            expected='kind = "BOARD", link = "PORT", flash = "PORT", usb_serial = "TEXT", id = "HEX", faults = ["NAME"], '
            'flasher = "pyocd", probe = "ID"; of a board of your own also ' + ", ".join(FACTS),
            received=repr(value)[:200],
            remedy="see docs/rig.md and docs/porting.md",
        ) from error


def _history(value: Any, file: Path | None) -> History:
    try:
        history = History(**value)
        return History(age(history.keep_samples) if history.keep_samples else "")
    except (AttributeError, TypeError, UserError) as error:
        raise UserError(
            f"{file}: [history] can't be used",
            expected='keep_samples = "90d"',
            received=repr(value),
            remedy="see docs/history.md",
        ) from error


def _energy(value: Any, file: Path | None) -> Energy:
    """Numbers are checked closely: a source of the wrong voltage destroys a board."""
    try:
        energy = Energy(**value)
        numbers, texts = (energy.voltage_mv, energy.channel), (energy.port, energy.board, energy.mode)
        if not all(type(n) is int for n in numbers) or not all(isinstance(t, str) and t.isprintable() for t in texts):
            raise TypeError
        if energy.mode not in ("ampere", "source") or not 800 <= energy.voltage_mv <= 5000 or not 0 <= energy.channel <= 7:
            raise TypeError
        return energy
    except TypeError as error:
        raise UserError(
            f"{file}: [energy] can't be used",
            received=repr(value)[:200],
            remedy="see docs/energy.md",
            expected='port = "PORT", board = "NAME", mode = "ampere" or "source", voltage_mv from 800 to 5000, channel 0 to 7',
        ) from error


def _nightly(value: Any, file: Path | None) -> Nightly:
    try:
        lists = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
        nightly = Nightly(**lists)
        texts = [nightly.windows, nightly.page, *nightly.boards, *nightly.variants, *nightly.models]
        if any(isinstance(v, str) != (k in ("windows", "page")) for k, v in lists.items()):
            raise TypeError
        if not all(isinstance(text, str) and text.isprintable() for text in texts) or (nightly.variants and nightly.models):
            raise TypeError
        return nightly
    except (AttributeError, TypeError) as error:
        raise UserError(
            f"{file}: [nightly] can't be used",
            expected='boards = ["virtual"], and variants = ["pqt"] or models = ["a.tflite"]',
            received=repr(value)[:200],
            remedy="see docs/nightly.md",
        ) from error


def _logs(value: Any, file: Path | None) -> Logs:
    """TINYRIG_LOGS_FILE overrides `file`."""
    try:
        logs = Logs(**(value | ({"file": os.environ["TINYRIG_LOGS_FILE"]} if "TINYRIG_LOGS_FILE" in os.environ else {})))
        good = isinstance(logs.file, str) and logs.file.isprintable()
        if not good or not all(type(n) is int and 0 < n <= MOST for n in (logs.size_kib, logs.keep)):
            raise TypeError
        return logs
    except TypeError as error:
        raise UserError(
            f"{file}: [logs] can't be used",
            expected='file = "PATH", size_kib = 1024, keep = 7',
            received=repr(value)[:200],
            remedy="see docs/nightly.md",
        ) from error


def _labgrid(value: Any, file: Path | None) -> Labgrid:
    try:
        labgrid = Labgrid(**value)
        texts = (labgrid.coordinator, labgrid.python)
        if not all(isinstance(text, str) and text.isprintable() for text in texts) or isinstance(labgrid.wait_s, bool):
            raise TypeError
        if not 0 <= labgrid.wait_s <= MOST:
            raise ValueError
        return labgrid
    except (AttributeError, TypeError, ValueError) as error:
        raise UserError(
            f"{file}: [labgrid] can't be used",
            expected='coordinator = "HOST:PORT", wait_s = SECONDS, python = "PATH"',
            received=repr(value)[:200],
            remedy="see docs/remote.md",
        ) from error


def _models(value: Any, file: Path | None) -> dict[str, str]:
    """A file's path counts from rig.toml's folder."""
    if not isinstance(value, dict) or not all(isinstance(v, str) and v and v.isprintable() for v in value.values()):
        raise UserError(
            f"{file}: [models] can't be used",
            expected='NAME = "FILE.keras" or NAME = "module:function"',
            received=repr(value)[:200],
            remedy="see docs/own_variants.md",
        )
    folder = file.absolute().parent if file else Path.cwd()
    return {name: str(folder / v) if v.endswith((".keras", ".h5")) else v for name, v in value.items()}
