"""Compilers, flashers, emulators and libraries: whether they are there and run; and which board needs which."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tinyrig.arduino import cli
from tinyrig.arduino.cli import CORE
from tinyrig.board.rp2040js import find_package
from tinyrig.core.boards import Board
from tinyrig.core.errors import HostError
from tinyrig.core.hardware.arduino import platform_of
from tinyrig.core.hardware.cores import RISCV_CC
from tinyrig.doctor.checks import CheckStatus
from tinyrig.host.run_tool import run_tool
from tinyrig.places.remedies import AGAIN, ARM, HOST, RISCV, compiler, extra
from tinyrig.workload.zephyr.west import GUIDE, find_west

TOOL_S = 15.0
"""One call of a tool; less than checks.PATIENCE_S, so that its own error is reported."""
CORE_OF = "core "
"""Before the name of a core that a board of the Arduino route needs."""
QEMU_MACHINE = "mps2-an386"

Alternatives = tuple[str, ...]
NEEDS: dict[str, tuple[Alternatives, ...]] = {
    # builders
    "gcc": (("arm-none-eabi-gcc",),),
    "gcc of RISC-V": ((RISCV_CC,),),
    "arduino": (("arduino-cli",), ("arduino core",)),
    "sketch": (("arduino-cli",),),
    "zephyr": (("west",), ("zephyr",)),
    # flashers
    "nano33": (("pyserial",),),
    "arduino-cli": (("arduino-cli",),),
    "pyocd": (("pyocd",),),
    "st-flash": (("st-flash",),),
    "probe": (("pyocd", "st-flash"),),
    # starters
    "virtual": (("unicorn",),),
    "qemu": (("qemu-system-arm",),),
    "qemu of RISC-V": (("qemu-system-riscv32",),),
    "rp2040js": (("node",), ("rp2040js",)),
    "none": (),
    "": (),
}
"""Builder, flasher or starter of a board record -> what it takes, each with what can take its place. A word that is not here is
taken for the name of a program."""
ORACLES: dict[str, tuple[Alternatives, ...]] = {"tflm": (("tflite-micro",),), "litert-ref": (("ai-edge-litert",),)}


@dataclass(frozen=True)
class Found:
    """What became of looking for a tool; as in Check."""

    status: CheckStatus
    found: str = ""
    remedy: str = ""


def needs(board: Board, oracle: str, flasher: str = "") -> tuple[Alternatives, ...]:
    """Of one board, each once; `flasher`: another one than its record's."""
    way = flasher or board.flasher
    words = (board.builder, board.flash_command[0] if way == "command" else way, board.starter)
    core = ((CORE_OF + platform_of(board.fqbn),),) if board.fqbn else ()
    named = words if board.core.arm else [f"{word} of RISC-V" if word in ("gcc", "qemu") else word for word in words]
    found = [alternatives for word in named for alternatives in NEEDS.get(word, ((word,),))]
    return tuple(dict.fromkeys([*found, *core, ("pyserial",), *ORACLES.get(oracle, ())]))


def look(name: str) -> Found:
    """Looks for a tool by its name here."""
    if name.startswith(CORE_OF):
        found = _arduino_core(name.removeprefix(CORE_OF))
        return replace(found, found=found.found.rpartition(" ")[2]) if found.status == CheckStatus.OK else found
    return TOOLS[name]() if name in TOOLS else _program(name, ("--version",), f"install {name}")


# ---- programs ----


def _said(command: Sequence[str]) -> tuple[int, str]:
    """(exit status, output). Raises HostError for what can't be run or hangs."""
    done = run_tool(command, TOOL_S)
    return done.returncode, done.stdout if done.stdout.strip() else done.stderr


def _why(error: HostError) -> str:
    return f"does not answer within {TOOL_S:g} s" if isinstance(error.__cause__, subprocess.TimeoutExpired) else error.received


def _program(name: str, ask: Sequence[str], remedy: str) -> Found:
    """A program on the PATH, by the first version number in what it says."""
    path = shutil.which(name)
    if not path:
        return Found(CheckStatus.MISSING, "", remedy)
    try:
        status, text = _said([path, *ask])
    except HostError as error:
        return Found(CheckStatus.BROKEN, f"{path}: {_why(error)}", f"install {name} again: {remedy}")
    if status:
        last = (text.strip().splitlines() or [f"exit status {status}"])[-1]
        return Found(CheckStatus.BROKEN, f"{path}: {last[:200]}", f"install {name} again: {remedy}")
    number = re.search(r"\d+(\.\d+)+\S*", text)
    return Found(CheckStatus.OK, number.group(0).strip(",)") if number else path)


def _gcc() -> Found:
    found = _program("arm-none-eabi-gcc", ("-dumpfullversion",), compiler(ARM))
    if found.status != CheckStatus.OK:
        return found
    status, specs = _said(["arm-none-eabi-gcc", "-print-file-name=nano.specs"])
    cpu = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
    libc = _said(["arm-none-eabi-gcc", *cpu, "-print-file-name=libc_nano.a"])[1]
    if status or not os.path.isabs(specs.strip()) or not os.path.isabs(libc.strip()):
        return Found(CheckStatus.BROKEN, f"{found.found} without newlib-nano for Cortex-M4F", compiler(ARM))
    return Found(CheckStatus.OK, f"{found.found} with nano.specs")


def _host_cc() -> Found:
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return _program(name, ("--version",), compiler(HOST))
    return Found(CheckStatus.MISSING, "", compiler(HOST))


def _arduino_core(platform: str = CORE) -> Found:
    install = cli.install(platform)
    path = shutil.which("arduino-cli")
    if not path:
        return Found(CheckStatus.MISSING, "", f"install arduino-cli, then: {install}")
    try:
        status, text = _said([path, "core", "list", "--format", "json"])
        listed = json.loads(text or "[]") if not status else []
    except (HostError, ValueError) as error:
        return Found(
            CheckStatus.BROKEN,
            f"`arduino-cli core list` failed: {_why(error) if isinstance(error, HostError) else error}",
            install,
        )
    version = cli.installed(listed).get(platform)
    return Found(CheckStatus.OK, f"{platform} {version}") if version else Found(CheckStatus.MISSING, "", install)


def _rp2040js() -> Found:
    try:
        return Found(CheckStatus.OK, str(find_package()))
    except HostError as error:
        return Found(CheckStatus.MISSING, error.what, error.remedy)


def _zephyr() -> Found:
    try:
        found = find_west(TOOL_S)
    except HostError as error:
        return Found(CheckStatus.MISSING, error.received, error.remedy)
    return Found(CheckStatus.OK, f"{found.zephyr} in {found.base}")


def _qemu() -> Found:
    found = _program("qemu-system-arm", ("--version",), "apt-get install --no-install-recommends qemu-system-arm")
    if found.status != CheckStatus.OK:
        return found
    if QEMU_MACHINE not in _said(["qemu-system-arm", "-machine", "help"])[1]:
        return Found(CheckStatus.BROKEN, f"{found.found} without the machine {QEMU_MACHINE}", "install Debian's qemu-system-arm")
    return Found(CheckStatus.OK, f"{found.found} with {QEMU_MACHINE}")


def _riscv_gcc() -> Found:
    found = _program(RISCV_CC, ("-dumpfullversion",), compiler(RISCV))
    if found.status != CheckStatus.OK:
        return found
    status, specs = _said([RISCV_CC, "-print-file-name=picolibc.specs"])
    if status or not os.path.isabs(specs.strip()):
        return Found(CheckStatus.BROKEN, f"{found.found} without picolibc", compiler(RISCV))
    return Found(CheckStatus.OK, f"{found.found} with picolibc")


# ---- libraries ----


def _package(distribution: str, module: str, remedy: str = AGAIN, load: bool = True) -> Found:
    """An installed package; `load`: whether it also loads, in a process of its own, because native libraries may crash."""
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return Found(CheckStatus.MISSING, "", remedy)
    if not load:
        return Found(CheckStatus.OK, version)
    try:
        status, text = _said([sys.executable, "-P", "-c", f"import {module}"])
    except HostError as error:
        return Found(CheckStatus.BROKEN, f"{version}: {_why(error)}", remedy)
    last = (text.strip().splitlines() or [f"exit status {status}"])[-1]
    return (
        Found(CheckStatus.BROKEN, f"{version} can't be loaded: {last[:200]}", remedy)
        if status
        else Found(CheckStatus.OK, version)
    )


_VARIANTS = ("tensorflow", "tf_keras", "tensorflow_model_optimization")


def _variants() -> Found:
    """TensorFlow is never imported here: it takes seconds, and only variants/ may."""
    lacking = [name for name in _VARIANTS if importlib.util.find_spec(name) is None]
    if lacking:
        return Found(CheckStatus.MISSING, f"without {', '.join(lacking)}", extra("variants"))
    return Found(CheckStatus.OK, f"tensorflow {importlib.metadata.version('tensorflow')}")


TOOLS: dict[str, Callable[[], Found]] = {
    "arm-none-eabi-gcc": _gcc,
    "host cc": _host_cc,
    "pyserial": lambda: _package("pyserial", "serial", load=False),
    "unicorn": lambda: _package("unicorn", "unicorn"),
    "node": lambda: _program("node", ("--version",), "apt-get install --no-install-recommends nodejs npm"),
    "rp2040js": _rp2040js,
    "qemu-system-arm": _qemu,
    RISCV_CC: _riscv_gcc,
    "qemu-system-riscv32": lambda: _program(
        "qemu-system-riscv32", ("--version",), "apt-get install --no-install-recommends qemu-system-misc"
    ),
    "arduino-cli": lambda: _program("arduino-cli", ("version",), "https://arduino.github.io/arduino-cli/latest/installation/"),
    "arduino core": _arduino_core,
    "west": lambda: _program("west", ("--version",), f"pip install west, then a workspace: {GUIDE}"),
    "zephyr": _zephyr,
    "pyocd": lambda: _package("pyocd", "pyocd", extra("swd")),
    "st-flash": lambda: _program("st-flash", ("--version",), "apt-get install --no-install-recommends stlink-tools"),
    "tflite-micro": lambda: _package("tflite-micro", "tflite_micro"),
    "ai-edge-litert": lambda: _package("ai-edge-litert", "ai_edge_litert.interpreter", extra("litert")),
    "variants extra": _variants,
}
"""Name -> how to look for it. What no board needs is listed too, with what else it is good for: USES."""
USES: dict[str, str] = {
    "host cc": "a virtual board that counts cycles 10 times faster, `tinyrig ops`",
    "tflite-micro": 'comparing outputs (oracle = "tflm")',
    "ai-edge-litert": 'comparing outputs (oracle = "litert-ref")',
    "variants extra": "`tinyrig variants`, `make bench`; no other command needs it",
    "pyserial": "every serial port, and flashing a Nano 33 BLE through its bootloader",
}
