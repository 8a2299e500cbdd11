"""A stand-in for arduino-cli: refuses arguments that the real one would not know, "compiles" a sketch with the shim in
firmware/tests/arduino_shim and the flags of the core, and "uploads" by our own flasher, or by starting QEMU's machine again.

As a program it reads TINYRIG_FAKE_ARDUINO, a folder: `log` there lists the calls, `core` holds what `core list` shall answer,
`appears` the board's port and the name that it has from an upload on, `renames` two names between which the port changes during
an upload, `refuses` what a failing command says; `uploaded` is where an image for a machine of QEMU's goes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from tinyrig.tests.arduino_cores import BOARDS_OF, OPTIMISED, PROFILES, Profile

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
SHIM = FIRMWARE / "tests" / "arduino_shim"
FQBN = "arduino:mbed_nano:nano33ble"


def cores() -> dict:
    """The shim's sources are part of the version: an image built around an older shim is not taken again."""
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sorted(SHIM.iterdir()))).hexdigest()[:8]
    names = dict.fromkeys(["arduino:mbed_nano", *(profile.platform for profile in PROFILES.values())])
    return {"platforms": [{"id": name, "installed_version": f"4.2.1-shim-{digest}"} for name in names]}


# variants/ARDUINO_NANO33BLE/cflags.txt and cxxflags.txt of ArduinoCore-mbed, as far as they change code
COMMON = [
    "-Os",
    "-fdata-sections",
    "-ffunction-sections",
    "-fmessage-length=0",
    "-fno-delete-null-pointer-checks",
    "-fno-exceptions",
    "-fomit-frame-pointer",
    "-funsigned-char",
    "-g1",
    "-mcpu=cortex-m4",
    "-mfloat-abi=softfp",
    "-mfpu=fpv4-sp-d16",
    "-mthumb",
    "-DARDUINO_ARDUINO_NANO33BLE",
    "-DARDUINO_ARCH_NRF52840",
    "-DARDUINO_ARCH_MBED",
]
C, CXX = ["-std=gnu11", *COMMON], ["-std=gnu++14", "-fno-rtti", *COMMON]
OURS = ("app", "port", "live", "sensors")
WARN = ["-Wall", "-Wextra", "-Werror"]
RENAMED = ("init", "read", "write", "cycles", "board_id", "reboot", "last_fault", "stack_limit", "name", "clock_hz")
ON_VIRTUAL = [f"-Dport_{name}=shim_{name}" for name in RENAMED] + ["-Dfault_collect=shim_fault_collect"]
BUSES_ON_VIRTUAL = [
    f"-D{name}=shim_{name}"
    for name in (
        *("bus_init", "bus_start", "bus_poll", "bus_transfer", "bus_write", "adc_init", "adc_start", "adc_poll"),
        *("clock_us", "clock_wait", "clock_begin", "clock_end", "clock_due"),
    )
]
ON_HOST = ["-Dport_init=chip_init", "-Dport_read=shim_read", "-Dport_write=shim_write", "-Dport_name=shim_name"]
CHIP_ONLY = ("src/port/arduino/chip.c", "src/port/cortexm/fault.c", "src/port/nrf52840/retained.c")
"""What of a sketch is the nRF52840's alone; on the host firmware/port/host replaces it."""


def install(folder: Path, answer: object = None) -> Path:
    """Makes `folder`/bin/arduino-cli; TINYRIG_FAKE_ARDUINO must name `folder`, and the bin folder, returned, goes on the PATH."""
    (folder / "bin").mkdir(parents=True)
    (folder / "core").write_text(json.dumps(answer or cores()))
    program = folder / "bin" / "arduino-cli"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m tinyrig.tests.arduino_cli "$@"\n')
    program.chmod(0o755)
    return program.parent


def parser() -> ArgumentParser:
    top = ArgumentParser(prog="arduino-cli", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("version").add_argument("--format", choices=["json"], required=True)
    core = commands.add_parser("core")
    core.add_argument("what", choices=["list"])
    core.add_argument("--format", choices=["json"], required=True)
    board = commands.add_parser("board")
    board.add_argument("what", choices=["listall"])
    board.add_argument("--format", choices=["json"], required=True)
    compile_ = commands.add_parser("compile", allow_abbrev=False)
    compile_.add_argument("--fqbn", required=True)
    compile_.add_argument("--show-properties", action="store_true")
    compile_.add_argument("--warnings", choices=["none", "default", "more", "all"])
    compile_.add_argument("--build-path", type=Path)
    compile_.add_argument("--build-property", action="append", default=[])
    compile_.add_argument("sketch", type=Path)
    upload = commands.add_parser("upload", allow_abbrev=False)
    upload.add_argument("--fqbn", required=True)
    upload.add_argument("--port", required=True)
    upload.add_argument("--input-dir", type=Path, required=True)
    return top


def run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        sys.exit(1)


def compiled(source: Path, headers: Path, *command: object) -> Path:
    """The object of `source`, kept by content: it, the headers below `headers`, the command and the compiler."""
    words = [str(word) for word in command]
    around = sorted(p for p in headers.rglob("*") if p.suffix in (".h", ".inc"))
    compiler = os.stat(shutil.which(words[0]) or "/").st_mtime_ns
    parts = [repr((words, compiler, source.name)).encode(), *(p.read_bytes() for p in (source, *around))]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinyrig" / "arduino"  # as host_build.py's
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{hashlib.sha256(b'|'.join(parts)).hexdigest()[:32]}.o"
    if not kept.exists():
        part = kept.with_suffix(f".{os.getpid()}")
        run(*words, "-c", source, "-o", part)
        part.rename(kept)
    return kept


def sources(sketch: Path) -> list[Path]:
    """As arduino-cli takes them: what lies in the sketch's folder itself and anywhere below src."""
    main = sketch / f"{sketch.name}.ino"
    assert main.is_file(), f"a sketch's main file has its folder's name: {main}"
    found = sorted(p for p in (sketch / "src").rglob("*") if p.suffix in (".c", ".cpp"))
    return [main, *found]


def compile_sketch(args: Namespace) -> None:
    """For the virtual board, with the core's flags."""
    if profile := PROFILES.get(args.fqbn):
        compile_for(profile, args)
        return
    assert args.fqbn == FQBN
    properties = dict(p.split("=", 1) for p in args.build_property)
    assert set(properties) <= {"compiler.c.extra_flags", "compiler.cpp.extra_flags"}, properties
    out = args.build_path
    out.mkdir(parents=True)
    c = ["arm-none-eabi-gcc", *C, *properties.get("compiler.c.extra_flags", "").split()]
    cxx = ["arm-none-eabi-g++", *CXX, *WARN, f"-I{SHIM}", "-x", "c++", "-include", "Arduino.h"]
    ours = [args.sketch / "src" / name for name in OURS]  # the core says -w; here warnings count
    objects = []
    for source in sources(args.sketch):
        command = [*c, *(WARN if any(source.is_relative_to(folder) for folder in ours) else ())]
        objects.append(compiled(source, args.sketch, *(command if source.suffix == ".c" else cxx)))
    elf = out / f"{args.sketch.name}.ino.elf"
    link_for_virtual(objects, elf)
    run("arm-none-eabi-objcopy", "-O", "binary", elf, elf.with_suffix(".bin"))


def link_for_virtual(objects: list[Path], elf: Path, abi: str = "softfp", own_id: bool = True) -> None:
    """own_id: the sketch asks the chip for it; else the shim does."""
    port = FIRMWARE / "port"
    common, common_xx = ([word.replace("softfp", abi) for word in words] for words in (C, CXX))
    c, cxx = ["arm-none-eabi-gcc", *common, *WARN, f"-I{port}"], ["arm-none-eabi-g++", *common_xx, *WARN, f"-I{SHIM}"]
    renamed = [word for word in ON_VIRTUAL if own_id or "board_id" not in word]
    shim = [
        compiled(port / "cortexm" / "startup.c", port, *c),
        compiled(port / "nrf52840" / "port.c", port, *c, *renamed),
        compiled(SHIM / "virtual.cpp", SHIM, *cxx),
        compiled(SHIM / "wire.cpp", SHIM, *cxx),
        compiled(FIRMWARE / "sensors" / "nrf52840.c", FIRMWARE, *c, *BUSES_ON_VIRTUAL),
    ]
    run(
        "arm-none-eabi-gcc",
        *common,
        "-nostartfiles",
        "--specs=nano.specs",
        "-Wl,--gc-sections",
        "-Wl,--no-warn-rwx-segments",
        f"-T{SHIM / 'virtual.ld'}",
        *objects,
        *shim,
        "-lm",
        "-o",
        elf,
    )


# ---- any board ----


def compile_for(profile: Profile, args: Namespace) -> None:
    """For the machine that this core's images run on here."""
    from tinyrig.core.boards import BOARDS

    properties = dict(p.split("=", 1) for p in args.build_property)
    assert set(properties) == {"compiler.c.extra_flags"}
    extra = properties["compiler.c.extra_flags"].split()
    assert "CORES_OWN" not in str(profile.properties) or "-DCORES_OWN=1" in extra, "the core's own flags are gone"
    board, out = BOARDS[profile.runs_on], args.build_path
    out.mkdir(parents=True)
    picolibc = [] if board.core.arm else ["--specs=picolibc.specs"]
    compiler = [profile.compiler, profile.standard, *OPTIMISED, *profile.cpu, *profile.defines, *picolibc]
    cxx = [profile.compiler.replace("gcc", "g++"), "-std=gnu++17", "-fno-rtti", "-fno-exceptions", *compiler[2:], *WARN]
    cxx += [f"-I{SHIM}", "-x", "c++", "-include", "Arduino.h"]
    ours = [args.sketch / "src" / name for name in OURS]
    renamed = ["-Dport_board_id=sketch_board_id"]  # the machine says who it is, so that its instructions pass for no cycles
    objects = []
    for source in sources(args.sketch):
        own = any(source.is_relative_to(folder) for folder in ours)
        c = [*compiler, *extra, *(WARN if own else ()), *(renamed if source.name == "port.c" else ())]
        objects.append(compiled(source, args.sketch, *(c if source.suffix == ".c" else cxx)))
    elf = out / f"{args.sketch.name}.ino.elf"
    if profile.runs_on == "virtual":
        link_for_virtual(objects, elf, "hard", own_id=False)
    else:
        link_for_qemu(objects, elf, board, (compiler, cxx))
    run(profile.compiler.replace("gcc", "objcopy"), "-O", "binary", elf, elf.with_suffix(".bin"))
    (out / f"{args.sketch.name}.ino.partitions.bin").write_bytes(b"what else the uploader wants")


ON_QEMU = [f"-Dport_{name}=shim_{name}" for name in (*RENAMED, "started") if name != "board_id"]


def link_for_qemu(objects: list[Path], elf: Path, board, compilers: tuple[list[str], list[str]]) -> None:
    from tinyrig.workload.cross import memory_script, port_files

    port = FIRMWARE / "port"
    files = port_files(board)
    c = [*compilers[0], *WARN, f"-I{port}", *ON_QEMU]
    shim = [compiled(files[name], port, *c) for name in ("startup.c", "port.c", "fault.c")]
    shim += [compiled(files["retained.c"], port, *c)] if board.core.arm else []
    shim.append(compiled(SHIM / "qemu.cpp", SHIM, *compilers[1]))
    (elf.parent / "memory.ld").write_text(memory_script(board))
    words = [*compilers[0], "-nostartfiles", *(["--specs=nano.specs"] if board.core.arm else [])]
    words += ["-Wl,--gc-sections", "-Wl,--no-warn-rwx-segments", f"-L{elf.parent}", f"-T{files['link.ld']}"]
    run(*words, *objects, *shim, "-lm", "-o", elf)


def show_properties(args: Namespace) -> int:
    """As `compile --show-properties` prints them, expanded."""
    profile = PROFILES.get(args.fqbn) or PROFILES.get(args.fqbn.rpartition(":")[0])  # with options of the board's
    if profile is None:
        print(f"Error resolving FQBN: board {args.fqbn} not found", file=sys.stderr)
        return 1
    flags = " ".join((*profile.cpu, *profile.defines))
    if profile.in_file:
        file = args.sketch.parent / "cflags.txt"
        file.write_text(f"{flags}\n")
        flags = f'"@{file}"'
    print("build.arch=SOMETHING")
    for name, value in profile.properties.items():
        print(f"{name}={value}")
    print(f'recipe.c.o.pattern="{profile.compiler}" -c {flags} -Os "{{source_file}}" -o "{{object_file}}"')
    return 0


def list_boards() -> None:
    names = [fqbn.rpartition(":")[0] if fqbn.count(":") > 2 else fqbn for fqbn in PROFILES]
    more = [name for boards in BOARDS_OF.values() for name in boards]
    print(json.dumps({"boards": [{"name": name, "fqbn": name} for name in (*names, *more)]}))


def upload(args: Namespace, folder: Path) -> None:
    """As on a real board, the port may be away for a moment and have another name afterwards."""
    from tinyrig.core.boards import BOARDS
    from tinyrig.flash.flash import flash

    images = list(args.input_dir.glob("*.ino.bin"))
    assert len(images) == 1, "arduino-cli takes the sketch's name from the one *.ino.bin there"
    profile = PROFILES.get(args.fqbn)
    if profile:
        assert (args.input_dir / "tinyrig.ino.partitions.bin").exists(), "the core's uploader wants more than the image"
    if profile and profile.runs_on != "virtual":
        shutil.copyfile(images[0], folder / "uploaded.part")
        os.rename(folder / "uploaded.part", folder / "uploaded")
        return
    appears = folder / "appears"  # a board whose serial port is there only when a program runs
    at, name = appears.read_text().split() if appears.exists() else (args.port, "")
    flash(images[0].read_bytes(), BOARDS["virtual"], at)
    if name:
        os.symlink(at, name)
    if (folder / "renames").exists():
        old, new = (folder / "renames").read_text().split()
        os.rename(old, f"{new}.away")
        later = ["sh", "-c", f"sleep 0.5; mv '{new}.away' '{new}'"]
        subprocess.Popen(later, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> int:
    folder = Path(os.environ["TINYRIG_FAKE_ARDUINO"])
    with (folder / "log").open("a") as log:
        log.write(json.dumps(sys.argv[1:]) + "\n")
    args = parser().parse_args()
    if args.command in ("compile", "upload") and not getattr(args, "show_properties", False) and (folder / "refuses").exists():
        print((folder / "refuses").read_text(), file=sys.stderr)
        return 1
    if args.command == "version":
        print(json.dumps({"Application": "arduino-cli", "VersionString": "1.2.2"}))
    elif args.command == "core":
        print((folder / "core").read_text())
    elif args.command == "board":
        list_boards()
    elif args.command == "compile" and args.show_properties:
        return show_properties(args)
    elif args.command == "compile":
        compile_sketch(args)
    else:
        upload(args, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
