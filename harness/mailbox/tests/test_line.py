"""A board reached through a mailbox alone: QEMU's gdb server, and pyOCD with a stand-in whose memory is QEMU's."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from tinyrig.board.probe_line import through_probe
from tinyrig.board.resolve import find_ports
from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, parse_board
from tinyrig.core.config import BoardPorts, load_config
from tinyrig.core.errors import LinkError, UserError
from tinyrig.link.serial_link import LinkGone, open_link
from tinyrig.link.session import Session
from tinyrig.mailbox.gdb import GdbMemory, _whole
from tinyrig.mailbox.port import is_mailbox
from tinyrig.mailbox.tests.emulated import BOARD, free_port, running
from tinyrig.tests import small_models
from tinyrig.tests.needs import needs_qemu
from tinyrig.tests.user_home import MODEL, furnish, url
from tinyrig.workload.image import build_image

FLASHER = """
import os, signal, subprocess, sys, time
image, base, port, machine, *options = sys.argv[1:]
try:
    os.kill(int(open("qemu.pid").read()), signal.SIGKILL)
    time.sleep(0.2)
except (OSError, ValueError):
    pass
quiet = subprocess.DEVNULL
loader = f"loader,file={image},addr={base},force-raw=on"
words = ["qemu-system-arm", "-M", machine, *options, "-device", loader, "-gdb", f"tcp:127.0.0.1:{port}"]
board = subprocess.Popen(words, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
open("qemu.pid", "w").write(str(board.pid))
"""

PYOCD = {
    "pyocd/__init__.py": "",
    "pyocd/core/__init__.py": "",
    "pyocd/core/exceptions.py": "class TransferFaultError(Exception): ...\n",
    "pyocd/core/helpers.py": """
import os
from contextlib import nullcontext
from pyocd.core.exceptions import TransferFaultError
from tinyrig.mailbox.gdb import GdbMemory


class Target:
    def __init__(self):
        self.memory = GdbMemory("127.0.0.1", int(os.environ["FAKE_PYOCD_GDB"]))

    def read_memory_block8(self, at, count):
        with self.memory.access():
            try:
                return list(self.memory.read(at, count))
            except PermissionError as error:
                raise TransferFaultError(str(error))

    def write_memory_block8(self, at, data):
        with self.memory.access():
            self.memory.write(at, bytes(data))


class Session:
    def __init__(self):
        self.target = Target()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.target.memory.close()


class ConnectHelper:
    @staticmethod
    def session_with_chosen_probe(unique_id, blocking, return_first, options):
        assert options["connect_mode"] == "attach" and not options["auto_unlock"] and not blocking
        return Session() if unique_id in (None, "PROBE7") and options["target_override"] == "mps2" else None
""",
}


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    with running(tmp_path_factory.mktemp("mailbox"), small_models.dense_int8()) as name:
        yield name


@needs_qemu
def test_a_session_through_a_gdb_server(machine):
    with Session(open_link(machine, BOARD.baud)) as session:
        hello = session.hello()
        payload = tuple(bytes(t.nbytes) for t in hello.inputs)
        first = session.run(payload)
        assert [s.outputs for s in session.stream([payload] * 5)] == [first.outputs] * 5
    with Session(open_link(machine, BOARD.baud)) as again:
        assert again.hello().build_id == hello.build_id, "the processor ran on when the line was closed"


@needs_qemu
def test_a_session_through_pyocd(machine, tmp_path, monkeypatch):
    for name, text in PYOCD.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("FAKE_PYOCD_GDB", machine.rpartition("/")[0].rpartition(":")[2])
    with Session(open_link("swd://mps2/0x0?probe=PROBE7", BOARD.baud)) as session:
        hello = session.hello()
        payload = tuple(bytes(t.nbytes) for t in hello.inputs)
        assert len(session.run(payload).outputs) == sum(t.nbytes for t in hello.outputs)
    for name, told in (
        ("swd://mps2/0x0?probe=OTHER", "no debug probe OTHER is attached"),
        ("swd://m7/0x0?probe=", "no debug probe is"),
    ):
        with pytest.raises(LinkError, match=told):
            open_link(name, BOARD.baud)


@pytest.mark.slow
@needs_qemu
def test_a_whole_run_on_a_board_of_ones_own(tmp_path, monkeypatch):
    """Its outputs are those of the board that the same machine is with a line of its own."""
    monkeypatch.chdir(furnish(tmp_path))
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    Path("flash.py").write_text(FLASHER)
    port = free_port()
    command = [sys.executable, "flash.py", "{bin}", "{base}", str(port), BOARD.machine, "-display", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-icount", "shift=7,sleep=on"]
    Path("rig.toml").write_text(
        f'[boards.mine]\nlike = "qemu"\nlink = "gdb://127.0.0.1:{port}"\nflash_command = {json.dumps(command)}\n'
    )
    try:
        documents = []
        for board in ("mine", "qemu"):
            assert main(["run", "--board", board, *MODEL, "--no-report", "--json", "out.json"]) == 0
            documents.append(json.loads(Path("out.json").read_text())["runs"][0])
    finally:
        os.kill(int(Path("qemu.pid").read_text()), signal.SIGKILL)
    mine, qemu = documents
    assert mine["parity"] == qemu["parity"] and mine["accuracy"] == qemu["accuracy"]
    assert mine["latency"]["cycles_median"] == pytest.approx(qemu["latency"]["cycles_median"], rel=0.02), "instructions"


def test_a_server_that_speaks_otherwise_is_told():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up():
            connection, _ = server.accept()
            connection.recv(100)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(LinkError, match="hung up"):
            open_link(f"gdb://127.0.0.1:{server.getsockname()[1]}/0x0", 115_200)
        thread.join()


@needs_qemu
def test_an_emulator_that_ends_is_a_line_that_is_gone(tmp_path):
    with running(tmp_path, small_models.dense_int8()) as name:
        link = open_link(name, BOARD.baud)
    with pytest.raises(LinkGone, match="stopped working"):
        link.read(1, 0.5)
    link.close()


def test_runs_of_a_character_are_written_out():
    assert _whole(b"0* 12") == b"000012" and _whole(b"ab") == b"ab"


def test_how_a_board_says_it(tmp_path):
    config = tmp_path / "rig.toml"
    config.write_text('[boards.nucleo-f401re]\nlink = "swd"\nprobe = "0667FF/3"\n[boards.virtual]\nlink = "gdb://bench:3333"\n')
    found = load_config(config)
    board, ports = find_ports(parse_board("nucleo-f401re", found.boards), found)
    assert ports.link == "swd://stm32f401retx/0x8000000?probe=0667FF%2F3" and ports.probe == "0667FF/3" and is_mailbox(ports.link)
    assert "-DPORT_MAILBOX" in board.cpu_flags and not board.pins
    _, ports = find_ports(parse_board("virtual", found.boards), found)
    assert ports.link == "gdb://bench:3333/0x10000"
    _, ports = find_ports(parse_board("nano33ble-uart@gdb://bench:2331", found.boards), found)
    assert ports.link == "gdb://bench:2331/0x10000"


@pytest.mark.parametrize(("name", "link"), [("nano33ble", "swd"), ("qemu-rv32", "gdb://a:1"), ("virtual", "swd")])
def test_a_board_that_can_not_have_such_a_line_is_told(name, link):
    with pytest.raises(UserError, match="can't be reached by link"):
        through_probe(BOARDS[name], link, BoardPorts())


def test_a_gdb_server_that_is_not_there_is_told():
    with pytest.raises(LinkError, match="can't open gdb"):
        open_link(f"gdb://127.0.0.1:{free_port()}/0x0", 115_200)
    with pytest.raises(OSError):
        GdbMemory("127.0.0.1", free_port())


@pytest.mark.slow
def test_the_nrf52840_dk_gets_an_image_at_0_with_a_mailbox(tmp_path):
    """Nobody has seen the kit: this is that the image is what its probe looks for."""
    board, port = through_probe(BOARDS["nrf52840dk"], "swd", BoardPorts())
    assert port.startswith("swd://nrf52840/0x0?") and board.flasher == "pyocd"
    model = compile_model(small_models.dense_int8(), flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes)
    image = build_image(model, board, tmp_path)
    with image.elf.open("rb") as stream:
        symbols = {s.name: s["st_value"] for s in ELFFile(stream).get_section_by_name(".symtab").iter_symbols()}
    vectors = image.bin.read_bytes()[: 4 * 16]
    assert int.from_bytes(vectors[32:36], "little") == symbols["port_mailbox"] >= board.ram_base
    assert symbols["_code_start"] == image.base_address == 0
