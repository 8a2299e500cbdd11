"""The variants that a run measures: built ones, or a model of the user's."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tinyrig.budget.budgets import BudgetError, Budgets, read_budgets
from tinyrig.core.config import Config, is_name
from tinyrig.core.deadlines import Deadline, exceeded
from tinyrig.core.errors import EXIT_USER, HostError, UserError
from tinyrig.core.files.content import Content
from tinyrig.core.plans import AskedModel
from tinyrig.core.records import Variant
from tinyrig.core.text import printable
from tinyrig.host.forked import died_of
from tinyrig.host.own_command import run_module
from tinyrig.windows.files import read_windows
from tinyrig.workload.manifest import read_built
from tinyrig.workload.model_file import read_model


def built_variants(config: Config, names: Sequence[str] = (), deadline: Deadline | None = None) -> list[Variant]:
    """The variants of the configured dataset, built first where they are missing or stale (in a process of its own: only
    that one imports TensorFlow). Raises UserError for an unknown name or a failed build."""
    command = ["tinyrig.variants", "--folder-only", "--dataset", config.dataset, "--seed", str(config.seed), *names]
    deadline = deadline or Deadline("run_s", config.limits.run_s)
    try:
        status, told = run_module(command, deadline.left(), capture=True)
    except subprocess.TimeoutExpired as error:
        raise exceeded("run_s", deadline.seconds, "out of time building the variants", HostError) from error
    if status:
        raise _not_built(status)
    folder = told.strip()
    if not folder:
        raise HostError(
            "the building of the variants ended before it was done",
            expected="the folder of the finished variants",
            received="exit status 0, and no folder",
            remedy="look for what ends the process (exit, os._exit) in your own builders, steps and networks",
        )
    built = read_built(Path(folder))
    unknown = set(names) - {v.name for v in built}
    if unknown or not built:
        raise UserError(
            "no such variant",
            expected=", ".join(v.name for v in built) or "built variants",
            received=", ".join(sorted(unknown)) or "none",
            remedy="tinyrig variants builds them",
        )
    return [v for v in built if not names or v.name in names]


def _not_built(status: int) -> UserError | HostError:
    """`status`: the exit status of the building process; negative, or 128 and more, for a signal."""
    if status < 0 or status > 128:
        return HostError(
            "the process that builds the variants was ended",
            expected="a finished build",
            received=died_of(min(status, 128 - status)),
            remedy="free memory, or find out who ended it; then run again",
        )
    fault = UserError if status == EXIT_USER else HostError
    return fault(
        "the variants could not be built",
        expected="a finished build",
        received=f"exit status {status}, for the reason above",
        remedy="correct the dataset or the names, then run again" if fault is UserError else "fix this machine, then run again",
    )


def model_variants(
    paths: Sequence[Path], windows: Path | None, labels: Path | None = None, output: str | None = None
) -> list[Variant]:
    """Models that were trained elsewhere, each named after its file, with the windows that all of them are tested with: `labels`
    where they lie in a file of their own, `output` which output they belong to. Every file is read here, once. Raises
    UserError."""
    test_set = None if windows is None else read_windows(windows, labels)
    return [replace(_model_variant(path, test_set), output=output) for path in paths]


@dataclass(frozen=True)
class Said:
    """What a command says of all its models; it goes before what rig.toml says of one."""

    windows: Path | None = None
    labels: Path | None = None
    output: str | None = None
    budgets: Budgets = field(default_factory=Budgets)


def asked_model(word: str | Path, said: Said, config: Config) -> AskedModel:
    """`word` is a name of rig.toml's [models] or a file. Raises UserError for a name that is not there."""
    windows, labels, output, budgets = said.windows, said.labels, said.output, said.budgets
    known = config.own_models.get(str(word))
    if known is not None:
        own_windows = windows or (Path(known.windows) if known.windows else None)
        own_labels = labels or (Path(known.labels) if known.labels and not windows else None)
        own_output = known.output or None if output is None else output
        return AskedModel(str(word), Path(known.file), own_windows, budgets.over(known.budgets), own_labels, own_output)
    if is_name(str(word)) and not Path(word).exists():
        raise UserError(
            f"no model {word}",
            expected=", ".join(config.own_models) or "a .tflite file",
            received=str(word),
            remedy=f"name a file, or add [models.{word}] with its file to rig.toml",
        )
    return AskedModel(printable(Path(word).stem, 100), Path(word), windows, budgets, labels, output)


def asked_models(words: Sequence[str | Path], said: Said, config: Config, oracle: str | None = None) -> tuple[AskedModel, ...]:
    """`words` as asked_model() takes one; without any, all of rig.toml's. `oracle`: None for rig.toml's.

    Raises UserError, for two models of one name too, and for budgets that could not be judged.
    """
    found = [asked_model(word, said, config) for word in words or config.own_models]
    return checked_models(found, oracle or config.oracle)


def checked_models(models: Sequence[AskedModel], oracle: str) -> tuple[AskedModel, ...]:
    """Itself. Raises UserError as asked_models() does."""
    for model in models:
        check_budgets(model.name, model.budgets, oracle, labels=model.windows is not None)
    return _distinct(models)


def check_budgets(whose: str, budgets: Budgets, oracle: str, *, labels: bool = True) -> None:
    """Raises UserError where it is known beforehand that they can't be judged. `labels`: whether there may be any."""
    if budgets and oracle == "none":
        raise UserError(
            f"{whose}: budgets need an oracle",
            expected="--oracle tflm or litert-ref: outputs that nobody compared keep no budget",
            received="--oracle none",
            remedy="leave --oracle out, or the budgets",
        )
    accuracy = [name for name in ("min_accuracy", "max_accuracy_drop") if getattr(budgets, name) is not None]
    if accuracy and not labels:
        raise UserError(
            f"{whose}: the budget {accuracy[0]} needs windows with labels",
            expected="--windows FILE.npz with x and y",
            received="random windows",
            remedy="name the test windows, or leave that budget out",
        )


def budgets_of(given: Mapping[str, object | None]) -> Budgets:
    """Budgets as people write them, by name; others are passed over. Raises UserError."""
    try:
        return read_budgets(given)
    except BudgetError as error:
        raise UserError(
            f"the budget {error.name} can't be used",
            expected=error.expected,
            received=repr(error.received)[:80],
            remedy="write it like one of these; see docs/model.md",
        ) from error


def _distinct(models: Sequence[AskedModel]) -> tuple[AskedModel, ...]:
    for i, model in enumerate(models):
        other = next((m for m in models[:i] if m.name == model.name), None)
        if other is not None:
            raise UserError(
                f"two models have the same name: {model.name}",
                expected="a different name for each",
                received=f"{other.file} and {model.file}",
                remedy=f"name one in rig.toml ([models.NAME] with file = {str(model.file)!r}) and ask for it by that name, or "
                "rename a file: a model's history goes by its name",
            )
    return tuple(models)


def own_variants(models: Sequence[AskedModel]) -> list[Variant]:
    """Every file is read here, once, test windows that models share too. Raises UserError for one that can't be used."""
    pairs = dict.fromkeys((model.windows, model.labels) for model in models)
    test_sets = {(windows, labels): read_windows(windows, labels) if windows else None for windows, labels in pairs}

    def variant(model: AskedModel) -> Variant:
        found = _model_variant(model.file, test_sets[model.windows, model.labels])
        return replace(found, name=model.name, budgets=model.budgets, output=model.output)

    return [variant(model) for model in models]


def own_variant(asked: AskedModel) -> Variant:
    """One of them. Raises UserError."""
    return own_variants((asked,))[0]


def model_variant(path: Path, windows: Path | None, labels: Path | None = None, output: str | None = None) -> Variant:
    """One of them. Raises UserError."""
    return model_variants((path,), windows, labels, output)[0]


def _model_variant(path: Path, test_set: Content | None) -> Variant:
    import zlib

    data = read_model(path)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)  # as inside a zip file: no header, no checksum
    packed = len(deflate.compress(data) + deflate.flush())
    return Variant(
        printable(path.stem, 100),
        path,
        hashlib.sha256(data).hexdigest(),
        len(data),
        zip_bytes=packed,
        windows=test_set.path if test_set else None,
        model=data,
        test_set=test_set,
    )
