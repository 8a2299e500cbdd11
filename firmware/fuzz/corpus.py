"""Writes the seeds of the fuzz targets into corpus/: `python -m tinyrig.firmware.fuzz.corpus`.

They follow from vectors.json and tinyrig.link.wire alone, so a change of the wire format needs only this to be run again.
"""

from __future__ import annotations

import json
import struct
from itertools import count

from tinyrig.firmware.fuzz.build import CORPUS, FIRMWARE
from tinyrig.link import wire
from tinyrig.link.wire import Frame, RunFlag, Type

MAX_PAYLOAD = 512
"""Of the fuzzed board: build.SMALL."""
TWICE = 0x8000
ALL_FLAGS = RunFlag.INVOKE | RunFlag.STACK | RunFlag.PROFILE
FAIL, USE_ALL_STACK = 0x11, 0x22
"""First byte of toy_guarded's big input."""
BIG, BIG_BYTES, SMALL, EMPTY = 1, 1500, 0, 2
"""Tensors of toy_guarded."""
HELLO = Frame(Type.HELLO, 1)


def burst(*parts: Frame | bytes, twice: bool = False) -> bytes:
    """A burst of the loop's input (input.h): its bytes come without a pause, then the line is silent."""
    data = b"".join(p if isinstance(p, bytes) else wire.encode(p) for p in parts)
    return struct.pack("<H", len(data) | (TWICE if twice else 0)) + data


def requests(*payloads: tuple[Type | int, bytes]) -> bytes:
    """A hello, then each request in a burst of its own."""
    numbers = count(2)
    return burst(HELLO) + b"".join(burst(Frame(kind, next(numbers), payload)) for kind, payload in payloads)


def run(
    tensor: int = SMALL,
    offset: int = 0,
    data: bytes = b"",
    flags: RunFlag = RunFlag.NONE,
    io: bytes = bytes(8),
    big: bytes = bytes(BIG_BYTES),
) -> tuple[Type, bytes]:
    """`io` and `big` are what toy_guarded's inputs hold before."""
    inputs = {SMALL: bytearray(io), BIG: bytearray(big)}
    if tensor in inputs:
        inputs[tensor][offset : offset + len(data)] = data
    return Type.RUN, wire.run_payload(tensor, offset, data, flags, wire.tensors_crc([inputs[SMALL], inputs[BIG]]))


def read(tensor: int, offset: int, length: int) -> tuple[Type, bytes]:
    return Type.READ, wire.read_payload(tensor, offset, length)


def reboot(bootloader: bool) -> tuple[Type, bytes]:
    return Type.REBOOT, wire.reboot_payload(bootloader)


def damaged(frame: Frame, at: int) -> bytes:
    data = bytearray(wire.encode(frame))
    data[at] ^= 1
    return bytes(data)


ECHO = Frame(Type.ECHO, 2, b"TRTRT")
ECHO_BYTES = wire.encode(ECHO)
LONG = bytes(range(256)) * 3

INVOKE = run(flags=RunFlag.INVOKE, io=bytes(range(8)))[1]
AFTER_FAILURE = bytes([FAIL]) + bytes(BIG_BYTES - 1)
AFTER_STACK = bytes([USE_ALL_STACK]) + bytes(BIG_BYTES - 1)

LINES: dict[str, bytes] = {
    "nothing": b"",
    "hello": burst(HELLO, twice=True),
    "hello-of-another-version": burst(Frame(Type.HELLO, 1, version=9), Frame(Type.ECHO, 2, b"x", version=9)),
    "before-hello": burst(ECHO, twice=True),
    "echo-twice": burst(HELLO) + burst(ECHO, twice=True),
    "echo-longest": requests((Type.ECHO, LONG[:MAX_PAYLOAD])),
    "too-long": burst(HELLO) + burst(Frame(Type.ECHO, 2, LONG[: MAX_PAYLOAD + 1]), ECHO),
    "far-too-long": burst(HELLO) + burst(Frame(Type.ECHO, 2, LONG * 2), ECHO, twice=True),
    "silence-in-too-long": burst(HELLO) + burst(wire.encode(Frame(Type.ECHO, 2, LONG * 2))[:700]) + burst(ECHO),
    "longest-length-field": burst(HELLO) + burst(wire.encode(Frame(Type.ECHO, 2, LONG))[:12] + bytes(200)),
    "noise-before": burst(b"TRTR\x01\x02T", HELLO) + burst(b"TTTTTTTTTTTTTTTTTT", ECHO, bytes(16)),
    "silence-in-header": burst(HELLO) + burst(ECHO_BYTES[:5]) + burst(ECHO_BYTES[5:]) + burst(ECHO),
    "silence-after-first-byte": burst(HELLO) + burst(ECHO_BYTES[:1]) + burst(ECHO_BYTES[1:]) + burst(ECHO),
    "silence-in-payload": burst(HELLO) + burst(ECHO_BYTES[:18]) + burst(ECHO_BYTES[18:], ECHO),
    "without-pause": burst(HELLO, *[Frame(Type.ECHO, n, bytes([n] * n)) for n in range(2, 9)]),
    "damaged-header": burst(HELLO) + burst(damaged(ECHO, 8), ECHO),
    "damaged-payload": burst(HELLO) + burst(damaged(ECHO, 17), twice=True) + burst(ECHO, twice=True),
    "damaged-repetition": burst(HELLO) + burst(ECHO) + burst(damaged(ECHO, 20)) + burst(ECHO),
    "rest-of-another": burst(HELLO) + burst(ECHO_BYTES[:16] + wire.encode(Frame(Type.ECHO, 3, b"12345"))[16:]),
    "same-number-other-payload": burst(HELLO) + burst(ECHO) + burst(Frame(Type.ECHO, 2, b"other")) + burst(ECHO),
    "invoke": requests(run(data=bytes(range(8)), flags=ALL_FLAGS)),
    "invoke-twice": burst(HELLO) + burst(Frame(Type.RUN, 2, run(data=bytes(8), flags=RunFlag.INVOKE)[1]), twice=True),
    "invoke-without-data-twice": requests(run(data=bytes(range(8)))) + burst(Frame(Type.RUN, 3, INVOKE), twice=True),
    "invoke-without-data": requests(run(data=bytes(range(8))), (Type.RUN, INVOKE), read(0, 0, 8), read(3, 0, 4)),
    "big-tensor": requests(
        *[run(BIG, n, LONG[:500]) for n in (0, 500, 1000)], run(flags=ALL_FLAGS, big=LONG[:500] * 3), read(1, 988, 512)
    ),
    "operator-fails": requests(run(BIG, 0, bytes([FAIL]), RunFlag.INVOKE), run(flags=ALL_FLAGS, big=AFTER_FAILURE)),
    "all-stack-used": requests(
        run(BIG, 0, bytes([USE_ALL_STACK]), ALL_FLAGS), run(BIG, 0, b"\0", ALL_FLAGS, bytes([1] * 8), AFTER_STACK)
    ),
    "invoke-on-other-inputs": requests(run(flags=RunFlag.INVOKE, io=bytes([1] * 8)), run(flags=RunFlag.INVOKE)),
    "stale": requests(run(data=bytes(8)))
    + burst(Frame(Type.ECHO, 1, b"old"), twice=True)
    + burst(Frame(Type.ECHO, 0x9000, b"x")),
    "run-at-the-borders": requests(
        run(BIG, BIG_BYTES - 4, bytes(4)),
        run(BIG, BIG_BYTES - 3, bytes(4)),
        run(SMALL, 0, bytes(9)),
        run(BIG, 2**32 - 2, bytes(4)),
        run(EMPTY, 0, b"x"),
        run(3, 0, b"x"),
        run(255, 0, b"x"),
    ),
    "read-at-the-borders": requests(
        read(1, BIG_BYTES, 0),
        read(1, BIG_BYTES - 1, 2),
        read(1, 2**32 - 1, 2),
        read(2, 0, 0),
        read(1, 0, MAX_PAYLOAD),
        read(1, 0, MAX_PAYLOAD + 1),
        read(4, 0, 0),
        read(1, 4, 2**32 - 1),
    ),
    "wrong-lengths": requests(
        (Type.RUN, b"1234567"), (Type.READ, b"1"), (Type.READ, LONG[:13]), (Type.REBOOT, b"12"), (0x7F, b"")
    ),
    "reboot": requests(run(data=bytes(range(8))), reboot(False)) + burst(ECHO) + requests(read(0, 0, 8)),
    "reboot-into-bootloader": requests(run(data=bytes(range(8))), reboot(True)) + burst(HELLO),
    "reboot-in-a-burst": burst(HELLO, Frame(Type.REBOOT, 2, b"\0"), ECHO, HELLO, ECHO),
    "reboot-nowhere": requests((Type.REBOOT, b"\2"), (Type.REBOOT, b"")),
}


def codec_seeds() -> dict[str, bytes]:
    """The golden frames."""
    vectors = json.loads((FIRMWARE / "vectors.json").read_text())["vectors"]
    return {v["name"].replace(" ", "-").replace(":", "").replace(",", ""): bytes.fromhex(v["hex"]) for v in vectors}


def seeds() -> dict[str, bytes]:
    """Path below corpus/ -> content."""
    wires = {f"wire/seed-{name}": data for name, data in codec_seeds().items()}
    return wires | {f"loop/seed-{name}": data for name, data in LINES.items()}


def main() -> None:
    for old in CORPUS.glob("*/seed-*"):
        old.unlink()
    for path, data in seeds().items():
        (CORPUS / path).parent.mkdir(parents=True, exist_ok=True)
        (CORPUS / path).write_bytes(data)


if __name__ == "__main__":
    main()
