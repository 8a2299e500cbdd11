"""Boards that people own, as data: what each is, where that stands, how it is reached, and what of that was checked.

Memory is what the Arduino core, or the chip without one, leaves to a program. The clock is the most that the chip's maker allows:
which one runs is the core's choice, and the firmware finds it. docs/boards.md is made from this table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from tinyrig.core.hardware.arduino import arduino_board
from tinyrig.core.hardware.board import Board

M0PLUS = ("-march=armv6-m", "-mcpu=cortex-m0plus", "-mthumb", "-mfloat-abi=soft")
M4F = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
M7 = ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16")
M33 = ("-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16")
RV32IMC = ("-march=rv32imc", "-mabi=ilp32")
ST_LINK = ("0483:374b", "0483:374e", "0483:374f", "0483:3753")
"""USB ids of the debug probe on every Nucleo: they tell the probe, not the board."""
ESPRESSIF = ("303a:1001",)
"""USB id of the serial port inside the ESP32-S3, C3 and others of the family: it tells the maker, not the board."""
SHARED = (*ST_LINK, *ESPRESSIF)


class Route(StrEnum):
    """How a board is reached."""

    ARDUINO = "Arduino"
    PROBE = "debug probe"


class Checked(StrEnum):
    """What of a board's way was checked without the board."""

    EMULATED = (
        "the sketch, compiled with this core's flags around a shim of its API, ran on an emulated processor of this kind: "
        "outputs as the virtual board's, to the byte"
    )
    LISTED = "its facts only: no compiler and no emulator of this processor was at hand"


@dataclass(frozen=True)
class Owned:
    """board: the record. sources: where its facts stand. connect: in words, without the commands.
    swd_target: pyOCD's name of the chip, for those who want to look inside; pack: it comes from a CMSIS pack.
    doubts: what may go wrong on silicon, as far as it shows without one."""

    board: Board
    chip: str
    core: str
    clock_mhz: int
    route: Route
    checked: Checked
    connect: str
    sources: tuple[str, ...]
    bootloader_ids: tuple[str, ...] = ()
    swd_target: str = ""
    pack: bool = False
    doubts: tuple[str, ...] = ()


def _sketch(
    name: str, title: str, fqbn: str, cpu_flags: tuple[str, ...], rooms: tuple[int, int], usb_ids: Sequence[str] = ()
) -> Board:
    """rooms: bytes of flash and of RAM, 0: the core does not say."""
    flash, ram = rooms
    board = arduino_board(fqbn, name)
    return replace(board, title=title, cpu_flags=cpu_flags, flash_bytes=flash, ram_bytes=ram, usb_ids=tuple(usb_ids))


def _nucleo(name: str, part: str, size: int, cpu_flags: tuple[str, ...], rooms: tuple[int, int]) -> Board:
    fqbn = f"STMicroelectronics:stm32:Nucleo_{size}:pnum=NUCLEO_{part.replace('-', '_')}"
    return _sketch(name, f"ST NUCLEO-{part}", fqbn, cpu_flags, rooms, ST_LINK)


_BOOTSEL = (
    "USB cable to the board's own port. A new board has no serial port: hold BOOTSEL while you plug it in, and name the port "
    "UF2_Board for the first upload (docs/your_board.md)."
)
_NUCLEO = (
    "USB cable to the ST-LINK's port (CN1). Serial is the ST-LINK's serial port. The upload needs STM32CubeProgrammer, as the "
    "core's makers say."
)
_ESP = "USB cable. If the upload does not connect, hold BOOT while it starts."
_PICO = "boards.txt of Arduino-Pico 5"
_STM = "boards.txt of STM32duino (May 2026)"
_R4 = "boards.txt of Arduino's renesas_uno core (February 2026)"
_R4_DOUBTS = (
    "the core gives main 1,024 bytes of stack, above its heap: a network that needs more overwrites that, and nothing tells",
)
_UART_DOUBTS = ("at 115,200 baud a window of 8 KB takes 0.7 s; the line has no flow control",)

OWNED = (
    Owned(
        _sketch("pico", "Raspberry Pi Pico", "rp2040:rp2040:rpipico", M0PLUS, (2_097_152, 262_144), ("2e8a:000a",)),
        "RP2040",
        "Cortex-M0+ (two; one is used)",
        133,
        Route.ARDUINO,
        Checked.EMULATED,
        _BOOTSEL,
        (_PICO, "RP2040 Datasheet"),
        ("2e8a:0003",),
        "rp2040",
        doubts=("code runs from flash behind a cache of 16 KB: cycles depend on where it lies",),
    ),
    Owned(
        _sketch(
            "pico2",
            "Raspberry Pi Pico 2",
            "rp2040:rp2040:rpipico2",
            ("-mcpu=cortex-m33", "-mthumb", "-march=armv8-m.main+fp+dsp", "-mfloat-abi=softfp"),
            (4_194_304, 524_288),
            ("2e8a:000f",),
        ),
        "RP2350",
        "Cortex-M33 (two; one is used)",
        150,
        Route.ARDUINO,
        Checked.EMULATED,
        _BOOTSEL,
        (_PICO, "RP2350 Datasheet"),
        ("2e8a:000f",),
        "rp2350",
        doubts=("code runs from flash behind a cache of 16 KB: cycles depend on where it lies",),
    ),
    Owned(
        _nucleo("nucleo-f446re", "F446RE", 64, M4F, (524_288, 131_072)),
        "STM32F446RE",
        "Cortex-M4F",
        180,
        Route.ARDUINO,
        Checked.EMULATED,
        _NUCLEO,
        (_STM, "DS10693 (clock, memory)"),
        swd_target="stm32f446retx",
        pack=True,
        doubts=_UART_DOUBTS,
    ),
    Owned(
        _nucleo("nucleo-l476rg", "L476RG", 64, M4F, (1_048_576, 98_304)),
        "STM32L476RG",
        "Cortex-M4F",
        80,
        Route.ARDUINO,
        Checked.EMULATED,
        _NUCLEO,
        (_STM, "DS10198 (clock, memory)"),
        swd_target="stm32l476rgtx",
        pack=True,
        doubts=_UART_DOUBTS,
    ),
    Owned(
        _nucleo("nucleo-g474re", "G474RE", 64, M4F, (524_288, 131_072)),
        "STM32G474RE",
        "Cortex-M4F",
        170,
        Route.ARDUINO,
        Checked.EMULATED,
        _NUCLEO,
        (_STM, "DS12288 (clock, memory)"),
        swd_target="stm32g474retx",
        pack=True,
        doubts=_UART_DOUBTS,
    ),
    Owned(
        _nucleo("nucleo-h743zi2", "H743ZI2", 144, M7, (2_097_152, 524_288)),
        "STM32H743ZI",
        "Cortex-M7",
        480,
        Route.ARDUINO,
        Checked.EMULATED,
        _NUCLEO,
        (_STM, "DS12110 (clock, memory)"),
        swd_target="stm32h743xx",
        doubts=(*_UART_DOUBTS, "caches: cycles depend on what ran before"),
    ),
    Owned(
        _nucleo("nucleo-u575zi-q", "U575ZI-Q", 144, M33, (2_097_152, 786_432)),
        "STM32U575ZI",
        "Cortex-M33",
        160,
        Route.ARDUINO,
        Checked.EMULATED,
        _NUCLEO,
        (_STM, "DS13737 (clock, memory)"),
        swd_target="stm32u575zitxq",
        pack=True,
        doubts=_UART_DOUBTS,
    ),
    Owned(
        _sketch("esp32-s3", "ESP32-S3-DevKitC-1", "esp32:esp32:esp32s3", ("-march=generic",), (1_310_720, 327_680), ESPRESSIF),
        "ESP32-S3",
        "Xtensa LX7 (two; one is used)",
        240,
        Route.ARDUINO,
        Checked.LISTED,
        _ESP,
        ("boards.txt of Arduino-ESP32 3", "ESP32-S3 Series Datasheet (clock)"),
        doubts=(
            "whether Serial is the chip's own USB port depends on the board's option CDCOnBoot: "
            "esp32:esp32:esp32s3:CDCOnBoot=cdc for the port marked USB",
            "the loop's task has 8 KB of stack",
            "opening the port may reset the board: then it is flashed again",
        ),
    ),
    Owned(
        _sketch("esp32-c3", "ESP32-C3-DevKitM-1", "esp32:esp32:esp32c3", RV32IMC, (1_310_720, 327_680), ESPRESSIF),
        "ESP32-C3",
        "RV32IMC",
        160,
        Route.ARDUINO,
        Checked.EMULATED,
        _ESP,
        ("boards.txt of Arduino-ESP32 3", "ESP32-C3 Series Datasheet (clock)"),
        doubts=("the loop's task has 8 KB of stack", "opening the port may reset the board: then it is flashed again"),
    ),
    Owned(
        _sketch(
            "portenta-h7",
            "Arduino Portenta H7 (its Cortex-M7)",
            "arduino:mbed_portenta:envie_m7",
            ("-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=softfp", "-mfpu=fpv5-d16"),
            (786_432, 523_624),
            ("2341:025b", "2341:035b"),
        ),
        "STM32H747XI",
        "Cortex-M7 (beside a Cortex-M4, which is not used)",
        480,
        Route.ARDUINO,
        Checked.EMULATED,
        "USB cable. If the upload fails, press reset twice quickly: the green LED fades in and out.",
        ("boards.txt of Arduino's mbed_portenta core 4", "DS12930 (clock)"),
        ("2341:035b",),
        "stm32h747xihx",
        pack=True,
        doubts=("Mbed OS runs beside the measurement: its ticks are counted, too", "caches: cycles depend on what ran before"),
    ),
    Owned(
        _sketch("teensy41", "Teensy 4.1", "teensy:avr:teensy41", M7, (8_126_464, 524_288), ("16c0:0483",)),
        "i.MX RT1062",
        "Cortex-M7",
        600,
        Route.ARDUINO,
        Checked.EMULATED,
        "USB cable. The button on the board starts its bootloader.",
        ("boards.txt of Teensyduino 1.59", "pjrc.com/store/teensy41.html (clock, memory: RAM1)"),
        ("16c0:0478",),
        doubts=("the core copies code into RAM1, which is the RAM of the variables, too",),
    ),
    Owned(
        _sketch(
            "uno-r4-minima",
            "Arduino UNO R4 Minima",
            "arduino:renesas_uno:minima",
            M4F,
            (262_144, 32_768),
            ("2341:0069", "2341:0369"),
        ),
        "RA4M1 (R7FA4M1AB)",
        "Cortex-M4F",
        48,
        Route.ARDUINO,
        Checked.EMULATED,
        "USB cable. If the upload fails, press reset twice quickly.",
        (_R4, "RA4M1 Group Datasheet R01DS0355 (clock)"),
        ("2341:0369",),
        doubts=_R4_DOUBTS,
    ),
    Owned(
        _sketch(
            "uno-r4-wifi",
            "Arduino UNO R4 WiFi",
            "arduino:renesas_uno:unor4wifi",
            M4F,
            (262_144, 32_768),
            ("2341:1002", "2341:006d"),
        ),
        "RA4M1 (R7FA4M1AB)",
        "Cortex-M4F",
        48,
        Route.ARDUINO,
        Checked.EMULATED,
        "USB cable. The serial port is that of the ESP32-S3 on the board, which passes the bytes on.",
        (_R4, "RA4M1 Group Datasheet R01DS0355 (clock)"),
        ("2341:006d",),
        doubts=(*_R4_DOUBTS, *_UART_DOUBTS),
    ),
)


@dataclass(frozen=True)
class Waiting:
    """A board that people own and that tinyrig reaches by Zephyr alone: its facts, what is missing for another way, and the name
    that Zephyr has for it. Bytes."""

    title: str
    chip: str
    core: str
    clock_mhz: int
    flash_bytes: int
    ram_bytes: int
    probe_usb_ids: tuple[str, ...]
    swd_target: str
    sources: tuple[str, ...]
    missing: str
    zephyr: str


WAITING = (
    Waiting(
        "Nordic nRF5340 DK",
        "nRF5340",
        "Cortex-M33 (the application core)",
        128,
        1_048_576,
        524_288,
        ("1366:1051", "1366:1061"),
        "nrf5340_xxaa",
        ("nRF5340 Product Specification",),
        "it has no Arduino core, and no port here: its chip locks the debug probe out after each reset unless the program opens "
        "the lock, which nobody could try without the board",
        "nrf5340dk/nrf5340/cpuapp",
    ),
)


def owned(name: str) -> Owned | None:
    """A board of the table by its name."""
    return next((entry for entry in OWNED if entry.board.name == name), None)
