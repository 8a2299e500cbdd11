"""A board with an MLPerf Tiny firmware behind a pty, as a process: `python -m tinyrig.mlperf.fake`. For tests and trials.

It answers as the reference firmwares do, byte for byte of the protocol, and computes its results from the bytes that were loaded:
by a .tflite and the oracle, or by a seeded linear layer. `FirmwareFault`s are injected into its line and its replies. It prints
`port PATH` and ends with its standard input.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.host.helper import end_with_input
from tinyrig.mlperf.forms import oracle_input, oracle_results, read_graph
from tinyrig.workload.oracle import ORACLES

COMMAND_BYTES = 80
FIRMWARE = "ULPMark for tinyML Firmware V0.0.1"
BUFFER_BYTES = 32 * 1024
FIRST_US = 4_294_000_000
"""Its timer begins so that it wraps within a second."""
LATE_S = 0.8
ODD_WORDS = {"nan": "nan", "inf": "-inf", "huge": "1e999", "zeros": "0e999"}


@dataclass(frozen=True)
class FirmwareFault:
    """`kind:value` on the command line.

    With probability P drop-in:P and drop-out:P lose a byte, garbage:P sends noise before a reply, late:P holds it back for 0.8 s,
    mute:P sends none, unknown:P takes a command for an unknown one, reboot:P restarts in the middle. silent answers nothing;
    energy prints no timestamps; no-print, no-results lack those commands; constant prints one result for all windows; nan, inf,
    huge and zeros print nan, -inf, 1e999 and 0e999 in the place of the second result; escape puts a terminal's into its name.
    """

    kind: str
    value: float = 0.0

    @staticmethod
    def parse(text: str) -> FirmwareFault:
        kind, _, value = text.partition(":")
        return FirmwareFault(kind, float(value or 0))


def linear(results: int, seed: int) -> Callable[[bytes], np.ndarray]:
    """Softmax of a seeded linear layer over the loaded bytes."""

    def run(data: bytes) -> np.ndarray:
        x = np.frombuffer(data, np.int8).astype(np.float64) / 128
        logits = np.random.default_rng(seed).normal(size=(results, len(x))) @ x
        powers = np.exp(logits - logits.max())
        return np.asarray(powers / powers.sum())

    return run


def tflite(path: Path, model: str, dtype: str) -> Callable[[bytes], np.ndarray]:
    """What a reference firmware with this model prints, before rounding."""
    data = path.read_bytes()
    graph, oracle = read_graph(data, path), ORACLES["tflm"](data)

    def run(loaded: bytes) -> np.ndarray:
        window = np.frombuffer(loaded, np.dtype(dtype).newbyteorder("<")).astype(dtype)
        return oracle_results(graph, model, window, oracle.run([oracle_input(graph, window)])[0])

    return run


class Firmware:
    """Commands -> replies. `compute` gives the results of loaded bytes; `invoke_us` what one inference takes in all."""

    def __init__(
        self,
        compute: Callable[[bytes], np.ndarray],
        model: str,
        faults: tuple[FirmwareFault, ...],
        invoke_us: float,
        tick_us: int,
    ) -> None:
        self._compute, self._model, self._invoke_us, self._tick_us = compute, model, invoke_us, tick_us
        self._faults = {fault.kind: fault.value for fault in faults}
        self._buffer, self._size, self._at = bytearray(BUFFER_BYTES), 0, 0
        self._results: np.ndarray | None = None
        self._started = time.monotonic()

    def boot(self) -> bytes:
        self._size = self._at = 0
        mode = "energy" if "energy" in self._faults else "performance"
        return f"m-timestamp-mode-{mode}\r\n".encode() + self._lap() + b"m-init-done\r\nm-ready\r\n"

    def answer(self, text: str) -> Iterator[bytes]:
        """The reply, in pieces as time passes."""
        words = text.split()
        name, rest = (words[0], words[1:]) if words else ("", [])
        if name == "name":
            yield b"m-name-dut-[\x1b[2Jfake]\r\n" if "escape" in self._faults else b"m-name-dut-[fake]\r\n"
        elif name == "timestamp":
            yield self._lap()
        elif name == "profile":
            yield f"m-profile-[{FIRMWARE}]\r\nm-model-[{self._model}]\r\n".encode()
        elif name == "db":
            yield self._db(rest)
        elif name == "infer":
            yield from self._infer(rest)
        elif name == "results" and "no-results" not in self._faults:
            yield self._printed()
        else:
            yield f"e-[Unknown command: {name}]\r\n".encode()
        yield b"m-ready\r\n"

    def _lap(self) -> bytes:
        if "energy" in self._faults:
            return b""
        us = int((time.monotonic() - self._started) * 1e6) + FIRST_US
        return f"m-lap-us-{us // self._tick_us * self._tick_us % (1 << 32)}\r\n".encode()

    def _db(self, words: list[str]) -> bytes:
        if not words:
            return b"e-[Command 'db' requires a subcommand]\r\n"
        if words[0] == "load":
            return self._load(words[1] if len(words) > 1 else "")
        if words[0] == "print" and "no-print" not in self._faults:
            rows = [self._buffer[i : min(i + 8, self._size)] for i in range(0, self._size, 8)]
            return b"".join(b"m-buffer-" + row.hex("-").encode() + b"\r\n" for row in rows) + b"\r\n" * bool(self._size % 8)
        return self._digits(words[0])

    def _load(self, word: str) -> bytes:
        found = re.match(r"\d+", word)  # as C's atoi: what follows the digits is no matter
        size = int(found.group()) if found else 0
        if not size:
            return b"e-[Command 'db load' must be >0 bytes]\r\n"
        self._size, self._at = size, 0
        if size > BUFFER_BYTES:
            return f"Supplied buffer size {size} exceeds maximum of {BUFFER_BYTES}\n".encode()
        return f"m-[Expecting {size} bytes]\r\n".encode()

    def _digits(self, digits: str) -> bytes:
        if len(digits) % 2:
            return b"e-[Insufficent number of hex digits]\r\n"
        for i in range(0, len(digits), 2):
            pair = digits[i : i + 2]
            if not re.fullmatch("[0-9a-fA-F]{2}", pair):
                return f"e-[Invalid hex digit '{pair}']\r\n".encode()
            self._buffer[self._at % BUFFER_BYTES] = int(pair, 16)
            self._at += 1
            if self._at == self._size:
                return b"m-load-done\r\n"
        return b""

    def _infer(self, words: list[str]) -> Iterator[bytes]:
        count, warmups = (int(word) if word.isdigit() else 0 for word in [*words, "10"][:2])
        if count <= 0:
            yield b"e-[Inference iterations must be >0]\r\n"
            return
        data = bytes(self._size if "constant" in self._faults else self._buffer[: self._size])
        yield f"m-warmup-start-{warmups}\r\nm-warmup-done\r\nm-infer-start-{count}\r\n".encode()
        self._results = self._compute(data)  # all of them give the same; their time is the one that was asked for
        yield self._lap()
        time.sleep(count * self._invoke_us * 1e-6)
        yield self._lap()
        yield b"m-infer-done\r\n" + self._printed()

    def _printed(self) -> bytes:
        values = [0.0] if self._results is None else self._results
        words = [f"{v:.3f}" for v in values]
        words[1:2] = [word for kind, word in ODD_WORDS.items() if kind in self._faults] or words[1:2]
        return f"m-results-[{','.join(words)}]\r\n".encode()


class FirmwareLine:
    """The firmware behind a pty, with the faults of its line."""

    def __init__(self, master: int, firmware: Firmware, faults: tuple[FirmwareFault, ...], seed: int) -> None:
        self._master, self._firmware = master, firmware
        self._faults = {fault.kind: fault.value for fault in faults}
        self._random = random.Random(seed)
        self._command = bytearray()

    def serve(self) -> None:
        """For ever."""
        self._send(self._firmware.boot())
        while True:
            for byte in os.read(self._master, 4096):
                if self._random.random() >= self._faults.get("drop-in", 0):
                    self._take(byte)

    def _take(self, byte: int) -> None:
        if byte != ord("%"):
            self._command += bytes([byte][: COMMAND_BYTES - len(self._command)])
            return
        text = self._command.decode("ascii", "replace")
        self._command.clear()
        if "silent" in self._faults or self._hit("mute"):
            return
        if self._hit("late"):
            time.sleep(LATE_S)
        if self._hit("garbage"):
            self._send(self._random.randbytes(40))
        reboot = self._hit("reboot")
        for i, piece in enumerate(self._firmware.answer("?" if self._hit("unknown") else text)):
            if reboot and i == (2 if text.startswith("infer") else 0):
                self._send(self._firmware.boot())
                return
            self._send(piece)

    def _hit(self, kind: str) -> bool:
        return self._random.random() < self._faults.get(kind, 0)

    def _send(self, data: bytes) -> None:
        kept = bytes(b for b in data if self._random.random() >= self._faults.get("drop-out", 0))
        while kept:
            kept = kept[os.write(self._master, kept) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tflite", type=Path, help="the model to run (default: a seeded linear layer)")
    parser.add_argument("--dtype", default="int8", help="dtype of the loaded windows")
    parser.add_argument("--model", default="kws01", help="the model name it reports")
    parser.add_argument("--results", type=int, default=4, help="number of results that the linear layer prints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--invoke-us", type=float, default=200.0, help="time of one inference, in us")
    parser.add_argument("--tick-us", type=int, default=1, help="step of its timestamps, in us")
    parser.add_argument("--fault", action="append", default=[], type=FirmwareFault.parse, help=FirmwareFault.__doc__)
    parser.add_argument("--fault-seed", type=int, default=0)
    a = parser.parse_args()
    end_with_input()  # also where nobody reads what it sends
    compute = tflite(a.tflite, a.model, a.dtype) if a.tflite else linear(a.results, a.seed)
    faults = tuple(a.fault)
    master, slave = os.openpty()
    tty.setraw(slave)
    print(f"port {os.ttyname(slave)}", flush=True)
    FirmwareLine(master, Firmware(compute, a.model, faults, a.invoke_us, a.tick_us), faults, a.fault_seed).serve()


if __name__ == "__main__":
    main()
