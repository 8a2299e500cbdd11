"""docs/porting.md, followed literally: its blocks become files, its board is flashed and measured, its outputs compared."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tinyrig.core.config import ROOT
from tinyrig.tests.needs import needs_qemu
from tinyrig.tests.user_home import MODEL, furnish, start

PAGE = ROOT / "docs" / "porting.md"
LONGEST_PORT = 150


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.S | re.M)


@pytest.fixture
def home(tmp_path):
    """A user's folder, with what the page says in it; the emulator's port and its pid file are this test's own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text.replace("7405", str(port)).replace("/tmp/netduino.pid", str(tmp_path / "pid")))

    (c,), (python,), (toml,) = blocks("c"), blocks("python"), blocks("toml")
    write("netduino/port.c", c)
    write("flash_netduino.py", python)
    write("rig.toml", f"repeats = 2\n\n{toml}")
    yield furnish(tmp_path)
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)


def test_the_port_is_as_short_as_promised():
    (c,) = blocks("c")
    assert len(c.splitlines()) < LONGEST_PORT


def tell(home: Path, *words: str) -> str:
    """What `tinyrig` prints, which must go well."""
    process = start(home, *words)
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out


def run(home: Path, *words: str) -> str:
    """`tinyrig run` on the small model; the run's id."""
    return re.search(r"stored as run (\S+);", tell(home, *words, *MODEL, "--no-report")).group(1)


@pytest.mark.slow
@needs_qemu
def test_the_page_leads_to_a_board_that_gives_the_virtual_ones_outputs(home):
    (command,) = blocks("sh")
    words = command.split()
    assert words[0] == "tinyrig" and words[-2:] == ["--variant", "pqt"]
    here, there = run(home, *words[1:-2]), run(home, "run", "--board", "virtual")
    told = tell(home, "compare", here, there)
    assert "board: netduino in A, virtual in B" in told and "timing: instructions in A, estimated in B" in told
    assert "the outputs of all 12 windows are identical to the byte" in told
    pid = (home / "pid").read_text()
    run(home, "run", "--board", "netduino")
    assert (home / "pid").read_text() == pid  # the image ran already: nothing was flashed
