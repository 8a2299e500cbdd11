"""QEMU's mps2-an386 with an image that has a mailbox, behind QEMU's own gdb server."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tinyrig.board.qemu import OPTIONS, find_qemu
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.core.hardware.board import MAILBOX_FLAG
from tinyrig.workload.image import build_image

BOARD = replace(BOARDS["qemu"], cpu_flags=(*BOARDS["qemu"].cpu_flags, MAILBOX_FLAG))
START_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path, model: bytes) -> Iterator[str]:
    """The mailbox's name while the machine runs `model`."""
    compiled = compile_model(model, flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    image, port = build_image(compiled, BOARD, folder), free_port()
    loader = f"loader,file={image.bin},addr={BOARD.flash_base:#x},force-raw=on"
    words = [find_qemu(), "-M", BOARD.machine, *OPTIONS, "-device", loader, "-gdb", f"tcp:127.0.0.1:{port}"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield f"gdb://127.0.0.1:{port}/{BOARD.flash_base:#x}"
    finally:
        process.kill()
        process.wait()


def wait_for(port: int) -> None:
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1.0).close()
            return
        except OSError:
            assert time.monotonic() < until, "QEMU never listens"
            time.sleep(0.05)
