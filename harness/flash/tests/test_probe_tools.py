"""st-flash and pyOCD as processes: stand-ins that check their arguments and keep a flash in a file, and the real st-flash where
it is installed. What pyOCD itself does is in test_pyocd.py."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import sys
from pathlib import Path

import pytest

from tinyrig.core.boards import BOARDS
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, HostError, LinkError
from tinyrig.flash import probe as choose
from tinyrig.flash import pyocd, stlink
from tinyrig.flash.flash import flash, restart
from tinyrig.host.log import heard

BOARD = dataclasses.replace(BOARDS["nucleo-f401re"], flasher="st-flash")
BASE, SERIAL = BOARD.flash_base, "066DFF485550755187121723"
STAND_IN = r'''#!PYTHON
"""st-flash and st-info of stlink-tools 1.7, as far as the rig uses them."""
import json, pathlib, sys, time
folder = pathlib.Path(__file__).parent
state = json.loads((folder / "state.json").read_text())
name, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
def end(text, status):
    print(text, file=sys.stderr)
    sys.exit(status)
if state["fault"] == "hang":
    time.sleep(60)
if name == "st-info":
    assert words == ["--probe", "--connect-under-reset"], words
    print("Found %d stlink programmers" % len(state["serials"]))
    for serial in state["serials"]:
        print("  version:    V2J37S27\n  serial:     %s\n  flash:      524288 (pagesize: 16384)" % serial)
        print("  sram:       98304\n  chipid:     0x0%s\n  dev-type:   STM32F4x1" % state["chip"])
    sys.exit(0)
if words[0] == "--connect-under-reset":
    words = words[1:]
assert words[0] == "--serial" and words[1] in state["serials"], words
command, flash = words[2], bytearray((folder / "flash").read_bytes())
state["log"].append(words[2:])
(folder / "state.json").write_text(json.dumps(state))
if state["fault"] == command + str(sum(w[0] == command for w in state["log"])):
    end(state["says"], 255)
if command == "write":
    data, at = pathlib.Path(words[3]).read_bytes(), int(words[4], 16) - 0x8000000
    assert len(words) == 5 and at >= 0 and data
    for start in range(0, len(flash), 16384):  # its sectors are not all so small; erasing more would be found all the same
        if start < at + len(data) and at < start + 16384:
            flash[start:start + 16384] = b"\xff" * 16384
    flash[at:at + len(data)] = data
    if state["fault"] == "worn":
        flash[0x4010] |= 1
    (folder / "flash").write_bytes(flash)
elif command == "read":
    at, count = int(words[4], 16) - 0x8000000, int(words[5], 16)
    pathlib.Path(words[3]).write_bytes(flash[at:at + count])
else:
    assert command == "reset" and len(words) == 3, words
'''


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """tools(**state) -> the folder of the stand-ins, the only thing on the PATH."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("st-flash", "st-info"):
        (folder / name).write_text(STAND_IN.replace("PYTHON", sys.executable))
        (folder / name).chmod(0o755)
    (folder / "flash").write_bytes(b"\x5a" * 0x20000)
    monkeypatch.setenv("PATH", str(folder))

    def given(**state) -> Path:
        whole = {"serials": [SERIAL], "chip": "433", "fault": "", "says": "", "log": []} | state
        (folder / "state.json").write_text(json.dumps(whole))
        return folder

    return given


def log(folder: Path) -> list[list[str]]:
    return json.loads((folder / "state.json").read_text())["log"]


def image(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize("size", [20_001, 1000])
@pytest.mark.parametrize("probe", ["", SERIAL])
def test_st_flash_unmakes_the_first_sector_then_writes_it_last(tools, size, probe):
    folder, data, seen = tools(), image(size), []
    assert flash(data, BOARD, probe, lambda done, total: seen.append(done)) == 1
    assert (folder / "flash").read_bytes()[:size] == data and seen[-1] >= size
    steps = [words[0] for words in log(folder)]
    rest = ["write", "read"] if size > BOARD.sector_bytes else []
    assert steps == ["write", *rest, "write", "read", "reset"]
    writes = [int(words[2], 16) for words in log(folder) if words[0] == "write"]
    assert writes == [BASE, *([BASE + 16384] if rest else []), BASE]


def test_a_board_that_breaks_off_half_way_holds_nothing_that_starts(tools):
    folder = tools(fault="write2", says="ERROR common.c: Flash loader write error")
    with pytest.raises(DeviceError, match="could not be written"):
        flash(image(40_000), BOARD, SERIAL, tries=1)
    assert (folder / "flash").read_bytes()[:16384] == b"\xff" * 16384


def test_a_second_try_mends_it(tools):
    said: list[str] = []
    tools(fault="write2", says="ERROR common.c: Flash loader write error")
    with heard(said.append):
        assert flash(image(40_000), BOARD, SERIAL) == 2
    assert said == ["flashing again, because the flash could not be written"]


def test_worn_out_flash_is_named_by_its_address(tools):
    data = bytes(40_000)
    tools(fault="worn")
    with pytest.raises(DeviceError, match="0x08004010") as caught:
        flash(data, BOARD, SERIAL, tries=1)
    assert (caught.value.expected, caught.value.received) == ("0x00", "0x01")


FAILURES = {
    # state of the tool: (class, what the user reads)
    "none": ({"serials": []}, LinkError, "no ST-LINK is attached"),
    "several": ({"serials": [SERIAL, "0672FF"]}, LinkError, "several ST-LINKs are attached"),
    "another chip": ({"chip": "415"}, LinkError, "another chip; nothing was flashed"),
    "erase": (
        {"fault": "write1", "says": "ERROR flash_loader.c: Failed to erase_flash_page(0x8000000) == -1"},
        DeviceError,
        "could not be erased",
    ),
    "verify": (
        {"fault": "write1", "says": "ERROR common.c: Verification of flash failed at offset: 0"},
        DeviceError,
        "flash verification failed",
    ),
    "permission": (
        {"fault": "write1", "says": "libusb: error [_get_usbfs_fd] LIBUSB_ERROR_ACCESS"},
        HostError,
        "may not be opened",
    ),
    "unplugged": ({"fault": "read1", "says": "WARN usb.c: Couldn't find any ST-Link devices"}, LinkError, "is not attached"),
    "locked": ({"fault": "write1", "says": "ERROR common.c: Flash is read protected"}, DeviceError, "locked against debugging"),
    "no contact": ({"fault": "reset1", "says": "Failed to connect to target"}, LinkError, "does not reach the chip"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_each_failure_of_st_flash_has_its_words(tools, name):
    state, kind, text = FAILURES[name]
    tools(**state)
    with pytest.raises(kind, match=text) as caught:
        flash(image(100), BOARD, "", tries=1)
    assert caught.value.exit_code == 3 and caught.value.remedy


def test_the_st_link_named_is_told_when_it_is_not_there(tools):
    folder = tools(serials=["0672FF"])
    with pytest.raises(LinkError, match="is not attached") as caught:
        flash(image(100), BOARD, SERIAL)
    assert (caught.value.expected, caught.value.received) == (SERIAL, "0672FF") and log(folder) == []


def test_an_st_link_is_known_by_its_usb_serial_number_in_either_spelling(tools):
    for listed in (SERIAL, SERIAL.lower(), SERIAL.encode().hex()):
        tools(serials=[listed, "0672FF"])
        assert flash(image(100), BOARD, SERIAL) == 1


def test_every_message_is_another():
    assert len({text for _, _, text in FAILURES.values()}) == len(FAILURES)


def test_a_tool_that_hangs_is_ended_and_its_limit_named(tools):
    tools(fault="hang")
    with pytest.raises(HostError, match="st-info hangs") as caught:
        flash(image(100), BOARD, "", deadline_s=0.5, tries=1)
    assert "flash_s = 0.5" in caught.value.expected


def test_st_flash_resets_a_hanging_board(tools):
    folder = tools()
    restart(BOARD, SERIAL)
    assert log(folder) == [["reset"]]


PYOCD = r"""#!PYTHON
import json, pathlib, sys
state = json.loads((pathlib.Path(__file__).parent / "pyocd.json").read_text())
if sys.argv[1] == "json":
    print(json.dumps(state[sys.argv[2]]))
else:
    print(state["says"], file=sys.stderr)
    sys.exit(1)
"""


@pytest.fixture
def fake_pyocd(tools):
    """fake_pyocd(probes, targets, says): a pyocd that lists these and fails at everything else."""

    def given(probes: list[str], targets: list[str], says: str = "") -> None:
        folder = tools()
        lists = {"--probes": {"boards": [{"unique_id": p} for p in probes]}}
        lists |= {"--targets": {"targets": [{"name": t} for t in targets]}}
        (folder / "pyocd.json").write_text(json.dumps(lists | {"says": says}))
        (folder / "pyocd").write_text(PYOCD.replace("PYTHON", sys.executable))
        (folder / "pyocd").chmod(0o755)

    return given


def deadline() -> Deadline:
    return Deadline("flash_s", 30.0)


def test_pyocd_is_taken_where_it_knows_the_chip_else_st_flash(fake_pyocd):
    fake_pyocd([], ["nrf52840", "stm32f401retx"])
    assert choose.tool(BOARD, deadline()) == "pyocd"
    fake_pyocd([], ["nrf52840"])
    assert choose.tool(BOARD, deadline()) == "st-flash"


def test_without_either_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pyocd.importlib.util, "find_spec", lambda name: None)
    for board in (BOARDS["nucleo-f401re"], dataclasses.replace(BOARD, flasher="probe")):
        with pytest.raises(HostError, match="no tool to flash") as caught:
            flash(image(100), board, "")
        assert "apt-get install stlink-tools" in caught.value.remedy and "pack install stm32f401retx" in caught.value.remedy
    with pytest.raises(HostError, match="pyOCD is missing"):
        flash(image(100), dataclasses.replace(BOARD, flasher="pyocd"), SERIAL)


@pytest.mark.parametrize(("probes", "text"), [([], "no debug probe is attached"), (["A1", "B2"], "several debug probes")])
def test_a_probe_is_never_guessed(fake_pyocd, probes, text):
    fake_pyocd(probes, ["nrf52840"])
    nano = dataclasses.replace(BOARDS["nano33ble-uart"], flasher="pyocd")
    with pytest.raises(LinkError, match=text):
        flash(image(100), nano, "")


PYOCD_SAYS = {
    "No connected debug probe matches unique ID 'A1'": (LinkError, "not attached"),
    "0000363 C Target type x not recognized. Use 'pyocd list --targets'": (HostError, "does not know this chip"),
    "usb.core.USBError: [Errno 13] Access denied (insufficient permissions)": (HostError, "may not be opened"),
    "W NRF52840 APPROTECT enabled: not automatically unlocking": (DeviceError, "locked against debugging"),
    "E flash erase sector failure (address 0x00010000; result code 0x1)": (DeviceError, "could not be erased"),
    "E flash program page failure (address 0x00010000; result code 0x1)": (DeviceError, "could not be written"),
    "C SWD/JTAG communication failure (No ACK)": (LinkError, "does not reach the chip"),
    "\x1b[31mE Memory transfer fault (FAULT ACK) @ 0x10000\x1b[0m": (LinkError, "does not reach the chip"),
    "": (DeviceError, "pyOCD failed"),
}


@pytest.mark.parametrize("said", PYOCD_SAYS)
def test_what_pyocd_says_is_told_in_words(said):
    kind, text = PYOCD_SAYS[said]
    error = pyocd.failure(said, "nrf52840")
    assert type(error) is kind and text in error.what and error.remedy and "\x1b" not in error.received


NO_STLINK = shutil.which("st-flash") is None and os.environ.get("TINYRIG_TEST_STLINK") != "required"


@pytest.mark.skipif(NO_STLINK, reason="stlink-tools is not installed")
def test_the_real_st_flash_without_an_st_link():
    """Its arguments are accepted, and what it says is understood."""
    if stlink._probes(stlink._run(["st-info", "--probe", "--connect-under-reset"], deadline(), Path.cwd())):
        pytest.skip("an ST-LINK is attached")
    with pytest.raises(LinkError, match="no ST-LINK is attached"):
        flash(image(100), BOARD, "")
    with pytest.raises(LinkError, match="the ST-LINK is not attached"):
        restart(BOARD, SERIAL)
