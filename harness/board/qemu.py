"""Starts one of QEMU's machines with an image: they share nothing with the virtual board, neither emulator nor peripherals.
firmware/port/mps2 says what their counter counts.

An image is put in place by restarting the emulator; its bytes stay behind one TCP port of this machine all the while.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tinyrig.board.pump import Pump
from tinyrig.core.boards import BOARDS, Board
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import HostError, InfraError
from tinyrig.host.forked import died_of

STOP_TIMEOUT_S = 5.0
SHIFT = 7
"""An instruction takes 2^7 ns of the machine's time. The ports turn their timers' ticks into instructions by this figure."""
OPTIONS = (
    "-display",
    "none",
    "-monitor",
    "none",
    "-parallel",
    "none",
    "-net",
    "none",
    "-serial",
    "none",
    "-semihosting-config",
    "enable=on,target=native",
    # With sleep=on the machine's time is the host's while the processor waits, so silence on the line is silence.
    "-icount",
    f"shift={SHIFT},sleep=on",
)
EXTRA = {
    # machine: what it takes beside OPTIONS
    "microbit": ("-global", "nrf51-soc.sram-size=262144", "-global", "nrf51-soc.flash-size=1048576"),
    "virt": ("-cpu", "rv32", "-m", "16M", "-bios", "none"),
}
ARM, RISCV = "qemu-system-arm", "qemu-system-riscv32"
PROGRAM = ARM
PACKAGES = {ARM: "qemu-system-arm", RISCV: "qemu-system-misc"}
"""Debian's."""


def program_of(board: Board) -> str:
    return ARM if board.core.arm else RISCV


def find_qemu(program: str = PROGRAM) -> str:
    """Its path. Raises HostError when it is not installed."""
    path = shutil.which(program)
    if not path:
        raise HostError(
            "QEMU is missing",
            expected=f"{program} on the PATH",
            received="nothing",
            remedy=f"apt-get install --no-install-recommends {PACKAGES[program]}, or use --board virtual",
        )
    return path


class QemuBoard:
    """A board without an image yet: `load` starts it. `port` is the URL of its line, the same after each `load`.

    Raises HostError without QEMU. It ends with `close()` or, where util-linux has setpriv, with this process.
    """

    def __init__(self, board: Board = BOARDS["qemu"]) -> None:
        self._program = find_qemu(program_of(board))
        self._machine = ("-M", board.machine, *OPTIONS, *EXTRA.get(board.machine, ()))
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        self._folder = tempfile.TemporaryDirectory(prefix="tinyrig-qemu-")
        self._pump = Pump()
        self.port = self._pump.port

    def load(self, image_bin: bytes, base: int, deadline: Deadline) -> None:
        """Starts the machine with `image_bin` at address `base`; whatever ran before is gone. Raises HostError."""
        deadline.check("before starting QEMU", HostError)
        self._stop()
        file = Path(self._folder.name) / "firmware.bin"
        file.write_bytes(image_bin)
        self._pump.discard()
        # The processor takes its vectors from 0 and does nothing sensible without an image; the loader serves each reset.
        image = f"loader,file={file},addr=0x{base:x},force-raw=on"
        words = [self._program, *self._machine, "-device", image]
        setpriv = shutil.which("setpriv")
        self._process = subprocess.Popen(
            [setpriv, "--pdeathsig", "KILL", *words] if setpriv else words,
            stdin=self._pump.emulator.fileno(),
            stdout=self._pump.emulator.fileno(),
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C reaches this process only, which then ends it
        )

    def check(self) -> None:
        """Raises InfraError, with what QEMU said, if its process has ended."""
        if self._process is not None and self._process.poll() is not None:
            code = self._process.returncode
            how = died_of(code) or f"exit code {code}"
            raise InfraError("QEMU ended", received=f"{how}, stderr: {self._said() or 'empty'}")

    def injected(self) -> dict[str, int]:
        """No faults can be injected here."""
        return {}

    def _said(self) -> str:
        return os.pread(self._errors.fileno(), 4000, 0).decode(errors="replace").strip()

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Ends the process; more than once is fine."""
        self._stop()
        self._pump.close()
        self._errors.close()
        self._folder.cleanup()
