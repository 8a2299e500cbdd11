"""Links to ptys and sockets, and what is said when there is none."""

from __future__ import annotations

import os
import socket
import time
import tty
from types import SimpleNamespace

import pytest
import serial

from tinyrig.core.errors import LinkError
from tinyrig.link import serial_link as link_module
from tinyrig.link.serial_link import open_link


@pytest.fixture
def pty():
    """(master file descriptor, port name)."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    for fd in (master, slave):
        os.close(fd)


def test_pty_both_ways(pty):
    master, port = pty
    with open_link(port, 1_000_000) as link:
        link.write(b"ask")
        assert os.read(master, 10) == b"ask"
        os.write(master, b"answer and more")
        assert link.read(6, 1.0) == b"answer"
        assert link.read(100, 0.01) == b" and more"
        assert link.read(1, 0.0) == b""


def test_what_waited_before_opening_is_dropped(pty):
    master, port = pty
    os.write(master, b"old")
    with open_link(port, 1_000_000) as link:
        assert link.read(3, 0.01) == b""


def test_port_in_use_is_refused(pty):
    _, port = pty
    with open_link(port, 1_000_000), pytest.raises(LinkError) as caught:
        open_link(port, 1_000_000)
    assert "close the program" in caught.value.remedy


def test_a_port_that_is_held_for_a_moment_is_waited_for(pty, monkeypatch):
    """As ModemManager holds a new one: until the second pause here."""
    monkeypatch.setattr(link_module, "BUSY_S", 30.0)
    master, port = pty
    pauses = []
    with serial.Serial(port, exclusive=True) as other:

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                other.close()

        monkeypatch.setattr(link_module, "time", SimpleNamespace(monotonic=time.monotonic, sleep=pause))
        with open_link(port, 1_000_000) as link:
            link.write(b"ours")
    assert pauses == [link_module.BUSY_PAUSE_S] * 2 and os.read(master, 10) == b"ours"


def test_socket_url():
    with socket.create_server(("127.0.0.1", 0)) as server:
        link = open_link(f"socket://127.0.0.1:{server.getsockname()[1]}", 1_000_000)
        peer, _ = server.accept()
        with link, peer:
            link.write(b"ask")
            assert peer.recv(10) == b"ask"
            peer.sendall(b"answer")
            assert link.read(6, 1.0) == b"answer"
            peer.close()
            with pytest.raises(LinkError, match="stopped working"):
                link.read(1, 1.0)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("/dev/no-such-port", "tinyrig boards"),
        ("nonsense://x", "rfc2217://host:port"),
        ("socket://127.0.0.1:1", "start the server"),
    ],
)
def test_what_can_not_be_opened_names_a_remedy(url, remedy):
    with pytest.raises(LinkError) as caught:
        open_link(url, 1_000_000)
    assert remedy in caught.value.remedy
    assert url in str(caught.value)


def test_forbidden_port_names_a_remedy(tmp_path):
    port = tmp_path / "port"
    port.touch(mode=0)
    if os.access(port, os.R_OK):
        pytest.skip("root may open everything")
    with pytest.raises(LinkError) as caught:
        open_link(str(port), 1_000_000)
    assert "dialout" in caught.value.remedy


def test_hang_up_is_a_link_error():
    master, slave = os.openpty()
    tty.setraw(slave)
    with open_link(os.ttyname(slave), 1_000_000) as link:
        os.close(slave)
        os.close(master)
        with pytest.raises(LinkError):
            link.read(1, 1.0)
            link.write(b"x")
