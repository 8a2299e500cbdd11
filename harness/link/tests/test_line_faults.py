"""Every kind of line fault over the virtual board: the samples, outputs and cycles, are those of the clean run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tinyrig.analysis.run_json import variant_to_json
from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, parse_board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import DeviceError, LinkError, UserError
from tinyrig.core.plans import RunPlan
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.measure.run import measuring
from tinyrig.measure.variant import run_settings
from tinyrig.measure.variants import model_variant
from tinyrig.tests import small_models
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image

pytestmark = pytest.mark.slow

BOARD = BOARDS["virtual"]
WINDOWS = 40
FAULTS = [
    ["line-drop:2e-3"],
    ["line-flip:2e-3"],
    ["line-insert:2e-3"],
    ["line-dup:2e-3"],
    ["line-cut:12"],
    ["line-delay:25:0.8"],
    ["line-stall:20:0.3"],
    ["line-disconnect:18:0.2"],
    ["line-drop:5e-4", "line-flip:5e-4", "line-insert:5e-4", "line-dup:5e-4", "line-cut:25", "line-stall:40:0.2"],
]


@pytest.fixture(scope="module")
def image():
    model = compile_model(small_models.dense_int8(), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    return build_image(model, BOARD)


def payloads() -> list[bytes]:
    rng = np.random.default_rng(0)
    return [rng.integers(-128, 128, small_models.FEATURES).astype(np.int8).tobytes() for _ in range(WINDOWS)]


@pytest.fixture
def start(image, tmp_path):
    """start(faults) -> board and a greeted session with it, over a link of stable name."""
    opened: list = []

    def started(faults: list[str], **options):
        link = str(tmp_path / "tty")
        board = VirtualBoard(image=image.elf, link=link, faults=faults, **options)
        opened.append(board)
        session = Session(open_link(link, BOARD.baud), reopen=lambda: open_link(link, BOARD.baud))
        opened.append(session)
        return board, session

    yield started
    for thing in reversed(opened):
        thing.close()


@pytest.fixture(scope="module")
def clean(image):
    with VirtualBoard(image=image.elf) as board, Session(open_link(board.port, BOARD.baud)) as session:
        return list(session.stream(payloads()))


@pytest.mark.parametrize("faults", FAULTS, ids=lambda faults: "+".join(f.removeprefix("line-") for f in faults))
def test_samples_are_those_of_the_clean_run(start, clean, faults):
    board, session = start(faults)
    assert list(session.stream(payloads())) == clean
    injected, seen = board.injected(), session.statistics
    assert sum(injected.values()) >= 2
    assert seen.reconnects == injected.get("disconnect", 0)
    if "stall" not in injected and "rx-insert" not in injected:  # these may pass without a repetition
        assert seen.retries + seen.reconnects > 0 and seen.recoveries > 0


def test_large_windows_pass_a_bad_line_in_pieces():
    """8 KB at four kinds of 1e-4 a byte: a whole frame arrives with a probability of 4 %."""
    model = compile_model(small_models.wide_int8(), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    rng = np.random.default_rng(1)
    windows = [rng.integers(-128, 128, small_models.WIDE).astype(np.int8).tobytes() for _ in range(6)]
    runs = []
    for faults in ([], ["line-drop", "line-flip", "line-insert", "line-dup"]):
        with (
            VirtualBoard(image=build_image(model, BOARD).elf, faults=faults) as board,
            Session(open_link(board.port, BOARD.baud)) as session,
        ):
            runs.append(list(session.stream(windows)))
            requests, retries = session.statistics.requests, session.retries
    assert runs[0] == runs[1] and len({s.outputs for s in runs[0]}) > 1
    assert retries > 6 and requests > 2 * len(windows)


def test_too_bad_a_line_fails_and_says_what_it_saw(start):
    _, session = start(["line-flip:0.1"])
    with pytest.raises(LinkError) as caught:
        list(session.stream(payloads()))
    assert "damaged" in caught.value.received and caught.value.remedy


def test_a_port_that_stays_away_is_a_link_error(start, monkeypatch):
    monkeypatch.setattr("tinyrig.link.connection.REATTACH_S", 0.5)
    _, session = start(["line-disconnect:10:60"])
    with pytest.raises(LinkError, match="did not come back"):
        list(session.stream(payloads()))


@pytest.mark.parametrize("every", [1, 3])
def test_a_port_that_keeps_vanishing_is_a_link_error(start, monkeypatch, every):
    """Every third request: the board can be greeted again, but a window never passes."""
    monkeypatch.setattr("tinyrig.link.connection.REATTACH_S", 1.0)
    _, session = start([f"line-disconnect:{every}:0.05"])
    with pytest.raises(LinkError, match="stopped working"):
        list(session.stream(payloads()))


def test_a_port_that_vanishes_at_hello(start):
    _, session = start(["line-disconnect:4:0.1"])
    assert [session.hello().engine for _ in range(4)] == ["tinyrig"] * 4
    assert session.statistics.reconnects == 1


def test_without_a_way_to_reopen_a_vanished_port_ends_the_session(image, tmp_path):
    link = tmp_path / "tty"
    with (
        VirtualBoard(image=image.elf, link=link, faults=["line-disconnect:10:0.1"]),
        Session(open_link(str(link), BOARD.baud)) as session,
        pytest.raises(LinkError, match="stopped working"),
    ):
        list(session.stream(payloads()))


def test_another_board_behind_the_port_is_an_error(start, image, tmp_path):
    """The same image, another board id: as when two boards swap names."""
    board, session = start([])
    session.run(payloads()[0])
    with VirtualBoard(image=image.elf, number=9) as other, Session(open_link(other.port, BOARD.baud)) as greeting:
        greeting.hello()
        greeting.close()
        session.connection.reopen = lambda: open_link(other.port, BOARD.baud)
        board.close()
        with pytest.raises(DeviceError, match="another board answers"):
            session.run(payloads()[1])


def test_a_board_that_was_reset_meanwhile_is_not_a_line_fault(start, image):
    """It answers ECHO with NO_HELLO: hello alone would hide the reset."""
    board, session = start([])
    session.run(payloads()[0])
    with VirtualBoard(image=image.elf) as other:
        session.connection.reopen = lambda: open_link(other.port, BOARD.baud)
        board.close()
        with pytest.raises(DeviceError, match="was reset"):
            session.run(payloads()[1])


# ---- the whole run ----


def test_a_run_with_injected_faults_is_labelled_and_equal(tmp_path):
    (tmp_path / "m.tflite").write_bytes(small_models.dense_int8())
    faults = ("line-flip:1e-3", "line-drop:1e-3", "line-disconnect:30:0.2")
    config = Config(results=f"sqlite:///{tmp_path / 'r.sqlite'}")
    plan = RunPlan(settings=run_settings(config, limit=10, oracle="none"))
    runs = []
    for injected in ((), faults):
        with measuring(parse_board("virtual"), dataclasses.replace(config, faults=injected), plan) as open_run:
            runs.append(open_run.run(model_variant(tmp_path / "m.tflite", None)))
    plain, faulty = runs
    assert [s.outputs for s in faulty.samples] == [s.outputs for s in plain.samples]
    # What the board did for the line between two inferences is in its cache.
    assert [s.cycles for s in faulty.samples] == pytest.approx([s.cycles for s in plain.samples], rel=0.05)
    assert plain.settings.injected_faults is None and faulty.settings.injected_faults == tuple(faults)
    told = variant_to_json(faulty)["link"]
    assert told["retries"] > 0 and told["reconnects"] > 0 and told["recovery_worst_s"] > 0
    # One that comes while nothing is asked any more, as after the last reply, needs no reconnecting.
    assert told["injected"]["disconnect"] - told["reconnects"] in (0, 1)
    assert variant_to_json(plain)["link"]["reconnects"] == 0 and variant_to_json(plain)["link"]["injected_faults"] == []


def test_no_hello_after_flashing_says_what_came_instead(image):
    config = Config(faults=("line-tx-flip:0.2",), limits=Limits(hello_s=0.1))
    with Rig(parse_board("virtual"), config) as rig, pytest.raises(LinkError) as caught:
        rig.prepare(image)
    assert "after flashing" in caught.value.what and "damaged" in caught.value.received


@pytest.mark.parametrize(("target", "faults"), [("virtual", ("gremlin",)), ("virtual@/dev/pts/99", ("line-flip",))])
def test_faults_that_can_not_be_injected_are_the_users_error(target, faults):
    with pytest.raises(UserError):
        Rig(parse_board(target), Config(faults=faults))
