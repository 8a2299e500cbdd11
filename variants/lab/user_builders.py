"""What the user adds: Keras networks as bases (rig.toml's [models] or --own), and the bases and steps of installed packages.

A file's weights stay as they are; a function's network is trained as `simple` is. Either way it must take the dataset's
normalised windows and give class probabilities.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import inspect
import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tinyrig.core.errors import UserError
from tinyrig.places.project import project_folder
from tinyrig.variants.lab.builders import BUILT_IN, EVERYTHING, Base, Step, Tables
from tinyrig.variants.networks import keras3, models
from tinyrig.variants.networks.task import Built, Task

GROUP = "tinyrig.builders"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_SEE = "docs/own_variants.md describes them"


def tables(own: Mapping[str, str]) -> Tables:
    """The lab's own lines, those of installed packages and the user's networks: name -> FILE.keras, FILE.h5 or module:function.

    UserError: a name that is taken or can't be used, a file or function that isn't there.
    """
    bases, steps = dict(BUILT_IN.bases), dict(BUILT_IN.steps)
    for name, line, source in installed():
        _check_name(name, {**bases, **steps}, source)
        if isinstance(line, Base):
            bases[name] = line
        else:
            steps[name] = line
    for name, spec in own.items():
        _check_name(name, {**bases, **steps}, spec)
        bases[name] = base_of(spec)
    return Tables(bases, steps)


def installed() -> list[tuple[str, Base | Step, str]]:
    """(name, line, where it comes from) of every entry point in the group, by name."""
    found = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda point: point.name)
    return [(point.name, _loaded(point), _source(point)) for point in found]


def _source(point: importlib.metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _loaded(point: importlib.metadata.EntryPoint) -> Base | Step:
    try:
        line = point.load()
    except (Exception, SystemExit) as error:  # whatever a package's import raises
        raise UserError(
            f"builder {point.name} of {_source(point)} can't be loaded",
            expected=point.value,
            received=f"{error!r}"[:300],
            remedy=f"repair or uninstall the package; {_SEE}",
        ) from error
    if not isinstance(line, Base | Step):
        raise UserError(
            f"builder {point.name} of {_source(point)} can't be used",
            expected="a Base or a Step of tinyrig.variants.lab.builders",
            received=type(line).__name__,
            remedy=_SEE,
        )
    return line


def _check_name(name: str, taken: Mapping[str, Any], source: str) -> None:
    if not _NAME.fullmatch(name):
        what = f"{name!r} can't be a base's or step's name"
        raise UserError(what, expected="small letters, digits and dashes", received=source, remedy=_SEE)
    if name in taken or name == EVERYTHING:
        raise UserError(f"the name {name} is taken", expected="an unused name", received=source, remedy="choose another name")


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """NAME=FILE or NAME=module:function of the command line."""
    found = {}
    for text in texts:
        name, sign, spec = text.partition("=")
        if not sign or not spec:
            raise UserError("--own can't be used", expected="NAME=FILE.keras or NAME=module:function", received=text, remedy=_SEE)
        found[name] = spec
    return found


def base_of(spec: str) -> Base:
    """The base that a file or a function makes. UserError: it isn't there."""
    if _FUNCTION.fullmatch(spec):
        function = _function(spec)
        source = inspect.getsourcefile(function)
        code = hashlib.sha256(Path(source).read_bytes()).hexdigest() if source else ""
        settings = {"network": spec, "code_sha256": code, "epochs": 80, "learning_rate": 0.001}
        return Base(build_function, f"your {spec}, trained", settings=settings)
    try:
        content = hashlib.sha256(Path(spec).read_bytes()).hexdigest()
    except OSError as error:
        expected = "a .keras or .h5 file, or module:function"
        raise UserError(f"{spec} can't be read", expected=expected, received=str(error), remedy=_SEE) from error
    settings = {"file": Path(spec).name, "sha256": content}
    build = functools.partial(build_file, path=str(Path(spec).absolute()))
    return Base(functools.update_wrapper(build, build_file), f"your {Path(spec).name}, as it is", settings=settings)


@contextlib.contextmanager
def _users_folders_first() -> Iterator[None]:
    """The working directory and the project are searched before everything else while the user's module is imported, and last
    from then on: a file there that is called as a package of ours must not take its place."""
    folders = list(dict.fromkeys(map(str, (Path.cwd(), project_folder()))))
    before = [path for path in sys.path if path not in folders]
    sys.path[:] = [*folders, *before]
    try:
        yield
    finally:
        sys.path[:] = [*before, *folders]


def _function(spec: str) -> Any:
    module, _, name = spec.partition(":")
    try:
        with _users_folders_first():
            function = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever the user's import raises
        raise UserError(
            f"{spec} can't be imported",
            expected="a function in a module that Python finds",
            received=f"{error!r}"[:300],
            remedy="start tinyrig in the module's folder or below its rig.toml, or install its package",
        ) from error
    if not callable(function):
        raise UserError(
            f"{spec} is not a function",
            expected="function(steps, channels, classes) -> Keras network",
            received=type(function).__name__,
            remedy=_SEE,
        )
    return function


def build_function(task: Task) -> Built:
    """The network that the user's function makes, trained from new weights."""
    models.fresh(task.data.seed)
    spec = task.settings["network"]
    try:
        model = _function(spec)(*task.data.x.shape[1:], task.data.classes)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{spec} failed", expected="a Keras network", received=f"{error!r}"[:300], remedy=_SEE) from error
    model = fitting(model, task, spec)
    return task.as_float(model, task.train(model))


def build_file(task: Task, path: str) -> Built:
    """The network of a file with its weights."""
    models.fresh(task.data.seed)
    model = fitting(_load(path), task, path)
    built = task.as_float(model, {})
    return Built(built.name, built.tflite, built.net, dict(task.settings), built.facts)


def _load(path: str) -> Any:
    """A file of Keras 2's or Keras 3's."""
    try:
        with models.quiet():
            return models.tensorflow().keras.models.load_model(path, compile=False)
    except (Exception, SystemExit) as first:  # whatever Keras raises: its loaders have no error of their own
        try:
            with models.quiet():
                return keras3.load(path)
        except (Exception, SystemExit) as second:
            raise UserError(
                f"{path} can't be loaded",
                expected="a network saved by Keras 2 or Keras 3 as .keras or .h5",
                received=f"{str(first)[:150]} / {str(second)[:150]}",
                remedy=f"name a module:function instead; {_SEE}",
            ) from second


def fitting(model: Any, task: Task, spec: str) -> Any:
    """The network as a plain chain of layers where it is one. UserError: it doesn't fit the dataset."""
    keras = models.tensorflow().keras
    if not isinstance(model, keras.Model):
        raise UserError(
            f"{spec} does not return a network",
            expected="a tf_keras (Keras 2) model",
            received=str(type(model))[:200],
            remedy="build it from tensorflow.keras or tf_keras layers, with TF_USE_LEGACY_KERAS=1",
        )
    expected = ((None, *task.data.x.shape[1:]), (None, task.data.classes))
    received = (getattr(model, "input_shape", None), getattr(model, "output_shape", None))
    if received != expected:
        raise UserError(
            f"{spec} doesn't fit the dataset",
            received=f"{_shape(received[0])} to {_shape(received[1])}",
            expected=f"windows {_shape(expected[0])} to {task.data.classes} class probabilities",
            remedy="give it these shapes, or choose another --dataset",
        )
    return keras.Sequential(model.layers) if _is_chain(model, keras) else model


def _shape(shape: Any) -> str:
    return str(list(shape[1:])) if isinstance(shape, tuple) else str(shape)


def _is_chain(model: Any, keras: Any) -> bool:
    if isinstance(model, keras.Sequential):
        return False  # nothing to do
    once = all(len(layer.inbound_nodes) == 1 and not isinstance(layer.input, list) for layer in model.layers)
    return once and all(a.output is b.input for a, b in itertools.pairwise(model.layers))
