"""Ports by the serial number of the USB device that carries them: a tty's name depends on what was plugged in first."""

from __future__ import annotations

from typing import Any

from harness.boards import USB_PORT
from harness.errors import LinkError
from harness.lock import port_key


def usb_serial(port: str) -> str:
    """The USB serial number behind a port; "" where it has none, as ptys and URLs."""
    return next((p.serial_number or "" for p in _ports() if p.device == port), "")


def port_of(serial: str) -> str | None:
    """The port that a USB serial number has now."""
    found = [p.device for p in _ports() if p.serial_number == serial]
    return found[0] if len(found) == 1 else None  # one adapter with two ports can't be told apart


def place(port: str) -> str:
    """`usb:SERIAL` -> the tty that it is now; any other port as it is. Raises LinkError when there is not exactly one."""
    if not port.startswith(USB_PORT):
        return port
    serial = port.removeprefix(USB_PORT)
    found = [p for p in _ports() if p.serial_number and p.serial_number.lower() == serial.lower()]
    if len(found) == 1:
        return found[0].device
    known = ", ".join(f"{p.serial_number} ({p.device})" for p in found or _ports() if p.serial_number)
    raise LinkError(
        f"{'several ports have' if found else 'no port has'} the USB serial number {serial}", expected="exactly one port",
        received=known or "no USB device with a serial number",
        remedy="name the port by its link in /dev/serial/by-id" if found else "plug it in, or correct the number in rig.toml",
    )  # fmt: skip


def same_device(serial: str, board_id: str) -> bool:
    """Whether a USB device tells a chip's id as its serial number: the same 16 digits, or with its bytes the other way round."""
    try:
        told, own = bytes.fromhex(serial), bytes.fromhex(board_id)
        return len(own) == 8 and told in (own, own[::-1])
    except ValueError:
        return False


def lock_key(port: str) -> str:
    """What a port is locked by: the USB device and which of its ports, wherever its tty has moved to; else the port's name."""
    for p in _ports():
        if p.device == port and p.serial_number:
            return f"usb {p.serial_number} {(getattr(p, 'location', '') or '').partition(':')[2]}".strip()
    return port_key(port)


def _ports() -> list[Any]:
    from serial.tools import list_ports

    return list(list_ports.comports())
