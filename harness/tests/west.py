"""A stand-in for west: refuses arguments that the real one would not know, and builds with real CMake, to which
firmware/tests/zephyr_shim is Zephyr: a board of Zephyr's is one of QEMU's machines with such a processor.

As a program it reads TINYRIG_FAKE_WEST, a folder: `log` there lists the calls, `refuses` what a failing command says; `uploaded`
is where `west flash` puts the image.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
SHIM = FIRMWARE / "tests" / "zephyr_shim"
NAMES = ("init", "read", "write", "cycles", "board_id", "reboot", "last_fault", "stack_limit", "name", "clock_hz", "started")
KCONFIG = [
    "SERIAL",
    "UART_INTERRUPT_DRIVEN",
    "CONSOLE",
    "UART_CONSOLE",
    "PRINTK",
    "BOOT_BANNER",
    "LOG",
    "TIMING_FUNCTIONS",
    "HWINFO",
    "REBOOT",
    "THREAD_STACK_INFO",
    "STACK_SENTINEL",
    "REQUIRES_FULL_LIBC",
    "FPU",
    "MAIN_STACK_SIZE",
]
"""What prj.conf may name: Zephyr's Kconfig takes a symbol that it does not have for an error."""
SNIPPETS = ("cdc-acm-console",)
REFUSED = 1


@dataclass(frozen=True)
class Profile:
    """runs_on: the board of ours whose machine it is linked for; settings: of Kconfig; defines: of the shim."""

    runs_on: str
    cpu: tuple[str, ...]
    settings: tuple[str, ...]
    defines: tuple[str, ...] = ()


_HARD = ("-mfpu=fpv4-sp-d16", "-mfloat-abi=hard", "-mfp16-format=ieee")
PROFILES = {
    "nucleo_f401re": Profile(
        "qemu",
        ("-mcpu=cortex-m4", "-mthumb", "-mabi=aapcs", *_HARD),
        (
            "CONFIG_FLASH_SIZE=512",
            "CONFIG_FLASH_BASE_ADDRESS=0x8000000",
            "CONFIG_FLASH_LOAD_OFFSET=0x0",
            "CONFIG_SRAM_SIZE=96",
            "CONFIG_SRAM_BASE_ADDRESS=0x20000000",
            "CONFIG_SYS_CLOCK_HW_CYCLES_PER_SEC=84000000",
            "CONFIG_CPU_CORTEX_M_HAS_DWT=y",
            "CONFIG_CORTEX_M_SYSTICK=y",
        ),
        ("-DCONFIG_CPU_CORTEX_M_HAS_DWT=1",),
    ),
    # a UART whose driver has no interrupts
    "rpi_pico": Profile(
        "qemu-m0",
        ("-mcpu=cortex-m0plus", "-mthumb", "-mabi=aapcs"),
        (
            "CONFIG_FLASH_SIZE=2048",
            "CONFIG_SRAM_SIZE=264",
            "CONFIG_SYS_CLOCK_HW_CYCLES_PER_SEC=125000000",
            "CONFIG_CORTEX_M_SYSTICK=y",
        ),
        ("-DCONFIG_CORTEX_M_SYSTICK=1", "-DSHIM_POLLS=1"),
    ),
    "esp32c3_devkitm": Profile(
        "qemu-rv32",
        ("-march=rv32imc", "-misa-spec=2.2", "-mabi=ilp32"),
        ("CONFIG_FLASH_SIZE=4096", "CONFIG_SYS_CLOCK_HW_CYCLES_PER_SEC=16000000"),
    ),
    "bbc_microbit": Profile(
        "qemu-m0",
        ("-mcpu=cortex-m0", "-mthumb", "-mabi=aapcs"),
        ("CONFIG_FLASH_SIZE=256", "CONFIG_SRAM_SIZE=16", "CONFIG_SYS_CLOCK_HW_CYCLES_PER_SEC=32768"),
    ),
    "arduino_nano_33_ble": Profile("qemu", ("-mcpu=cortex-m4", "-mthumb", *_HARD), (), ("-DSHIM_NO_CONSOLE=1",)),
}


def install(folder: Path) -> Path:
    """Makes `folder`/bin/west; TINYRIG_FAKE_WEST must name `folder`, and the bin folder, returned, goes on the PATH."""
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / "west"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m tinyrig.tests.west "$@"\n')
    program.chmod(0o755)
    return program.parent


def parser() -> ArgumentParser:
    top = ArgumentParser(prog="west", allow_abbrev=False)
    top.add_argument("--version", action="store_true")
    commands = top.add_subparsers(dest="command")
    commands.add_parser("topdir")
    commands.add_parser("boards").add_argument("--format", required=True)
    build = commands.add_parser("build", allow_abbrev=False)
    build.add_argument("-b", "--board")
    build.add_argument("-d", "--build-dir", type=Path, required=True)
    build.add_argument("-p", "--pristine", choices=["auto", "always", "never"])
    build.add_argument("--cmake-only", action="store_true")
    build.add_argument("--no-sysbuild", action="store_true")
    build.add_argument("-S", "--snippet", action="append", default=[])
    build.add_argument("source_dir", type=Path, nargs="?")
    flash = commands.add_parser("flash", allow_abbrev=False)
    flash.add_argument("--skip-rebuild", action="store_true")
    flash.add_argument("-d", "--build-dir", type=Path, required=True)
    flash.add_argument("--dev-id")
    return top


def run(*command: object) -> None:
    """What it says goes where west's does. Ends the process where it fails."""
    done = subprocess.run([str(word) for word in command], check=False)
    if done.returncode:
        print(f"FATAL ERROR: command exited with status {done.returncode}: {command[0]}", file=sys.stderr)
        sys.exit(REFUSED)


def build(args: Namespace) -> None:
    if args.source_dir:
        configure(args)
    if not args.cmake_only:
        run("cmake", "--build", args.build_dir)


def configure(args: Namespace) -> None:
    """As Zephyr's own: unknown boards, snippets and symbols of Kconfig are refused."""
    if args.pristine == "always":
        shutil.rmtree(args.build_dir, ignore_errors=True)
    if args.board not in PROFILES:
        print(f"No board named '{args.board}' found.", file=sys.stderr)
        sys.exit(REFUSED)
    assert set(args.snippet) <= set(SNIPPETS), args.snippet
    lines = [line for line in (args.source_dir / "prj.conf").read_text().splitlines() if line and not line.startswith("#")]
    wrong = [line for line in lines if line.partition("=")[0].removeprefix("CONFIG_") not in KCONFIG]
    if wrong:
        print(f"error: Aborting due to Kconfig warnings: {wrong}", file=sys.stderr)
        sys.exit(REFUSED)
    run("cmake", "-GNinja", "-B", args.build_dir, "-S", args.source_dir, f"-DBOARD={args.board}", *machine(args))
    (args.build_dir / "zephyr").mkdir(exist_ok=True)
    console = not {"-DSHIM_NO_CONSOLE=1"} & set(PROFILES[args.board].defines) or bool(args.snippet)
    tree = "\t\tzephyr,console = &usart2; /* in a board's file */\n" if console else ""
    (args.build_dir / "zephyr" / "zephyr.dts").write_text(f"/dts-v1/;\n/ {{\n\tchosen {{\n{tree}\t}};\n}};\n")
    (args.build_dir / "zephyr" / ".config").write_text("\n".join((*PROFILES[args.board].settings, *lines)) + "\n")
    runners = {"config": {"elf_file": str(args.build_dir / "zephyr" / "zephyr.elf")}, "flash-runner": "stand-in"}
    (args.build_dir / "zephyr" / "runners.yaml").write_text(json.dumps(runners))


def machine(args: Namespace) -> list[str]:
    """Definitions of the shim's CMake."""
    from tinyrig.core.boards import BOARDS
    from tinyrig.workload.cross import compile_flags, link_flags, memory_script, port_files

    profile = PROFILES[args.board]
    record = BOARDS[profile.runs_on]
    files = port_files(record)
    names = ["startup.c", "port.c", "fault.c", *(["retained.c"] if record.core.arm else [])]
    args.build_dir.mkdir(parents=True, exist_ok=True)
    (args.build_dir / "memory.ld").write_text(memory_script(record))
    found = {
        "ZEPHYR_BASE": SHIM,
        "SHIM_CC": record.core.compiler,
        "SHIM_OBJCOPY": record.core.compiler.replace("gcc", "objcopy"),
        "SHIM_CPU": ";".join(profile.cpu),
        "SHIM_FLAGS": ";".join((*compile_flags(record.core), *profile.defines, "-Wextra", "-Werror")),
        "SHIM_LINK": ";".join((*link_flags(record.core), f"-L{args.build_dir}", f"-T{files['link.ld']}")),
        "SHIM_SOURCES": ";".join(str(files[name]) for name in names),
        "SHIM_PORTS": ";".join(map(str, dict.fromkeys((FIRMWARE / "port", files["port.c"].parent)))),
        "SHIM_NAMES": ";".join(f"port_{name}=shim_{name}" for name in NAMES),
    }
    return [f"-D{name}={value}" for name, value in found.items()]


def flash(args: Namespace, folder: Path) -> None:
    """As the real one it reads the build folder that it is given, and nothing else."""
    assert args.skip_rebuild, "the sources may be gone by now"
    assert "ZEPHYR_BASE" in (args.build_dir / "CMakeCache.txt").read_text(), "FATAL ERROR: no Zephyr build system"
    assert (args.build_dir / "zephyr" / ".config").is_file()
    elf = Path(json.loads((args.build_dir / "zephyr" / "runners.yaml").read_text())["config"]["elf_file"])
    assert elf.is_relative_to(args.build_dir) and elf.is_file(), elf
    shutil.copyfile(elf.with_suffix(".bin"), folder / "uploaded.part")
    os.rename(folder / "uploaded.part", folder / "uploaded")


def main() -> int:
    folder = Path(os.environ["TINYRIG_FAKE_WEST"])
    with (folder / "log").open("a") as log:
        log.write(json.dumps(sys.argv[1:]) + "\n")
    args = parser().parse_args()
    if (folder / "refuses").exists() and args.command in ("build", "flash"):
        print((folder / "refuses").read_text(), file=sys.stderr)
        return REFUSED
    if args.version:
        print("West version: v1.3.0")
    elif args.command == "topdir":
        print("FATAL ERROR: no west workspace found from here", file=sys.stderr)
        return REFUSED
    elif args.command == "boards":
        print("\n".join(args.format.format(name=name) for name in PROFILES))
    elif args.command == "build":
        build(args)
    else:
        flash(args, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
