"""The Arduino cores that the stand-in for arduino-cli has (arduino_cli.py): what each compiles with, and where that runs here.

Flags, names and properties are those of the cores' own boards.txt and platform.txt, as far as they change code or tinyrig reads
them."""

from __future__ import annotations

from dataclasses import dataclass, field

OPTIMISED = ("-Os", "-ffunction-sections", "-fdata-sections", "-g")


@dataclass(frozen=True)
class Profile:
    """runs_on: the board of ours whose machine this core's image is linked for; properties: beside the recipe."""

    fqbn: str
    runs_on: str
    cpu: tuple[str, ...]
    defines: tuple[str, ...]
    properties: dict[str, str] = field(default_factory=dict)
    compiler: str = "arm-none-eabi-gcc"
    standard: str = "-std=gnu17"
    in_file: bool = False
    """Whether its flags are in a file that the recipe names, as Mbed's and the ESP32's."""

    @property
    def platform(self) -> str:
        return ":".join(self.fqbn.split(":")[:2])


PROFILES = {
    p.fqbn: p
    for p in (
        Profile(
            "rp2040:rp2040:rpipico",
            "qemu-m0",
            ("-march=armv6-m", "-mcpu=cortex-m0plus", "-mthumb", "-mfloat-abi=soft"),
            ("-DARDUINO_ARCH_RP2040", "-DF_CPU=200000000L"),
            {"upload.maximum_size": "2097152", "upload.maximum_data_size": "262144", "build.mcu": "cortex-m0plus"},
            standard="-std=gnu2x",
        ),
        Profile(
            "rp2040:rp2040:rpipico2",
            "qemu-m33",
            ("-mcpu=cortex-m33", "-mthumb", "-march=armv8-m.main+fp+dsp", "-mfloat-abi=softfp", "-mcmse"),
            ("-DARDUINO_ARCH_RP2040", "-DF_CPU=150000000L"),
            {"upload.maximum_size": "4194304", "upload.maximum_data_size": "524288", "build.mcu": "cortex-m33"},
            standard="-std=gnu2x",
        ),
        Profile(
            "arduino:mbed_portenta:envie_m7",
            "qemu-m7",
            ("-mcpu=cortex-m7", "-mfloat-abi=softfp", "-mfpu=fpv5-d16", "-mthumb"),
            ("-DARDUINO_ARCH_MBED", "-DARDUINO_ARCH_MBED_PORTENTA"),
            {"upload.maximum_size": "786432", "upload.maximum_data_size": "523624"},
            standard="-std=gnu11",
            in_file=True,
        ),
        Profile(
            "STMicroelectronics:stm32:Nucleo_144:pnum=NUCLEO_U575ZI_Q",
            "qemu-m33",
            ("-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard", "-mthumb"),
            ("-DARDUINO_ARCH_STM32", "-DF_CPU=7812500"),
            {"upload.maximum_size": "2097152", "upload.maximum_data_size": "786432", "compiler.c.extra_flags": "-DCORES_OWN=1"},
        ),
        Profile(
            "STMicroelectronics:stm32:Nucleo_144:pnum=NUCLEO_H743ZI2",
            "qemu-m7",
            ("-mcpu=cortex-m7", "-mfpu=fpv5-sp-d16", "-mfloat-abi=hard", "-mthumb"),
            ("-DARDUINO_ARCH_STM32", "-DF_CPU=7812500"),
            {"upload.maximum_size": "2097152", "upload.maximum_data_size": "524288"},
        ),
        Profile(
            "STMicroelectronics:stm32:Nucleo_64:pnum=NUCLEO_F446RE",
            "virtual",
            ("-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-mthumb"),
            ("-DARDUINO_ARCH_STM32", "-DF_CPU=64000000"),
            {"upload.maximum_size": "524288", "upload.maximum_data_size": "131072"},
        ),
        Profile(
            "teensy:avr:teensy41",
            "qemu-m7",
            ("-mthumb", "-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"),
            ("-DTEENSYDUINO=159", "-DARDUINO_TEENSY41", "-DF_CPU=7812500"),
            {"upload.maximum_size": "8126464"},
        ),
        Profile(
            "arduino:renesas_uno:minima",
            "virtual",
            ("-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-mthumb", "-fsigned-char", "-fno-builtin"),
            ("-DARDUINO_ARCH_RENESAS", "-DARDUINO_ARCH_RENESAS_UNO", "-DF_CPU=48000000"),
            {"upload.maximum_size": "262144", "upload.maximum_data_size": "32768"},
            standard="-std=gnu11",
        ),
        Profile(
            "esp32:esp32:esp32c3",
            "qemu-rv32",
            ("-march=rv32imc", "-misa-spec=2.2", "-mabi=ilp32"),
            ("-DARDUINO_ARCH_ESP32", "-DF_CPU=160000000L"),
            {"upload.maximum_size": "1310720", "upload.maximum_data_size": "327680", "build.mcu": "esp32c3"},
            compiler="riscv64-unknown-elf-gcc",
            in_file=True,
        ),
        Profile(
            "adafruit:nrf52:feather52840",
            "virtual",
            ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"),
            ("-DARDUINO_ARCH_NRF52", "-DF_CPU=64000000"),
            {"upload.maximum_size": "815104", "upload.maximum_data_size": "237568"},
            standard="-std=gnu11",
        ),
        Profile(
            "arduino:avr:uno",
            "",
            ("-mmcu=atmega328p",),
            (),
            {"upload.maximum_size": "32256", "upload.maximum_data_size": "2048", "build.mcu": "atmega328p"},
            compiler="/opt/avr/bin/avr-gcc",
        ),
    )
}
BOARDS_OF = {"esp32:esp32": ("esp32:esp32:esp32s3",), "rp2040:rp2040": ("rp2040:rp2040:rpipicow",)}
"""Further boards that a core lists and nobody builds for here."""
