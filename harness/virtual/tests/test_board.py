"""The virtual board as its users see it: a process with a pty that runs a real image."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial

from tinyrig.core.boards import VIRTUAL_ID_PREFIX
from tinyrig.core.errors import InfraError, UserError
from tinyrig.host.forked import CRASH_STATUS
from tinyrig.virtual.faults import FAULTS, parse_fault
from tinyrig.virtual.launch import VirtualBoard

REASON_PIN, REASON_SREQ, REASON_LOCKUP = 1, 4, 8


def ask(port: serial.Serial, command: bytes, count: int) -> bytes:
    """Sends a command of image.c and returns its whole reply."""
    port.write(command)
    reply = port.read(count)
    assert len(reply) == count, (command, reply)
    return reply


def number(port: serial.Serial, command: bytes) -> int:
    return struct.unpack("<I", ask(port, command, 4))[0]


def record(port: serial.Serial, command: bytes = b"p") -> tuple[int, int]:
    """(PC of the recorded fault or 0, RESETREAS), after `command` which may begin with one that resets the board."""
    return struct.unpack("<II", ask(port, command, 8))


def reset_then_record(port: serial.Serial, command: bytes) -> tuple[int, int]:
    """Bytes sent while a board resets may be lost, so this asks until it answers."""
    port.write(command)
    port.timeout = 0.2
    for _ in range(50):
        port.write(b"p")
        if len(reply := port.read(8)) == 8:
            port.timeout = 10
            return struct.unpack("<II", reply)
    raise AssertionError("the board did not come back")


def test_identity(start) -> None:
    _, port = start(number=7)
    reply = ask(port, b"i", 12)
    assert reply[:8].hex() == VIRTUAL_ID_PREFIX + "07"
    assert struct.unpack("<I", reply[8:])[0] == 0x52840


def test_echo_keeps_every_byte(start) -> None:
    _, port = start()
    data = bytes(range(256)) * 4
    assert ask(port, b"e" + data, 1024) == data


def test_bin_image_starts_too(start, image_bin: bytes, tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(image_bin)
    _, port = start(image=path)
    assert number(port, b"a") == 0x41


def test_silence_ends_a_reception(start) -> None:
    """The firmware's 20 ms timeout: STOPRX, then AMOUNT says what came."""
    _, port = start()
    assert number(port, b"t" + bytes(100)) == 100
    assert number(port, b"t" + bytes(1024)) == 1024


def test_timeout_works_with_the_clock_off(start) -> None:
    _, port = start(clock="off")
    assert number(port, b"t" + bytes(3)) == 3


def spin(port: serial.Serial, turns: int) -> int:
    return number(port, b"s" + struct.pack("<I", turns))


@pytest.mark.parametrize(("clock", "per_turn"), [("instructions", 2), ("off", 0)])
def test_clock_counts_what_it_says(start, clock: str, per_turn: int) -> None:
    _, port = start(clock=clock)
    assert spin(port, 2000) - spin(port, 1000) == 1000 * per_turn


def test_both_hooks_count_alike(start) -> None:
    _, compiled = start(hook="c")
    _, python = start(hook="python")
    assert spin(compiled, 5000) == spin(python, 5000) > 5000


def test_cycles_repeat_exactly(start) -> None:
    _, port = start()
    assert len({spin(port, 1234) for _ in range(5)}) == 1


@pytest.mark.parametrize("command", [b"l", b"w", b"x"], ids=["unmapped read", "write to flash", "DMA from flash"])
def test_fault_reaches_the_handler(start, command: bytes) -> None:
    board, port = start()
    pc, reasons = reset_then_record(port, command)
    assert 0x10000 <= pc < 0x11000
    assert reasons == REASON_PIN | REASON_SREQ
    assert "fault:" in board.stderr() and "PC 0x0001" in board.stderr()


def test_lockup_resets_and_is_told(start) -> None:
    board, port = start()
    assert reset_then_record(port, b"k") == (0, REASON_PIN | REASON_LOCKUP)
    assert "lockup" in board.stderr()


def test_port_survives_resets(start) -> None:
    board, port = start()
    for _ in range(3):
        reset_then_record(port, b"r")
    board.check()


def test_line_rate_is_never_exceeded(start) -> None:
    """Only the lower bound can be asserted: 2 x 1024 bytes of ten bits at 100,000 baud."""
    _, port = start(line_rate=100_000)
    began = time.monotonic()
    ask(port, b"e" + bytes(1024), 1024)
    assert time.monotonic() - began >= 2048 * 10 / 100_000


def test_received_bytes_can_be_damaged(start) -> None:
    _, port = start(faults=["rx-flip:100"])
    data = bytes(1024)
    reply = ask(port, b"e" + data, 1024)
    assert [i for i, byte in enumerate(reply) if byte] == [i for i in range(1024) if (i + 2) % 100 == 0]


def test_received_bytes_can_be_lost(start) -> None:
    _, port = start(faults=["rx-drop:100"])
    assert number(port, b"t" + bytes(1000)) == 990


def test_noise_can_come_in_between(start) -> None:
    _, port = start(faults=["rx-noise:100"])
    assert number(port, b"t" + bytes(500)) == 505


@pytest.mark.parametrize(("fault", "arrive"), [("tx-drop:100", 1014), ("tx-noise:100", 1034)])
def test_sent_bytes_can_be_lost_or_joined_by_others(start, fault: str, arrive: int) -> None:
    _, port = start(faults=[fault])
    port.timeout = 1
    port.write(b"e" + bytes(1024))
    assert len(port.read(2000)) == arrive


def test_sent_bytes_can_be_damaged(start) -> None:
    _, port = start(faults=["tx-flip:512"])
    assert sum(map(bool, ask(port, b"e" + bytes(1024), 1024))) == 2


def test_board_can_stall(start) -> None:
    _, port = start(faults=["stall:3"])
    assert [number(port, b"a") for _ in range(3)] == [0x41] * 3
    port.timeout = 0.3
    port.write(b"a")
    assert port.read(1) == b""


@pytest.mark.parametrize(("turns", "told"), [(10, False), (5000, True)])
def test_gap_that_a_real_fifo_would_not_bridge_is_told(start, turns: int, told: bool) -> None:
    """Four bytes at 1 Mbaud are 2560 cycles."""
    board, port = start()
    assert number(port, b"g" + struct.pack("<II", turns, 0)) == 0x41
    assert ("overrun" in board.stderr()) == told


@pytest.mark.parametrize("text", ["rx-drop:0", "rx-drop:x", "gremlin", "rx-flip:-1"])
def test_bad_fault_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_fault(text)


def test_fault_has_a_default() -> None:
    assert all(parse_fault(name).argument == default for name, (default, _) in FAULTS.items())


def test_link_points_to_the_port_and_goes_with_the_board(elf: Path, tmp_path: Path) -> None:
    link = tmp_path / "tty"
    with VirtualBoard(image=elf, link=link) as board:
        assert os.readlink(link) == board.port
        with serial.Serial(str(link), 1_000_000, timeout=10) as port:
            assert number(port, b"a") == 0x41
    assert not link.is_symlink()


def run_module(*options: str, **kwargs) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "tinyrig.virtual", *options], stdout=subprocess.PIPE, text=True, **kwargs)


def test_sigterm_ends_it_cleanly_even_when_busy(elf: Path) -> None:
    with run_module("--image", str(elf)) as process:
        port = process.stdout.readline().split()[1]
        with serial.Serial(port, 1_000_000) as tty:
            tty.write(b"b")
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0


def test_a_stopped_board_goes_on(elf: Path) -> None:
    """As after Ctrl-Z and `fg`: it was stopped for longer than any of its waits."""
    with VirtualBoard(image=elf) as board, serial.Serial(board.port, 1_000_000, timeout=10) as port:
        for _ in range(3):
            os.kill(board.pid, signal.SIGSTOP)
            time.sleep(0.1)
            os.kill(board.pid, signal.SIGCONT)
            time.sleep(0.1)
            board.check()
            assert number(port, b"a") == 0x41
        assert board.injected() == {}
        assert board.stderr().splitlines() == ["injected {}"]


def test_end_of_stdin_ends_it() -> None:
    with run_module("--until-eof", stdin=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith("port ")
        process.stdin.close()
        assert process.wait(10) == 0


@pytest.mark.parametrize(("request_line", "status"), [(b"", 0), (b"no request\n", CRASH_STATUS)])
def test_it_ends_when_nobody_reads_its_answer_and_when_it_has_none(elf: Path, request_line: bytes, status: int) -> None:
    asked = request_line or json.dumps({"lay_out": str(elf)}).encode() + b"\n"
    words = [sys.executable, "-m", "tinyrig.virtual", "--until-eof", "--image", str(elf)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout.readline().startswith(b"port ")
        process.stdout.close()
        process.stdin.write(asked)
        process.stdin.flush()
        try:
            assert process.wait(20) == status
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_it_ends_when_nobody_is_left_to_hear_what_a_signal_asks_for(elf: Path, number: int) -> None:
    words = [sys.executable, "-m", "tinyrig.virtual", "--until-eof", "--image", str(elf)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"port ")
        process.stdout.close()
        process.stderr.close()
        process.send_signal(number)
        try:
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_dead_board_is_an_infra_error(elf: Path) -> None:
    with VirtualBoard(image=elf) as board:
        os.kill(board.pid, signal.SIGKILL)
        os.waitid(os.P_PID, board.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(InfraError):
            board.check()


def test_no_other_board_gets_the_name_of_a_dead_one(elf: Path) -> None:
    with VirtualBoard(image=elf) as board:
        os.kill(board.pid, signal.SIGKILL)
        os.waitid(os.P_PID, board.pid, os.WEXITED | os.WNOWAIT)
        with VirtualBoard(image=elf) as other:
            assert other.port != board.port and not Path(board.port).exists()


def test_board_that_can_not_start_says_why(tmp_path: Path) -> None:
    path = tmp_path / "huge.bin"
    path.write_bytes(bytes(1 << 20))
    with pytest.raises(InfraError, match="does not fit the board"):
        VirtualBoard(image=path)


def test_rig_side_never_loads_the_emulator() -> None:
    """unicorn is GPL: it runs only in the virtual board's own process."""
    code = "import sys, tinyrig.virtual.launch, tinyrig.flash.flash, tinyrig.virtual.__main__; sys.exit('unicorn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
