"""The whole examination and its two commands, on machines made for it."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from tinyrig.cli import main
from tinyrig.core.boards import BOARDS
from tinyrig.core.config import BoardPorts, Config
from tinyrig.core.errors import UserError
from tinyrig.doctor import examine as examination
from tinyrig.doctor import ports, rigfile, system
from tinyrig.doctor.checks import CheckStatus
from tinyrig.doctor.examine import examine, survey
from tinyrig.doctor.ports import PortStatus, Wire
from tinyrig.doctor.system import RULES, Host, udev_rules
from tinyrig.doctor.tools import Found
from tinyrig.host.locks import Locks, holder
from tinyrig.link.usb import lock_key
from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import make_run
from tinyrig.tests.host_board import HostBoard
from tinyrig.tests.old_database import write_0002

TOY = "tests/toy_int8.c"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No serial ports, no rig.toml but this test's, locks and results of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("TINYRIG_RESULTS", f"sqlite:///{tmp_path}/results.sqlite")
    Path("rig.toml").write_text("")
    plug(monkeypatch)


def plug(monkeypatch, *infos: ListPortInfo) -> None:
    """What the operating system lists."""
    monkeypatch.setattr(list_ports, "comports", lambda: list(infos))


def usb(device: str, vid: int, pid: int, serial: str = "ABC") -> ListPortInfo:
    info = ListPortInfo(device)
    info.vid, info.pid, info.serial_number, info.description = vid, pid, serial, "USB serial"
    return info


@contextmanager
def silent_port():
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def by_name(checks) -> dict:
    return {check.name: check for check in checks}


# ---- ports and `boards` ----


def surveyed(config=Config(), touch=ports.ask, all_ports=False):
    return survey(config, 20.0, touch, all_ports)


def test_a_wired_board_answers_with_its_chip_and_firmware():
    with HostBoard(TOY) as board:
        config = Config(boards={"nano33ble-uart": BoardPorts(link=board.port)})
        (port,) = surveyed(config)
    assert (port.status, port.board.name, port.wired) == (PortStatus.FREE, "nano33ble-uart", (Wire("nano33ble-uart", "link"),))
    assert bytes.fromhex(port.hello.board_id) == b"HOSTPORT" and len(port.hello.build_id) == 32


def test_an_unknown_port_is_asked_only_on_request(monkeypatch):
    with HostBoard(TOY) as board:
        plug(monkeypatch, usb(board.port, 0x0403, 0x6001))
        (port,) = surveyed()
        assert (port.status, port.hello, port.usb, port.serial) == (PortStatus.NOT_ASKED, None, "0403:6001", "ABC")
        (port,) = surveyed(all_ports=True)
        assert port.status == PortStatus.FREE and port.hello.engine == "toy-int8"


def test_to_an_unknown_port_nothing_is_sent(monkeypatch):
    master, slave = os.openpty()
    plug(monkeypatch, usb(os.ttyname(slave), 0x0403, 0x6001))
    surveyed()
    os.set_blocking(master, False)
    with pytest.raises(BlockingIOError):
        os.read(master, 1)
    os.close(master)
    os.close(slave)


def test_a_port_on_which_nobody_answers(monkeypatch):
    with silent_port() as port:
        plug(monkeypatch, usb(port, 0x2341, 0x805A))
        (found,) = surveyed()
    assert found.status == PortStatus.SILENT and found.board is BOARDS["nano33ble"]


def test_a_port_in_use_is_told_with_its_holder_and_left_alone(monkeypatch):
    with silent_port() as port:
        plug(monkeypatch, usb(port, 0x2341, 0x805A))
        locks = Locks()
        locks.take(lock_key(port), port)
        (found,) = surveyed(touch=lambda p: pytest.fail("touched"))
        assert found.status == PortStatus.IN_USE and f"process {os.getpid()} (`" in found.detail and "since" in found.detail
        held = lock_key(port)
        locks.close()
    assert holder(held) is None


def test_a_port_that_is_taken_after_it_was_looked_at_is_in_use_too():
    with silent_port() as port:
        locks = Locks()
        locks.take(lock_key(port), port)
        found = ports.ask(ports.Port(port))
        locks.close()
    assert found.status == PortStatus.IN_USE and f"process {os.getpid()} (`" in found.detail


def test_a_port_that_may_not_be_opened_says_whose_it_is(monkeypatch, tmp_path):
    file = tmp_path / "ttyACM0"
    file.write_text("")
    file.chmod(0o060)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    found = ports.look(ports.Port(str(file)))
    assert found.status == PortStatus.DENIED and file.group() in found.detail and "mode 60" in found.detail


def test_a_bootloader_is_never_talked_to(monkeypatch):
    """It takes some letters for commands."""
    with silent_port() as port:
        plug(monkeypatch, usb(port, 0x2341, 0x005A))
        (found,) = surveyed(touch=lambda p: pytest.fail("touched"))
    assert found.status == PortStatus.BOOTLOADER


def test_two_boards_with_one_usb_id_are_told_apart_by_rig_toml(monkeypatch):
    with silent_port() as port:
        plug(monkeypatch, usb(port, 0x2341, 0x805A))
        (found,) = surveyed(Config(boards={"nano33ble-uart": BoardPorts(flash=port)}), touch=lambda p: p)
    assert found.board.name == "nano33ble-uart"


def test_boards_on_the_terminal_and_as_json(monkeypatch, capsys):
    with HostBoard(TOY) as board:
        Path("rig.toml").write_text(f'[boards.nano33ble-uart]\nlink = "{board.port}"\nflash = "/dev/not-there"\n')
        assert main(["boards"]) == 0
        out = capsys.readouterr().out
        assert main(["boards", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert main(["boards", "--no-ask", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["ports"][0]["chip_id"] is None
    assert "not yet" in out and "an emulator" in out and b"HOSTPORT".hex() in out and "build 10111213" in out
    there, gone = told["ports"]
    assert (there["chip_id"], there["status"], there["wired"]) == (b"HOSTPORT".hex(), "free", ["nano33ble-uart link"])
    assert (gone["status"], gone["wired"]) == (PortStatus.ABSENT, ["nano33ble-uart flash"])
    assert all(known["emulator"] or known["seen_on_silicon"] is None for known in told["known"])


@pytest.mark.parametrize(
    ("wanted", "status"), [("", PortStatus.FREE), (b"HOSTPORT".hex().upper(), PortStatus.FREE), ("0" * 16, PortStatus.STRANGER)]
)
def test_another_chip_than_rig_toml_names_is_told(wanted, status):
    with HostBoard(TOY) as board:
        config = Config(boards={"nano33ble-uart": BoardPorts(link=board.port, id=wanted)})
        (port,) = surveyed(config)
    (check,) = rigfile.wired([port])
    assert port.status == status and check.good == (status == PortStatus.FREE) == (not check.counts)
    assert b"HOSTPORT".hex() in check.found


def test_a_port_for_flashing_only_is_opened_and_not_talked_to():
    master, slave = os.openpty()
    (port,) = surveyed(Config(boards={"nano33ble-uart": BoardPorts(flash=os.ttyname(slave))}))
    os.set_blocking(master, False)
    with pytest.raises(BlockingIOError):
        os.read(master, 1)
    assert port.status == PortStatus.FREE
    os.close(master)
    os.close(slave)


# ---- permissions ----


def machine(root: Path, *programs: str, group: str = "", rules: str | None = None, **changes) -> Host:
    for number, name in enumerate(programs, 100):
        (root / "proc" / str(number)).mkdir(parents=True)
        (root / "proc" / str(number) / "comm").write_text(name + "\n")
    (root / "etc").mkdir(parents=True, exist_ok=True)
    (root / "etc/group").write_text(group)
    if rules is not None:
        (root / RULES).parent.mkdir(parents=True)
        (root / RULES).write_text(rules)
    return Host(root, **{"uid": 1000, "groups": ("users",), **changes})


@pytest.mark.parametrize(
    ("changes", "group", "status", "said"),
    [
        ({"uid": 0}, "", CheckStatus.OK, "root"),
        ({"groups": ("dialout",)}, "", CheckStatus.OK, "in dialout"),
        ({"groups": ("uucp",)}, "", CheckStatus.OK, "in uucp"),
        ({}, "dialout:x:20:{me},other\n", CheckStatus.BROKEN, "not yet in this session"),
        ({}, "dialout:x:20:other\n", CheckStatus.MISSING, "not in dialout"),
        ({}, "uucp:x:14:\n", CheckStatus.MISSING, "not in uucp"),
    ],
)
def test_who_may_open_serial_ports(tmp_path, changes, group, status, said):
    check = system.serial_group(machine(tmp_path, group=group.format(me=system._user()), **changes))
    assert check.status == status and said in check.found and bool(check.remedy) == (status != CheckStatus.OK)


def test_modem_manager_is_kept_off_by_the_rule_and_brltty_is_not(tmp_path):
    bare = by_name(system.grabbers(machine(tmp_path / "a", "ModemManager", "brltty", "bash")))
    assert bare["ModemManager"].status == bare["brltty"].status == CheckStatus.BROKEN and "udev" in bare["ModemManager"].remedy
    ruled = by_name(system.grabbers(machine(tmp_path / "b", "ModemManager", "brltty", rules=udev_rules())))
    assert (ruled["ModemManager"].status, ruled["brltty"].status) == (CheckStatus.OK, CheckStatus.BROKEN)
    assert all(check.status == CheckStatus.OK for check in system.grabbers(machine(tmp_path / "c", "bash")))


def test_the_rule_is_there_or_of_another_tinyrig(tmp_path):
    assert system.udev(machine(tmp_path / "a")).status == CheckStatus.MISSING
    assert system.udev(machine(tmp_path / "b", rules="# older\n")).status == CheckStatus.BROKEN
    assert system.udev(machine(tmp_path / "c", rules=udev_rules())).status == CheckStatus.OK


def test_the_rules_name_every_usb_id_once_and_are_udev_syntax(capsys):
    assert main(["doctor", "--udev-rules"]) == 0
    rules = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("#")]
    ids = {usb for board in BOARDS.values() for usb in board.usb_ids}
    for one in ids:
        vendor, product = one.split(":")
        of_it = [rule for rule in rules if f'ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}"' in rule]
        assert sum('TAG+="uaccess"' in rule for rule in of_it) == sum("ID_MM_PORT_IGNORE" in rule for rule in of_it) == 1
    for rule in rules:
        assert all(part.strip().count('"') == 2 and "=" in part for part in rule.split(","))


# ---- rig.toml, results, space ----


def test_rig_toml_that_does_not_load_is_told_and_the_rest_is_examined(capsys):
    Path("rig.toml").write_text("repeats = \n")
    assert main(["doctor"]) == 3
    out = capsys.readouterr().out
    assert "! broken  rig.toml" in out and "ok      pyserial" in out and "Traceback" not in out


def test_entries_of_rig_toml():
    config = Config(boards={"nano33ble": BoardPorts(id="12"), "teapot": BoardPorts(link="/dev/x")})
    checks = by_name(rigfile.entries(replace(config, nightly=replace(config.nightly, boards=("kettle",)))))
    assert "not a chip id" in checks["[boards.nano33ble]"].found and "no such board" in checks["[boards.teapot]"].found
    assert "kettle" in checks["[nightly] boards"].found and all(check.counts for check in checks.values())
    assert not rigfile.entries(Config(boards={"nano33ble": BoardPorts(id="0123456789abcdef")}))


def test_the_boards_of_the_rig():
    assert rigfile.rig_boards(Config()) == [BOARDS["virtual"]]
    night = replace(Config().nightly, boards=("virtual", "nano33ble@/dev/x", "/dev/y"))
    assert [b.name for b in rigfile.rig_boards(Config(nightly=night))] == ["virtual", "nano33ble"]


def state(path) -> str:
    return rigfile.results(Config(results=f"sqlite:///{path}")).found


def test_the_database_is_looked_at_and_not_changed(tmp_path):
    file = tmp_path / "r.sqlite"
    assert "none yet" in state(file) and not file.exists()
    write_0002(f"sqlite:///{file}", make_run())
    before = file.read_bytes()
    assert "revision 0002; the next command upgrades it" in state(file)
    assert file.read_bytes() == before and not list(tmp_path.glob("r.sqlite.before*"))
    Store(f"sqlite:///{file}").close()
    assert "up to date" in state(file)


def test_databases_that_can_not_be_used(tmp_path):
    (tmp_path / "garbage").write_bytes(b"no database at all" * 300)
    with closing(sqlite3.connect(tmp_path / "foreign")) as db:
        db.execute("CREATE TABLE songs (name TEXT)")
    Store(f"sqlite:///{tmp_path}/newer").close()
    with closing(sqlite3.connect(tmp_path / "newer")) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
        db.commit()
    for name, said in (("garbage", "damaged"), ("foreign", "not a tinyrig"), ("newer", "newer tinyrig")):
        check = rigfile.results(Config(results=f"sqlite:///{tmp_path}/{name}"))
        assert check.status == CheckStatus.BROKEN and said in check.found and check.remedy and check.counts
    assert rigfile.results(Config(results="nonsense")).status == CheckStatus.BROKEN


def test_too_little_space_counts(monkeypatch, tmp_path):
    config = Config(results=f"sqlite:///{tmp_path}/sub/r.sqlite")
    assert all(check.good for check in rigfile.space(config))
    monkeypatch.setattr(rigfile, "LEAST_BYTES", 1 << 60)
    assert all(
        check.status == CheckStatus.BROKEN and check.counts and "free at least" in check.remedy for check in rigfile.space(config)
    )


# ---- all together ----


def test_a_rig_of_the_virtual_board_needs_no_board_and_no_flasher(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "everything the rig needs is there: virtual" in out and "! " not in out
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["good"] and told["boards"] == ["virtual"] and {c["status"] for c in told["checks"]} <= set(CheckStatus)
    assert not any(c["counts"] and c["status"] != CheckStatus.OK for c in told["checks"])
    assert all(c["remedy"] for c in told["checks"] if c["status"] != CheckStatus.OK)


def test_a_board_that_is_not_attached_counts(capsys):
    assert main(["doctor", "--board", "nano33ble-uart"]) == 3
    out = capsys.readouterr().out
    assert "! missing nano33ble-uart" in out and "name its port in rig.toml" in out


def test_a_wired_port_that_is_gone_counts(capsys):
    Path("rig.toml").write_text('[boards.nano33ble-uart]\nlink = "/dev/not-there"\n')
    assert main(["doctor"]) == 3
    assert "! missing link of nano33ble-uart" in capsys.readouterr().out


def test_an_attached_board_says_what_it_lacks(monkeypatch):
    uart = replace(BOARDS["nano33ble-uart"], flasher="a-flasher-that-nobody-has")
    monkeypatch.setitem(BOARDS, "nano33ble-uart", uart)
    with silent_port() as port:
        plug(monkeypatch, usb(port, 0x2341, 0x805A, "0123"))
        config = Config(boards={"nano33ble-uart": BoardPorts(flash=port)})
        found = examine(config, host=Host(uid=0))
    (check,) = [c for c in found.checks if c.group == "attached"]
    assert check.counts and "lacks a-flasher-that-nobody-has" in check.found and "USB serial 0123" in check.found
    assert not found.good and "a-flasher-that-nobody-has" in {c.name for c in found.lacking}


def test_one_of_two_tools_is_enough(monkeypatch):
    monkeypatch.setitem(BOARDS, "nano33ble-uart", replace(BOARDS["nano33ble-uart"], flasher="probe"))
    monkeypatch.setattr(
        examination, "look", lambda name: Found(CheckStatus.MISSING if name == "pyocd" else CheckStatus.OK, "1.0", "install it")
    )
    with silent_port() as port:
        found = examine(Config(boards={"nano33ble-uart": BoardPorts(link=port)}))
        assert found.good and by_name(found.checks)["pyocd"].status == CheckStatus.MISSING
        monkeypatch.setattr(
            examination,
            "look",
            lambda name: Found(CheckStatus.MISSING if name in ("pyocd", "st-flash") else CheckStatus.OK, "", "x"),
        )
        lacking = {c.name for c in examine(Config(boards={"nano33ble-uart": BoardPorts(link=port)})).lacking}
    assert lacking == {"pyocd", "st-flash"}


def test_a_port_instead_of_a_board_is_the_users_error():
    assert main(["doctor", "--board", "/dev/ttyACM0"]) == UserError.exit_code
    assert main(["doctor", "--board", "teapot"]) == UserError.exit_code


def test_a_folder_that_may_not_be_written_has_no_database(tmp_path, monkeypatch):
    monkeypatch.setattr("tinyrig.tables.database.os.access", lambda path, mode: False)
    check = rigfile.results(Config(results=f"sqlite:///{tmp_path}/r.sqlite"))
    assert check.status == CheckStatus.BROKEN and "can't be written" in check.found and check.remedy
