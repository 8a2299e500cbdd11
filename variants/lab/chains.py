"""Names of variants -> what has to be built, in which order, and the key under which each result is kept.

    NAME = BASE ("+" STEP ["@" ARGUMENT])*

Each name has one spelling, which is also its file's name; a chain that makes no sense is refused before anything is trained.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinyrig.core.errors import UserError
from tinyrig.variants.lab.builders import CLUSTERED, CONVERTED, DENSE, SPARSE, Argument, Base, Filters, Step, Tables, spelled
from tinyrig.variants.networks import families
from tinyrig.variants.networks.task import Build

MOST_CHARACTERS = 100
"""Of a name: file names and tables hold it."""
_WORD = re.compile(r"[a-z][a-z0-9-]*")
_GRAMMAR = "BASE or BASE+STEP[@ARGUMENT]+..., like simple+l1-filters@0.5+pqt"
_LIST = "tinyrig variants --list names the bases and steps"
_UNDONE = {
    SPARSE: "its training would fill the zeros of the pruning before it: put it before that",
    CLUSTERED: "its training would undo the clusters before it: put it before them",
    CONVERTED: "the step before it leaves no float network to continue from: put it before that step",
    DENSE: "it needs the zeros of a pruning: put it directly after pruned@R",
}
"""Why a step can't follow such a network."""


@dataclass(frozen=True)
class Node:
    """One variant to be: `line` is its base's or last step's name in the table, `notes` what the report says about it."""

    name: str
    line: str
    parent: Node | None
    build: Build
    settings: dict[str, Any]
    gives: str
    filters: Filters | None
    notes: tuple[str, ...]


def plan(names: Iterable[str], tables: Tables, epochs: int | None = None) -> list[Node]:
    """The named variants in order, without repetitions; `epochs` replaces the tables' wherever there is training.

    UserError: a name that can't be read, or that makes no sense.
    """
    return [parse(name, tables, epochs) for name in dict.fromkeys(names)]


def parse(name: str, tables: Tables, epochs: int | None = None) -> Node:
    """One variant with all that it starts from."""
    first, *rest = name.split("+")
    if len(name) > MOST_CHARACTERS or not all(_WORD.fullmatch(part.split("@")[0]) for part in (first, *rest)) or "@" in first:
        raise UserError(f"{name!r} is not a variant name", expected=_GRAMMAR, received=name[:200], remedy=_LIST)
    node = _base(first, tables, epochs)
    for part in rest:
        node = _step(node, part, tables, epochs)
    return node


def _base(name: str, tables: Tables, epochs: int | None) -> Node:
    base = tables.bases.get(name) or (spelled(name) if families.is_network(name) else None)
    if base is None:
        hint = f"{name} is a step: put a base before it, like simple+{name}" if name in tables.steps else _LIST
        raise UserError(f"unknown variant {name!r}", expected=_bases(tables), received=name[:200], remedy=hint)
    parent = _base(base.parent, tables, epochs) if base.parent else None
    return Node(name, name, parent, base.build, _shortened(base.settings, epochs), base.gives, base.filters, _notes(base, parent))


def _bases(tables: Tables) -> str:
    return f"{', '.join(tables.bases)}, {families.GRAMMAR}"


def _step(parent: Node, part: str, tables: Tables, epochs: int | None) -> Node:
    word, at, text = part.partition("@")
    step = tables.steps.get(word)
    if step is None:
        what = f"unknown step {word!r} in {parent.name}+{part}"
        raise UserError(what, expected=", ".join(tables.steps), received=word, remedy=_LIST)
    if parent.gives not in step.takes:
        raise UserError(
            f"{word} can't follow {parent.name}",
            expected=f"{word} on a network that is {' or '.join(step.takes)}",
            received=f"{parent.name}, which is {parent.gives}",
            remedy=_UNDONE[parent.gives],
        )
    settings, filters = _shortened(step.settings, epochs), parent.filters
    if step.argument or at:
        argument, value = _argument(part, word, step, text)
        settings = settings | _shortened({argument.name: value}, epochs)
        filters = step.check(value, filters) if step.check and filters else filters
    return Node(f"{parent.name}+{part}", word, parent, step.build, settings, step.gives, filters, _notes(step, parent))


def _argument(part: str, word: str, step: Step, text: str) -> tuple[Argument, Any]:
    """The step's argument and the number behind @. One number has one spelling, so that one variant has one name."""
    argument = step.argument
    if argument is None:
        raise UserError(f"step {word} takes no argument", expected=word, received=part, remedy="leave @ and what follows out")
    try:
        value = argument.kind(text)
    except ValueError:
        value = None
    inside = value is not None and (
        argument.low < value < argument.high if argument.kind is float else argument.low <= value <= argument.high
    )
    if not inside:
        remedy = f"write {word}@{argument.example}"
        what = f"{part}: {argument.name} out of range" if value is not None else f"step {word} needs {argument.name}"
        raise UserError(what, expected=argument.words, received=text or "nothing", remedy=remedy)
    spelled = f"{value:g}"
    if spelled != text or "e" in spelled:
        expected = argument.words if "e" in spelled else f"{word}@{spelled}"
        raise UserError(
            f"{part}: one number has one spelling",
            expected=expected,
            received=part,
            remedy="one variant has one name, which is its file's too",
        )
    return argument, value


def _shortened(settings: dict[str, Any], epochs: int | None) -> dict[str, Any]:
    return {k: epochs if epochs and k in ("epochs", "head_epochs") else v for k, v in settings.items()}


def _notes(line: Base | Step, parent: Node | None) -> tuple[str, ...]:
    """What is said of a network holds for what is made of it as long as it has zeros or clusters."""
    inherited = parent.notes if parent is not None and parent.gives in (SPARSE, CLUSTERED) and line.gives != DENSE else ()
    return tuple(dict.fromkeys([*inherited, *([line.note] if line.note else [])]))


def in_order(names: Iterable[str], tables: Tables) -> list[str]:
    """Bases first, in the table's order, then chains by name: the order of a folder's variants."""
    rank = {name: i for i, name in enumerate(tables.bases)}
    return sorted(dict.fromkeys(names), key=lambda name: (rank.get(name, len(rank)), name))


# ---- keys ----


def key(node: Node, source: dict[str, Any]) -> str:
    """SHA-256 of all that decides a variant: `source` (data, split, seed, packages, common code), its line's code and settings,
    and all that it starts from. Not its name: pruned and simple+pruned@0.5 are one."""
    above = key(node.parent, source) if node.parent else source
    return _digest([above, code_of(node.build), node.settings])


def code_of(build: Build) -> str:
    """A builder's name and the SHA-256 of the module that it is written in."""
    function = inspect.unwrap(build)
    file = inspect.getsourcefile(function)
    code = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
    return f"{function.__module__}.{function.__qualname__} {code}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
