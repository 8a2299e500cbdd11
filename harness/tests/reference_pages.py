"""`python -m tinyrig.tests.reference_pages`: writes docs/reference/ from the parsers, the schema of rig.toml, a run's JSON and
the pytest plugin. tests/test_docs.py holds the files against this."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tinyrig import cli, plugin
from tinyrig.analysis.run_json import run_to_json
from tinyrig.command_line import EXAMPLES, EXITS
from tinyrig.core.config import ROOT
from tinyrig.core.plans import MeasurementSettings
from tinyrig.core.records import Claim, ClaimStatus, ClockCheck, NotMeasured
from tinyrig.core.scoring import Caution, CautionKind
from tinyrig.tests import config_schema
from tinyrig.tests.fake_runs import make_run, make_variant_run
from tinyrig.tests.json_words import WORDS

FOLDER = ROOT / "docs" / "reference"
MADE = "<!-- Made by python -m tinyrig.tests.reference_pages: change the code, not this page. -->\n"


def pages() -> dict[str, str]:
    """File name -> what it holds."""
    made: dict[str, Callable[[], Iterator[str]]] = {
        "cli.md": commands,
        "rig-toml.md": rig_toml,
        "json.md": run_json,
        "fixtures.md": fixtures,
    }
    return {name: MADE + "\n" + "\n".join(make()) + "\n" for name, make in made.items()}


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


# ---- commands ----


class _Caught(Exception):
    """Carries a parser out of a `main` that would continue with it."""


def _parser_of(package: str) -> argparse.ArgumentParser:
    """That of a command which is a package of its own."""
    caught: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        caught.append(parser)
        raise _Caught

    with patch.object(argparse.ArgumentParser, "parse_args", stop), suppress(_Caught):
        importlib.import_module(f"{package}.__main__").main([])
    return caught[0]


def all_parsers() -> dict[str, argparse.ArgumentParser]:
    """Every command's, with what it is for as `description` where it says no more itself."""
    own = next(a for a in cli._parser()._actions if isinstance(a, argparse._SubParsersAction))
    found: dict[str, argparse.ArgumentParser] = dict(own.choices)
    for choice in own._choices_actions:
        found[choice.dest].description = found[choice.dest].description or choice.help
    for name, (package, what) in cli._PACKAGES.items():
        found[name] = _parser_of(package)
        found[name].description = found[name].description or what
    return dict(sorted(found.items()))


def commands() -> Iterator[str]:
    yield f"# Commands\n\n{EXITS[0].upper()}{EXITS[1:]}.\n"
    yield "`-v` says more, `-q` only what must be read; both go with every command."
    for name, parser in all_parsers().items():
        yield f"\n## tinyrig {name}\n\n{_sentence(parser.description or '')}\n"
        yield "| argument | meaning |\n|:--|:--|"
        for action in parser._actions:
            if action.help is not argparse.SUPPRESS and action.dest not in ("help", "level"):
                yield f"| {_argument(action)} | {_cell(_help(action))} |"
        if name in EXAMPLES:
            yield "\n" + "\n".join(f"    tinyrig {name} {words}".rstrip() for words in EXAMPLES[name])


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _argument(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    value = " ".join(value) if isinstance(value, tuple) else value
    if action.nargs in ("+", "*"):
        value += " ..."
    words = [f"{option}{'' if action.nargs == 0 else f' {value}'}" for option in action.option_strings] or [value]
    return ", ".join(f"`{_cell(word)}`" for word in words)


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%").replace("%(default)s", str(action.default))


# ---- rig.toml ----


def rig_toml() -> Iterator[str]:
    schema = config_schema.schema()
    yield "# rig.toml\n\nEvery key may be left out, and so may the file. Editors check it with `docs/rig.schema.json`;"
    yield "[the rig](../rig.md) explains what the tables are for."
    yield from _table("At the top", schema, schema["$defs"])


def _table(title: str, node: dict[str, Any], defs: dict[str, Any]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield "| key | type | default | meaning |\n|:--|:--|:--|:--|"
    below: list[tuple[str, dict[str, Any]]] = []
    for name, key in node["properties"].items():
        table = _referred(key, defs)
        if table is not None:
            below.append((f"[{name}]" if "$ref" in key else f"[{name}.NAME]", table))
            continue
        default = f"`{json.dumps(key['default'])}`" if "default" in key else ""
        yield f"| `{name}` | {_cell(_type(key))} | {_cell(default)} | {_cell(key.get('description', ''))} |"
    for heading, table in below:
        yield from _table(heading, table, defs)


def _referred(key: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any] | None:
    """The table that a key opens; None for a plain one."""
    target = key.get("$ref")
    if target is None and isinstance(key.get("additionalProperties"), dict):
        inner = key["additionalProperties"]
        target = inner.get("$ref") or next((o["$ref"] for o in inner.get("anyOf", ()) if "$ref" in o), None)
    found: dict[str, Any] | None = defs[target.rsplit("/", 1)[-1]] if target else None
    return found if found is None or "properties" in found else None


def _type(key: dict[str, Any]) -> str:
    if "enum" in key:
        return " or ".join(f"`{value}`" for value in key["enum"])
    if "anyOf" in key:
        return " or ".join(dict.fromkeys(_type(option) for option in key["anyOf"] if option.get("type") != "null"))
    if key.get("type") == "array":
        return f"list of {_type(key['items'])}" if isinstance(key.get("items"), dict) and key["items"] else "list"
    return {"integer": "whole number", "boolean": "true or false", "object": "table"}.get(
        key.get("type", ""), key.get("type", "")
    )


# ---- JSON ----


def example() -> dict[str, Any]:
    """A document that has every key which a run can have."""
    claims = (Claim("parity", ClaimStatus.PASSED), Claim("accuracy", ClaimStatus.NOT_MEASURED, "no labels"))
    run = make_variant_run("pqt", claims=claims, clock=ClockCheck(12.0, 30.0, 1.5), settings=_SETTINGS)
    return run_to_json(replace(make_run(), runs=(run,), not_measured=(NotMeasured("simple", "the board is gone", "link"),)))


_LINE = {"requests": 300, "retries": 1, "timeouts": 1, "damaged": 0, "refused": 0, "reconnects": 0, "recoveries": 1}
_LINE |= {"recovery_median_s": 0.1, "recovery_worst_s": 0.1, "bytes_sent": 1000, "bytes_resent": 10}


_SETTINGS = MeasurementSettings(link=_LINE, cautions=(Caution(CautionKind.CONSTANT, "an input is constant"),))


def keys(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every leaf; `[]` is any entry of a list, `{}` a key that the run chooses."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            step = "{}" if path in ("versions", "runs[].claims") else name
            yield from keys(inner, f"{path}.{step}" if path else step)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from keys(value[0], f"{path}[]")
    else:
        yield path, value


def run_json() -> Iterator[str]:
    yield "# JSON\n\n`tinyrig run --json FILE` writes schema 1. Keys are added, never renamed or given another unit; none holds"
    yield "NaN or infinity. Null means not measured, withheld or not known: [how to read a"
    yield "report](../report.md#the-same-numbers-for-programs) has the rules. `tinyrig check --json` is described in [checking a"
    yield "model](../check.md).\n"
    yield "| key | type | meaning |\n|:--|:--|:--|"
    for path, value in dict(keys(example())).items():
        yield f"| `{path}` | {KINDS[type(value)]} | {_cell(meaning(path))} |"
    yield "\nOnly where it was measured, an entry of `runs` also has `energy` ([energy](../energy.md)), the scores of outputs"
    yield "that are no list of classes (`auc`, `f1`, `cell_accuracy`, `mae`, `rmse`, `r2`, `reconstruction_error`:"
    yield "[inputs](../inputs.md)), and `throughput` and `mlperf` ([MLPerf Tiny firmware](../mlperf.md))."


KINDS = {
    bool: "true or false",
    int: "number",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
    type(None): "may be null",
}


def meaning(path: str) -> str:
    """Raises KeyError for a key without words."""
    found = WORDS.get(path) or WORDS.get(path.rsplit(".", 1)[-1])
    if found is None:
        raise KeyError(f"give the new key {path} its meaning in harness/tests/json_words.py")
    return found


# ---- fixtures ----


def fixtures() -> Iterator[str]:
    yield "# Fixtures\n\nWhat tinyrig's pytest plugin adds; [in your tests](../pytest.md) shows how it is used.\n"
    yield "| fixture | scope | what it is |\n|:--|:--|:--|"
    tree = ast.parse(Path(inspect.getfile(plugin)).read_text("utf-8"))
    for node in tree.body:
        scope = _scope(node) if isinstance(node, ast.FunctionDef) else None
        if isinstance(node, ast.FunctionDef) and scope:
            yield f"| `{node.name}` | {scope} | {_cell(ast.get_docstring(node) or '')} |"
    yield "\n| option | meaning |\n|:--|:--|"
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "addoption":
            settings = {k.arg: ast.literal_eval(k.value) for k in call.keywords if isinstance(k.value, ast.Constant)}
            name = " ".join(filter(None, (ast.literal_eval(call.args[0]), settings.get("metavar"))))
            yield f"| `{name}` | {_cell(settings.get('help', ''))} |"


def _scope(node: ast.FunctionDef) -> str | None:
    for mark in node.decorator_list:
        call = mark if isinstance(mark, ast.Call) else None
        if ast.unparse(call.func if call else mark) == "pytest.fixture":
            scopes = [ast.literal_eval(k.value) for k in call.keywords if k.arg == "scope"] if call else []
            return str(scopes[0]) if scopes else "function"
    return None


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
