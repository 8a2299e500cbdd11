"""Starts virtual boards as processes of their own: the emulator's library is never loaded into the rig's process."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tinyrig.core.errors import InfraError
from tinyrig.host.forked import died_of
from tinyrig.host.helper import Helper, NoAnswer, module_command

START_TIMEOUT_S = 30.0
"""The first start may compile the timing hook, and test machines are busy."""
STOP_TIMEOUT_S = 5.0


class VirtualBoard:
    """A running virtual board; `port` is its pty. Keywords are the options of `python -m tinyrig.virtual`.

    Raises InfraError if it can't be started. It ends with `close()`, with the `with` block, or with this process; before that its
    port's name is no other board's, even when it is gone.
    """

    def __init__(
        self,
        *,
        image: Path | str | None = None,
        link: Path | str | None = None,
        line_rate: int = 0,
        clock: str = "cycles",
        hook: str = "auto",
        faults: Sequence[str] = (),
        number: int = 0,
        fault_seed: int = 0,
        memory: str = "none",
        sensors: Path | str | None = None,
        sensor_speed: float = 1.0,
        sensor_log: Path | str | None = None,
    ) -> None:
        options = ["--line-rate", str(line_rate), "--clock", clock, "--hook", hook, "--number", str(number)]
        options += ["--fault-seed", str(fault_seed), "--memory", memory]
        options += ["--sensors", str(sensors), "--sensor-speed", str(sensor_speed)] if sensors else []
        options += ["--sensor-log", str(sensor_log)] if sensor_log else []
        options += ["--image", str(image)] if image else []
        options += ["--link", str(link)] if link else []
        options += [word for fault in faults for word in ("--fault", fault)]
        self._helper = Helper(module_command("tinyrig.virtual", "--until-eof", *options))
        self._held = -1
        try:
            self.port = self._read_port()
            self._held = self._hold()
        except BaseException:
            self.close()
            raise

    def _read_port(self) -> str:
        try:
            line = self._helper.line(START_TIMEOUT_S)
            received = repr(line)
        except NoAnswer as error:
            line, received = "", str(error)
        if line.startswith("port "):
            return line.removeprefix("port ").strip()
        raise InfraError(
            "the virtual board did not start",
            expected="`port PATH` as its first line",
            received=f"{received}, stderr: {self.stderr().strip() or 'empty'}",
        )

    def _hold(self) -> int:
        """Linux gives the name of a pty that nobody has open to the next one, and another board would answer for a dead one."""
        try:
            return os.open(self.port, os.O_RDWR | os.O_NOCTTY)
        except OSError as e:
            self.check()
            raise InfraError("the virtual board's port can't be opened", received=str(e)) from e

    def stderr(self) -> str:
        """What the board said of faults and unmodelled accesses so far."""
        return self._helper.said()

    def injected(self) -> dict[str, int]:
        """Faults of the line so far, by direction and kind (`rx-flip`, `disconnect`). Raises InfraError."""
        before = len(self.stderr())
        self._helper.signal(signal.SIGUSR1)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check()
            *lines, _ = self.stderr()[before:].split("\n")  # the last may be half written
            told = [line for line in lines if line.startswith("injected ")]
            if told:
                counts: dict[str, int] = json.loads(told[-1].removeprefix("injected "))
                return counts
            time.sleep(0.01)
        raise InfraError("the virtual board does not report what it injected", received=self.stderr().strip() or "silence")

    def spans(self) -> tuple[tuple[int, ...], ...]:
        """Cycles between two reads of the counter, of the latest different ones: by the default memory system, the low end of its
        band and the high one. Empty where there is no band. Raises InfraError."""
        self._helper.signal(signal.SIGUSR2)
        try:
            return tuple(tuple(span) for span in json.loads(self._helper.line(START_TIMEOUT_S)))
        except (NoAnswer, ValueError) as error:
            self.check()
            raise InfraError("the virtual board does not report the ends of its estimates", received=str(error)) from error

    def lay_out(self, elf: Path) -> int:
        """Until the board is reset, spans() also has the cycles of other layouts of the running program, whose file is `elf`:
        for each by the default memory system and by the high end of its band. How many layouts; 0 where there is no band.
        Raises InfraError."""
        try:
            return int(self._helper.ask({"lay_out": str(elf.absolute())}, START_TIMEOUT_S)["layouts"])
        except (NoAnswer, KeyError) as error:
            self.check()
            raise InfraError("the virtual board does not count for other layouts", received=str(error)) from error

    def check(self) -> None:
        """Raises InfraError, with the board's stderr, if its process has ended."""
        if (code := self._helper.exit_code()) is not None:
            how = died_of(code) or f"exit code {code}"
            raise InfraError("the virtual board's process ended", received=f"{how}, stderr: {self.stderr().strip() or 'empty'}")

    @property
    def pid(self) -> int:
        return self._helper.pid

    def close(self) -> None:
        """Ends the process; more than once is fine."""
        self._helper.close(STOP_TIMEOUT_S)
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def __enter__(self) -> VirtualBoard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
