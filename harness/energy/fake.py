"""A Power Profiler Kit II behind a pty, as a process: `python -m tinyrig.energy.fake`. For tests and trials.

It answers the commands that ppk2-api sends, with a calibration that differs from the defaults, and streams 100,000 samples a
second: an idle current, and another while D0 is high. Each `1` that comes through the pipe --mark makes D0 high for a pulse of a
fixed length, so that the energy is known however busy the host is. It prints `port PATH` and ends with its standard input.
"""

from __future__ import annotations

import argparse
import math
import os
import select
import sys
import time
import tty

import numpy as np

AVERAGE_START, AVERAGE_STOP, GET_META_DATA = 0x06, 0x07, 0x19
ARGUMENTS = {0x0C: 1, 0x0D: 2, 0x11: 1}
"""Bytes that follow a command."""
RATE = 100_000
RANGE = 2
R, GS, GI, OFFSET, UG = 10.31, 0.9, 1.03, 21.0, 1.01
"""Of the calibration, of RANGE."""
ADC_STEP = 1.8 / 163_840
GAP_SAMPLES = 20
"""Low between two pulses."""
POLL_S = 0.004


def metadata() -> bytes:
    """As the meter prints it; S and I are 0."""
    lines = ["Calibrated: 0"]
    for name, value, neutral in (("R", R, 1.0), ("GS", GS, 1.0), ("GI", GI, 1.0), ("O", OFFSET, 0.0), ("UG", UG, 1.0)):
        lines += [f"{name}{i}: {value if i == RANGE else neutral}" for i in range(5)]
    lines += [f"{name}{i}: 0" for name in "SI" for i in range(5)]
    return "\n".join([*lines, "HW: 9173", "IA: 56", "END", ""]).encode()


def adc_of(ua: float) -> int:
    """The ADC's value for a current: the calibration backwards."""
    amperes = ua * 1e-6 / UG
    without_gain = (-GI + math.sqrt(GI * GI + 4 * GS * amperes)) / (2 * GS)
    return round((without_gain * R / ADC_STEP + OFFSET) / 4)


class Fake:
    """`faults`: deaf (reports no calibration), no-mark, saturated, lose (a sample in 1000), lose-once (in the first recording
    only), shift (the stream begins with half a sample)."""

    def __init__(self, master: int, marks: int, idle_ua: float, active_ua: float, pulse_us: float, faults: set[str]) -> None:
        self._master, self._marks, self._faults = master, marks, faults
        self._idle, self._active = adc_of(idle_ua), adc_of(active_ua)
        self._pulse = round(pulse_us * RATE / 1e6)
        self._started: float | None = None
        self._sent = self._counter = self._pulses = self._recordings = 0
        self._high_left = self._low_left = 0
        self._random = np.random.default_rng(0)
        self._pending = b""

    def serve(self) -> None:
        """Until the standard input ends."""
        inputs = [self._master, sys.stdin] + ([self._marks] if self._marks >= 0 else [])
        while True:
            ready, _, _ = select.select(inputs, [], [], POLL_S)
            if sys.stdin in ready and not os.read(sys.stdin.fileno(), 1):
                return
            if self._marks in ready:
                self._pulses += os.read(self._marks, 4096).count(b"1")
            if self._master in ready:
                self._commands(os.read(self._master, 4096))
            if self._started is not None:
                self._stream(int((time.monotonic() - self._started) * RATE) - self._sent)
            self._flush()

    def _commands(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            code = data[at]
            at += 1 + ARGUMENTS.get(code, 0)
            if code == GET_META_DATA and "deaf" not in self._faults:
                self._pending += metadata()
            elif code == AVERAGE_START:
                self._started, self._sent, self._pending = time.monotonic(), 0, b"\x01\x02" * ("shift" in self._faults)
                self._recordings += 1
            elif code == AVERAGE_STOP and self._started is not None:
                self._stream((self._pulses + 2) * (self._pulse + GAP_SAMPLES))
                self._started = None

    def _stream(self, count: int) -> None:
        """So many samples more."""
        levels = np.array([self._level() for _ in range(max(0, count))], bool)
        adc = np.where(levels, 0x3FFF if "saturated" in self._faults else self._active, self._idle).astype(np.uint32)
        spread = np.where(levels, 4 if "saturated" in self._faults else RANGE, RANGE).astype(np.uint32)
        counter = ((self._counter + np.arange(len(levels))) & 0x3F).astype(np.uint32)
        logic = np.where(levels & ("no-mark" not in self._faults), 1, 0).astype(np.uint32)
        words = adc | spread << 14 | counter << 18 | logic << 24
        self._counter += len(levels)
        self._sent += len(levels)
        if "lose" in self._faults or ("lose-once" in self._faults and self._recordings == 1):
            words = words[self._random.random(len(words)) > 1e-3]
        self._pending += words.astype("<u4").tobytes()

    def _level(self) -> bool:
        """Of D0 in the next sample."""
        if self._high_left:
            self._high_left -= 1
            return True
        if self._low_left:
            self._low_left -= 1
        elif self._pulses:
            self._pulses -= 1
            self._high_left, self._low_left = self._pulse - 1, GAP_SAMPLES
            return True
        return False

    def _flush(self) -> None:
        """What the host does not take yet is kept: nothing is lost unless it is asked for."""
        try:
            while self._pending:
                self._pending = self._pending[os.write(self._master, self._pending[:4096]) :]
        except BlockingIOError:
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mark", help="a named pipe whose 1s are pulses")
    parser.add_argument("--idle-ua", type=float, default=1500.0)
    parser.add_argument("--active-ua", type=float, default=6000.0)
    parser.add_argument("--pulse-us", type=float, default=500.0)
    parser.add_argument("--fault", action="append", default=[], help=Fake.__doc__)
    a = parser.parse_args()
    marks = os.open(a.mark, os.O_RDWR | os.O_NONBLOCK) if a.mark else -1  # read and write: it never ends
    master, slave = os.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    print(f"port {os.ttyname(slave)}", flush=True)
    Fake(master, marks, a.idle_ua, a.active_ua, a.pulse_us, set(a.fault)).serve()


if __name__ == "__main__":
    main()
