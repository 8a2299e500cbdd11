"""Every way out of a command: its exit status names the culprit, and no error of the system is taken for one of ours."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tinyrig.cli import main
from tinyrig.host.last_resort import unforeseen
from tinyrig.reports import __main__ as reports
from tinyrig.reports.nights import summary
from tinyrig.tests.user_home import MODEL, environment, furnish, url

ERRNOS = (errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.EACCES)
REFUSALS = [OSError(number, os.strerror(number), "/some/file") for number in ERRNOS]


@pytest.mark.parametrize("error", [*REFUSALS, MemoryError("of 4 GB")], ids=repr)
def test_what_the_system_refuses_is_exit_3_without_a_traceback(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert unforeseen(error, "tinyrig") == 3
    said = capsys.readouterr().err
    assert "Traceback" not in said and "remedy" in said and "in tinyrig itself" not in said
    assert ("/some/file" in said) == isinstance(error, OSError)


def test_our_own_mistakes_are_exit_3_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert unforeseen(ValueError("odd"), "tinyrig") == 3
    said = capsys.readouterr().err
    assert "ValueError: odd" in said and "in tinyrig itself" in said


def of_reports(monkeypatch: pytest.MonkeyPatch, fail: Callable[..., int]) -> int:
    monkeypatch.setattr(reports, "_write_run_report", fail)
    return reports.main([])


def of_nights(monkeypatch: pytest.MonkeyPatch, fail: Callable[..., int]) -> int:
    monkeypatch.setattr(summary, "_write_summary", fail)
    return summary.main([])


def of_boards(monkeypatch: pytest.MonkeyPatch, fail: Callable[..., int]) -> int:
    monkeypatch.setattr("tinyrig.doctor.boards.text", fail)
    return main(["boards"])


@pytest.mark.parametrize("command", [of_reports, of_nights, of_boards])
@pytest.mark.parametrize("error", [REFUSALS[0], ValueError("odd")], ids=repr)
def test_no_command_ends_with_pythons_own_status(
    command: Callable[..., int], error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is 1: a failed claim."""

    def fail(*_: object) -> int:
        raise error

    assert command(monkeypatch, fail) == 3
    assert ("Traceback" in capsys.readouterr().err) == isinstance(error, ValueError)


def ended(home: Path, *words: str, full: str, **more: str) -> tuple[int, str]:
    """(exit status, what could be said) of a command of which stdout or stderr is full."""
    command = [sys.executable, "-P", "-m", "tinyrig.cli", *words]
    with open("/dev/full", "w") as sink:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, full: sink}
        done = subprocess.run(command, cwd=home, env=environment(home, **more), text=True, check=False, **streams)
    return done.returncode, (done.stderr or "") + (done.stdout or "")


def test_a_full_output_is_said_as_such(tmp_path: Path) -> None:
    code, said = ended(tmp_path, "boards", full="stdout")
    assert code == 3 and "No space left" in said and "Traceback" not in said


def test_where_nothing_can_be_said_the_status_still_tells(tmp_path: Path) -> None:
    assert ended(tmp_path, "run", "--model", "none.tflite", full="stderr")[0] == 2


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    return tmp_path


UNUSABLE = {
    # what stands in the place of rig.toml
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "no TOML": lambda path: path.write_text("[limits"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_rig_toml_that_can_not_be_read_is_the_users(home: Path, what: str, capfd: pytest.CaptureFixture[str]) -> None:
    UNUSABLE[what](home / "rig.toml")
    assert main(["run", *MODEL]) == 2
    assert "rig.toml can't be read" in capfd.readouterr().err


@pytest.mark.parametrize("variable", ["TINYRIG_LOCKS", "TINYRIG_RESULTS"])
def test_a_place_that_can_not_be_written_is_the_rigs(
    home: Path, variable: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "file").touch()
    place = f"{home / 'file' / 'x'}"
    monkeypatch.setenv(variable, f"sqlite:///{place}" if variable == "TINYRIG_RESULTS" else place)
    assert main(["run", *MODEL, "--no-report"]) == 3
    said = capfd.readouterr().err
    assert "remedy" in said and "Traceback" not in said and "is kept" not in said


@pytest.mark.parametrize(("closed", "status"), [(True, 0), (False, 3)])
def test_a_reader_of_stdout_that_has_gone_has_seen_enough(closed, status):
    reading, writing = os.pipe()
    code = (
        "from tinyrig.host.last_resort import unforeseen; raise SystemExit(unforeseen(BrokenPipeError(32, 'Broken pipe'), 'x'))"
    )
    if closed:
        os.close(reading)
    try:
        done = subprocess.run([sys.executable, "-c", code], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
        if not closed:
            os.close(reading)
    assert done.returncode == status
    assert bool(done.stderr) == (not closed)
