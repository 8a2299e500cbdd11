"""How much passes through a mailbox: `python bench/probe_line.py [gdb://HOST:PORT/TABLE | swd://CHIP/TABLE?probe=ID]`.

Without a name QEMU's mps2-an386 is started with its gdb server and an image that has a mailbox, of a dense net with 8,260 bytes a
window. The figure includes the inference.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.mailbox.tests.emulated import running
from tinyrig.tests import small_models

ROUNDS = 30


def main(url: str | None) -> int:
    if url is not None:
        measure(url)
        return 0
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), small_models.wide_int8()) as own:
        measure(own)
    return 0


def measure(url: str) -> None:
    with Session(open_link(url, 115_200)) as session:
        hello = session.hello()
        payload = tuple(bytes(t.nbytes) for t in hello.inputs)
        size = sum(map(len, payload))
        seconds = []
        for _ in range(ROUNDS):
            started = time.monotonic()
            session.run(payload)
            seconds.append(time.monotonic() - started)
    middle, worst = statistics.median(seconds), max(seconds)
    print(
        f"{url}: {size} bytes a window, {middle * 1e3:.1f} ms median, {worst * 1e3:.1f} ms worst, {size / middle / 1000:.0f} kB/s"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None))
