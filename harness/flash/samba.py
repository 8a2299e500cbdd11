"""The Nano 33 BLE's bootloader: SAM-BA with Arduino's extensions (harness/virtual/bootloader.py has the commands)."""

from __future__ import annotations

import binascii
import contextlib
import time
from pathlib import Path

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from tinyrig.core.boards import Board
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, LinkError, RigError
from tinyrig.flash.chatter import Chatter
from tinyrig.flash.job import FlashJob
from tinyrig.link.network_port import REMEDY_TOUCH, AnyPort, sets_baud
from tinyrig.link.serial_link import PORT_ERRORS, open_port
from tinyrig.link.usb import Plug, plug_of, same

BOOTLOADER_USB_ID = "2341:005a"
CHUNK_BYTES = 4096
"""A flash page of the nRF52840, and what the bootloader's buffer surely holds."""
BUFFER_ADDRESS = 0x34
"""Where Arduino's uploader puts its buffer in the bootloader's RAM."""
BAUD = 115200
TOUCH_BAUD = 1200
TOUCH_S = 0.1
"""How long the 1200 baud are held."""
PROBE_S = 0.3
"""A bootloader answers `N#` within a few milliseconds."""
REPLY_S = 5.0
ERASE_S = 60.0
"""240 pages of at most 89.7 ms (nRF52840 Product Specification, NVMC) are 22 s."""
ENTER_S = 15.0
"""Reset, USB enumeration and the driver take up to about 5 s on a busy host."""
TOUCH_AGAIN_S = 3.0
VECTOR_BYTES = 8
"""Stack pointer and reset vector, at the image's start."""
END = b"\n\r"


def _within(deadline: Deadline, seconds: float) -> float:
    return deadline.within(seconds, "while flashing", LinkError)


def flash_nano33(job: FlashJob, before: RigError | None) -> RigError | None:
    """One try on a Nano 33 BLE: touch, find the bootloader, erase, write, verify, start. Returns what broke the transfer off.

    `before`: what broke the try before this one. Raises LinkError when no bootloader is found, which another try can't mend.
    """
    try:
        monitor = _enter_bootloader(job.board, job.port, job.deadline)
    except LinkError as error:
        if before is None:
            raise
        raise LinkError(
            f"{before.what}; after that {error.what}", expected=error.expected, received=error.received, remedy=error.remedy
        ) from before
    with monitor:
        try:
            _transfer(monitor, job)
            return None
        except PORT_ERRORS as error:
            return LinkError(
                f"the board on {monitor.port} went away while it was flashed",
                received=str(error),
                remedy="check cable, hub and power, then flash again: until then the board stays in its bootloader",
            )
        except (LinkError, DeviceError) as error:
            return error


def restart_nano33(board: Board, port: str, deadline: Deadline) -> None:
    """Resets the board through its bootloader, which starts the program again. Raises LinkError."""
    with _enter_bootloader(board, port, deadline) as monitor:
        try:
            monitor.start()
        except PORT_ERRORS as error:
            raise LinkError(
                f"the board on {monitor.port} went away while it was restarted",
                received=str(error),
                remedy="check cable, hub and power; press the board's reset button",
            ) from error


def _transfer(monitor: Monitor, job: FlashJob) -> None:
    data = job.image + b"\xff" * (-len(job.image) % 4)  # flash is written in words
    body, vectors = _spans(len(data))
    monitor.erase()
    for step in (monitor.write, monitor.verify):
        done = 0
        for offset, count in body:
            step(data, offset, count, job.board.flash_base)
            done += count
            job.progress(done, len(data))
    monitor.write(data, *vectors, job.board.flash_base)
    monitor.verify(data, *vectors, job.board.flash_base)
    job.progress(len(data), len(data))
    monitor.start()


def _spans(size: int) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """(offset, length) of all writes but the last, and of the last."""
    first = min(VECTOR_BYTES, size)
    head = [(first, min(CHUNK_BYTES, size) - first)] if size > first else []
    return head + [(at, min(CHUNK_BYTES, size - at)) for at in range(CHUNK_BYTES, size, CHUNK_BYTES)], (0, first)


class Monitor:
    """The SAM-BA monitor of a bootloader on an open port. Every wait ends with `deadline`."""

    def __init__(self, port: str, deadline: Deadline) -> None:
        self.port = port
        self._deadline = deadline
        self._serial = _open(port, BAUD)
        self._can_crc = False

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(*PORT_ERRORS):
            self._serial.close()

    def identify(self, chatter: Chatter) -> bool:
        """Whether an Arduino nRF52840 bootloader answers; False for silence or noise, which goes to `chatter`. Raises LinkError
        for another chip's."""
        chatter.add(self._serial.read(self._serial.in_waiting))
        self._serial.reset_input_buffer()
        reply = self._ask("N#", PROBE_S)
        if not reply.endswith(END):
            chatter.add(reply)
            return False
        version = self._ask("V#", PROBE_S)
        if b"[Arduino:" not in version:
            chatter.add(reply + version)
            return False
        self._can_crc = b"Z" in version.rpartition(b"[Arduino:")[2]
        chip = self._ask("I#", PROBE_S).strip(b"\n\r\0")
        if b"nRF52840" not in chip:
            raise LinkError(
                f"the bootloader on {self.port} belongs to another board",
                expected="chip nRF52840",
                received=f"chip {chip.decode(errors='replace')!r}",
                remedy="name the port of a Nano 33 BLE",
            )
        return True

    def _ask(self, command: str, timeout_s: float) -> bytes:
        """The reply up to and with its end mark; shorter after `timeout_s`."""
        self._serial.write(command.encode())
        self._serial.timeout = _within(self._deadline, timeout_s)
        return self._serial.read_until(END)

    def _must(self, command: str, expected: bytes, timeout_s: float = 0.0) -> None:
        """Insists on the reply; 0: within REPLY_S."""
        timeout_s = timeout_s or REPLY_S
        reply = self._ask(command, timeout_s)
        if reply == expected + END:
            return
        raise self._unexpected(command, expected, reply, timeout_s)

    def _unexpected(self, command: str, expected: bytes, reply: bytes, timeout_s: float) -> RigError:
        if not reply:
            return LinkError(
                f"the bootloader on {self.port} fell silent at {command!r}",
                expected=f"an answer within {timeout_s:.0f} s",
                received="silence",
                remedy="check the board's power; press its button twice, then flash again",
            )
        return DeviceError(
            f"the bootloader refused {command!r}",
            expected=repr(expected + END),
            received=repr(reply),
            remedy="reset the board (press its button twice), flash again",
        )

    def erase(self) -> None:
        """All flash behind the bootloader."""
        self._must("X00000000#", b"X", ERASE_S)

    def write(self, data: bytes, offset: int, count: int, _base: int) -> None:
        """Writes `count` bytes of `data` from `offset` on."""
        self._serial.write(b"S%08X,%08X#" % (BUFFER_ADDRESS, count))
        self._serial.write(data[offset : offset + count])
        self._must(f"Y{BUFFER_ADDRESS:08X},0#", b"Y")
        self._must(f"Y{offset:08X},{count:08X}#", b"Y")

    def verify(self, data: bytes, offset: int, count: int, base: int) -> None:
        """Compares them. Raises DeviceError with the address (`base` + offset)."""
        chunk = data[offset : offset + count]
        if not (self._crc_matches(offset, chunk) if self._can_crc else self._read(offset, count) == chunk):
            self._report_difference(offset, chunk, base)

    def _crc_matches(self, offset: int, chunk: bytes) -> bool:
        command = f"Z{offset:08X},{len(chunk):08X}#"
        reply = self._ask(command, REPLY_S)
        if not reply or (reply[:1] != b"Z" and reply.endswith(END)):
            raise self._unexpected(command, b"Zxxxxxxxx#", reply, REPLY_S)
        if len(reply) != 12 or reply[:1] != b"Z" or reply[9:] != b"#" + END:
            raise LinkError(
                "the bootloader's CRC reply is damaged",
                expected="Z, eight hex digits, #",
                received=repr(reply),
                remedy="check the USB cable and hub, then flash again",
            )
        return reply[1:9].upper() == b"%08X" % binascii.crc_hqx(chunk, 0)

    def _read(self, offset: int, count: int) -> bytes:
        self._serial.write(b"R%08X,%08X#" % (offset, count))
        self._serial.timeout = _within(self._deadline, REPLY_S)
        return self._serial.read(count)

    def _report_difference(self, offset: int, chunk: bytes, base: int) -> None:
        found = self._read(offset, len(chunk))
        at = next((i for i, (a, b) in enumerate(zip(chunk, found, strict=False)) if a != b), 0)
        raise DeviceError(
            f"flash verification failed at 0x{base + offset + at:08X}",
            expected=f"0x{chunk[at]:02X}",
            received=f"0x{found[at]:02X}" if at < len(found) else "no data",
            remedy="flash again; if the same address fails again, the board's flash may be worn out",
        )

    def start(self) -> None:
        """Resets the board: the image starts."""
        self._serial.write(b"K#")
        with contextlib.suppress(*PORT_ERRORS):
            self._serial.flush()  # a real board may already have left the USB


def _enter_bootloader(board: Board, port: str, deadline: Deadline) -> Monitor:
    """An identified bootloader, asked for by the 1200-baud touch unless it runs already. Raises LinkError."""
    plug = _plug(board, port)
    until = time.monotonic() + _within(deadline, ENTER_S)
    touch_at = 0.0  # the first round only looks whether the bootloader is there already
    error: LinkError | None = None
    chatter = Chatter()
    while time.monotonic() < until:
        for candidate in _candidates(board, port, plug):
            try:
                if monitor := _identified(candidate, deadline, chatter):
                    return monitor
            except LinkError as problem:
                error = problem
        if time.monotonic() >= touch_at:
            error = _touch(port) or error
            touch_at, chatter = time.monotonic() + TOUCH_AGAIN_S, chatter if touch_at else Chatter()
            if error and _hopeless(board, port):
                raise error
        time.sleep(0.02)
    raise error or LinkError(
        f"no bootloader answers on {port}" + (": what runs there talks on after the 1200-baud touch" if chatter.count else ""),
        expected=f"the bootloader of a {board.title} within {ENTER_S:.0f} s",
        received=str(chatter),
        remedy="press the board's reset button twice quickly, then flash again",
    )


def _hopeless(board: Board, port: str) -> bool:
    """Whether waiting can't help: no such port, and no USB device of this kind may take its place."""
    return not board.usb_ids and "://" not in port and not Path(port).exists()


def _identified(port: str, deadline: Deadline, chatter: Chatter) -> Monitor | None:
    """A monitor on `port` if this board's bootloader answers there; None for silence and for `chatter`. Raises LinkError."""
    monitor = Monitor(port, deadline)
    try:
        if monitor.identify(chatter):
            return monitor
    except PORT_ERRORS:
        pass  # it left the USB while we asked
    except BaseException:
        monitor.close()
        raise
    monitor.close()
    return None


def _touch(port: str) -> LinkError | None:
    """Opens and closes `port` at 1200 baud: the request for the bootloader. Returns what went wrong, if anything."""
    if not sets_baud(port):
        return LinkError(
            f"no bootloader answers on {port}, and a bare socket can't request it: it does not forward a change of the baud rate",
            expected="a board in its bootloader, or running tinyrig firmware that can be asked",
            received="neither answers",
            remedy=f"{REMEDY_TOUCH}; or press the board's reset button twice",
        )
    try:
        touched = _open(port, TOUCH_BAUD)
    except LinkError as error:
        return error
    with contextlib.suppress(*PORT_ERRORS):
        touched.dtr = False  # ptys have no modem lines
    time.sleep(TOUCH_S)
    with contextlib.suppress(*PORT_ERRORS):
        touched.close()
    return None


def _open(port: str, baud: int) -> AnyPort:
    """An open port. Raises LinkError."""
    return open_port(port, baud, PROBE_S, REPLY_S)


def _candidates(board: Board, port: str, plug: Plug) -> list[str]:
    """Where the bootloader may appear: `port` itself, and for USB boards a port with this board's ids, which may get a
    new name: with the same serial number or at the same USB socket, or the only one attached. Raises LinkError if several boards
    could be meant."""
    ports = {p.device: p for p in list_ports.comports()} if board.usb_ids else {}
    found = [p for p in ports.values() if _usb_id(p) in board.usb_ids]
    if plug != Plug():
        return same(plug, found) or ([] if port not in ports else [port])
    if port not in ports and (Path(port).exists() or "://" in port):
        return [port]  # a pty or a network port: never somebody else's board
    bootloaders = [p for p in found if _usb_id(p) == BOOTLOADER_USB_ID] or found
    if len(bootloaders) > 1:
        raise LinkError(
            "several boards could be meant",
            expected="one board in its bootloader",
            received=", ".join(p.device for p in bootloaders),
            remedy="name the board's own USB port, or unplug the others",
        )
    return [p.device for p in bootloaders] or [port]


def _plug(board: Board, port: str) -> Plug:
    """Of `port` if it is the board's own USB port; empty if not."""
    for p in list_ports.comports() if board.usb_ids else ():
        if p.device == port and _usb_id(p) in board.usb_ids:
            return plug_of(p)
    return Plug()


def _usb_id(info: ListPortInfo) -> str:
    return f"{info.vid:04x}:{info.pid:04x}" if info.vid is not None else ""
