"""What pydantic found wrong with rig.toml -> an error in words: the key, its value, what is expected, the nearest known key."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.checked import UNUSABLE
from tinyrig.core.errors import UserError

if TYPE_CHECKING:
    from pydantic import ValidationError

Place = tuple[str, ...]
"""Keys from the top of the file down to a value."""
PAGES = {
    "boards": "docs/rig.md and docs/porting.md",
    "history": "docs/history.md",
    "nightly": "docs/nightly.md",
    "logs": "docs/nightly.md",
    "labgrid": "docs/remote.md",
    "energy": "docs/energy.md",
    "models": "docs/model.md and docs/own_variants.md",
}
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_SHAPES = {"dataclass_type": "a table", "dict_type": "a table", "missing": "a value: it is missing"}
_LONGEST = 200


def refused(error: ValidationError, schema: Mapping[str, Any], file: Path | None, environment: Mapping[Place, str]) -> UserError:
    """The first fault of `error`. schema: JSON schema of the file; environment: which variables stand in for which keys."""
    fault = error.errors(include_url=False)[0]
    place: Place = tuple(str(part) for part in fault["loc"])
    table, rest = _table_of(place, schema)
    received = repr(fault["input"])[:_LONGEST]
    if fault["type"] in _UNKNOWN:
        return _unknown(file, table, rest[-1], received, schema)
    variable = environment.get(place, "")
    expected = fault["msg"] if fault["type"] == UNUSABLE else _SHAPES.get(fault["type"], fault["msg"])
    key = _shown(rest[0]) if rest else ""
    return UserError(
        f"{variable} can't be used" if variable else f"{file or 'rig.toml'}: {_title(table, key)}",
        expected=f"{key} = {expected}" if key else expected,
        received=received,
        remedy=f"correct it{'' if variable else f' in {file}'}; see {_page(table)}",
    )


def _unknown(file: Path | None, table: Place, key: str, received: str, schema: Mapping[str, Any]) -> UserError:
    known = _keys(schema, table)
    where = f"[{_dotted(table)}] can't be used: unknown key" if table else "unknown key"
    return UserError(
        f"{file}: {where} {_shown(key)}",
        expected=", ".join(known),
        received=f"{_shown(key)} = {received}",
        remedy=f"{_suggestion(key, known, schema)}; see {_page(table)}",
    )


def _suggestion(key: str, known: list[str], schema: Mapping[str, Any]) -> str:
    elsewhere = [_dotted(table) for table in _tables(schema) if key in _keys(schema, table)]
    if elsewhere:
        return f"it belongs under [{elsewhere[0]}]"
    near = difflib.get_close_matches(key.lower(), known, 1)
    return f"did you mean {near[0]}?" if near else "remove or correct it"


def _table_of(place: Place, schema: Mapping[str, Any]) -> tuple[Place, Place]:
    """(the table that a place lies in, the rest of it)."""
    top = _node(schema, ())["properties"].get(place[0], {}) if place else {}
    depth = 0
    if "properties" in _resolved(schema, top):
        depth = 1
    elif "additionalProperties" in _resolved(schema, top):
        depth = 2 if place[0] == "boards" or (place[0] == "models" and len(place) > 2) else 1
    return place[:depth], place[depth:]


def _tables(schema: Mapping[str, Any]) -> Iterator[Place]:
    yield ()
    for name, node in schema["properties"].items():
        if "properties" in _resolved(schema, node):
            yield (name,)
    yield ("boards", "NAME")
    yield ("models", "NAME")


def _keys(schema: Mapping[str, Any], table: Place) -> list[str]:
    return list(_node(schema, table).get("properties", {}))


def _node(schema: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    node = schema
    for part in place:
        node = _resolved(schema, node)
        node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
    return _resolved(schema, node)


def _resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table behind a reference; of a table that may be left out too."""
    node = next((option for option in node.get("anyOf", ()) if "$ref" in option), node)
    if "$ref" in node:
        found: Mapping[str, Any] = schema["$defs"][node["$ref"].rpartition("/")[2]]
        return found
    return node


def _title(table: Place, key: str) -> str:
    if not table:
        return f"the setting {key!r} can't be used"
    return f"[{_dotted(table)}] can't be used" + (f": {key}" if key else "")


def _dotted(table: Place) -> str:
    return ".".join(map(_shown, table))


def _shown(key: str) -> str:
    """As TOML writes a key."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", key) else json.dumps(key[:60])


def _page(table: Place) -> str:
    return PAGES.get(table[0], "docs/rig.md") if table else "docs/rig.md"
