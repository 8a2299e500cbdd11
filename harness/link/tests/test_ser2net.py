"""A board behind a real ser2net on the loopback: the same session, the same flashing, and what the network adds to go wrong."""

from __future__ import annotations

import re
import socket
import textwrap
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS, parse_board
from tinyrig.core.config import Config
from tinyrig.core.errors import LinkError
from tinyrig.flash import samba
from tinyrig.flash.flash import flash
from tinyrig.link import serial_link as link_module
from tinyrig.link.network_port import _words, new_port, sets_baud, split_telnet
from tinyrig.link.serial_link import open_link
from tinyrig.tests import small_models
from tinyrig.tests.servers import ROOT, Program, Ser2net, free_port, listens, need_ser2net
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image

pytestmark = pytest.mark.slow

BOARD = BOARDS["virtual"]
ROOM = {"flash_bytes": BOARD.flash_bytes, "ram_bytes": BOARD.ram_bytes}
SCHEMES = ("rfc2217", "socket")


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    """Locks of its own, and little patience with a port that stays busy."""
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setattr(link_module, "BUSY_S", 0.2)


@pytest.fixture(scope="module")
def board():
    need_ser2net()
    with VirtualBoard(clock="off") as board:
        yield board


@pytest.fixture
def server(board, tmp_path):
    with Ser2net(board.port, tmp_path) as server:
        yield server


def image(seed: int = 0):
    return build_image(compile_model(small_models.dense_int8(seed), **ROOM), BOARD)


def rig_at(url: str) -> Rig:
    return Rig(parse_board(f"virtual@{url}"), Config())


@pytest.mark.slow
def test_flashed_asked_and_flashed_again_over_either(server):
    """The bootloader of a blank board, then the firmware's own reboot request, both by the way that a cable takes."""
    for seed, scheme in enumerate((*SCHEMES, *SCHEMES)):
        with rig_at(getattr(server, scheme)) as rig:
            session, hello = rig.prepare(image(seed % 3))
            assert rig.flash_tries == 1 and hello.board_id
            assert session.echo(bytes(range(256))) == bytes(range(256))  # Telnet's own 0xff among them


@pytest.mark.slow
def test_the_touch_reaches_the_board_by_rfc2217_alone(server, monkeypatch):
    """Flashing without asking the firmware, as where a foreign program runs."""
    with rig_at(server.rfc2217) as rig:
        rig.prepare(image())
    monkeypatch.setattr(samba, "ENTER_S", 2.0)
    with pytest.raises(LinkError, match="a bare socket can't request it") as caught:
        flash(image(1).bin.read_bytes(), BOARD, server.socket)
    assert "rfc2217://host:port" in caught.value.remedy and caught.value.exit_code == 3
    monkeypatch.undo()
    assert flash(image(1).bin.read_bytes(), BOARD, server.rfc2217) == 1


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("held", SCHEMES)
def test_a_port_that_somebody_holds_is_told_in_the_servers_words(server, scheme, held):
    with open_link(getattr(server, held), BOARD.baud), pytest.raises(LinkError, match="another program holds it") as caught:
        open_link(getattr(server, scheme), BOARD.baud)
    assert "already in use" in caught.value.received


def test_all_names_of_a_port_are_one_lock(server):
    with rig_at(server.socket), pytest.raises(LinkError, match="in use by another process"):
        rig_at(server.socket.replace("socket://127.0.0.1", "rfc2217://localhost"))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_device_that_is_not_there_is_told(tmp_path, scheme):
    refused = pytest.raises(LinkError, match="its device can't be used")
    with Ser2net(str(tmp_path / "none"), tmp_path) as server, refused as caught:
        open_link(getattr(server, scheme), BOARD.baud)
    assert "failure" in caught.value.received


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_board_that_vanishes_behind_the_server_is_found_again(tmp_path, scheme):
    link = tmp_path / "tty"
    with VirtualBoard(clock="off", link=link, faults=["line-disconnect:0.15"], fault_seed=3) as board:
        with Ser2net(str(link), tmp_path) as server, rig_at(getattr(server, scheme)) as rig:
            session, _ = rig.prepare(image())
            size = session.hello().inputs[0].nbytes
            samples = list(session.stream([bytes(size)] * 12))
            assert len({s.outputs for s in samples}) == 1
            assert session.statistics.reconnects >= 1
        board.check()


def test_a_new_timeout_is_the_hosts_own_business(server):
    """pyserial's own port would negotiate its settings again: nothing may be sent, and nothing waited for."""
    with open_link(server.rfc2217, BOARD.baud) as link:
        sent = []
        link._port._internal_raw_write = sent.append
        for timeout in (0.0, 0.001, 0.002):
            assert link.read(1, timeout) == b""
        assert sent == []


def test_a_server_that_goes_away_ends_the_wait(board, tmp_path):
    with Ser2net(board.port, tmp_path) as server:
        link = open_link(server.rfc2217, BOARD.baud)
        threading.Timer(0.2, server._process.kill).start()
        with link, pytest.raises(LinkError, match="stopped working"):
            while True:
                link.read(1, 600.0)


def test_the_configuration_in_the_docs_serves(board, tmp_path):
    text = (ROOT / "docs" / "remote.md").read_text()
    lines = text[text.index("    connection: &board") :].split("\n\n")[0].splitlines()
    port = free_port()
    (tmp_path / "ser2net.yaml").write_text(
        re.sub(r"/dev/[^,]+", board.port, textwrap.dedent("\n".join(lines)).replace("4000", f"127.0.0.1,{port}")) + "\n"
    )
    command = [need_ser2net(), "-n", "-d", "-c", "ser2net.yaml"]
    with Program(command, tmp_path / "log", tmp_path) as server:
        server.wait_for(lambda: listens(port))
        with rig_at(f"rfc2217://127.0.0.1:{port}") as rig:
            assert rig.prepare(image())[1].board_id


# ---- without ser2net ----


def test_a_refusal_over_a_bare_socket_is_read_before_it_is_dropped(monkeypatch):
    monkeypatch.setattr(link_module, "BUSY_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_refuse, args=(listener,), daemon=True).start()
        with pytest.raises(LinkError, match="another program holds it") as caught:
            open_link(f"socket://127.0.0.1:{listener.getsockname()[1]}", BOARD.baud)
    assert "Port already in use" in caught.value.received


def _refuse(listener):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        time.sleep(0.02)
        connection.sendall(b"\xff\xfb\x03\xff\xfd\x2cPort already in use\r\n")
        connection.close()


def test_small_packets_are_sent_at_once():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        link = open_link(f"socket://127.0.0.1:{listener.getsockname()[1]}", BOARD.baud)
        with link:
            assert link._port._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize("url", ["socket://", "rfc2217://host", "socket://:4000", "rfc2217://host:99999", "socket://[::1"])
def test_a_url_without_host_and_port_is_the_users_to_mend(url):
    with pytest.raises(LinkError) as caught:
        open_link(url, BOARD.baud)
    assert "rfc2217://host:port" in caught.value.remedy


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", ""),
        (b"\xff\xfb\x03\xff\xfa\xff\xf0Port in use\r\n", "Port in use"),
        (b"\x00\x1b[31mred\xe9\n", "[31mred\ufffd"),
        (b"a" * 999, "a" * 200),
    ],
)
def test_words_are_printable_and_short(said, words):
    assert _words(said) == words


def test_which_ports_pass_the_baud_rate_on():
    assert [sets_baud(p) for p in ("/dev/ttyACM0", "rfc2217://h:1", "socket://h:1")] == [True, True, False]
    assert new_port("rfc2217://h:1", 9600, 1.0, 1.0).baudrate == 9600


def telnet(data: bytes) -> bytes:
    return data.replace(b"\xff", b"\xff\xff")


PARTS = st.one_of(
    st.binary(max_size=20).map(lambda data: (telnet(data), data, ())),
    st.tuples(st.sampled_from([b"\xfb", b"\xfc", b"\xfd", b"\xfe"]), st.binary(min_size=1, max_size=1)).map(
        lambda pair: (b"\xff" + pair[0] + pair[1], b"", (pair,))
    ),
    st.binary(max_size=9).map(lambda text: (b"\xff\xfa" + telnet(text) + b"\xff\xf0", b"", ((b"\xfa", text),))),
    st.sampled_from([b"\xf1", b"\xf6"]).map(lambda one: (b"\xff" + one, b"", ((one, b""),))),
)


@given(st.lists(PARTS, max_size=12), st.integers(1, 7))
def test_telnet_is_taken_apart_wherever_it_is_cut(parts, size):
    stream = b"".join(raw for raw, _, _ in parts)
    data, commands, rest = b"", [], b""
    for at in range(0, len(stream), size):
        plain, found, rest = split_telnet(rest + stream[at : at + size])
        data, commands = data + plain, commands + found
    assert (data, commands, rest) == (
        b"".join(plain for _, plain, _ in parts),
        [command for _, _, found in parts for command in found],
        b"",
    )


@given(st.binary(max_size=60))
def test_any_bytes_are_telnet(stream):
    data, _, rest = split_telnet(stream)
    assert len(data) + len(rest) <= len(stream) and rest[:1] in (b"", b"\xff")
