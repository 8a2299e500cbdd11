"""Names made to break out of comments and strings in C, of tables in reports, of folders, of a shell. None gets anywhere."""

from __future__ import annotations

import html.parser
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.emit import _comment_text
from tinyrig.compiler.lower.program import step_name
from tinyrig.compiler.tests.fuzz_mutate import pack
from tinyrig.compiler.tests.test_spoilt_models import parsed
from tinyrig.core.text import printable
from tinyrig.reports.__main__ import main as report
from tinyrig.tests import small_models
from tinyrig.workload.host_build import host_cc

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    b"*/ #error out /*",
    b"**// int x; /**",
    b"*\\/ int y;",
    b"../../../etc/passwd",
    b"/etc/passwd",
    b"a\0b",
    b"a\nb\r\n#error line",
    b'"; #include "stdio.h"',
    b"??/\n",
    b"trailing \\",
    b"$(touch pwned)",
    b"`touch pwned`; touch pwned",
    b"%n%s%n",
    b"x" * 9000,
    "😀 ²³ ünïcode ‮drawkcab".encode(),
    b"\xff\xfe\xc0",
    b"<script>alert(1)</script>",
    b"| a | b |",
    b"[x](javascript:1) ![y](z)",
    b"&lt;b&gt; &amp;",
    b"\x1b[31mred\x1b[0m",
    b"",
)


def with_names(data: bytes, names: tuple[bytes, ...]) -> bytes:
    model = parsed(data)
    for tensor, name in zip(model.subgraphs[0].tensors, names * 20, strict=False):
        tensor.name = name
    return pack(model)


def compiled_text(names: tuple[bytes, ...], make=small_models.dense_int8) -> str:
    data = with_names(make(), names)
    return compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18, engine="portable").sources["model.c"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_the_generated_c_does_not_change_with_the_names(name: bytes) -> None:
    """Without comments and step names, it is the same text, and the compiler takes it without a warning."""
    text = compiled_text((name,))
    assert text.isascii() and "??/" not in text

    def code(source: str) -> str:
        source = re.sub(r"/\*.*?\*/", "", source, flags=re.DOTALL)
        source = re.sub(r"0x[0-9a-f]{2}", "", source)  # the model's digest
        return re.sub(r"step(\d+)_[a-z0-9_]*?(_weights|_bias|_multiplier|_shift|_params|\b)", r"step\1\2", source)

    assert code(text) == code(compiled_text((b"plain",)))
    command = [host_cc(), "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'firmware' / 'nn'}", "-x", "c", "-"]
    done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_comments_and_identifiers_hold_only_harmless_characters(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_ ./,:;()+-]{0,100}", _comment_text(name))
    assert re.fullmatch(r"[a-z0-9_]{1,40}", step_name(name, "CONV_2D"))
    assert printable(name).isprintable() and len(printable(name * 100, 50)) <= 50


class Balanced(html.parser.HTMLParser):
    """Every tag is closed in order, and only the report's own tags and attributes occur."""

    VOID = ("meta", "img", "br")
    KNOWN = frozenset(
        [
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "main",
            "header",
            "nav",
            "section",
            "h1",
            "h2",
            "h3",
            "h4",
            "p",
            "ul",
            "li",
            "dl",
            "dt",
            "dd",
            "div",
            "span",
            "b",
            "a",
            "br",
            "pre",
            "code",
            "img",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "details",
            "summary",
            "figure",
            "figcaption",
            "svg",
            "g",
            "rect",
            "line",
            "path",
            "polyline",
            "circle",
            "text",
        ]
    )

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.KNOWN and not [k for k, _ in attrs if k.startswith("on")], (tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def table_widths(text: str) -> list[set[int]]:
    """For each Markdown table, the different numbers of its rows' cells."""
    blocks = [b.splitlines() for b in text.split("\n\n") if b.startswith("|")]
    return [{len(re.findall(r"(?<!\\)\|", line)) for line in rows} for rows in blocks]


FILE = "$(touch pwned); `touch pwned` *|<script>&amp; '\"\n\x1b[31m\\😀"


@pytest.mark.parametrize(
    "file", [os.fsencode(FILE) + b"\xff.tflite", b"-rf.tflite", b"..tflite"], ids=["shell", "option", "dots"]
)
def test_a_run_of_a_model_with_hostile_names(file: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("TINYRIG_RESULTS", f"sqlite:///{home / 'results.sqlite'}")
    model = Path(os.fsdecode(file))
    model.write_bytes(with_names(small_models.dense_int8(), NAMES[6:]))
    x = np.random.default_rng(1).normal(0, 2, (6, small_models.FEATURES)).astype(np.float32)
    names = np.array(["<script>alert(1)</script>", "a|b`c", "../../x", "$\\frac{$"])
    np.savez("windows.npz", x=x, y=np.arange(6) % 4, class_names=names)
    # A link where a plot will lie: it must be replaced, never followed.
    outside = tmp_path / "outside.png"
    outside.write_text("untouched")
    for name in ("accuracy-latency", "memory", "ops"):
        (home / "r").mkdir(exist_ok=True)
        (home / "r" / f"{name}.png").symlink_to(outside)
    code = main(["run", f"--model={model}", "--windows", "windows.npz", "--json", "out.json", "--no-report"])
    assert code in (0, 1), capsys.readouterr().err
    assert report(["-o", "r.md", "--summary", "--store", f"sqlite:///{home / 'results.sqlite'}"]) == 0
    assert report(["-o", "r.html", "--store", f"sqlite:///{home / 'results.sqlite'}"]) == 0
    shown = capsys.readouterr()
    assert "model" in shown.out.lower() and "\x1b" not in shown.out + shown.err
    known = {model.name, "windows.npz", "out.json", "r.md", "r.html", "r", ".tinyrig"}
    assert {p.name for p in home.iterdir() if not p.name.startswith("results.sqlite")} == known
    assert {p.name for p in tmp_path.iterdir()} == {"home", "outside.png"} and outside.read_text() == "untouched"
    page = Balanced()
    page.feed(Path("r.html").read_text("utf-8"))
    assert page.open == []
    text = Path("r.md").read_text("utf-8")
    assert all(len(widths) == 1 for widths in table_widths(text)) and table_widths(text)
    assert not re.search(r"<\s*(script|b|img)\b", re.sub(r"`[^`\n]*`", "", text.replace("\\<", "")))


def test_no_shell_runs_a_tool() -> None:
    """Programs are started with a list of arguments only."""
    wrong = re.compile(r"shell\s*=\s*True|\bos\.(system|popen|spawn)|getoutput|create_subprocess_shell|\bpty\.spawn")
    files = [p for package in ("harness", "variants", "bench", "reports", "firmware") for p in (ROOT / package).rglob("*.py")]
    assert len(files) > 100
    found = [p for p in files if p != Path(__file__).resolve() and wrong.search(p.read_text("utf-8"))]
    assert found == []
