"""Joulescope JS110 and JS220, through the package joulescope. Not yet seen with a real meter.

Current and voltage are measured, so [energy] voltage_mv does not count. The trigger goes to general purpose input 0 (JS110: IN0),
whose level a JS110 sends in the least significant bit of each current sample once it is asked to, or to input 1, which travels
with the voltage; the package gives both names to a JS220's inputs too. Source: the documentation of the package's parameters and
of StreamBuffer.samples_get, joulescope 1.5.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import numpy as np

from tinyrig.energy.driver import Recording, Trace, Wiring

SETTLE_S = 0.2
"""Streamed before the first and after the last mark."""
FIELDS = ("current_lsb", "voltage_lsb")
"""Of input 0 and input 1."""


class Joulescope:
    """`port` is empty for the only one, else a part of its name, such as the serial number. Raises RuntimeError."""

    title = "Joulescope"

    def __init__(self, wiring: Wiring) -> None:
        import joulescope

        if wiring.mode != "ampere":
            raise RuntimeError('it supplies nothing: mode = "ampere"')
        if wiring.channel >= len(FIELDS):
            raise RuntimeError(f"the trigger must go to its input 0 or 1, not {wiring.channel}")
        self.trigger_input, self._field = f"IN{wiring.channel}", FIELDS[wiring.channel]
        found = [d for d in joulescope.scan(config="auto") if wiring.port in str(d)]
        if len(found) != 1:
            names = ", ".join(map(str, found)) or "none"
            raise RuntimeError(f"one must be attached, or [energy] port name its serial number; found: {names}")
        self._device: Any = found[0]
        self._device.open()
        with contextlib.suppress(KeyError):  # a JS220 has no such parameter: its inputs always travel
            self._device.parameter_set(self._field, f"gpi{wiring.channel}")

    def start(self) -> None:
        self._device.start()
        time.sleep(SETTLE_S)

    def stop(self) -> Recording:
        time.sleep(SETTLE_S)
        self._device.stop()
        buffer = self._device.stream_buffer
        first, last = buffer.sample_id_range
        if last - first >= len(buffer):
            raise RuntimeError(f"the recording is longer than its buffer of {buffer.buffer_duration:g} s: reduce `repeats`")
        got = buffer.samples_get(first, last, fields=["current", "voltage", self._field])["signals"]
        amperes, volts = (np.asarray(got[name]["value"], np.float64) for name in ("current", "voltage"))
        lost = np.flatnonzero(np.isnan(amperes))  # a sample that did not arrive is NaN
        trigger = np.asarray(got[self._field]["value"]) > 0
        return Trace(1e6 / float(buffer.output_sampling_frequency), amperes * 1e6, trigger, volts * 1e3, lost)

    def close(self) -> None:
        self._device.stop()
        self._device.close()
