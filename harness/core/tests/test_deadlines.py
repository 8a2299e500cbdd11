"""No step without a deadline; whichever runs out says its name, its value and the key to change."""

from __future__ import annotations

import dataclasses
import os
import signal
import struct
import sys
import time

import pytest

from tinyrig.board.rig import Rig
from tinyrig.cli import main
from tinyrig.core.boards import BOARDS, parse_board
from tinyrig.core.config import Config, load_config
from tinyrig.core.deadlines import NAMES, Deadline, Limits, variable
from tinyrig.core.errors import HostError, InfraError, LinkError, UserError
from tinyrig.core.records import Sample
from tinyrig.flash.flash import flash
from tinyrig.host.run_tool import run_tool
from tinyrig.host.signals import alarm
from tinyrig.measure import variant
from tinyrig.measure.run import measuring
from tinyrig.measure.sampling import take_samples
from tinyrig.measure.variant import compile_for
from tinyrig.measure.variants import built_variants, model_variant
from tinyrig.store.runs import Store
from tinyrig.tests import small_models
from tinyrig.tests.processes import wait_until_gone
from tinyrig.tests.user_home import MODEL, SAMPLES, furnish, url
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload import oracle

VIRTUAL = parse_board("virtual")


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    return tmp_path


def limited(**limits: float) -> Config:
    return dataclasses.replace(Config(), limits=Limits(**limits))


def check_says(error: BaseException, name: str, value: str) -> None:
    text = str(error)
    assert f"{name} = {value}" in text and "[limits]" in text and "rig.toml" in text


# ---- settings ----


@pytest.mark.parametrize("name", NAMES)
def test_rig_toml_and_the_environment_set_a_limit(tmp_path, monkeypatch, name):
    file = tmp_path / "rig.toml"
    file.write_text(f"[limits]\n{name} = 7\n")
    assert getattr(load_config(file).limits, name) == 7.0
    monkeypatch.setenv(variable(name), "8.5")
    assert getattr(load_config(file).limits, name) == 8.5
    file.write_text("")
    assert getattr(load_config(file).limits, name) == 8.5


@pytest.mark.parametrize(
    "text", ["run_s = 0", "run_s = -1", "run_s = 'no'", "run_s = true", "run_s = inf", "run_s = nan", "x = 1"]
)
def test_what_cannot_be_a_limit_is_refused(tmp_path, text):
    file = tmp_path / "rig.toml"
    file.write_text(f"[limits]\n{text}\n")
    with pytest.raises(UserError) as caught:
        load_config(file)
    assert "rig.toml" in str(caught.value) and caught.value.expected


def test_limits_that_are_no_table_are_refused(tmp_path):
    (tmp_path / "rig.toml").write_text("limits = 3")
    with pytest.raises(UserError, match=r"\[limits\]"):
        load_config(tmp_path / "rig.toml")


def test_the_board_decides_what_rig_toml_leaves_open():
    board = dataclasses.replace(BOARDS["virtual"], flash_s=1.0, hello_s=2.0, window_s=3.0)
    found = Limits(hello_s=9.0).on(board)
    assert (found.flash_s, found.hello_s, found.window_s) == (1.0, 9.0, 3.0)
    assert all(getattr(Limits().on(b), name) > 0 for b in BOARDS.values() for name in ("flash_s", "hello_s", "window_s"))


def test_a_deadline_runs_out():
    now = [0.0]
    deadline = Deadline("run_s", 5.0, lambda: now[0])
    deadline.check("early")
    now[0] = 4.0
    assert deadline.left() == 1.0
    now[0] = 6.0
    assert deadline.left() == 0.0
    with pytest.raises(InfraError, match="out of time late") as caught:
        deadline.check("late")
    check_says(caught.value, "run_s", "5")


# ---- build ----


def test_a_compiler_that_hangs_is_ended_with_its_children(tmp_path):
    """As gcc's driver waits for cc1."""
    with pytest.raises(HostError, match="sh hangs") as caught:
        run_tool(["/bin/sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid; wait"], 2.0)
    check_says(caught.value, "build_s", "2")
    wait_until_gone([int((tmp_path / "pid").read_text())])


def test_a_tool_that_is_not_there_is_named():
    with pytest.raises(HostError, match="no-such-tool"):
        run_tool(["/no-such-tool"], 1.0)


def test_building_an_image_is_limited(tmp_path, monkeypatch):
    slow = tmp_path / "arm-none-eabi-gcc"
    slow.write_text('#!/bin/sh\n[ "$1" = -dumpfullversion ] && exec echo 1.2.3\nsleep 60\n')
    slow.chmod(0o755)
    monkeypatch.setattr("tinyrig.workload.image.find_compiler", lambda core: (str(slow), "arm-none-eabi-gcc 1.2.3"))
    with pytest.raises(HostError, match="hangs") as caught:
        compile_for(small_models.dense_int8(), BOARDS["virtual"], limited(build_s=0.3), build_dir=tmp_path / "build")
    check_says(caught.value, "build_s", "0.3")
    assert not list((tmp_path / "build").iterdir())


def test_whoever_ends_the_command_does_not_wait_for_its_compilers(tmp_path, monkeypatch):
    slow = tmp_path / "arm-none-eabi-gcc"
    slow.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\nsleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr("tinyrig.workload.image.find_compiler", lambda core: (str(slow), "arm-none-eabi-gcc 1.2.3"))
    monkeypatch.setattr("tinyrig.host.signals.GRACE_S", 1.0)
    with pytest.raises(InfraError, match="cut off"), alarm(Deadline("run_s", 1.0)):
        compile_for(small_models.dense_int8(), BOARDS["virtual"], limited(build_s=500), build_dir=tmp_path / "build")
    wait_until_gone([int(pid) for pid in (tmp_path / "pids").read_text().split()])
    assert not list((tmp_path / "build").iterdir())


# ---- flash, hello, window ----


def test_flashing_is_limited():
    image = compile_for(small_models.dense_int8(), BOARDS["virtual"], Config())
    with VirtualBoard() as board, pytest.raises(LinkError) as caught:
        flash(image.bin.read_bytes(), BOARDS["virtual"], board.port, deadline_s=1e-6)
    assert "flash_s" in str(caught.value)


def test_the_hello_after_flashing_is_limited(tmp_path):
    """The image that was flashed never speaks: its reset handler is a branch to itself."""
    image = compile_for(small_models.dense_int8(), BOARDS["virtual"], Config())
    (tmp_path / "mute.bin").write_bytes(struct.pack("<IIHH", 0x20010000, image.base_address + 9, 0xE7FE, 0xE7FE))
    image = dataclasses.replace(image, bin=tmp_path / "mute.bin")
    with (
        VirtualBoard() as board,
        Rig(parse_board(f"virtual@{board.port}"), limited(hello_s=0.2)) as rig,
        pytest.raises(LinkError, match="no answer") as caught,
    ):
        rig.prepare(image)
    check_says(caught.value, "hello_s", "0.2")


class _Silent:
    """A session whose board no longer answers, after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def run(self, *inputs, **options) -> Sample:
        time.sleep(self._seconds)
        raise LinkError("no answer", received="0 bytes")


class _OneWindow:
    inputs = ((),)

    def __len__(self) -> int:
        return 1

    def place(self, index: int) -> int:
        return 0


@pytest.mark.parametrize(("seconds", "limit"), [(0.05, True), (0.0, False)])
def test_a_window_that_takes_its_whole_limit_says_so(seconds, limit):
    """A line that fails at once is not called slow."""
    with pytest.raises(LinkError, match="no answer") as caught:
        take_samples(_Silent(seconds), _OneWindow(), 1, window_s=0.05)
    assert ("window_s = 0.05" in str(caught.value)) is limit


def test_the_session_waits_no_longer_than_the_limit():
    image = compile_for(small_models.dense_int8(), BOARDS["virtual"], Config())
    with VirtualBoard(image=image.elf) as board, Rig(parse_board(f"virtual@{board.port}"), limited(window_s=1.25)) as rig:
        session, _ = rig.prepare(image)
        assert session.connection.invoke_deadlines.first_s == 1.25


# ---- the whole command ----


def test_a_run_whose_time_is_up_keeps_what_it_has_and_is_exit_3(home, capfd, monkeypatch):
    """Its deadline passes after some samples."""
    asked = []
    left = Deadline.left

    def out_of_time_at_the_eighth_look(self):
        asked.append(self.name == "run_s")
        return 0.0 if sum(asked) >= 8 else left(self)

    monkeypatch.setattr(Deadline, "left", out_of_time_at_the_eighth_look)
    assert main(["run", *MODEL, "--no-report"]) == 3
    errors = capfd.readouterr().err
    assert "out of time" in errors and "TINYRIG_LIMITS_RUN_S" in errors and "tinyrig run --resume" in errors
    with Store(url(home)) as store:
        assert store.runs()[0].open_samples > 0 and store.runs()[0].not_measured == ("dense",)


def test_no_variant_is_begun_after_the_time_is_up(home):
    config = dataclasses.replace(Config(), results=url(home))
    with measuring(VIRTUAL, config, deadline=Deadline("run_s", 1e-9)) as open_run:
        for name in ("dense", "other"):
            with pytest.raises(InfraError, match=f"out of time before {name}") as caught:
                open_run.run(model_variant(home / f"{name}.tflite", None))
            check_says(caught.value, "run_s", "1e-09")
        assert [n.variant for n in open_run.result().not_measured] == ["dense", "other"]


def test_waiting_without_a_deadline_is_cut_off(monkeypatch):
    monkeypatch.setattr("tinyrig.host.signals.GRACE_S", 0.1)
    with pytest.raises(InfraError, match="cut off") as caught, alarm(Deadline("run_s", 0.1)):
        time.sleep(600)
    check_says(caught.value, "run_s", "0.1")
    with alarm(Deadline("run_s", 0.1)):
        pass
    time.sleep(0.3)  # the clock was stopped


def test_an_oracle_that_hangs_is_ended_and_the_samples_stay(home, capfd, monkeypatch):
    """It never answers when all windows are compared. Its process must not stay behind."""
    asked, children = [], []
    fork, compare, run = os.fork, variant.compare, oracle._Tflm.run

    def time_is_up_soon(*arguments):
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        return compare(*arguments)

    def hang(self, inputs):  # in the oracle's process
        asked.append(inputs)
        if len(asked) > 1:  # not the look at one window before anything is flashed
            time.sleep(600)
        return run(self, inputs)

    monkeypatch.setattr("tinyrig.host.isolated.os.fork", lambda: children.append(fork()) or children[-1])
    monkeypatch.setattr(variant, "compare", time_is_up_soon)
    monkeypatch.setattr(oracle._Tflm, "run", hang)
    assert main(["run", *MODEL, "--no-report"]) == 3
    errors = capfd.readouterr().err
    assert "the step under way was cut off" in errors and "tinyrig run --resume" in errors
    wait_until_gone(children)
    with Store(url(home)) as store:
        assert store.runs()[0].open_samples == SAMPLES


def test_building_variants_is_part_of_the_run(tmp_path, monkeypatch):
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    with pytest.raises(HostError, match="building the variants") as caught:
        built_variants(Config(), (), Deadline("run_s", 0.2))
    check_says(caught.value, "run_s", "0.2")
