"""Qoitech's Otii Arc and Ace, through the TCP server of the Otii application. Not yet seen with a real meter.

Requests and replies are lines of JSON that end in CR LF; the application must be logged in to a license that allows automation.
The trigger goes to digital input 1 (GPI1) or 2; its changes are time-stamped, its level is not sampled. An Arc samples current at
4 kHz: an inference shorter than a millisecond can't be measured with it. Source: the Otii TCP server's documentation (Qoitech).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import time
from typing import Any

import numpy as np

from tinyrig.energy.driver import Recording, Trace, Wiring

SERVER = ("127.0.0.1", 1905)
ANSWER_S = 15.0
SETTLE_S = 0.2
"""Recorded before the first and after the last mark."""
PIECE = 40_000
"""Samples that one request fetches."""
CURRENT, VOLTAGE, INPUTS = "mc", "mv", ("i1", "i2")
"""Channels: main current (A), main voltage (V), digital inputs."""


class Server:
    """The dialogue. Raises RuntimeError for an answer that is an error, OSError."""

    def __init__(self, port: str) -> None:
        host, _, number = port.rpartition(":")
        address = (host, int(number)) if port else SERVER
        self._socket = socket.create_connection(address, ANSWER_S)
        self._file = self._socket.makefile("rwb")
        self._numbers = itertools.count(1)
        if (greeting := self._line()).get("info") != "connected":
            raise RuntimeError(f"it greets with {greeting!r:.80}, not as an Otii server")

    def ask(self, command: str, **data: Any) -> dict[str, Any]:
        number = str(next(self._numbers))
        request = {"type": "request", "cmd": command, "trans_id": number} | ({"data": data} if data else {})
        self._file.write(json.dumps(request).encode() + b"\r\n")
        self._file.flush()
        while True:
            answer = self._line()
            if answer.get("trans_id") == number and answer.get("type") == "response":
                return dict(answer.get("data") or {})
            if answer.get("type") == "error":
                raise RuntimeError(f"Otii refuses {command}: {answer.get('message') or answer.get('errorcode')}")

    def _line(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise RuntimeError("the Otii application hung up")
        return dict(json.loads(line))

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Otii:
    """`port` is HOST:PORT of the application's server, empty for this machine's. Raises RuntimeError, OSError."""

    title = "Otii"

    def __init__(self, wiring: Wiring) -> None:
        if not 1 <= wiring.channel <= len(INPUTS):
            raise RuntimeError(f"the trigger must go to GPI1 or GPI2: channel = 1 or 2, not {wiring.channel}")
        self.trigger_input, self._input = f"GPI{wiring.channel}", INPUTS[wiring.channel - 1]
        self._supplies = wiring.mode == "source"
        self._server = Server(wiring.port)
        self._device = self._only(self._server.ask("otii_get_devices", timeout=10)["devices"])
        project = self._server.ask("otii_get_active_project").get("project_id", -1)
        self._project = project if project != -1 else self._server.ask("otii_create_project")["project_id"]
        self._of("arc_add_to_project")
        for channel in (CURRENT, VOLTAGE, self._input):
            self._of("arc_enable_channel", channel=channel, enable=True)
        if self._supplies:
            self._of("arc_set_main_voltage", value=wiring.voltage_mv / 1000)
            self._of("arc_set_main", enable=True)

    def _only(self, devices: list[dict[str, Any]]) -> str:
        if len(devices) != 1:
            raise RuntimeError(f"one must be connected; found: {', '.join(str(d.get('name')) for d in devices) or 'none'}")
        return str(devices[0]["device_id"])

    def _of(self, command: str, **data: Any) -> dict[str, Any]:
        return self._server.ask(command, device_id=self._device, **data)

    def start(self) -> None:
        self._server.ask("project_start_recording", project_id=self._project)
        time.sleep(SETTLE_S)

    def stop(self) -> Recording:
        time.sleep(SETTLE_S)
        self._server.ask("project_stop_recording", project_id=self._project)
        self._recording = self._server.ask("project_get_last_recording", project_id=self._project)["recording_id"]
        amperes, start_s, interval_s = self._analog(CURRENT)
        volts, volts_start_s, volts_interval_s = self._analog(VOLTAGE)
        at = start_s + np.arange(len(amperes)) * interval_s
        if not len(volts):
            raise RuntimeError("it recorded no voltage")
        mv = np.interp(at, volts_start_s + np.arange(len(volts)) * volts_interval_s, volts) * 1e3
        return Trace(interval_s * 1e6, amperes * 1e6, self._levels(at), mv)

    def _analog(self, channel: str) -> tuple[np.ndarray, float, float]:
        """(values, time of the first in s, interval in s)."""
        count = self._count(channel)
        pieces = [self._data(channel, first, min(PIECE, count - first)) for first in range(0, count, PIECE)]
        values = np.concatenate([np.asarray(piece["values"], np.float64) for piece in pieces]) if pieces else np.zeros(0)
        return (values, float(pieces[0]["timestamp"]), float(pieces[0]["interval"])) if pieces else (values, 0.0, 1.0)

    def _levels(self, at: np.ndarray) -> np.ndarray:
        """The trigger's level at each time, from its changes."""
        count = self._count(self._input)
        changes = self._data(self._input, 0, count)["values"] if count else []
        times = np.asarray([c["timestamp"] for c in changes], np.float64)
        levels = np.asarray([False, *(bool(c["value"]) for c in changes)])
        return np.asarray(levels[np.searchsorted(times, at, side="right")])

    def _count(self, channel: str) -> int:
        return int(self._recorded("recording_get_channel_data_count", channel)["count"])

    def _data(self, channel: str, first: int, count: int) -> dict[str, Any]:
        return self._recorded("recording_get_channel_data", channel, index=first, count=count)

    def _recorded(self, command: str, channel: str, **data: int) -> dict[str, Any]:
        return self._of(command, recording_id=self._recording, channel=channel, **data)

    def close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            if self._supplies:
                self._of("arc_set_main", enable=False)
        self._server.close()
