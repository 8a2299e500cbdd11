"""`python -m tinyrig.tests.config_schema`: writes docs/rig.schema.json, from which editors complete and check rig.toml."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from typing import Any

from tinyrig.core.config import ROOT, Config, Energy, Folders, History, Labgrid, Logs, Nightly, OwnModel, adapter
from tinyrig.core.deadlines import Limits
from tinyrig.core.user_boards import BoardTable, Wiring

FILE = ROOT / "docs" / "rig.schema.json"
RECORDS: tuple[type, ...] = (Config, BoardTable, Energy, Folders, History, Labgrid, Limits, Logs, Nightly, OwnModel)


def text() -> str:
    """What FILE holds."""
    return json.dumps(schema(), indent=2) + "\n"


def schema() -> dict[str, Any]:
    """pydantic's, with the fields' docstrings as descriptions and without what depends on the machine."""
    found = adapter().json_schema()
    tables = {**found.pop("$defs"), Config.__name__: found}
    for record in RECORDS:
        words = {name: text for base in (Wiring, record) if issubclass(record, base) for name, text in _docstrings(base).items()}
        _tidy(tables[record.__name__], words)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return head | found | {"title": "rig.toml", "$defs": {name: table for name, table in tables.items() if table is not found}}


def _tidy(table: dict[str, Any], words: dict[str, str]) -> None:
    del table["title"]
    for name, node in table["properties"].items():
        node.pop("title", None)
        if node.get("default", "") is None:
            del node["default"]
        if table_of := next((option for option in node.get("anyOf", ()) if "$ref" in option), None):
            table["properties"][name] = node = table_of  # a table that may be left out; TOML has no null
        if name in words:
            node["description"] = words[name]


def _docstrings(record: type) -> dict[str, str]:
    """Field -> the docstring below it."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(record))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            found[field.target.id] = inspect.cleandoc(ast.literal_eval(below.value))
    return found


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
