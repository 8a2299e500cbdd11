"""The firmware as a host process behind a pty, under the sanitizers: what the tests of session and firmware talk to."""

from __future__ import annotations

import os
import re
import subprocess
import tty
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.link import Link, open_link

FIRMWARE = Path(__file__).parents[2] / "firmware"
CC = ("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
# The sanitizers' own frames are larger than an ARM function's.
DEFINES = ("-DMEASURE_STACK_GUARD=256",)
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
    return build(name, "app/main.c", *APP, engine, *flags)


class HostBoard:
    """The firmware around `engine`, running; `port` is the pty it answers on. Leaving the context ends it and fails on
    whatever the sanitizers found."""

    def __init__(self, engine: str, *flags: str) -> None:
        program = build_board(engine, *flags)
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
