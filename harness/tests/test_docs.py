"""The documents: lines that fit, links, files, names and commands that exist, in the words of the glossary."""

from __future__ import annotations

import argparse
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyrig.cli import _PACKAGES, _parser
from tinyrig.core.config import ROOT
from tinyrig.tests import boards_page, reference_pages

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "firmware/WIRE.md", ROOT / "firmware/fuzz/README.md"]
WIDTH = 120
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
FILE = re.compile(r"`((?:harness|variants|reports|firmware|bench|docs)/[\w/.-]+)`")
NAMED = re.compile(r"((?:`\w+`(?: and )?)+) (?:\(|in )`([\w/]+\.\w+)`")
"""`Name` (`file.py`), `Name` and `Other` (`file.py`), `name` in `file.h`."""
COMMAND = re.compile(r"(?:^|[$;|(:])\s*(?<!engine: )(?:\S*\.venv/bin/)?tinyrig ([a-z]+)\b([^\n`|#]*)", re.M)
NOT_USED = re.compile(r"\b(anew|borne|lest|gone on with|held against|a Arduino)\b")

NOT_SAID = re.compile(r"\b(anew|g(?:one|o|oes) on with)\b")
"""In code."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())


def prose_and_code(page: Path) -> tuple[list[tuple[int, str]], str]:
    """(numbered lines outside of tables and code blocks, all code: blocks and `spans`)."""
    prose, code, fenced, after_blank, indented = [], [], False, True, False
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        fence = line.lstrip().startswith("```")
        indented = line.startswith("    ") and (indented or after_blank)
        after_blank = not line.strip()
        if fenced or fence or indented:
            code.append(line)
        elif not line.lstrip().startswith("|"):
            prose.append((number, line))
        fenced ^= fence
    text = re.sub(r"^(```.*?^```|    .*?$)", "", page.read_text("utf-8"), flags=re.S | re.M)
    return prose, "\n".join([*code, *re.findall(r"`([^`]+)`", text)])


def slugs(page: Path) -> set[str]:
    """The anchors that GitHub gives the page's headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_lines_fit(page: Path) -> None:
    assert [n for n, line in prose_and_code(page)[0] if len(line) > WIDTH] == []


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text("utf-8")):
        if "://" not in link:
            name, _, anchor = link.partition("#")
            target = (page.parent / name).resolve() if name else page
            assert target.exists(), link
            assert not anchor or anchor in slugs(target), link


@each_page
def test_files_exist(page: Path) -> None:
    named = {name for name in FILE.findall(page.read_text("utf-8")) if not re.search(r"/out\b", name)}
    assert {name for name in named if not (ROOT / name).exists()} == set()


@each_page
def test_names_are_where_the_page_says(page: Path) -> None:
    for names, file in NAMED.findall(page.read_text("utf-8").replace("\n  ", " ")):
        if (ROOT / file).exists():
            text = (ROOT / file).read_text("utf-8")
            for name in re.findall(r"\w+", names.replace(" and ", " ")):
                assert re.search(rf"^(class |def |\w+ )?\b{name}\b", text, re.M), (name, file)


def options(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def commands() -> dict[str, set[str]]:
    """Every command with its options."""
    known = next(a.choices for a in _parser()._actions if isinstance(a, argparse._SubParsersAction))
    found = {name: options(parser) for name, parser in known.items()}
    for name, (package, _) in _PACKAGES.items():
        done = subprocess.run([sys.executable, "-m", package, "--help"], capture_output=True, text=True, check=True)
        found[name] = set(re.findall(r"--[a-z][a-z0-9-]*|-[a-z]\b", done.stdout))
    return found


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    return commands()


def calls(code: str) -> Iterator[tuple[str, list[str]]]:
    """(command, its options) for each `tinyrig COMMAND ...`, without what explains it behind two spaces."""
    for name, rest in COMMAND.findall(code):
        yield name, re.findall(r"(?<=\s)--?[a-z][a-z0-9-]*", rest.split("  ")[0])


@each_page
def test_commands_exist(page: Path, known: dict[str, set[str]]) -> None:
    for name, asked in calls(prose_and_code(page)[1]):
        assert name in known and set(asked) <= known[name], (name, asked)


@each_page
def test_modules_and_targets_exist(page: Path) -> None:
    code = prose_and_code(page)[1]
    for module in re.findall(r"python -m (tinyrig[\w.]*)", code):
        assert importlib.util.find_spec(module), module
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert set(re.findall(r"(?<![\w-])make ([a-z-]+)", code)) <= set(targets)


@each_page
def test_words_not_used(page: Path) -> None:
    text = page.read_text("utf-8").partition("## Words not used")[0]
    assert NOT_USED.findall(text) == []


def test_code_avoids_them_too() -> None:
    """In comments, help and messages; this file has to name them."""
    folders = ("harness", "variants", "reports", "firmware", "bench")
    files = [
        p for f in folders for p in (ROOT / f).rglob("*.*") if p.suffix in (".py", ".c", ".h", ".sh") and p != Path(__file__)
    ]
    assert len(files) > 500, "the folders were not found"
    found = {p.relative_to(ROOT).as_posix(): NOT_SAID.findall(p.read_text("utf-8", "replace")) for p in files}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize("name", ["cli.md", "rig-toml.md", "json.md", "fixtures.md"])
def test_the_references_are_what_the_code_says(name: str, references: dict[str, str]) -> None:
    written = (reference_pages.FOLDER / name).read_text("utf-8")
    assert written == references[name], "python -m tinyrig.tests.reference_pages writes them again"


def test_the_page_of_boards_is_what_the_table_says() -> None:
    assert boards_page.PAGE.read_text("utf-8") == boards_page.page(), "python -m tinyrig.tests.boards_page writes it again"


@pytest.fixture(scope="module")
def references() -> dict[str, str]:
    return reference_pages.pages()


def test_the_references_are_complete(references: dict[str, str]) -> None:
    assert set(re.findall(r"^## tinyrig (\w+)", references["cli.md"], re.M)) == set(reference_pages.all_parsers())
    assert "| `tinyrig_measure` | session |" in references["fixtures.md"] and "[boards.NAME]" in references["rig-toml.md"]
    with pytest.raises(KeyError, match=r"give the new key runs.* its meaning"):
        reference_pages.meaning("runs[].brand_new")


def test_messages_of_the_troubleshooting_page_are_real() -> None:
    """Each stands in the source as it stands there, with nothing filled in."""
    page = (ROOT / "docs/troubleshooting.md").read_text("utf-8")
    source = "\n".join(p.read_text("utf-8") for p in (ROOT / "harness").rglob("*.py") if "tests" not in p.parts)
    source += "\n".join(p.read_text("utf-8") for p in (ROOT / "reports").rglob("*.py") if "tests" not in p.parts)
    shown = [words for words in re.findall(r"^\| `([^`]+)` \|", page, re.M)]
    assert len(shown) > 25 and [words for words in shown if words not in source] == []


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """As `make docs`; and no page asks for anything elsewhere."""
    pytest.importorskip("mkdocs", reason="the docs site is an extra: pip install 'tinyrig[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for page in tmp_path.rglob("*.html"):
        fetched = re.findall(r"<(?:link|script|img)[^>]*(?:href|src)=\"(https?:[^\"]+)", page.read_text("utf-8"))
        assert fetched == [], page


def test_the_glossary_is_in_order() -> None:
    terms = re.findall(r"^- \*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text("utf-8"), re.M)
    assert len(terms) > 30 and terms == sorted(terms, key=str.lower)


def test_a_wrong_page_is_found(tmp_path: Path, known: dict[str, set[str]]) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# T\n\n{'long ' * 30}\n\n    tinyrig rum --board x\n\n`tinyrig run --bord x` [x](none.md) [y](#u)\n")
    prose, code = prose_and_code(page)
    assert [n for n, line in prose if len(line) > WIDTH] == [3]
    assert list(calls(code)) == [("rum", ["--board"]), ("run", ["--bord"])]
    assert "rum" not in known and "--bord" not in known["run"]
    with pytest.raises(AssertionError, match=r"none\.md"):
        test_links_lead_somewhere(page)
