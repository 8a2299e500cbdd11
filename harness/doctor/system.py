"""Permissions of this user, the udev rule, and services that open serial ports which are not theirs."""

from __future__ import annotations

import contextlib
import getpass
import grp
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tinyrig.core.boards import BOARDS, Board
from tinyrig.doctor.checks import Check, CheckStatus

RULES = "etc/udev/rules.d/60-tinyrig.rules"
"""Before 73-seat-late.rules, which turns the tag uaccess into a permission."""
INSTALL = f"tinyrig doctor --udev-rules | sudo tee /{RULES} && sudo udevadm control --reload && sudo udevadm trigger"
SERIAL_GROUPS = ("dialout", "uucp")
"""Debian's, Arch's."""
PROBES = {
    "0483:3748": "ST-LINK/V2",
    "0483:374b": "ST-LINK/V2-1",
    "0483:3752": "ST-LINK/V2-1 without storage",
    "0483:374e": "ST-LINK/V3",
    "0483:374f": "ST-LINK/V3",
    "0483:3753": "ST-LINK/V3 with two ports",
    "0483:3754": "ST-LINK/V3 without storage",
    "0d28:0204": "DAPLink (CMSIS-DAP)",
    "2e8a:000c": "Raspberry Pi Debug Probe (CMSIS-DAP)",
    "1366:0105": "J-Link",
    "1366:1015": "J-Link OB",
    "1366:1051": "J-Link OB of Nordic's kits",
    "1366:1061": "J-Link OB of Nordic's kits",
}
"""Debug probes that pyOCD or st-flash open as USB devices."""
GRABBERS: dict[str, tuple[str, str]] = {
    "ModemManager": (
        "sends modem commands to new ports",
        f"install the udev rule ({INSTALL}), or: sudo systemctl disable --now ModemManager",
    ),
    "brltty": (
        "takes common USB-serial adapters for braille displays",
        "sudo apt-get remove brltty, or: sudo systemctl mask brltty.path brltty.service",
    ),
}
"""Program -> (what it does, remedy)."""


@dataclass(frozen=True)
class Host:
    """Where to look, and for whom; a test brings its own. `root` stands for /."""

    root: Path = Path("/")
    uid: int | None = None
    groups: tuple[str, ...] | None = None

    @property
    def is_root(self) -> bool:
        return (os.geteuid() if self.uid is None else self.uid) == 0

    @property
    def group_names(self) -> tuple[str, ...]:
        """Of this process: what the user was added to since the login is not among them."""
        return _own_groups() if self.groups is None else self.groups


def _own_groups() -> tuple[str, ...]:
    names = []
    for gid in {*os.getgroups(), os.getegid()}:
        with contextlib.suppress(KeyError):
            names.append(grp.getgrgid(gid).gr_name)
    return tuple(sorted(names))


# ---- udev ----


def udev_rules(boards: Iterable[Board] = BOARDS.values()) -> str:
    """A rule for every USB id of the known boards and debug probes."""
    lines = [
        "# tinyrig: boards and debug probes may be opened by the user at the screen and by the group dialout;",
        "# ModemManager stays away.",
        f"# {INSTALL}",
    ]
    for usb in dict.fromkeys(usb for board in boards for usb in board.usb_ids):
        names = ", ".join(b.name for b in boards if usb in b.usb_ids)
        vendor, product = usb.split(":")
        board = f'ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}"'
        lines.append(f'SUBSYSTEM=="tty", {board}, MODE="0660", GROUP="dialout", TAG+="uaccess"  # {names}')
        # Of the device and of its port alike, so without a subsystem.
        lines.append(f'{board}, ENV{{ID_MM_DEVICE_IGNORE}}="1", ENV{{ID_MM_PORT_IGNORE}}="1"')
    for usb, name in PROBES.items():
        vendor, product = usb.split(":")
        lines.append(
            f'SUBSYSTEM=="usb", ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}", MODE="0660", '
            f'GROUP="dialout", TAG+="uaccess"  # {name}'
        )
    # A comment behind a rule would be taken for a part of it.
    return "\n".join(_comment_first(line) for line in lines) + "\n"


def _comment_first(line: str) -> str:
    rule, mark, name = line.partition("  # ")
    return f"# {name}\n{rule}" if mark else line


def udev(host: Host) -> Check:
    """Whether the rule is installed as it would be printed now."""
    path = host.root / RULES
    what = "opening boards without any group, and keeping ModemManager off them"
    try:
        text = path.read_text()
    except OSError:
        return Check("permissions", "udev rule", CheckStatus.MISSING, "", what, INSTALL)
    if text != udev_rules():
        return Check(
            "permissions", "udev rule", CheckStatus.BROKEN, f"/{RULES} belongs to another version of tinyrig", what, INSTALL
        )
    return Check("permissions", "udev rule", CheckStatus.OK, f"/{RULES}", what)


# ---- groups ----


def serial_group(host: Host) -> Check:
    """Whether this user may open serial ports in general."""
    what = "opening serial ports"
    if host.is_root:
        return Check("permissions", "serial group", CheckStatus.OK, "root may open every port", what)
    mine = [name for name in SERIAL_GROUPS if name in host.group_names]
    if mine:
        return Check("permissions", "serial group", CheckStatus.OK, f"in {mine[0]}", what)
    there = next((name for name in SERIAL_GROUPS if _members(host, name) is not None), SERIAL_GROUPS[0])
    if _user() in (_members(host, there) or ()):
        return Check(
            "permissions",
            "serial group",
            CheckStatus.BROKEN,
            f"you are in {there}, but not yet in this session",
            what,
            "log out and in again, or: newgrp " + there,
        )
    return Check(
        "permissions",
        "serial group",
        CheckStatus.MISSING,
        f"you are not in {there}",
        what,
        f"sudo usermod -aG {there} $USER, then log in again",
    )


def _members(host: Host, group: str) -> Sequence[str] | None:
    """Of a group as /etc/group has it; None where there is no such group."""
    with contextlib.suppress(OSError):
        for line in (host.root / "etc/group").read_text().splitlines():
            name, *_, members = line.split(":")
            if name == group:
                return members.split(",")
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


# ---- who else opens ports ----


def grabbers(host: Host) -> list[Check]:
    """Running services that open ports which are not theirs; the rule keeps ModemManager away."""
    running, rule = _programs(host), udev(host).good
    found = []
    for name, (does, remedy) in GRABBERS.items():
        if name not in running:
            found.append(Check("permissions", name, CheckStatus.OK, "not running", "nobody else opening the ports"))
        elif name == "ModemManager" and rule:
            found.append(
                Check("permissions", name, CheckStatus.OK, "running, kept off by the udev rule", "nobody else opening the ports")
            )
        else:
            found.append(
                Check("permissions", name, CheckStatus.BROKEN, f"running: {does}", "nobody else opening the ports", remedy)
            )
    return found


def _programs(host: Host) -> set[str]:
    names = set()
    for file in (host.root / "proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            names.add(file.read_text().strip())
    return names
