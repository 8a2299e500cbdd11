"""A hostile board: replies with good checksums whose values are drawn at and beyond all bounds, through `tinyrig run`."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config
from tinyrig.core.records import Image
from tinyrig.link import clock_check, wire
from tinyrig.link.wire import RunReply, Status
from tinyrig.measure.variant import compile_for
from tinyrig.tests import small_models, user_home
from tinyrig.tests.adversary import invariants
from tinyrig.tests.adversary.attack import Attack, Attacker, Place
from tinyrig.tests.adversary.command import Command, Outcome
from tinyrig.tests.adversary.hostile_board import HostileBoard, Lies, with_field, with_tensor
from tinyrig.tests.adversary.port import Port
from tinyrig.workload.oracle import TflmOracle
from tinyrig.workload.windows import load_windows

TARGETS = ("virtual", "nano33ble-uart", "nucleo-f401re")
CYCLES = 1569
"""What the real engine takes for this model, estimated."""
IMPOSSIBLE_S = 5.0
"""An inference that the fake answers at once can't have taken so long, however busy this machine is."""
U32 = 2**32 - 1
GOOD, CLAIM, USER, RIG = 0, 1, 2, 3
HOSTILE_TEXT = (b"\x1b[2J\x1b]0;owned\x07", b"\xff\xfe\x00\x01", b"a\nb\r\tc", b"\x9b31m", b"%s%n{0}", b"", b"[red]x[/red]\\")
LIMITS = {"TINYRIG_LIMITS_FLASH_S": "6", "TINYRIG_LIMITS_HELLO_S": "2", "TINYRIG_LIMITS_WINDOW_S": "6"}


@dataclass(frozen=True)
class Scene:
    """What the lies are drawn for."""

    place: Place
    target: str
    image: Image

    @property
    def clock_hz(self) -> int:
        return BOARDS[self.target].clock_hz


@dataclass(frozen=True)
class Draw:
    """A lie and who is to blame: exit code 3 and nothing stored where the value is `impossible`, otherwise any of `codes`."""

    said: str
    lies: Lies
    impossible: bool
    codes: tuple[int, ...] = (GOOD, RIG)


def _edge(scene: Scene, near: int) -> int:
    edges = (0, 1, 2, 100, near * 10, near // 100, near + 1, 2**16, 2**20, 2**24, 2**28, 2**31 - 1, 2**31, U32 - 1, U32)
    return scene.place.pick(edges) if scene.place.rng.random() < 0.8 else int(scene.place.rng.integers(2**32))


def cycles(scene: Scene) -> Draw:
    value, seldom = _edge(scene, CYCLES), scene.place.pick((0, 0, 2, 5))
    impossible = value < len(scene.image.ops) or value / scene.clock_hz > IMPOSSIBLE_S
    lies = Lies(reply=lambda reply: dataclasses.replace(reply, cycles=value), seldom=seldom)
    return Draw(f"{value} cycles, every {seldom or 1}th", lies, impossible)


def stack(scene: Scene) -> Draw:
    value = _edge(scene, 76)

    def lie(reply: RunReply) -> RunReply:
        return reply if reply.stack_bytes is None else dataclasses.replace(reply, stack_bytes=value)

    return Draw(f"a stack of {value} bytes", Lies(reply=lie), value > BOARDS[scene.target].ram_bytes)


def op_cycles(scene: Scene) -> Draw:
    value, at = _edge(scene, CYCLES // 2), int(scene.place.rng.integers(len(scene.image.ops)))

    def lie(reply: RunReply) -> RunReply:
        ops = tuple(value if i == at else v for i, v in enumerate(reply.op_cycles))
        return dataclasses.replace(reply, op_cycles=ops)

    return Draw(f"op {at} of {value} cycles", Lies(reply=lie), value > 2 * CYCLES)


def op_count(scene: Scene) -> Draw:
    count = scene.place.pick((0, 1, 2, 5, 255))
    lies = Lies(reply=lambda reply: dataclasses.replace(reply, op_cycles=reply.op_cycles[:1] * count))
    return Draw(f"a profile of {count} ops", lies, count != len(scene.image.ops))


def reply_frame(scene: Scene) -> Draw:
    """Flags and checksums of another inference."""
    value = _edge(scene, 0)
    field = scene.place.pick(("flags", "inputs_crc", "outputs_crc"))
    value = value & 0xFF if field == "flags" else value
    lies = Lies(reply=lambda reply: dataclasses.replace(reply, **{field: type(getattr(reply, field))(value)}))
    return Draw(f"{field} {value}", lies, False)


def outputs(scene: Scene) -> Draw:
    """Other outputs, with the checksum that they have: the claim fails, or the board does not repeat itself."""
    seldom, flip = scene.place.pick((0, 3, 7)), int(scene.place.rng.integers(1, 256))

    def lie(reply: RunReply) -> RunReply:
        wrong = bytes(b ^ flip for b in reply.outputs or b"")
        return dataclasses.replace(reply, outputs=wrong, outputs_crc=wire.tensors_crc([wrong]))

    return Draw(f"outputs flipped by {flip:#x}, every {seldom or 1}th", Lies(reply=lie, seldom=seldom), False, (CLAIM, RIG))


HELLO_FIELDS = {"wire_version": 0, "clock_hz": 5, "max_payload": 6, "arena_bytes": 7, "timer_overhead": 8, "op_count": 10}


def hello_number(scene: Scene) -> Draw:
    name = scene.place.pick(tuple(HELLO_FIELDS))
    clock = scene.clock_hz
    near = {"clock_hz": clock, "max_payload": 4096, "wire_version": wire.VERSION}.get(name, 50)
    value = (
        scene.place.pick((1, 1_000_000, 128_000_000, clock * 2)) if name == "clock_hz" and scene.place.rng.random() < 0.5 else 0
    )
    value = value or _edge(scene, near)
    value &= {"wire_version": 0xFFFF, "op_count": 0xFFFF}.get(name, U32)
    arena = scene.image.footprint.ram_arena if scene.image.footprint else 0
    impossible = {
        "wire_version": value != wire.VERSION,
        "clock_hz": abs(value / clock - 1) > 0.1,
        "max_payload": not wire.RUN_BYTES < value <= wire.MAX_PAYLOAD_LIMIT,
        "arena_bytes": value != arena,
        "timer_overhead": value > 1_000_000,
        "op_count": value != len(scene.image.ops),
    }[name]
    return Draw(f"hello's {name} {value}", Lies(hello=with_field(HELLO_FIELDS[name], value)), impossible)


def hello_text(scene: Scene) -> Draw:
    """Engine and board name; the first must be the image's."""
    index, text = scene.place.pick((13, 14)), scene.place.pick(HOSTILE_TEXT)
    return Draw(f"hello's text {index} {text!r}", Lies(hello=with_field(index, text[:16])), index == 13)


def hello_identity(scene: Scene) -> Draw:
    """Another build, model or board; the first two ask to be flashed, which nobody here obeys."""
    index, size = scene.place.pick(((2, 16), (3, 32), (4, 8)))
    value = scene.place.rng.bytes(size)
    return Draw(f"hello's field {index} {value.hex()}", Lies(hello=with_field(index, value)), index != 4)


def hello_tensor(scene: Scene) -> Draw:
    spec, rng = scene.image.inputs[0], scene.place.rng
    changes: dict[str, Any] = {
        "shape": scene.place.pick([(0,), (1, U32), (U32,) * 6, (), (1, small_models.FEATURES + 1)]),
        "scale": scene.place.pick((float("nan"), float("inf"), -1.0, 0.0, 1e-45, 3e38)),
        "zero_point": int(rng.integers(-(2**31), 2**31)),
        "dtype": scene.place.pick(("float32", "int64", "bool")),
    }
    name = scene.place.pick(tuple(changes))
    lies = Lies(hello=with_tensor(int(rng.integers(2)), dataclasses.replace(spec, **{name: changes[name]})))
    return Draw(f"a tensor's {name} {changes[name]}", lies, True)


def hello_bytes(scene: Scene) -> Draw:
    """A hello of another length, or with any byte changed."""
    rng = scene.place.rng
    cut, at, value = int(rng.integers(-40, 40)), int(rng.integers(wire.HELLO_BYTES)), int(rng.integers(256))

    def lie(payload: bytes) -> bytes:
        changed = payload[:at] + bytes([value]) + payload[at + 1 :]
        return changed[:cut] if cut < 0 else changed + bytes(cut)

    return Draw(f"hello {cut:+d} bytes, byte {at} = {value}", Lies(hello=lie), cut != 0)


def fault_record(scene: Scene) -> Draw:
    words = [_edge(scene, 0x10000) for _ in range(wire.FAULT_WORDS)]
    words[0] = scene.place.pick((0, 1, 2, 3, 4, U32))
    data = struct.pack(f"<{wire.FAULT_WORDS}I", *words)[: scene.place.pick((4 * wire.FAULT_WORDS, 4 * wire.FAULT_WORDS, 7))]
    return Draw(f"fault record {data[:16].hex()}...", Lies(fault=data), False)


def refusal(scene: Scene) -> Draw:
    status = scene.place.pick((*list(Status)[1:], 11, 200, 0xFFFF))
    text = scene.place.pick((*HOSTILE_TEXT, b"x" * 4000))
    return Draw(f"refusal {int(status)} {text[:20]!r}", Lies(refusal=(int(status), text)), True)


def counter(scene: Scene) -> Draw:
    way = scene.place.pick(("still", "backwards", "double", "random"))
    lie: dict[str, Callable[[int], int]] = {
        "still": lambda cycles: 7,
        "backwards": lambda cycles: -cycles,
        "double": lambda cycles: 2 * cycles,
        "random": lambda cycles: int(scene.place.rng.integers(2**32)),
    }
    return Draw(f"a counter that goes {way}", Lies(clock=lie[way]), False)


def honest(scene: Scene) -> Draw:
    """Proves that the fake itself is believed."""
    return Draw("no lie", Lies(), False, (GOOD,))


LIES: tuple[tuple[Callable[[Scene], Draw], int], ...] = (
    (cycles, 6),
    (stack, 3),
    (op_cycles, 3),
    (op_count, 1),
    (reply_frame, 1),
    (outputs, 2),
    (hello_number, 6),
    (hello_text, 2),
    (hello_identity, 1),
    (hello_tensor, 2),
    (hello_bytes, 1),
    (fault_record, 2),
    (refusal, 2),
    (counter, 1),
    (honest, 1),
)
"""With their shares."""


def attacker() -> Attacker:
    images = {name: compile_for(small_models.dense_int8(), BOARDS[name], Config()) for name in TARGETS}

    def attack(place: Place) -> Attack:
        lies = [lie for lie, share in LIES for _ in range(share)]
        target = place.pick(TARGETS)
        return tell(Scene(place, target, images[target]), place.pick(lies))

    return attack


def tell(scene: Scene, lie: Callable[[Scene], Draw]) -> Attack:
    """One run on a board that lies so."""
    draw, folder = lie(scene), user_home.furnish(scene.place.folder)
    outcome = run(scene, draw.lies, folder)
    allowed = (RIG,) if draw.impossible else draw.codes
    faults = [*invariants.broken(outcome, allowed), *invariants.said_wrongly(folder / "out.json")]
    faults += invariants.stored_wrongly(folder / "results.sqlite")
    stored = invariants.metrics(folder / "results.sqlite")
    if draw.impossible and stored:
        faults.append(f"an impossible value was stored as {len(stored)} metrics")
    if stored.get("latency_us_median", 0.0) > 1e6 * IMPOSSIBLE_S:
        faults.append(f"a latency of {stored['latency_us_median']} us is stored")
    return Attack(f"{lie.__name__} on {scene.target}: {draw.said}", tuple(faults))


def run(scene: Scene, lies: Lies, folder: Path) -> Outcome:
    board = BOARDS[scene.target]
    answers = _answers(scene.image, folder / "windows.npz")
    with Port() as port:
        hostile = HostileBoard(port, scene.image, board, answers, CYCLES, lies)
        words = ("run", f"--board={scene.target}@{port.name}", *user_home.MODEL, "--no-report", "--json", "out.json")
        command = Command(folder, *words, prepare=_hurry, TINYRIG_REPEATS="6", **LIMITS)
        while not command.ended() and command.seconds < 60:
            hostile.serve(0.01)
        return command.finish()


def _hurry() -> None:
    """A clock is watched for a shorter time."""
    clock_check.LEAST_S = 0.2


_KNOWN: dict[str, dict[bytes, bytes]] = {}


def _answers(image: Image, windows: Path) -> dict[bytes, bytes]:
    """The oracle's, for the bytes of each window."""
    if image.build_id not in _KNOWN:
        oracle = TflmOracle(small_models.dense_int8())
        inputs = load_windows(windows, image.inputs).inputs
        _KNOWN[image.build_id] = {w[0].tobytes(): np.asarray(oracle.run(list(w))[0]).tobytes() for w in inputs}
    return _KNOWN[image.build_id]
