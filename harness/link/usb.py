"""USB ports by what does not change when a board resets: its serial number, and the socket it hangs on.

A board with USB of its own takes its port along at every reset, and the port may come back under another name. The Nano 33 BLE's
bootloader reports the serial number of its program with leading zeros (seen by users; areresearch.net, 27 December 2020), so they
don't count. A number that is not found, as a bootloader's that has another one, is no obstacle: then the socket decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from tinyrig.core.boards import USB_PORT
from tinyrig.core.errors import LinkError
from tinyrig.host.locks import port_key


@dataclass(frozen=True)
class Plug:
    """Empty fields: not known, as of ptys and URLs."""

    serial: str = ""
    socket: str = ""


def plug_of(info: ListPortInfo) -> Plug:
    return Plug((info.serial_number or "").lstrip("0").upper(), (getattr(info, "location", None) or "").partition(":")[0])


def plug_at(port: str) -> Plug:
    """Of the port that has this name now."""
    return next((plug_of(p) for p in list_ports.comports() if p.device == port), Plug())


def same(plug: Plug, ports: Sequence[ListPortInfo]) -> list[str]:
    """Names of those `ports` that are this plug's: by serial number, else by socket."""
    by_number = [p.device for p in ports if plug.serial and plug_of(p).serial == plug.serial]
    return by_number or [p.device for p in ports if plug.socket and plug_of(p).socket == plug.socket]


def port_now(plug: Plug) -> str | None:
    """Its port's name now; None where it has none, or several: two ports of one adapter can't be distinguished."""
    if plug == Plug():
        return None
    found = same(plug, list_ports.comports())
    return found[0] if len(found) == 1 else None


def usb_serial(port: str) -> str:
    """The USB serial number behind a port, as the device reports it; "" where it has none, as ptys and URLs."""
    return next((p.serial_number or "" for p in list_ports.comports() if p.device == port), "")


def place(port: str) -> str:
    """`usb:SERIAL` -> the tty that it is now; any other port as it is. Raises LinkError when there is not exactly one."""
    if not port.startswith(USB_PORT):
        return port
    serial = port.removeprefix(USB_PORT)
    found = [p for p in list_ports.comports() if p.serial_number and p.serial_number.lower() == serial.lower()]
    if len(found) == 1:
        return found[0].device
    known = ", ".join(f"{p.serial_number} ({p.device})" for p in found or list_ports.comports() if p.serial_number)
    raise LinkError(
        f"{'several ports have' if found else 'no port has'} the USB serial number {serial}",
        expected="exactly one port",
        received=known or "no USB device with a serial number",
        remedy="name the port by its link in /dev/serial/by-id" if found else "plug it in, or correct the number in rig.toml",
    )


def same_device(serial: str, board_id: str) -> bool:
    """Whether a USB device reports a chip's id as its serial number: the same 16 digits, or with its bytes reversed."""
    try:
        told, own = bytes.fromhex(serial), bytes.fromhex(board_id)
        return len(own) == 8 and told in (own, own[::-1])
    except ValueError:
        return False


def lock_key(port: str) -> str:
    """What a port is locked by: the USB device and which of its ports, wherever its tty has moved to; else the port's name."""
    for p in list_ports.comports():
        if p.device == port and p.serial_number:
            return f"usb {p.serial_number} {(getattr(p, 'location', '') or '').partition(':')[2]}".strip()
    return port_key(port)
