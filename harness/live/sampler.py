"""Sampling on a board over its session: start, fetch, stop; faults by their names."""

from __future__ import annotations

from tinyrig.core.errors import DeviceError, UserError
from tinyrig.link.session import Session
from tinyrig.link.wire import Type
from tinyrig.live import protocol
from tinyrig.live.protocol import Asked, Described, Fetched, Flag, State
from tinyrig.live.sensors import FAULTS, Sensor

START_S = 10.0
"""Reset, self-test and configuration of the slowest sensor, with room: the self-tests of the glove take 0.5 s."""


class Sampler:
    """Of the board that `session` speaks to. Methods raise LinkError and DeviceError."""

    def __init__(self, session: Session, sensor: Sensor) -> None:
        self._session, self._sensor = session, sensor
        self.described = self._describe()
        if self.described.state is State.RUNNING:  # for a host that is gone
            self.stop()

    def _describe(self) -> Described:
        connection = self._session.connection
        hello = connection.known()
        if not hello.sensor:
            raise UserError(
                "the firmware on the board has no sensor",
                expected="an image that tinyrig record or live has put there",
                received=f"build {hello.build_id[:16]} of engine {hello.engine}",
                remedy="let the command flash its own image",
            )
        described = connection.ask(Type.SENSOR, b"", protocol.decode_sensor, expect=24 + 4 * len(self._sensor.channels))
        if described.name != self._sensor.name or len(described.scale) != len(self._sensor.channels):
            raise DeviceError(
                "the board has another sensor",
                expected=f"{self._sensor.name}, {len(self._sensor.channels)} channels",
                received=f"{described.name}, {len(described.scale)} channels",
            )
        return described

    def start(self, asked: Asked) -> None:
        """Raises DeviceError for a sensor's fault too."""
        payload = asked.payload()

        def started(reply: bytes) -> tuple[int, int]:
            return protocol.decode_started(reply, payload)

        fault, device = self._session.connection.ask(Type.START, payload, started, expect=8, board_s=lambda _: START_S)
        if fault:
            raise self.fault_error(fault, device)

    def fetch(self) -> Fetched:
        """What has gathered."""
        return self._ask(Type.FETCH)

    def stop(self) -> Fetched:
        """Ends the sampling; what has gathered, as much as fits one reply."""
        return self._ask(Type.STOP)

    def _ask(self, kind: Type) -> Fetched:
        channels, score_bytes = len(self._sensor.channels), self.described.score_bytes

        def fetched(reply: bytes) -> Fetched:
            return protocol.decode_fetched(reply, channels, score_bytes)

        expect = self._session.connection.known().max_payload
        return self._session.connection.ask(kind, b"", fetched, expect=expect)

    def fault_error(self, fault: int, device: int) -> DeviceError:
        """The fault by its name."""
        what, remedy = FAULTS.get(fault, (f"reports the unknown fault {fault}", "use this tinyrig's own firmware"))
        devices = self._sensor.devices
        where = devices[device] if device < len(devices) else f"device {device}"
        return DeviceError(f"sensor {self._sensor.name}: {where}: {what}", received=f"fault {fault}", remedy=remedy)


def period_us(rate_hz: float) -> int:
    """The sample clock's, in whole microseconds. Raises UserError."""
    if not 0.1 <= rate_hz <= 2000:
        raise UserError("no such sample rate", expected="0.1 to 2000 Hz", received=f"{rate_hz:g}")
    return round(1e6 / rate_hz)


RECORD = Flag.FRAMES
