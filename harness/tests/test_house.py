"""Sizes that keep the house readable. What exceeds them today is listed by name and may only shrink."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("harness", "variants", "reports")
LIMITS = {"function": 40, "class": 200, "file": 450}  # lines; of a function, those of its body without the docstring
# Only to be shortened: a name here that has come within its limit, or that has become smaller than its number, fails the test.
EXCEPTIONS: dict[tuple[str, str, str], int] = {}

Size = tuple[tuple[str, str, str], int]  # (kind, path, qualified name), lines


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def sizes_in(text: str, path: str) -> Iterator[Size]:
    """Every function and class of one file, and the file itself."""
    yield ("file", path, ""), len(text.splitlines())
    pending: list[tuple[ast.AST, str]] = [(ast.parse(text), "")]
    while pending:
        node, prefix = pending.pop()
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}{child.name}."
                yield ("function", path, name[:-1]), body_lines(child)
            elif isinstance(child, ast.ClassDef):
                name = f"{prefix}{child.name}."
                yield ("class", path, name[:-1]), (child.end_lineno or 0) - child.lineno + 1
            pending.append((child, name))


def complaints(sizes: dict[tuple[str, str, str], int], exceptions: dict[tuple[str, str, str], int]) -> list[str]:
    found = []
    for key, lines in sizes.items():
        if lines > (allowed := exceptions.get(key, LIMITS[key[0]])):
            found.append(f"{' '.join(key)}: {lines} lines, at most {allowed}")
    for key, listed in exceptions.items():
        lines = sizes.get(key, 0)
        if lines <= LIMITS[key[0]]:
            found.append(f"{' '.join(key)}: no longer over {LIMITS[key[0]]} lines: remove it from EXCEPTIONS")
        elif lines < listed:
            found.append(f"{' '.join(key)}: {lines} lines now: lower its number in EXCEPTIONS from {listed}")
    return found


def source_files() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).parts
            if "tests" not in parts and "out" not in parts:
                yield path


def test_nothing_outgrows_its_limit() -> None:
    sizes: dict[tuple[str, str, str], int] = {}
    for path in source_files():
        sizes.update(sizes_in(path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()))
    assert len(sizes) > 1000, "the folders were not found"
    assert complaints(sizes, EXCEPTIONS) == []


LONG = ("function", "a.py", "long")


@pytest.mark.parametrize(
    ("lines", "listed", "complaint"),
    [
        (40, None, None),
        (41, None, "41 lines, at most 40"),
        (60, 60, None),
        (61, 60, "61 lines, at most 60"),
        (50, 60, "lower its number"),
        (40, 60, "remove it"),
    ],
)
def test_the_list_may_only_shrink(lines: int, listed: int | None, complaint: str | None) -> None:
    text = 'def long():\n    """Its docstring\n    does not count."""\n' + "    pass\n" * lines
    found = complaints(dict(sizes_in(text, "a.py")), {} if listed is None else {LONG: listed})
    assert [complaint in line for line in found] == [True] if complaint else found == []


def test_a_name_that_is_gone_leaves_the_list() -> None:
    assert complaints({}, {LONG: 60}) == ["function a.py long: no longer over 40 lines: remove it from EXCEPTIONS"]
