"""[boards.NAME] of rig.toml as a board of the user's own: its facts, its flash command, and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tinyrig.analysis.evaluation import evaluate
from tinyrig.board.resolve import Ports, find_ports
from tinyrig.core.boards import BOARDS, known_boards, parse_board, recognise_usb
from tinyrig.core.config import load_config
from tinyrig.core.errors import DeviceError, HostError, LinkError, UserError
from tinyrig.core.records import INSTRUCTIONS, MEASURED, BoardInfo, ClaimStatus
from tinyrig.flash.flash import flash
from tinyrig.measure.claims import memory_claim
from tinyrig.places.installed import FIRMWARE
from tinyrig.tests.fake_runs import make_variant_run
from tinyrig.workload.cross import REPLACEABLE, SHARED, memory_script, port_files

FACTS = """
port = "port"
clock_hz = 168_000_000
flash_base = 0x08000000
flash_bytes = 1_048_576
ram_base = 0x20000000
ram_bytes = 131_072
"""
WIRED = 'link = "/dev/ttyUSB9"\nflash_command = ["true", "{elf}"]\n'


@pytest.fixture
def home(tmp_path):
    (tmp_path / "port").mkdir()
    (tmp_path / "port" / "port.c").write_text("/* */\n")
    return tmp_path


def config(home: Path, text: str, name: str = "mine"):
    (home / "rig.toml").write_text(f"[boards.{name}]\n{text}")
    return load_config(home / "rig.toml")


def test_a_board_in_full_is_known_by_its_name(home):
    entries = config(home, FACTS + WIRED + 'usb_ids = ["0483:374B"]\nid = "ab"\n').boards
    board = parse_board("mine", entries).board
    assert board.name == "mine" and board.timing == MEASURED and board.flasher == "command" and board.baud == 115_200
    assert board.port == str(home / "port") and port_files(board)["port.c"] == home / "port" / "port.c"
    assert port_files(board)["link.ld"].parent.name == "cortexm"  # the port has none of its own
    assert "ORIGIN = 0x08000000, LENGTH = 1048576" in memory_script(board)
    assert parse_board("mine@/dev/x", entries).port == "/dev/x"
    assert recognise_usb("0483:374B", entries) is board and recognise_usb("2341:805a", entries) is BOARDS["nano33ble"]
    with pytest.raises(UserError, match="unknown board"):
        parse_board("mine")


def test_a_board_by_its_fqbn_needs_nothing_else(home):
    entries = config(home, 'fqbn = "acme:m7:big"\nram_bytes = 65_536\nlink = "/dev/x"\n').boards
    board = parse_board("mine", entries).board
    assert (board.name, board.fqbn, board.builder, board.flasher) == ("mine", "acme:m7:big", "sketch", "arduino-cli")
    assert board.ram_bytes == 65_536 and "RAM" not in board.unknown and "flash" in board.unknown


def test_a_port_replaces_the_shared_files_that_it_may(home):
    board = config(home, FACTS).boards["mine"].own
    for name in REPLACEABLE:
        assert port_files(board)[name].parent.name == "cortexm"
        (home / "port" / name).write_text("/* */\n")
        assert port_files(board)[name] == home / "port" / name


def test_a_file_that_would_hide_a_shared_one_is_refused(home):
    board = config(home, FACTS).boards["mine"].own
    (home / "port" / "fault.h").write_text("/* the vendor's */\n")
    with pytest.raises(UserError, match=r"fault\.h of its own") as caught:
        port_files(board)
    assert str(home / "port" / "fault.h") in caught.value.received and "watchdog.c" in caught.value.expected


def test_a_file_by_the_name_of_before_is_refused(home):
    """It would be linked beside the shared one that took its place."""
    board = config(home, FACTS).boards["mine"].own
    (home / "port" / "guard.c").write_text("/* */\n")
    with pytest.raises(UserError, match=r"guard\.c of its own") as caught:
        port_files(board)
    assert "watchdog.c" in caught.value.remedy


def test_every_shared_file_is_listed():
    folder = FIRMWARE / "port" / "cortexm"
    assert sorted(p.name for p in folder.iterdir()) == sorted((*SHARED, *REPLACEABLE))


def test_like_takes_over_every_fact_that_is_not_named(home):
    board = config(home, 'like = "virtual"\n', "left").boards["left"].own
    assert (board.name, board.port, board.starter) == ("left", "nrf52840", "virtual")
    other = config(home, 'like = "nano33ble-uart"\nram_bytes = 131_072\ntiming = "instructions"\n').boards["mine"].own
    assert (other.ram_bytes, other.timing, other.flash_base) == (131_072, INSTRUCTIONS, 0x10000)


def test_wiring_alone_makes_no_board_of_its_own(home):
    entries = config(home, 'link = "/dev/ttyUSB0"\n', "nano33ble").boards
    assert entries["nano33ble"].own is None and known_boards(entries) == BOARDS


def test_its_wiring_counts_like_any_boards(home, monkeypatch):
    monkeypatch.setattr("tinyrig.board.resolve.attached", lambda: [])
    entries = config(home, FACTS + WIRED)
    assert find_ports(parse_board("mine", entries.boards), entries) == (
        entries.boards["mine"].own,
        Ports("/dev/ttyUSB9", "/dev/ttyUSB9"),
    )
    assert find_ports(parse_board("/dev/ttyUSB9", entries.boards), entries)[0].name == "mine"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FACTS.replace("clock_hz = 168_000_000\n", ""), "no clock_hz"),
        (FACTS + "colour = 1\n", "unknown key colour"),
        (FACTS + "flash_byte = 1\n", "did you mean flash_bytes?"),
        (FACTS + 'own = "x"\n', "unknown key own"),
        (FACTS.replace("1_048_576", "0"), "[boards.mine] can't be used: flash_bytes\n"),
        (FACTS.replace("0x08000000", "0x08000004"), "a multiple of 512"),
        (FACTS.replace("131_072", "131_073"), "[boards.mine] can't be used: ram_bytes\n"),
        (FACTS.replace("131_072", "true"), "[boards.mine] can't be used: ram_bytes\n"),
        (FACTS.replace("0x20000000", "0x08000000"), "flash and RAM overlap"),
        (FACTS.replace("0x20000000", "0xFFFFF000"), "beyond 32 bits"),
        (FACTS.replace('"port"', '"elsewhere"'), "no such folder"),
        (FACTS.replace('"port"', '"."'), "no port.c"),
        (FACTS + 'timing = "estimated"\n', "[boards.mine] can't be used: timing\n"),
        (FACTS + 'usb_ids = ["nano"]\n', "[boards.mine] can't be used: usb_ids\n"),
        (FACTS + 'flash_command = "openocd {elf}"\n', "a list of texts"),
        (FACTS + 'flash_command = ["openocd"]\n', "{bin} or {elf}"),
        (FACTS + 'flash_command = ["openocd", "{elf}", "{speed}"]\n', "no others than"),
        ('fqbn = "rp2040:rp2040"\n', 'a name like "rp2040:rp2040:rpipico"'),
        ('fqbn = "rp2040:rp2040:rpipico"\nclock_hz = 1_000_000\n', "fqbn and clock_hz exclude each other"),
        ('fqbn = "rp2040:rp2040:rpipico"\nlike = "virtual"\n', "fqbn and like exclude each other"),
        ('like = "nano34"\n', "like names no known board"),
        ('like = "nano33ble-usrt"\n', "did you mean nano33ble-uart?"),
    ],
)
def test_what_can_not_be_used_is_told_with_the_key(home, text, told):
    with pytest.raises(UserError) as caught:
        config(home, text)
    assert told in str(caught.value) and "rig.toml" in str(caught.value)


@pytest.mark.parametrize("name", ["virtual", '"a@b"', '"/dev/x"', "COM3", '"-x"'])
def test_names_that_mean_something_else_are_refused(home, name):
    with pytest.raises(UserError):
        config(home, FACTS, name)


def test_memory_is_judged_by_the_users_own_figures(home):
    run = make_variant_run()
    marked = [s for s in run.samples if s.stack_bytes is not None]
    assert marked, "the fake run measures the stack"
    entries = config(home, FACTS)

    def here(name: str):
        return replace(run, board=BoardInfo(name, "00", 1, MEASURED))

    assert memory_claim(here("mine"), evaluate(run), entries).status == ClaimStatus.PASSED
    small = config(home, FACTS.replace("1_048_576", "4096"))
    assert memory_claim(here("mine"), evaluate(run), small).status == ClaimStatus.FAILED
    assert memory_claim(here("gone"), evaluate(run), entries).status == ClaimStatus.NOT_MEASURED


def flashed_by(home: Path, text: str) -> str:
    (home / "flash.py").write_text(text)
    words = [sys.executable, str(home / "flash.py"), "{bin}", "{elf}", "{port}", "{base}"]
    return FACTS + f"flash_command = {words!r}\n".replace("'", '"')


def test_the_flash_command_gets_its_files_without_a_shell(home):
    text = flashed_by(home, "import sys, json; json.dump(sys.argv[1:], open(__file__ + '.said', 'w'))")
    board = config(home, text).boards["mine"].own
    assert flash(b"image", board, "/dev/x y;z", files={"bin": "a b.bin", "elf": "$HOME.elf"}) == 1
    assert (home / "flash.py.said").read_text() == '["a b.bin", "$HOME.elf", "/dev/x y;z", "0x08000000"]'


def test_a_failing_flash_command_is_told_with_all_it_said(home):
    text = flashed_by(home, "import sys; print('probe found'); print('no target', file=sys.stderr); sys.exit(7)")
    with pytest.raises(DeviceError) as caught:
        flash(b"image", config(home, text).boards["mine"].own, "/dev/x", files={"bin": "a", "elf": "b"})
    assert "status 7" in str(caught.value) and "probe found" in str(caught.value) and "no target" in str(caught.value)


def test_a_flash_command_that_is_missing_or_hangs_is_the_hosts_fault(home):
    missing = config(home, FACTS + 'flash_command = ["/no/such/tool", "{bin}"]\n').boards["mine"].own
    with pytest.raises(HostError, match="/no/such/tool"):
        flash(b"image", missing, "/dev/x", files={"bin": "a", "elf": "b"})
    hanging = config(home, flashed_by(home, "import time; time.sleep(60)")).boards["mine"].own
    with pytest.raises(HostError, match="did not finish"):
        flash(b"image", hanging, "/dev/x", files={"bin": "a", "elf": "b"}, deadline_s=0.5)


def test_without_a_flash_command_the_remedy_is_to_name_one(home):
    with pytest.raises(LinkError, match="can't be flashed"):
        flash(b"image", config(home, FACTS).boards["mine"].own, "/dev/x")
