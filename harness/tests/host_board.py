"""The firmware as a host process behind a pty, under the sanitizers: what the tests of session and firmware talk to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
import tty
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tinyrig.link import wire
from tinyrig.link.serial_link import Link, open_link
from tinyrig.link.wire import Frame
from tinyrig.tests import arduino_cli
from tinyrig.workload import arduino_sketch

FIRMWARE = Path(__file__).parents[2] / "firmware"
CC = ("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# The sanitizers' own frames are larger than an ARM function's.
DEFINES = ("-DMEASURE_STACK_MARGIN=256",)
APP = ("app/commands.c", "app/measure.c", "app/wire.c", "port/host/port.c")
BUILD_ID = bytes(range(0x10, 0x20))
_KEEP: list[TemporaryDirectory[str]] = []


@cache
def build_folder() -> Path:
    """One folder for all programs of this test process, with the build_id.c that the image builder would write."""
    _KEEP.append(TemporaryDirectory(prefix="tinyrig-host-"))
    folder = Path(_KEEP[-1].name)
    values = ", ".join(str(b) for b in BUILD_ID)
    text = f"#include <stdint.h>\nextern const uint8_t app_build_id[16];\nconst uint8_t app_build_id[16] = {{{values}}};\n"
    (folder / "build_id.c").write_text(text)
    return folder


@cache
def build(program: str, *sources: str) -> Path:
    """Compiles `sources` (below firmware/; a -D among them is a flag) under ASan and UBSan, warnings being errors."""
    out = build_folder() / program
    files = [s if s.startswith("-") else str(FIRMWARE / s) for s in sources]
    command = [*CC, *DEFINES, f"-I{build_folder()}", *files, str(build_folder() / "build_id.c"), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def build_board(engine: str, *flags: str) -> Path:
    """The whole firmware around `engine`, a file below firmware/."""
    name = "-".join(("board", Path(engine).stem, *(re.sub(r"\W+", "_", flag) for flag in flags)))
    return build(name, "app/main.c", "port/host/main.c", *APP, engine, *flags)


@cache
def build_sketch(engine: str) -> Path:
    """The same as the sketch that a Nano 33 BLE gets, around the Arduino shim's half for the host."""
    sources = [FIRMWARE / engine]
    return sketch_program(Path(engine).stem, sources, (build_folder(), *(FIRMWARE / f for f in ("app", "nn", "port"))))


def sketch_program(name: str, engine: list[Path], folders: tuple[Path, ...], payload: int = 4096) -> Path:
    """`folders`: the first holds what was generated, as for harness/workload/arduino_sketch.py."""
    if not shutil.which("c++"):
        pytest.skip("no host C++ compiler (c++): the sketch's USB half is C++")
    work = build_folder() / f"sketch-{name}"
    rig = [p for p in arduino_sketch.rig_files() if p.suffix in (".c", ".cpp") and p.name != "null_engine.c"]
    folder = arduino_sketch.write_sketch(
        work / arduino_sketch.NAME, [*rig, build_folder() / "build_id.c"], engine, folders, payload
    )
    objects = []
    for source in arduino_cli.sources(folder):
        if str(source.relative_to(folder)) not in arduino_cli.CHIP_ONLY:
            objects.append(_object(source, work, len(objects)))
    for source, flags in ((FIRMWARE / "port/host/port.c", arduino_cli.ON_HOST), (arduino_cli.SHIM / "host.cpp", ())):
        objects.append(_object(source, work, len(objects), *flags))
    out = work / "program"
    subprocess.run(["c++", "-fsanitize=address,undefined", *objects, "-lm", "-o", out], check=True)
    return out


def _object(source: Path, work: Path, number: int, *flags: str) -> Path:
    target = work / f"{number}.o"
    cxx = ["c++", "-std=gnu++14", *CC[2:], f"-I{arduino_cli.SHIM}", "-x", "c++", "-include", "Arduino.h"]
    compiler = ["cc", "-std=gnu11", *CC[2:]] if source.suffix == ".c" else cxx
    done = subprocess.run([*compiler, *DEFINES, *flags, "-c", source, "-o", target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


class HostBoard:
    """The firmware around `engine`, running; `port` is the pty it answers on. Leaving the context ends it and fails on
    whatever the sanitizers found. `program`: another one than `build_board` makes."""

    def __init__(self, engine: str, *flags: str, program: Path | None = None) -> None:
        program = program or build_board(engine, *flags)
        master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.process = subprocess.Popen([program], stdin=master, stdout=master, stderr=subprocess.PIPE)
        os.close(master)

    def link(self) -> Link:
        """A new link to it."""
        return open_link(self.port, 1_000_000)

    def __enter__(self) -> HostBoard:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._slave)
        self.process.terminate()
        _, complaints = self.process.communicate(timeout=10)
        assert not complaints, complaints.decode()


def replies(link: Link, least: int = 1) -> list[Frame]:
    """All that comes until the line has been silent for longer than the board's own limit; `least` are waited for longer, since
    a busy machine may let the board wait."""
    frames, data, until = [], b"", time.monotonic() + 30
    while True:
        more = link.read(65536, 3 * wire.BOARD_SILENCE_S)
        data += more
        while frame := wire.decode(data):
            frames.append(frame)
            data = data[frame.wire_bytes :]
        if not more and (len(frames) >= least or time.monotonic() > until):
            break
    assert not data, f"half a reply: {data.hex()}"
    return frames


def ask(link: Link, frame: Frame) -> Frame:
    link.write(wire.encode(frame))
    (reply,) = replies(link)
    return reply
