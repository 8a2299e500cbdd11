"""ppk2-api in a process of its own: `python -m tinyrig.energy.worker PORT MODE VOLTAGE_MV CHANNEL`.

Of its own for two reasons: the meter sends 400 kB/s that must be read whatever the rig does meanwhile, and ppk2-api is GPL-2.0.
Lines of JSON on standard input: {"do": "start"}, {"do": "stop", "file": FILE}; each is answered by one, after one that says
that the meter is ready. FILE becomes an .npz of `currents_ua` of all marked spans one after another, and `lengths` of each.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from typing import Any

import numpy as np

from tinyrig.energy.stream import losses, saturated, spans, words
from tinyrig.host.signals import exit_status, terminable
from tinyrig.link.serial_link import when_free

LEAD_SAMPLES = 100
"""Before a span, for ppk2-api's filter of range changes to settle."""
POLL_S = 0.002
SETTLE_S = 0.1
"""Streamed before the first and after the last mark."""


SILENCE_S = 3.0
"""For a busy host to take what the meter had sent: half a second of it at most fits between the two."""


class Recording:
    """Reads what the meter sends, in a thread, until it is ended."""

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


def convert(api: Any, samples: np.ndarray, start: int, end: int) -> list[float]:
    """Currents in uA of samples `start` to `end`, by ppk2-api with the meter's calibration."""
    lead = max(0, start - LEAD_SAMPLES)
    api.rolling_avg = api.rolling_avg4 = api.prev_range = None
    api.after_spike = api.consecutive_range_samples = 0
    api.remainder = {"sequence": b"", "len": 0}
    currents, _ = api.get_samples(samples[lead:end].astype("<u4").tobytes())
    found: list[float] = currents[start - lead :]
    return found


def analyse(api: Any, raw: bytes, channel: int, file: str) -> dict[str, Any]:
    """What a recording holds, and the currents of its marked spans into `file`."""
    samples = words(raw)
    found, missing = spans(samples, channel), losses(samples)
    whole = [s for s in found if not np.any((missing >= s.start) & (missing <= s.end))]
    currents = [convert(api, samples, s.start, s.end) for s in whole]
    joined, lengths = [ua for span in currents for ua in span], [len(span) for span in currents]
    np.savez(file, currents_ua=np.asarray(joined), lengths=np.asarray(lengths))
    return {
        "samples": len(samples),
        "marks": len(found),
        "damaged": len(found) - len(whole),
        "losses": len(missing),
        "saturated": any(saturated(samples[s.start : s.end]) for s in found),
    }


def fall_silent(api: Any) -> None:
    """Drops what is still under way, until nothing came for SETTLE_S; the answers of a meter that does not stop give it away."""
    heard = started = time.monotonic()
    while time.monotonic() - heard < SETTLE_S and time.monotonic() - started < SILENCE_S:
        time.sleep(POLL_S)
        if api.get_data():
            heard = time.monotonic()


def open_meter(port: str, mode: str, voltage_mv: int) -> Any:
    """Raises RuntimeError where what answers is no PPK2."""
    from ppk2_api.ppk2_api import PPK2_API

    api = when_free(lambda: PPK2_API(port, timeout=1, write_timeout=1, exclusive=True))
    api.stop_measuring()  # a run that was cut off may have left it streaming, and its samples are no text
    fall_silent(api)
    if not api.get_modifiers():
        raise RuntimeError("it does not report its calibration")
    if mode == "source":
        api.use_source_meter()
    else:
        api.use_ampere_meter()
    api.set_source_voltage(voltage_mv)
    if mode == "source":
        api.toggle_DUT_power("ON")
    return api


def serve(port: str, mode: str, voltage_mv: int, channel: int) -> None:
    """Until the standard input ends; the meter does not go on streaming, also where a signal ends this."""
    api = open_meter(port, mode, voltage_mv)
    try:
        answer_requests(api, channel)
    finally:
        api.stop_measuring()


def answer_requests(api: Any, channel: int) -> None:
    say({"ready": True})
    recording: Recording | None = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "start":
            recording = Recording(api)
            api.start_measuring()
            time.sleep(SETTLE_S)
            say({"started": True})
        elif request["do"] == "stop" and recording is not None:
            time.sleep(SETTLE_S)
            api.stop_measuring()
            time.sleep(SETTLE_S)  # what is still under way
            raw, recording = recording.stop(), None
            say(analyse(api, raw, channel, request["file"]))


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main(port: str, mode: str, voltage_mv: str, channel: str) -> int:
    """-> exit code: 0, also after what was told, or 128 and the number of the signal that ended it."""
    with contextlib.suppress(BrokenPipeError):  # the rig is gone
        try:
            with terminable():
                serve(port, mode, int(voltage_mv), int(channel))
        except ImportError as lacking:
            say({"lacking": str(lacking)})
        except KeyboardInterrupt as interruption:
            return exit_status(interruption)
        except Exception as failure:  # whatever ppk2-api and pyserial raise is reported to the rig, which words it
            say({"failed": f"{type(failure).__name__}: {failure}"})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
