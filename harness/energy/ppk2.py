"""Nordic's Power Profiler Kit II, through ppk2-api, which is GPL-2.0: imported in the meter's own process only."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from tinyrig.energy.driver import Recording, Wiring
from tinyrig.energy.stream import SAMPLE_US, high, losses, saturated, words
from tinyrig.link.serial_link import when_free

LEAD_SAMPLES = 100
"""Before a span, for ppk2-api's filter of range changes to settle."""
POLL_S = 0.002
SETTLE_S = 0.1
"""Streamed before the first and after the last mark."""
SILENCE_S = 3.0
"""For a busy host to take what the meter had sent: half a second of it at most fits between the two."""


class Reader:
    """Reads what the meter sends, in a thread, until it is ended: 400 kB/s."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._chunks: list[bytes] = []
        self._end = threading.Event()
        self._failed: Exception | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while not self._end.is_set():
                if chunk := self._api.get_data():
                    self._chunks.append(chunk)
                else:
                    time.sleep(POLL_S)
        except Exception as error:  # the port is gone; reported when the recording is ended
            self._failed = error

    def stop(self) -> bytes:
        self._end.set()
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        return b"".join(self._chunks)


class Stream:
    """A Recording whose currents are computed where they are asked for: ppk2-api takes microseconds for each."""

    sample_us = SAMPLE_US

    def __init__(self, api: Any, raw: bytes, channel: int) -> None:
        self._api, self._words = api, words(raw)
        self.samples = len(self._words)
        self.trigger, self.lost = high(self._words, channel), losses(self._words)

    def currents_ua(self, start: int, end: int) -> np.ndarray:
        """By ppk2-api with the meter's calibration."""
        lead, api = max(0, start - LEAD_SAMPLES), self._api
        api.rolling_avg = api.rolling_avg4 = api.prev_range = None
        api.after_spike = api.consecutive_range_samples = 0
        api.remainder = {"sequence": b"", "len": 0}
        currents, _ = api.get_samples(self._words[lead:end].astype("<u4").tobytes())
        return np.asarray(currents[start - lead :], np.float64)

    def voltages_mv(self, start: int, end: int) -> np.ndarray | None:
        return None

    def saturated(self, start: int, end: int) -> bool:
        return saturated(self._words[start:end])


class Ppk2:
    """The meter does not go on streaming when it is closed. Raises RuntimeError where what answers is no PPK2."""

    title = "Power Profiler Kit II"

    def __init__(self, wiring: Wiring) -> None:
        from ppk2_api.ppk2_api import PPK2_API

        self.trigger_input = f"D{wiring.channel}"
        self._channel = wiring.channel
        self._reader: Reader | None = None
        self._api = when_free(lambda: PPK2_API(wiring.port, timeout=1, write_timeout=1, exclusive=True))
        self._api.stop_measuring()  # a run that was cut off may have left it streaming, and its samples are no text
        fall_silent(self._api)
        if not self._api.get_modifiers():
            raise RuntimeError("it does not report its calibration")
        if wiring.mode == "source":
            self._api.use_source_meter()
        else:
            self._api.use_ampere_meter()
        self._api.set_source_voltage(wiring.voltage_mv)
        if wiring.mode == "source":
            self._api.toggle_DUT_power("ON")

    def start(self) -> None:
        self._reader = Reader(self._api)
        self._api.start_measuring()
        time.sleep(SETTLE_S)

    def stop(self) -> Recording:
        assert self._reader is not None, "start() came before"
        time.sleep(SETTLE_S)
        self._api.stop_measuring()
        time.sleep(SETTLE_S)  # what is still under way
        raw, self._reader = self._reader.stop(), None
        return Stream(self._api, raw, self._channel)

    def close(self) -> None:
        self._api.stop_measuring()


def fall_silent(api: Any) -> None:
    """Drops what is still under way, until nothing came for SETTLE_S; the answers of a meter that does not stop give it away."""
    heard = started = time.monotonic()
    while time.monotonic() - heard < SETTLE_S and time.monotonic() - started < SILENCE_S:
        time.sleep(POLL_S)
        if api.get_data():
            heard = time.monotonic()
