"""What a network port costs: `python bench/remote_links.py` measures the virtual board's round trips over its pty and through a
real ser2net on the loopback, so without a network's own delay. Wall-clock figures of this host; docs/remote.md shows one set.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import LinkError
from tinyrig.flash.flash import flash
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.tests import small_models
from tinyrig.tests.servers import Ser2net
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image

BOARD = BOARDS["virtual"]
ROUNDS = 200
SIZES = (0, 256)
"""The largest frame that the smallest of models takes."""
DELAYED = "{mdns: false}"
"""ser2net's default: it waits at least 1 ms for more bytes to come, on either side."""


def image():
    model = compile_model(small_models.dense_int8(), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    return build_image(model, BOARD)


def row(name: str, url: str, data: bytes) -> None:
    begun = time.perf_counter()
    flash(data, BOARD, url)
    flash_s = time.perf_counter() - begun
    begun = time.perf_counter()
    with Session(open_link(url, BOARD.baud)) as session:
        _greet(session)
        open_s = time.perf_counter() - begun
        medians = [statistics.median(_echo(session, os.urandom(size)) for _ in range(ROUNDS)) for size in SIZES]
    print(f"| {name} | {open_s:.2f} | {medians[0] * 1e3:.2f} | {medians[1] * 1e3:.2f} | {flash_s:.1f} |", flush=True)


def _greet(session: Session) -> None:
    """A board that has just been started may need a moment."""
    for _ in range(5):
        with contextlib.suppress(LinkError):
            session.hello()
            return
    session.hello()


def _echo(session: Session, data: bytes) -> float:
    begun = time.perf_counter()
    session.echo(data)
    return time.perf_counter() - begun


def main() -> None:
    data = image().bin.read_bytes()
    print(f"| way | open and hello, s | 0 bytes to and fro, ms | 256 bytes, ms | flash {len(data)} bytes, s |")
    print("|---|---|---|---|---|")
    with VirtualBoard(clock="off") as board, tempfile.TemporaryDirectory() as folder:
        row("pty", board.port, data)
        for options, words in (("{chardelay: false, mdns: false}", ""), (DELAYED, ", ser2net's default `chardelay`")):
            with Ser2net(board.port, Path(folder), options) as server:
                row(f"`rfc2217://`{words}", server.rfc2217, data)
                if not words:  # a running firmware can't be flashed over a socket without being asked
                    continue
    with VirtualBoard(clock="off") as board, tempfile.TemporaryDirectory() as folder, Ser2net(board.port, Path(folder)) as server:
        row("`socket://`", server.socket, data)


if __name__ == "__main__":
    main()
