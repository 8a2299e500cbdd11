"""rig.toml: the user's rig. Every key has a default, the file may be absent, TINYRIG_<KEY> overrides a top-level key."""

from __future__ import annotations

import functools
import logging
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tinyrig.budget import budgets
from tinyrig.budget.budgets import Budgets
from tinyrig.core import deadlines
from tinyrig.core.boards import Board
from tinyrig.core.checked import KEYS, MOST, Amount, Number, OneOf, ReadAs, TableOr, Text, Texts, Whole
from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import UserError
from tinyrig.core.refusal import Place, refused
from tinyrig.core.time_spec import age
from tinyrig.core.user_boards import BoardTable, Wiring, own_board
from tinyrig.places.project import STATE, rig_toml

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, for its tests and bench/ alone: an installed tinyrig has none."""
MAX_BYTES = 1 << 20
OPTIMISE = ("speed", "size", "ram")
"""What can count first where a model is compiled."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BoardPorts(Wiring):
    """A board of rig.toml. `own`: its record where its facts stand there too (user_boards.py); None: a known one."""

    own: Board | None = None


def _memory(value: str) -> str:
    if value in ("none", "nrf52840") or value.endswith(".json"):
        return value
    raise ValueError(value)


def _keep_samples(text: str) -> str:
    try:
        return age(text) if text else ""
    except UserError as error:
        raise ValueError(text) from error


@dataclass(frozen=True)
class History:
    """What is kept of old runs."""

    __pydantic_config__ = KEYS

    keep_samples: Annotated[str, Text('an age like "90d", "12w", "1y" or "36h"', accept=_keep_samples)] = ""
    """The age at which `tinyrig prune` deletes raw samples; empty: none."""


@dataclass(frozen=True)
class Nightly:
    """What `tinyrig nightly` measures where the command line says nothing."""

    __pydantic_config__ = KEYS

    boards: Annotated[tuple[str, ...], Texts()] = ()
    """As --board names them; none: all [boards.*], else virtual."""
    variants: Annotated[tuple[str, ...], Texts()] = ()
    """Built ones; none: all."""
    models: Annotated[tuple[str, ...], Texts()] = ()
    """.tflite files in their place, or names of [models]; none: all tables of [models], if there are any."""
    windows: Annotated[str, Text()] = ""
    """The test windows of all models."""
    page: Annotated[str, Text()] = f"{STATE}/reports/nights.html"
    """Where the HTML page of all nights is written at the end; default: in the folder of the reports; empty: none."""


@dataclass(frozen=True)
class Folders:
    """Where files are kept that can be made again. TINYRIG_FOLDERS_<KEY> overrides a key."""

    __pydantic_config__ = KEYS

    build: Annotated[str, Text("a folder", least=1)] = f"{STATE}/build"
    """Firmware images."""
    reports: Annotated[str, Text("a folder", least=1)] = f"{STATE}/reports"
    """Reports of runs, nights and searches."""
    variants: Annotated[str, Text("a folder", least=1)] = f"{STATE}/variants"
    """What `tinyrig variants`, `crossval` and `search` make."""


@dataclass(frozen=True)
class Logs:
    """Of nights. TINYRIG_LOGS_FILE overrides `file`."""

    __pydantic_config__ = KEYS

    file: Annotated[str, Text()] = f"{STATE}/reports/logs/nightly.log"
    """Default: in the folder of the reports; empty: none."""
    size_kib: Annotated[int, Whole(1, strict=True)] = 1024
    """A file that would become longer is put aside."""
    keep: Annotated[int, Whole(1, strict=True)] = 7
    """How many of those stay."""


@dataclass(frozen=True)
class Labgrid:
    """How `--board labgrid:PLACE` finds its place."""

    __pydantic_config__ = KEYS

    coordinator: Annotated[str, Text("HOST:PORT")] = ""
    """HOST:PORT; empty: LG_COORDINATOR, else labgrid's own default."""
    wait_s: Annotated[float, Number(f"seconds, from 0 to {MOST}", strict=True)] = 300.0
    """How long to queue for a place that somebody else holds."""
    python: Annotated[str, Text()] = ""
    """The interpreter that has labgrid; empty: looked for."""


@dataclass(frozen=True)
class Energy:
    """A power meter and how it is wired (docs/energy.md)."""

    __pydantic_config__ = KEYS

    port: Annotated[str, Text()] = ""
    """Of the meter: a serial port, HOST:PORT or serial number, by its kind; of `csv` the file. Empty: the only one attached."""
    board: Annotated[str, Text()] = ""
    """The one that it measures; empty: any physical one."""
    mode: Annotated[str, OneOf(("ampere", "source"))] = "ampere"
    """`ampere`: in the board's supply line; `source`: it is the supply."""
    voltage_mv: Annotated[int, Whole(800, 5000, strict=True)] = 3300
    """A source of the wrong voltage destroys a board."""
    channel: Annotated[int, Whole(0, 7, strict=True)] = 0
    """The logic input that sees the mark."""
    meter: Annotated[str, Text()] = "ppk2"
    """`ppk2`, `joulescope`, `otii`, `csv` (a recording in a file), or what another package offers."""


@dataclass(frozen=True)
class Live:
    """What nights play through the sensors of virtual boards, and send to physical ones (docs/live.md)."""

    __pydantic_config__ = KEYS

    sensor: Annotated[str, Text()] = "glove"
    """As --sensor names it."""
    play: Annotated[str, Text()] = ""
    """glove, watch or an .npz; empty: what the sensor plays by itself."""
    rate: Annotated[int, Whole(1, 2000, strict=True)] = 20
    """Samples a second."""
    hop: Annotated[int, Whole(1, 65_535, strict=True)] = 10
    """Samples from one window to the next."""
    seconds: Annotated[int, Whole(1, 4000, strict=True)] = 60
    """Of the board's clock."""
    speed: Annotated[int, Whole(1, 1000, strict=True)] = 10
    """Seconds of the board in one of this machine."""


def _budget(name: str) -> Amount:
    read, words = budgets.READ[name]
    return Amount(words, read)


@dataclass(frozen=True)
class OwnModel:
    """A model trained elsewhere, which `tinyrig run` and `nightly` measure by its name. Paths count from rig.toml's folder."""

    __pydantic_config__ = KEYS

    file: Annotated[str, Text("a .tflite file", least=1)]
    """The model."""
    windows: Annotated[str, Text()] = ""
    """Its test windows, as --windows takes them; empty: seeded random ones."""
    labels: Annotated[str, Text()] = ""
    """Their labels where they lie in a file of their own, as --labels takes them."""
    output: Annotated[str, Text()] = ""
    """Which of several outputs the labels belong to: its name or number, as --output takes it."""
    min_accuracy: Annotated[float | None, _budget("min_accuracy")] = None
    """The accuracy to reach, "90%" or 0.9."""
    max_accuracy_drop: Annotated[float | None, _budget("max_accuracy_drop")] = None
    """How far its accuracy on the board may lie below the oracle's, "1%" or 0.01; default: accuracy_drop."""
    max_latency: Annotated[float | None, _budget("max_latency")] = None
    """Longest median latency, "5ms"."""
    max_ram: Annotated[int | None, _budget("max_ram")] = None
    """Most RAM that the model costs (arena, static, stack), "8KiB" or bytes."""
    max_flash: Annotated[int | None, _budget("max_flash")] = None
    """Most flash that the model costs (weights, engine), "32KiB" or bytes."""

    @property
    def budgets(self) -> Budgets:
        return Budgets(self.min_accuracy, self.max_accuracy_drop, self.max_latency, self.max_ram, self.max_flash)


@dataclass(frozen=True)
class Origin:
    """What a conversion may need to know of the file: None where there is none."""

    file: Path | None


def _boards(tables: dict[str, BoardTable], origin: Origin) -> dict[str, BoardPorts]:
    wiring = [f.name for f in fields(Wiring)]
    return {
        name: BoardPorts(**{key: getattr(table, key) for key in wiring}, own=own_board(name, table, origin.file))
        for name, table in tables.items()
    }


def _folder(origin: Origin) -> Path:
    """The one that paths in the file count from."""
    return origin.file.absolute().parent if origin.file else Path.cwd()


def _models(given: dict[str, str | OwnModel], origin: Origin) -> dict[str, str | OwnModel]:
    """A file's path counts from rig.toml's folder."""
    folder = _folder(origin)

    def placed(model: str | OwnModel) -> str | OwnModel:
        if isinstance(model, OwnModel):
            windows, labels = (str(folder / name) if name else "" for name in (model.windows, model.labels))
            return replace(model, file=str(folder / model.file), windows=windows, labels=labels)
        return str(folder / model) if model.endswith((".keras", ".h5")) else model

    return {name: placed(model) for name, model in given.items()}


def _nightly(nightly: Nightly, origin: Origin) -> Nightly:
    """Paths count from rig.toml's folder; a model without folder and ending is the name of one of [models]."""
    if nightly.variants and nightly.models:
        raise UserError(
            f"{origin.file}: [nightly] can't be used: both variants and models",
            expected='variants = ["pqt"] or models = ["a.tflite"]',
            received=f"{list(nightly.variants)!r} and {list(nightly.models)!r}"[:200],
            remedy="leave one out; see docs/nightly.md",
        )
    folder = _folder(origin)
    models = tuple(model if is_name(model) else str(folder / model) for model in nightly.models)
    return replace(nightly, models=models, windows=str(folder / nightly.windows) if nightly.windows else "")


def is_name(model: str) -> bool:
    """Whether a word can only be the name of a model of rig.toml: a file has an ending or a folder."""
    return not Path(model).suffix and Path(model).name == model


_NAME = Annotated[str, Text("a name")]
_MODEL = Annotated[OwnModel, TableOr(Text('"FILE.keras" or "module:function", or a table [models.NAME] with a file', least=1))]


@dataclass(frozen=True)
class Config:
    """The rig's settings (docs/rig.md). Paths are relative to rig.toml's folder, else to the current one; load_config makes them
    absolute. Thresholds are the claims' limits."""

    __pydantic_config__ = KEYS

    dataset: Annotated[str, Text()] = "glove"
    """glove, watch, an .npz or a folder of CSV trials."""
    seed: Annotated[int, Whole()] = 0
    """Of dataset, training and random windows."""
    results: Annotated[str, Text()] = f"sqlite:///{STATE}/results.sqlite"
    """The results database, a SQLAlchemy URL."""
    folders: Folders = field(default_factory=Folders)
    oracle: Annotated[str, OneOf(("tflm", "litert-ref", "numpy", "none"))] = "tflm"
    """Whose outputs are right."""
    optimise: Annotated[str, OneOf(OPTIMISE)] = "speed"
    """`speed` may spend flash on unrolled code and re-laid weights; `ram` may too, and takes chains of layers row by row."""
    line_rate: Annotated[int, Whole()] = 0
    """Baud that the virtual board's line is throttled to; 0: not at all."""
    line_repeats: Annotated[float, Number()] = 0.05
    """The share of requests (0 to 1) that may be sent again before the line is said to be bad."""
    memory: Annotated[str, Text('none, nrf52840 or a file that ends with ".json"', accept=_memory)] = "nrf52840"
    """Whose flash and cache the virtual board's cycles include (docs/timing.md); none: zero wait states; or what a file
    of `tinyrig calibrate --json` says."""
    tflm_dir: Annotated[str, Text()] = ""
    """A checkout of tflite-micro with its third parties, for the engines tflm and tflm-cmsis-nn (docs/engine.md)."""
    tflm_ops: Annotated[str, OneOf(("used", "all"))] = "used"
    """Which operators these engines link: the model's, or all that tflite-micro has."""
    bmi270_config: Annotated[str, Text()] = ""
    """The program of the sensor BMI270, of its maker's: Bosch's bmi270.c, or its 8192 bytes (docs/live.md)."""
    bmi270_sha256: Annotated[str, Text()] = ""
    """The SHA-256 of another program than the one that tinyrig knows."""
    accuracy_drop: Annotated[float, Number()] = 0.005
    """How far (0 to 1) the accuracy on the board may lie below the host's."""
    float_tolerance: Annotated[float, Number()] = 1e-5
    """How far a float output may lie from the oracle's."""
    repeats: Annotated[int, Whole()] = 30
    """Timed repeats of one window, after one warm-up."""
    limits: Limits = field(default_factory=Limits)
    faults: Annotated[tuple[str, ...], Texts('a list of texts, like ["line-flip:1e-4"]', commas=True)] = ()
    """What the virtual board injects, as `--fault` of `python -m tinyrig.virtual`; with commas between in the environment."""
    fault_seed: Annotated[int, Whole()] = 0
    """Of the random faults of the line."""
    history: History = field(default_factory=History)
    nightly: Annotated[Nightly, ReadAs(Nightly, _nightly)] = field(default_factory=Nightly)
    logs: Logs = field(default_factory=Logs)
    energy: Energy | None = None
    live: Live | None = None
    boards: Annotated[dict[str, BoardPorts], ReadAs(dict[_NAME, BoardTable], _boards)] = field(default_factory=dict)
    """By the names that --board takes."""
    labgrid: Labgrid = field(default_factory=Labgrid)
    models: Annotated[dict[str, str | OwnModel], ReadAs(dict[_NAME, _MODEL], _models)] = field(default_factory=dict)
    """By name: a table is a model to be measured (docs/model.md); FILE.keras, FILE.h5 or module:function is a network to build
    variants of (docs/own_variants.md)."""

    @property
    def own_models(self) -> dict[str, OwnModel]:
        """What is measured as it is."""
        return {name: model for name, model in self.models.items() if isinstance(model, OwnModel)}

    @property
    def networks(self) -> dict[str, str]:
        """What variants are built of: FILE.keras, FILE.h5 or module:function."""
        return {name: model for name, model in self.models.items() if isinstance(model, str)}


def with_optimise(config: Config, optimise: str | None) -> Config:
    """None leaves rig.toml's. Raises UserError for an unknown word."""
    if optimise is not None and optimise not in OPTIMISE:
        raise UserError("unknown optimisation", expected=" or ".join(OPTIMISE), received=repr(optimise))
    return replace(config, optimise=optimise or config.optimise)


@functools.cache
def adapter() -> TypeAdapter[Config]:
    """Checks a whole rig.toml; late, because pydantic costs a tenth of a second."""
    from pydantic import TypeAdapter

    return TypeAdapter(Config)


def load_config(path: Path | None = None) -> Config:
    """Reads `path`, or the nearest rig.toml at or above the working directory. Raises UserError for what can't be used."""
    file = path or rig_toml()
    log.debug("settings: %s", file or "no rig.toml, so its defaults")
    try:
        raw = tomllib.loads(_text(file)) if file else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise UserError(f"{file} can't be read: {error}", remedy="fix the line it names, or remove the file") from error
    return _checked(raw, file)


def _checked(raw: dict[str, Any], file: Path | None) -> Config:
    from pydantic import ValidationError

    values, environment = _with_environment(raw)
    try:
        config = adapter().validate_python(values, context=Origin(file))
    except ValidationError as error:
        raise refused(error, adapter().json_schema(), file, environment) from error
    given = {(table, key) for table in ("nightly", "logs") for key in values.get(table, {})}
    return _placed(config, file.absolute().parent if file else Path.cwd(), given)


_SQLITE = "sqlite:///"


def _placed(config: Config, project: Path, given: set[tuple[str, str]]) -> Config:
    """With absolute paths; the page and the log follow the reports where they are not `given`."""
    folders = Folders(**{f.name: str(project / getattr(config.folders, f.name)) for f in fields(Folders)})
    page = config.nightly.page if ("nightly", "page") in given else f"{folders.reports}/nights.html"
    log = config.logs.file if ("logs", "file") in given else f"{folders.reports}/logs/nightly.log"
    return replace(
        config,
        results=_placed_database(config.results, project),
        folders=folders,
        tflm_dir=config.tflm_dir and str(project / Path(config.tflm_dir).expanduser()),
        bmi270_config=config.bmi270_config and str(project / Path(config.bmi270_config).expanduser()),
        nightly=replace(config.nightly, page=page and str(project / page)),
        logs=replace(config.logs, file=log and str(project / log)),
    )


def _placed_database(url: str, project: Path) -> str:
    name = url.removeprefix(_SQLITE)
    special = name == url or not name or name.startswith((":", "file:", "?"))
    return url if special else f"{_SQLITE}{project / name}"


def _text(file: Path) -> str:
    if not file.is_file() or file.stat().st_size > MAX_BYTES:  # a pipe would be waited for
        raise OSError(f"no regular file of up to {MAX_BYTES} bytes")
    return file.read_text("utf-8")


def _with_environment(raw: dict[str, Any]) -> tuple[dict[str, Any], dict[Place, str]]:
    """(`raw` with what the environment overrides, the variable of each key that it does)."""
    values, taken = dict(raw), dict[Place, str]()
    for place, variable, may_be_empty in _variables():
        text = os.environ.get(variable)
        table = values.get(place[0], {}) if len(place) == 2 else values
        if text is None or not (text or may_be_empty) or not isinstance(table, dict):
            continue
        taken[place] = variable
        if len(place) == 2:
            values[place[0]] = table | {place[1]: text}
        else:
            values[place[0]] = text
    return values, taken


def _variables() -> Iterator[tuple[Place, str, bool]]:
    """(key, the variable that overrides it, whether an empty one counts)."""
    for setting in fields(Config):
        if setting.name not in TABLES:
            yield (setting.name,), f"TINYRIG_{setting.name.upper()}", False
    for name in deadlines.NAMES:
        yield ("limits", name), deadlines.variable(name), False
    for setting in fields(Folders):
        yield ("folders", setting.name), f"TINYRIG_FOLDERS_{setting.name.upper()}", False
    yield ("logs", "file"), "TINYRIG_LOGS_FILE", True


TABLES = ("boards", "folders", "limits", "history", "nightly", "logs", "labgrid", "energy", "live", "models")
