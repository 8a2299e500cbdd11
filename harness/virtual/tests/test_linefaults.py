"""Random faults of the line: their syntax, their rate, their seed, and what they do to bytes and transfers on a real pty."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import UserError
from tinyrig.tests.processes import wait_until_gone
from tinyrig.virtual.faults import parse_fault
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.virtual.line_faults import (
    BYTE_FAULTS,
    DEFAULT_RATE,
    TRANSFER_FAULTS,
    ByteFaults,
    LineFault,
    Schedule,
    TransferFaults,
)

DATA = bytes(range(256)) * 400


def damage(faults: list[str], data: bytes = DATA, seed: int = 0, direction: str = "rx") -> tuple[bytes, Counter[str]]:
    injected: Counter[str] = Counter()
    return ByteFaults(direction, [parse_fault(f) for f in faults], seed, injected).apply(data), injected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("line-drop", LineFault("drop", ("rx", "tx"), 1e-4)),
        ("line-rx-flip:0.5", LineFault("flip", ("rx",), 0.5)),
        ("line-tx-dup:30", LineFault("dup", ("tx",), 30)),
        ("line-delay:0.1:2.5", LineFault("delay", ("rx", "tx"), 0.1, 2.5)),
        ("line-stall:7", LineFault("stall", ("rx", "tx"), 7, 1.0)),
    ],
)
def test_syntax(text, fault):
    assert parse_fault(text) == fault


def test_every_kind_has_a_default():
    assert {parse_fault(f"line-{kind}").kind for kind in DEFAULT_RATE} == {*BYTE_FAULTS, *TRANSFER_FAULTS}


@pytest.mark.parametrize(
    "text",
    [
        "line-",
        "line-gremlin",
        "line-drop:0",
        "line-drop:-1",
        "line-drop:1.5",
        "line-drop:x",
        "line-drop:nan",
        "line-drop:inf",
        "line-drop:0.1:3",
        "line-cut:0.1:3",
        "line-delay:0.1:-1",
        "line-delay:0.1:1:1",
        "line-rx-stall",
        "line-tx-disconnect:5",
        "line-xx-drop",
    ],
)
def test_what_can_not_be_understood_is_refused(text):
    with pytest.raises(UserError):
        parse_fault(text)


def test_the_seed_decides_and_directions_differ():
    assert damage(["line-flip:1e-2"]) == damage(["line-flip:1e-2"])
    assert damage(["line-flip:1e-2"])[0] != damage(["line-flip:1e-2"], seed=1)[0]
    assert damage(["line-flip:1e-2"])[0] != damage(["line-flip:1e-2"], direction="tx")[0]
    assert damage(["line-tx-flip:1e-2"])[0] == DATA


@pytest.mark.parametrize("kind", BYTE_FAULTS)
def test_rate_is_what_was_asked(kind):
    """102,400 bytes at 1e-2: 1024 +- 32 (one standard deviation) for a fixed seed."""
    data, injected = damage([f"line-{kind}:1e-2"])
    assert 850 < injected[f"rx-{kind}"] < 1200
    assert len(data) - len(DATA) == {"drop": -1, "flip": 0, "insert": 1, "dup": 1}[kind] * injected[f"rx-{kind}"]


@given(st.sampled_from(sorted(BYTE_FAULTS)), st.integers(1, 9), st.lists(st.integers(0, 30), max_size=8))
def test_how_bytes_arrive_in_pieces_changes_nothing(kind, every, cuts):
    whole = damage([f"line-{kind}:{every}"], DATA[:200])[0]
    faults, at, parts = ByteFaults("rx", [parse_fault(f"line-{kind}:{every}")], 0, Counter()), 0, []
    for n in [*cuts, 200]:
        parts.append(faults.apply(DATA[at : min(at + n, 200)]))
        at = min(at + n, 200)
    assert b"".join(parts) == whole


def test_every_nth_is_exact():
    assert list(Schedule(5, "").hits(16)) == [4, 9, 14]
    assert damage(["line-drop:10"], bytes(range(30)))[0] == bytes(n for n in range(30) if n % 10 != 9)


def test_a_transfer_meets_one_fault_at_most():
    injected: Counter[str] = Counter()
    faults = TransferFaults("rx", [parse_fault("line-cut:2"), parse_fault("line-delay:2:1")], 0, injected)
    fates = [faults.fate() for _ in range(6)]
    assert [fate and fate.kind for fate in fates] == [None, "cut"] * 3
    assert injected == {"rx-cut": 3}


def echo(port: serial.Serial, data: bytes) -> bytes:
    """image.c's echo of 1024 bytes."""
    port.write(b"e" + data)
    return port.read(1024)


def test_injected_faults_are_counted(start):
    board, port = start(faults=["line-flip:100"])
    assert sum(map(bool, echo(port, bytes(1024)))) == 20
    assert board.injected() == {"rx-flip": 10, "tx-flip": 10}


def test_counts_are_told_at_the_end_too(elf: Path, capfd):
    with VirtualBoard(image=elf, faults=["line-flip:100"]) as board, serial.Serial(board.port, 1_000_000, timeout=10) as port:
        echo(port, bytes(1024))
        os.kill(board.pid, signal.SIGTERM)
        wait_until_gone([board.pid])
        assert 'injected {"rx-flip": 10, "tx-flip": 10}' in board.stderr()


def test_a_stalled_line_goes_on(start):
    _, port = start(faults=["line-stall:2:0.4"])
    data = bytes(range(256)) * 4
    assert echo(port, data) == data
    began = time.monotonic()
    assert echo(port, data) == data
    assert time.monotonic() - began >= 0.4


def test_a_transfer_can_be_cut(start):
    _, port = start(faults=["line-tx-cut:1"])
    port.timeout = 0.3
    assert len(echo(port, bytes(1024))) < 1024


def test_a_delayed_answer_comes_after_a_later_one(start):
    """Every second answer: image.c's `a` gives 'A', the echo's bytes are numbers."""
    _, port = start(faults=["line-tx-delay:2:2"])
    data = bytes(range(256)) * 4
    assert echo(port, data) == data
    port.timeout = 0.1
    assert echo(port, data) == b""
    port.timeout = 5
    assert echo(port, data[::-1]) == data[::-1]
    assert port.read(1024) == data


def test_the_port_vanishes_and_is_back_under_another_name(elf: Path, tmp_path: Path):
    link = tmp_path / "tty"
    with VirtualBoard(image=elf, link=link, faults=["line-disconnect:2:0.3"]) as board:
        with serial.Serial(str(link), 1_000_000, timeout=10) as port:
            assert echo(port, bytes(1024)) == bytes(1024)
            with pytest.raises(serial.SerialException):
                echo(port, bytes(1024))
                port.read(1)
        deadline = time.monotonic() + 10
        while not link.is_symlink() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert os.readlink(link) != board.port
        with serial.Serial(str(link), 1_000_000, timeout=10) as port:
            assert echo(port, bytes(1024)) == bytes(1024)
        assert board.injected() == {"disconnect": 1}
    assert not link.is_symlink()
