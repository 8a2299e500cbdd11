"""How boards are grouped, and what is offered for a port: known, ambiguous, wired, unknown."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tinyrig.board.resolve import find_ports
from tinyrig.cli import main
from tinyrig.core.boards import BOARDS, parse_board, recognise_usb
from tinyrig.core.config import BoardPorts, Config
from tinyrig.core.errors import LinkError, UserError
from tinyrig.core.hardware.arduino import arduino_board, platform_of
from tinyrig.core.hardware.cores import GENERIC, core_of
from tinyrig.core.hardware.owned import OWNED, SHARED, Checked
from tinyrig.doctor.examine import examine
from tinyrig.doctor.ports import Port, Wire
from tinyrig.doctor.routes import HEADINGS, Reached, grouped, offers, reached
from tinyrig.flash.route import first_flash, no_link
from tinyrig.tests.arduino_cores import PROFILES

PORT = "/dev/ttyACM0"


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("virtual", Reached.VIRTUAL),
        ("qemu-m33", Reached.QEMU),
        ("nano33ble-uart", Reached.BOOTLOADER),
        ("nano33ble", Reached.ARDUINO),
        ("pico", Reached.ARDUINO),
        ("nucleo-f401re", Reached.PROBE),
        ("nrf52840dk", Reached.PROBE),
    ],
)
def test_a_board_is_grouped_by_how_it_is_reached(name, group):
    assert reached(BOARDS[name]) is group and set(HEADINGS) == set(Reached)


def test_boards_elsewhere_stand_there_too_and_no_board_is_lost():
    config = replace(Config(), boards={"bench": BoardPorts(link="labgrid:pico-7", kind="pico"), "pico2": BoardPorts(link=PORT)})
    rows = grouped(list(BOARDS.values()), config)
    assert [(group, name, board.name) for group, name, board in rows][-1] == (Reached.ELSEWHERE, "bench", "pico")
    assert {board.name for _, _, board in rows} == set(BOARDS) and len(rows) == len(BOARDS) + 1
    assert [list(Reached).index(group) for group, _, _ in rows] == sorted(list(Reached).index(group) for group, _, _ in rows)


def port(usb: str, **more) -> Port:
    return Port(PORT, usb, board=recognise_usb(usb), **more)


def test_a_known_usb_id_is_answered_with_its_exact_words():
    assert offers(port("2e8a:000a"), Config()) == (f"tinyrig run --board=pico@{PORT} --model MODEL.tflite",)


def test_the_id_of_a_probe_is_answered_with_every_board_that_has_it():
    found = offers(port("0483:374b"), Config())
    assert all(any(f"--board={name}@{PORT}" in words for words in found) for name in ("nucleo-f401re", "nucleo-l476rg"))
    assert any("arduino:FQBN" in words for words in found) and any("NAME@swd" in words for words in found)


def test_an_unknown_id_is_answered_with_the_two_commands_that_make_it_work():
    assert offers(port("1209:0001"), Config()) == (
        "arduino-cli board list  (its FQBN column)",
        f"tinyrig run --board=arduino:FQBN@{PORT} --model MODEL.tflite",
    )
    assert offers(port(""), Config()) == ()  # a port of the mainboard's: nothing is known of what hangs there
    assert offers(port("1209:0001", wired=(Wire("mine", "link"),)), Config()) == (
        "tinyrig run --board=mine --model MODEL.tflite",
    )


def attach(monkeypatch, usb: str) -> None:
    info = SimpleNamespace(
        device=PORT, vid=int(usb[:4], 16), pid=int(usb[5:], 16), serial_number="1", description="", location="1-1:1.0"
    )
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [info])


def test_a_bare_port_of_several_boards_is_never_guessed(monkeypatch):
    """Before, every ST-LINK was taken for a NUCLEO-F401RE, and would have been flashed as one."""
    attach(monkeypatch, "0483:374b")
    with pytest.raises(UserError, match="does not tell which board") as caught:
        find_ports(parse_board(PORT), Config())
    assert "nucleo-u575zi-q" in caught.value.received and f"--board=arduino:FQBN@{PORT}" in caught.value.remedy
    assert find_ports(parse_board(f"nucleo-f401re@{PORT}"), Config())[0].name == "nucleo-f401re"
    mine = {"mine": BoardPorts(own=replace(BOARDS["nucleo-f401re"], name="mine"))}
    assert find_ports(parse_board(PORT), replace(Config(), boards=mine))[0].name == "mine"  # the user's rig.toml decides


def test_every_shared_id_is_shared_and_no_other_is():
    for usb in {usb for board in BOARDS.values() for usb in board.usb_ids}:
        chips = {board.fqbn or board.port.split("-")[0] for board in BOARDS.values() if usb in board.usb_ids}
        assert (usb in SHARED) == (len(chips - {"arduino", "nrf52840"}) > 1)


def test_doctor_and_boards_print_them(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    attach(monkeypatch, "1209:0001")
    assert main(["boards", "--no-ask"]) == 0
    said = capsys.readouterr().out
    assert "to use what is attached" in said and f"tinyrig run --board=arduino:FQBN@{PORT}" in said
    assert said.index(HEADINGS[Reached.ARDUINO]) < said.index("Raspberry Pi Pico 2") < said.index(HEADINGS[Reached.PROBE])
    assert main(["boards", "--no-ask", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    pico = next(board for board in document["known"] if board["name"] == "pico")
    assert (
        pico["clock_hz"] is None
        and pico["unknown"]["clock"]
        and pico["reached"] == "Arduino"
        and pico["flash_bytes"] == 2_097_152
    )
    assert document["ports"][0]["offers"][0].startswith("arduino-cli board list")
    check = next(c for c in examine(Config(), seconds=5).checks if c.name == PORT)
    assert check.group == "attached" and check.good and "arduino:FQBN" in check.found


def test_a_pico_without_a_port_is_told_how_the_first_program_gets_there(monkeypatch):
    monkeypatch.setattr("serial.tools.list_ports.comports", lambda: [])
    with pytest.raises(LinkError, match="no Raspberry Pi Pico is attached") as caught:
        raise no_link(BOARDS["pico"])
    assert "BOOTSEL" in caught.value.remedy and "UF2_Board" in caught.value.remedy
    error = first_flash(BOARDS["pico2"], "/dev/not-there")
    assert error is not None and error.what == "there is no port /dev/not-there"
    assert first_flash(BOARDS["pico"], "/dev/null") is None and first_flash(BOARDS["teensy41"], "/dev/not-there") is None


def test_a_port_of_another_known_board_is_not_flashed(monkeypatch):
    attach(monkeypatch, "2341:0069")
    with pytest.raises(UserError, match="is another board than pico") as caught:
        find_ports(parse_board(f"arduino:rp2040:rp2040:rpipico@{PORT}"), Config())
    assert "UNO R4 Minima" in caught.value.received and f"--board=uno-r4-minima@{PORT}" in caught.value.remedy


@pytest.mark.parametrize(
    ("board", "words"),
    [(arduino_board("acme:m7:big"), "--board=arduino:acme:m7:big@PORT"), (BOARDS["nrf52840dk"], "--board=nrf52840dk@swd")],
)
def test_a_board_without_a_port_is_told_how_to_name_one(board, words):
    known = replace(board, builder="gcc")  # arduino-cli is not asked
    with pytest.raises(LinkError) as caught:
        find_ports(replace(parse_board("virtual"), board=known), Config())
    assert words in caught.value.expected


def test_the_table_is_complete_and_of_one_piece():
    assert len(OWNED) >= 13
    for entry in OWNED:
        board = entry.board
        assert BOARDS[board.name] is board and board.fqbn and entry.sources and entry.connect and entry.clock_mhz
        assert not board.seen, "nobody has seen it on silicon yet"
        ran = [p for p in PROFILES.values() if p.platform == platform_of(board.fqbn) and core_of(p.cpu) == board.core]
        assert (entry.checked is Checked.EMULATED) == (bool(ran) and GENERIC not in board.cpu_flags), board.name
        assert set(entry.bootloader_ids) <= set(board.usb_ids) or not set(entry.bootloader_ids) & {
            usb for other in BOARDS.values() for usb in other.usb_ids
        }
