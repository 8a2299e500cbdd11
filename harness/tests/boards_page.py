"""`python -m tinyrig.tests.boards_page`: writes docs/boards.md from the table of boards (harness/core/hardware/owned.py).
harness/tests/test_docs.py holds the page against it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from tinyrig.arduino.cli import install
from tinyrig.core.config import ROOT
from tinyrig.core.hardware.arduino import platform_of
from tinyrig.core.hardware.owned import OWNED, SHARED, WAITING, Checked, Owned, Waiting

PAGE = ROOT / "docs" / "boards.md"
WIDTH = 120
HEAD = """<!-- Made by python -m tinyrig.tests.boards_page from core/hardware/owned.py: change the table, not this page. -->

# Boards that people own

Boards that tinyrig knows by name, beside the [Nano 33 BLE](nano33ble.md), the [NUCLEO-F401RE](nucleo-f401re.md) and the
[nRF52840 DK](#nordic-nrf52840-dk). Any other board with an Arduino core works the same way, by its FQBN:
[Your board](your_board.md) leads from the cable to the first verified number.

**Nobody has seen any of them on silicon yet.** What was checked without one stands with each board; what may go wrong,
as far as it shows without one, too.

| board | chip | core | clock, at most | flash | RAM | found by USB id | checked |
|:--|:--|:--|--:|--:|--:|:--|:--|
"""
LEVELS = {Checked.EMULATED: "on an emulated processor", Checked.LISTED: "facts only"}
FOOT = """## Nordic nRF52840 DK

Board `nrf52840dk`: the chip of the Nano 33 BLE without its bootloader, bare metal, flashed and reached through the
kit's own debug probe (a J-Link, through pyOCD). Nothing but the kit's USB cable is needed:

    pip install 'tinyrig[swd]'
    tinyrig run --board=nrf52840dk@swd --model MODEL.tflite

Checked: the port runs on the virtual board, which is this chip, at another address; the probe's line runs on QEMU
([probe_link.md](probe_link.md)). Not seen: the kit itself.

What may go wrong:

- chips from revision 3 on lock the probe out after a reset, unless the program and UICR.APPROTECT (0x5A) both open the
  lock: the image does its half, `nrfjprog --recover` does the other

## What is not known of a board with an Arduino core

| fact | what stands there | why |
|:--|:--|:--|
| stack | null, no high-water mark, the claim `memory` is not measured | the Arduino API tells no bounds of the stack |
| clock | what the firmware finds when it starts | the core decides it, and options of the board change it |
| flash, RAM | what arduino-cli says: `upload.maximum_size`, `upload.maximum_data_size` | null where the core states none |
| chip's number | zeros, but on RP2040, RP2350 and ESP32 | only their cores have a call for it |
| faults and hangs | the board falls silent, and the host says so | only the core's own handlers see them |

Two boards without a number and of one name share a history: give each a name of its own in rig.toml.
"""


def page() -> str:
    return HEAD + "\n".join(_row(entry) for entry in OWNED) + "\n\n" + "\n".join(map(_section, OWNED)) + "\n" + FOOT + _waiting()


def _waiting() -> str:
    return "\n".join(["", "## Boards by Zephyr alone", "", *(line for entry in WAITING for line in _wanted(entry))])


def _wanted(entry: Waiting) -> list[str]:
    memory = f"{entry.flash_bytes:,} B of flash, {entry.ram_bytes:,} B of RAM"
    facts = f"{entry.chip}, {entry.core}, {entry.clock_mhz} MHz at most, {memory}"
    probe = f"probe {' or '.join(entry.probe_usb_ids)}, `{entry.swd_target}` for pyOCD"
    first, *rest = _wrapped(
        f"{entry.title}: `--board=zephyr:{entry.zephyr}@PORT`, with your Zephyr ([zephyr.md](zephyr.md)); {facts}; {probe} "
        f"({', '.join(entry.sources)}). Another way is missing: {entry.missing}. A port of your own would be one "
        "([porting.md](porting.md)).",
        WIDTH - 2,
    )
    return [f"- {first}", *(f"  {line}" for line in rest), ""]


def _row(entry: Owned) -> str:
    board = entry.board
    anchor = board.title.lower().replace(" ", "-").replace("(", "").replace(")", "").replace(".", "")
    cells = (
        f"[`{board.name}`](#{anchor})",
        entry.chip,
        entry.core,
        f"{entry.clock_mhz} MHz",
        f"{board.flash_bytes:,}",
        f"{board.ram_bytes:,}",
        _ids(board.usb_ids),
        LEVELS[entry.checked],
    )
    return "| " + " | ".join(cells) + " |"


def _ids(ids: Sequence[str]) -> str:
    """Those that tell a probe or a maker only find no board."""
    return "name the port: other boards have the same id" if set(ids) <= set(SHARED) else ", ".join(ids)


def _section(entry: Owned) -> str:
    board = entry.board
    probe = f"pyOCD calls the chip `{entry.swd_target}`" if entry.swd_target else ""
    pack = f", after `pyocd pack install {entry.swd_target}`" if entry.pack else ""
    lines = [
        f"## {board.title}",
        "",
        *_wrapped(f"{entry.connect}{f' {probe}{pack}.' if probe else ''}"),
        "",
        *(f"    {words}" for words in install(platform_of(board.fqbn)).split(" && ")),
        f"    tinyrig run --board={board.name}@/dev/ttyACM0 --model MODEL.tflite",
        "",
        *_wrapped(f"FQBN: `{board.fqbn}`. Facts from {' and '.join(entry.sources)}."),
        "",
        *_wrapped(f"Checked: {entry.checked}. Not seen: the board itself, arduino-cli with this core, the upload, the USB port."),
        *_doubts(entry.doubts),
        "",
    ]
    return "\n".join(lines)


def _doubts(doubts: Sequence[str]) -> Iterator[str]:
    if doubts:
        yield ""
        yield "What may go wrong:"
        yield ""
    for doubt in doubts:
        first, *rest = _wrapped(doubt, WIDTH - 2)
        yield f"- {first}"
        yield from (f"  {line}" for line in rest)


def _wrapped(text: str, width: int = WIDTH) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
