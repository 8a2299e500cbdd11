"""A hostile MLPerf text device: values that are none, huge lines, escapes, times that run backwards, through `tinyrig run`."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tinyrig.mlperf.bench as bench
from tinyrig.mlperf.device import Times
from tinyrig.mlperf.fake import Firmware, FirmwareLine, tflite
from tinyrig.tests.adversary import invariants
from tinyrig.tests.adversary.attack import Attack, Attacker, Place
from tinyrig.tests.adversary.command import Command
from tinyrig.tests.adversary.port import Port
from tinyrig.tests.small_models import FEATURES, dense_int8

GOOD, CLAIM, USER, RIG = 0, 1, 2, 3
QUICK = Times(reply_s=0.6, hello_s=0.6, quiet_s=0.02, tries=6, inferences_s=2.0)
WORDS = ("run", "--model", "dense.tflite", "--windows", "own.npz", "--json", "out.json", "--no-report")
NO_NUMBERS = (
    b"nan",
    b"-nan",
    b"inf",
    b"-inf",
    b"1e999",
    b"-1e999",
    b"1e99999999999",
    b"NaN",
    b"0x1p3",
    b"1_0",
    b"",
    b"1..2",
    b"\xd9\xa1",
)
NUMBERS = (b"1e-999", b"-1", b"2.0", b"0", b"1e30", b"0.33333333333333333333", b"-0.0", b"9" * 400, b"1e300")
LAPS = (b"0", b"1", b"4294967295", b"4294967296", b"-5", b"nan", b"9" * 9, b"9" * 400, b"1e3")
TEXTS = (
    b"\x1b[2J\x1b]0;owned\x07",
    b"\x9b31m",
    b"[x]]",
    b"",
    b"%",
    b"\0\0",
    b"\xff\xfe",
    b"y" * 3000,
    b"[red]",
    b"a\rb",
    b"%s{0}",
)


@dataclass(frozen=True)
class Lie:
    """`form`: what of the replies is changed; group 1 is replaced. `codes`: who may be blamed then. `times`: of how many replies,
    from the `first` on."""

    said: str
    form: re.Pattern[bytes]
    change: Callable[[bytes], bytes]
    codes: tuple[int, ...]
    first: int = 0
    times: int = 10**9


_RESULT = re.compile(rb"m-results-\[[^\]]*?(-?\d+\.\d+)[,\]]")
_RESULTS = re.compile(rb"m-results-\[([^\]]*)\]")
_LAP = re.compile(rb"m-lap-us-(\d+)")
_TEXT = re.compile(rb"m-(?:name-dut|profile|model)-\[([^\]]*)\]")
_ANY = re.compile(rb"(m-[^\r\n]*)")


def results(place: Place) -> Lie:
    """One of the printed numbers."""
    value = place.pick((*NO_NUMBERS, *NUMBERS))
    return Lie(f"result {value[:20]!r}", _RESULT, lambda old: value, (CLAIM, RIG))


def lists(place: Place) -> Lie:
    """More, fewer or no numbers; a wrong count may be the model file's fault."""
    value = place.pick((b"", b"0.5", b"0.5," * 1000 + b"0.5", b",", b"0.1,,0.2", b"0.250," * 5))
    return Lie(f"results [{value[:20]!r}]", _RESULTS, lambda old: value, (CLAIM, USER, RIG))


def laps(place: Place) -> Lie:
    value, way = place.pick(LAPS), place.pick(("value", "backwards", "fast", "slow"))
    changes: dict[str, Callable[[bytes], bytes]] = {
        "value": lambda old: value,
        "backwards": lambda old: b"%d" % (2**32 - 1 - int(old) % 2**32),
        "fast": lambda old: b"%d" % (int(old) * 1000 % 2**32),
        "slow": lambda old: b"%d" % (int(old) // 1000),
    }
    return Lie(f"timestamp {way} {value[:12]!r}", _LAP, changes[way], (RIG,))


def texts(place: Place) -> Lie:
    value = place.pick(TEXTS)
    return Lie(f"text {value[:20]!r}", _TEXT, lambda old: value, (GOOD, USER, RIG))


def long_lines(place: Place) -> Lie:
    value = place.pick((b"m", b"m-results-[0.1,", b"\x1b[31m", b"\0")) * int(place.pick((5_000, 100_000, 300_000)))
    first = int(place.rng.integers(0, 60))
    return Lie(f"a line of {len(value)} bytes", _ANY, lambda old: value, (GOOD, RIG), first, place.pick((1, 3, 50)))


def noise(place: Place) -> Lie:
    value, first = place.rng.bytes(int(place.rng.integers(1, 200))), int(place.rng.integers(0, 60))
    return Lie(f"{len(value)} random bytes", _ANY, lambda old: old + b"\r\n" + value, (GOOD, RIG), first, place.pick((1, 20)))


def honest(place: Place) -> Lie:
    return Lie("no lie", _ANY, bytes, (GOOD,))


LIES: tuple[tuple[Callable[[Place], Lie], int], ...] = (
    (results, 5),
    (lists, 2),
    (laps, 4),
    (texts, 3),
    (long_lines, 2),
    (noise, 2),
    (honest, 1),
)
"""With their shares."""


class LyingFirmware(Firmware):
    """The fake's, with one lie in its replies."""

    lie = Lie("", _ANY, bytes, ())
    _seen = 0

    def boot(self) -> bytes:
        return self._changed(super().boot())

    def answer(self, text: str) -> Iterator[bytes]:
        yield from map(self._changed, super().answer(text))

    def _changed(self, reply: bytes) -> bytes:
        def replaced(found: re.Match[bytes]) -> bytes:
            self._seen += 1
            if not self.lie.first < self._seen <= self.lie.first + self.lie.times:
                return found.group()
            whole, (start, end) = found.group(), found.span(1)
            start, end = start - found.start(), end - found.start()
            return whole[:start] + self.lie.change(whole[start:end]) + whole[end:]

        return self.lie.form.sub(replaced, reply)


class PortLine(FirmwareLine):
    """Behind a port that may be left."""

    def __init__(self, port: Port, firmware: Firmware) -> None:
        super().__init__(-1, firmware, (), 0)
        self._port = port

    def serve_for(self, seconds: float) -> None:
        for byte in self._port.read(seconds):
            self._take(byte)

    def _send(self, data: bytes) -> None:
        self._port.write(data)


def computed() -> Callable[[bytes], np.ndarray]:
    """What the model prints for the bytes of a window."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "dense.tflite").write_bytes(dense_int8())
        compute = tflite(Path(folder) / "dense.tflite", "own01", "int8")
    compute(bytes(FEATURES))  # its process starts now: it is none of a command's
    return compute


def attacker() -> Attacker:
    compute = computed()

    def attack(place: Place) -> Attack:
        return tell(place, place.pick([lie for lie, share in LIES for _ in range(share)])(place), compute)

    return attack


def tell(place: Place, lie: Lie, compute: Callable[[bytes], np.ndarray]) -> Attack:
    """One run on a device that lies so."""
    folder = place.folder
    (folder / "dense.tflite").write_bytes(dense_int8())
    x = np.random.default_rng(5).integers(-128, 128, (6, FEATURES)).astype(np.int8)
    np.savez(folder / "own.npz", x=x, y=np.arange(6) % 4)
    firmware = LyingFirmware(compute, "own01", (), 200.0, 1)
    firmware.lie = lie
    with Port() as port:
        line = PortLine(port, firmware)
        command = Command(folder, *WORDS, f"--board=mlperf@{port.name}", prepare=_hurry)
        while not command.ended() and command.seconds < 60:
            line.serve_for(0.01)
        outcome = command.finish()
    faults = [*invariants.broken(outcome, lie.codes), *invariants.said_wrongly(folder / "out.json")]
    faults += invariants.stored_wrongly(folder / "results.sqlite")
    if outcome.code == RIG and invariants.metrics(folder / "results.sqlite"):
        faults.append("metrics were stored though the rig failed")
    return Attack(lie.said, tuple(faults))


def _hurry() -> None:
    """The rule and the deadlines are short, as in the tests of mlperf."""
    bench.Rule = functools.partial(bench.Rule, seconds=0.02)
    bench.Times = lambda: QUICK
