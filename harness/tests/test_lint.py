"""The linters of C: which files they see, and what they say where a tool is missing. `make lint` itself runs them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tinyrig import bootstrap
from tinyrig.core.boards import BOARDS
from tinyrig.core.hardware.cores import GENERIC
from tinyrig.tests import lint, lint_c


def test_a_missing_tool_is_named_with_its_package(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not lint.run("cppcheck")
    assert "apt-get install --no-install-recommends cppcheck" in capsys.readouterr().out
    assert set(bootstrap.LINT_PACKAGES) < set(lint_c.PACKAGES.values())


def test_every_port_is_compiled_with_the_strict_warnings():
    commands = [" ".join(command) for command in lint_c.warnings()]
    here = [board for board in BOARDS.values() if board.core.arm or shutil.which(board.core.compiler)]
    boards = [board for board in here if GENERIC not in board.cpu_flags]  # of a processor without a compiler here
    ports = {board.port for board in boards if board.port} | {"host"}
    assert len(commands) == len({(b.port, b.core if b.fqbn else b.cpu_flags) for b in boards}) + 1
    assert all(any(f"/port/{port}/" in command for command in commands) for port in ports)
    assert all("/app/main.c" in command and "-Wconversion" in command for command in commands)


@pytest.mark.parametrize(
    "line",
    ["signed char f(int x) { return x; }", "unsigned g(int x) { return x; }", "char *h(const char *p) { return (char *)p; }"],
)
def test_the_strict_warnings_are_errors(tmp_path, line):
    """Without one of them a planted conversion would pass."""
    (tmp_path / "planted.c").write_text(f"{line}\n")
    command = lint_c._strict(["cc"], [tmp_path / "planted.c"])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode and "planted.c" in done.stderr and "app/" not in done.stderr


def test_whatever_is_c_is_formatted():
    (command,) = lint_c.clang_format()
    assert {name.rpartition(".")[2] for name in command[3:]} == {"c", "h", "cpp", "inc"}
    assert lint.complaint(command) == ""
