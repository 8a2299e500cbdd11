"""The log of nights and the view of several boards."""

from __future__ import annotations

import io
import re
import time

from tinyrig.core.config import Logs
from tinyrig.host.progress import boards_progress
from tinyrig.nightly.log import NightLog


def test_it_rotates_by_size_and_keeps_so_many(tmp_path):
    path = tmp_path / "logs" / "n.log"
    with NightLog(Logs(str(path), size_kib=1, keep=2)) as log:
        for i in range(100):
            log.say("left", f"entry {i}")
    files = sorted(path.parent.iterdir())
    assert [f.name for f in files] == ["n.log", "n.log.1", "n.log.2"] and all(f.stat().st_size <= 1024 for f in files)
    kept = re.findall(r"entry (\d+)", "".join(f.read_text() for f in reversed(files)))
    assert kept == [str(i) for i in range(100 - len(kept), 100)], "the newest, none twice, none missing"


def test_times_are_utc_and_an_entry_of_many_lines_is_indented(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    before, after = (time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() + s)) for s in (0, 3600))
    with NightLog(Logs(str(tmp_path / "n.log"))) as log:
        log.error("left", "gone\n  remedy: plug it in\n")
        log.say("", "all")
    monkeypatch.undo()
    time.tzset()
    first, second, third = (tmp_path / "n.log").read_text().splitlines()
    assert before <= first[:13] <= after and first[19:] == "Z ERROR   left: gone"
    assert second == "      remedy: plug it in" and third.endswith("INFO    all")


def test_a_log_that_can_not_be_written_is_told_once_and_stops_nothing(tmp_path, capsys, monkeypatch):
    (tmp_path / "file").write_text("")
    with NightLog(Logs(str(tmp_path / "file" / "n.log"))) as log:
        log.say("", "unheard")
    assert capsys.readouterr().err.count("can't be written") == 1
    with NightLog(Logs(str(tmp_path / "n.log"), size_kib=1)) as log:
        monkeypatch.setattr("logging.handlers.RotatingFileHandler.shouldRollover", _full)
        for _ in range(3):
            log.say("", "unheard")
    assert capsys.readouterr().err.count("No space left") == 1


def _full(*_):
    raise OSError(28, "No space left on device")


def test_no_log_is_none():
    with NightLog(Logs(file="")) as log:
        log.say("", "nothing")
    assert log.path is None


def test_without_a_terminal_each_line_names_its_board_and_how_far_it_is(capsys):
    with boards_progress(("left", "right"), 2) as view:
        view.say("left", "flashing")
        view.step("left")
        view.say("left", "[bold]")
        view.say("right", "flashing")
        view.tell("tinyrig: right: gone")
    with boards_progress(("virtual",), 1) as view:
        view.say("virtual", "alone")
    assert capsys.readouterr().err.splitlines() == [
        "[0/2] left: flashing",
        "[1/2] left: [bold]",
        "[0/2] right: flashing",
        "tinyrig: right: gone",
        "[0/1] alone",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_there_is_a_bar_for_each_board_and_what_must_stay_readable_stays(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with boards_progress(("left", "[right]"), 2) as view:
        view.say("left", "flashing [9416] bytes")
        view.step("[right]")
        view.tell("tinyrig: left: [gone]")
        view._bars.refresh()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    for text in ("left", "[right]", "0/2", "1/2", "flashing [9416] bytes", "tinyrig: left: [gone]"):
        assert text in shown
    assert shown.count("tinyrig: left: [gone]") == 1
