"""Boards that fault, hang or are the wrong ones, as the user meets them: an engine of their own on the virtual board."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tinyrig.board.rig import Rig
from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, VIRTUAL_ID_PREFIX, parse_board
from tinyrig.core.config import BoardPorts, Config
from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.flash import samba
from tinyrig.host.log import heard
from tinyrig.link import connection, pacing
from tinyrig.tests import small_models
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image

BOARD = BOARDS["virtual"]
EXAMPLE = Path(__file__).resolve().parents[3] / "firmware" / "examples" / "own_engine"
ROOM = {"flash_bytes": BOARD.flash_bytes, "ram_bytes": BOARD.ram_bytes}
TROUBLE = """
static __attribute__((noinline)) int own_dig(volatile int *above) {
    volatile int mine[16] = {*above + 1};
    return own_dig(mine) + mine[0];
}

static __attribute__((noinline)) void own_trouble(void) {
    static volatile int calls;
    volatile int calls_now = ++calls;
    if (calls_now == 3) {
        WHAT;
    }
}

int engine_invoke(void)
{
    own_trouble();
"""
CASES = {
    # what the engine does in its third inference: what the user reads
    "calls = *(volatile int *)0x60000000": (
        "the board faulted in own_trouble (own_engine/own_engine.c:",
        "bus fault (precise), at address 0x60000000",
    ),
    '__asm volatile("udf #0")': ("the board faulted in own_trouble (own_engine/own_engine.c:", "undefined instruction"),
    "while (calls) { }": ("the board hung in own_trouble (own_engine/own_engine.c:", "pc 0x"),
    "calls = own_dig(&calls_now)": ("stack overflow in own_dig (own_engine/own_engine.c:", "bus fault on exception entry"),
    '__asm volatile("cpsid i"); while (calls) { }': ("the board hung and was reset through its bootloader", "no answer"),
}


def be_impatient(monkeypatch):
    """For a board that will not answer anyway."""
    monkeypatch.setattr(connection, "BASE_DEADLINE_S", 0.2)
    monkeypatch.setattr(pacing, "MIN_INVOKE_DEADLINE_S", 0.1)
    monkeypatch.setattr(samba, "TOUCH_AGAIN_S", 1.0)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A folder to work in, and deadlines that suit a tiny engine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", f"sqlite:///{tmp_path / 'results.sqlite'}")
    monkeypatch.setattr(connection, "BYTE_DEADLINE_S", 1e-5)
    (tmp_path / "net.tflite").write_bytes(small_models.dense_float())
    return tmp_path


@pytest.mark.parametrize(
    "trouble", [pytest.param(t, marks=[pytest.mark.slow] if "udf" in t or "cpsid" in t else []) for t in CASES]
)
def test_what_an_engine_does_to_the_board_is_named(home, capfd, monkeypatch, trouble):
    if "cpsid" in trouble:
        be_impatient(monkeypatch)
    folder = Path(shutil.copytree(EXAMPLE, home / "own_engine"))
    source = folder / "own_engine.c"
    text = source.read_text()
    assert "int engine_invoke(void)\n{\n" in text
    source.write_text(text.replace("int engine_invoke(void)\n{\n", TROUBLE.replace("WHAT", trouble)))
    code = main(["run", "--engine", str(folder), "--model", "net.tflite", "--limit", "5", "--no-report"])
    told = "".join(capfd.readouterr())
    assert code == 3, told
    assert all(text in told for text in CASES[trouble]), told


def image(seed: int = 0):
    return build_image(compile_model(small_models.dense_int8(seed), **ROOM), BOARD)


def wanting(board_id: str) -> Config:
    return Config(boards={"virtual": BoardPorts(id=board_id)})


def test_another_board_than_asked_for_is_not_flashed():
    """Board 7 runs a firmware and is reached through the port that was meant for board 8."""
    first, other = image(), image(7)
    with VirtualBoard(image=first.elf, number=7) as board:
        target = parse_board(f"virtual@{board.port}")
        with Rig(target, wanting(VIRTUAL_ID_PREFIX + "08")) as rig, pytest.raises(DeviceError, match="not the one") as caught:
            rig.prepare(other)
        assert caught.value.expected.endswith("08") and caught.value.received.endswith("07")
        assert caught.value.exit_code == 3 and "rig.toml" in caught.value.remedy
        with Rig(target, wanting((VIRTUAL_ID_PREFIX + "07").upper())) as rig:
            said: list[str] = []
            with heard(said.append):
                rig.prepare(first)
        assert said == []  # nobody has flashed it meanwhile


def test_a_board_that_was_silent_is_checked_after_flashing():
    with VirtualBoard(number=7) as board:
        target = parse_board(f"virtual@{board.port}")
        said: list[str] = []
        with (
            Rig(target, wanting(VIRTUAL_ID_PREFIX + "08")) as rig,
            heard(said.append),
            pytest.raises(DeviceError, match="not the one"),
        ):
            rig.prepare(image())
        assert "only after flashing" in said[0]


def test_an_engine_that_faults_at_start_is_told_when_it_is_flashed(home, capfd):
    folder = Path(shutil.copytree(EXAMPLE, home / "own_engine"))
    source = folder / "own_engine.c"
    text = source.read_text()
    assert "int engine_init(void)\n{\n" in text
    source.write_text(text.replace("int engine_init(void)\n{\n", "int engine_init(void)\n{\n    *(volatile int *)0x60000000;\n"))
    assert main(["run", "--engine", str(folder), "--model", "net.tflite", "--limit", "2", "--no-report"]) == 3
    told = "".join(capfd.readouterr())
    assert "the board faulted in engine_init (own_engine/own_engine.c:" in told and "while the board started" in told


def test_a_brown_out_while_flashing_costs_a_second_try(monkeypatch):
    monkeypatch.setattr(samba, "REPLY_S", 0.5)
    said: list[str] = []
    with Rig(parse_board("virtual"), Config(), faults=("brown-out:2",)) as rig:
        with heard(said.append):
            session, _ = rig.prepare(image())
        assert rig.flash_tries == 2 and "flashing again, because the bootloader" in said[-1]
        assert len(session.run(bytes(20)).outputs) == 4
        rig.prepare(image())
        assert rig.flash_tries == 0


def test_a_board_that_stays_in_its_bootloader_is_told():
    config = Config(limits=Limits(hello_s=0.5))
    with Rig(parse_board("virtual"), config, faults=("boot-stay",)) as rig, pytest.raises(LinkError) as caught:
        rig.prepare(image())
    assert "after flashing" in caught.value.what and "hello_s = 0.5" in caught.value.expected


@pytest.mark.slow
def test_a_line_that_is_cut_is_not_taken_for_a_hang(monkeypatch):
    """The board goes deaf for good: it is reset, stays silent, and the error is the line's."""
    be_impatient(monkeypatch)
    with Rig(parse_board("virtual"), Config(), faults=("stall:20000",)) as rig:
        session, _ = rig.prepare(image())
        with pytest.raises(LinkError) as caught:
            session.echo(bytes(300))
            for _ in range(100):
                session.echo(bytes(300))
        assert rig.diagnose(caught.value) is caught.value
