"""The false-accept job: damaged frames into both receivers, the board's C and the host's Python; prints a table by kind.

    python -m tinyrig.firmware.fuzz.false_accept [--frames 10000000] [--python 1000000] [--seed 1]

Exit code 1 when a receiver took damaged bytes for a frame that was not sent, or did not get back into step.
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO

from tinyrig.firmware.fuzz import build
from tinyrig.link import wire
from tinyrig.link.wire import WireError

NESTED = 10
"""Kind outside the claim: see README.md."""
NESTED_FRAMES = 100_000
HEADINGS = ("frames", "no frame", "refused", "whole", "next at once", "after silence", "FALSE ACCEPTS")


@dataclass
class Row:
    """Counts of one kind. silent: no frame, no refusal; whole: the damage left a whole sent frame; wrong: false accepts."""

    kind: str
    frames: int = 0
    silent: int = 0
    refused: int = 0
    whole: int = 0
    in_step_at_once: int = 0
    in_step: int = 0
    wrong: int = 0

    @property
    def good(self) -> bool:
        return self.wrong == 0 and self.in_step == self.frames


def c_rows(program: Path, frames: int, seed: int, *kind: int) -> list[Row]:
    """The firmware's receive path."""
    command = [str(program), "run", str(frames), str(seed), *map(str, kind)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rows = (line.split("\t") for line in text.splitlines())
    return [Row(name, *map(int, numbers)) for name, *numbers in rows]


def _block(stream: IO[bytes]) -> bytes:
    (n,) = struct.unpack("<I", stream.read(4))
    return stream.read(n)


def _cases(program: Path, frames: int, seed: int) -> Iterator[tuple[int, tuple[bytes, bytes, bytes], bytes]]:
    """(kind, frames that were sent, what arrived) of the same cases that the board gets."""
    with subprocess.Popen([program, "dump", str(frames), str(seed)], stdout=subprocess.PIPE, bufsize=1 << 20) as process:
        assert process.stdout
        while kind := process.stdout.read(1):
            yield kind[0], (_block(process.stdout), _block(process.stdout), _block(process.stdout)), _block(process.stdout)


def received(line: bytes) -> tuple[list[bytes], int, int]:
    """What a receiver makes of `line`: good frames, damaged payloads, and the offset of what is left unfinished.
    A damaged header is dropped byte by byte, a damaged payload with its frame."""
    frames: list[bytes] = []
    refused = at = 0
    while (at := line.find(wire.MAGIC[:1], at)) >= 0:
        header = None
        try:
            if len(line) - at >= wire.HEADER_BYTES:
                header = wire.decode_header(line[at : at + wire.HEADER_BYTES])
            frame = wire.decode(line[at:])
        except WireError:
            refused += header is not None
            at += wire.HEADER_BYTES + header.rest_bytes if header else 1
            continue
        if frame is None:
            return frames, refused, at
        frames.append(wire.encode(frame))
        at += frame.wire_bytes
    return frames, refused, len(line)


def _count(row: Row, sent: tuple[bytes, bytes, bytes], line: bytes) -> None:
    frames, refused, _ = received(line)
    wrong = any(f not in sent for f in frames)
    whole = any(f in sent[:2] for f in frames)
    row.frames += 1
    row.wrong += wrong
    row.whole += whole and not wrong
    row.refused += bool(refused) and not whole and not wrong
    row.silent += not refused and not whole and not wrong
    row.in_step_at_once += sent[2] in frames
    row.in_step += received(sent[2])[0] == [sent[2]]  # silence drops what was left unfinished


def python_rows(program: Path, frames: int, seed: int, names: list[str]) -> list[Row]:
    """tinyrig.link.wire, which the host's session uses."""
    rows = [Row(name) for name in names]
    for kind, sent, line in _cases(program, frames, seed):
        _count(rows[kind], sent, line)
    return rows


def table(title: str, rows: list[Row]) -> str:
    """Plain text with a line of totals."""
    total = Row("all", *(sum(getattr(r, f.name) for r in rows) for f in fields(Row)[1:]))
    lines = [(title, *HEADINGS), *(astuple(r) for r in (*rows, total))]
    return "\n".join(f"{name:24}" + "".join(f"{n:>14}" for n in numbers) for name, *numbers in lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000_000, help="for the board's receiver")
    parser.add_argument("--python", type=int, default=1_000_000, help="for the host's codec, which is slower")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    program = build.false_accept(build.ROOT / "build/fuzz")
    start = time.monotonic()
    board = c_rows(program, arguments.frames, arguments.seed)
    between = time.monotonic()
    print(table("board (C)", board) + f"\n{between - start:.1f} s", flush=True)
    host = python_rows(program, arguments.python, arguments.seed, [r.kind for r in board])
    print(table("host (Python)", host) + f"\n{time.monotonic() - between:.1f} s", flush=True)
    print(table("outside the claim", c_rows(program, NESTED_FRAMES, arguments.seed, NESTED)))
    return 0 if all(r.good for r in (*board, *host)) else 1


if __name__ == "__main__":
    sys.exit(main())
