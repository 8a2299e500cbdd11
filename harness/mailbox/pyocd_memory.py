"""Memory through pyOCD, while the processor runs on. A process of its own keeps its hangs and dependencies out of ours."""

from __future__ import annotations

import contextlib
import importlib.util
from typing import Any

from tinyrig.core.errors import HostError, LinkError
from tinyrig.host.helper import Helper, NoAnswer, module_command
from tinyrig.places.remedies import extra

OPEN_S = 30.0
ANSWER_S = 10.0
STOP_S = 5.0


class PyocdMemory:
    """`probe`: its id, "" for the only one. Raises HostError without pyOCD, LinkError where the probe does not reach the chip."""

    def __init__(self, chip: str, probe: str) -> None:
        if importlib.util.find_spec("pyocd") is None:
            raise HostError("pyOCD is missing", expected="the Python package pyocd", received="none", remedy=extra("swd"))
        self._helper = Helper(module_command("tinyrig.mailbox.pyocd_worker", chip, probe))
        try:
            told = self._helper.answer(OPEN_S)
        except NoAnswer as error:
            told = {"failed": f"{error}: {error.said}" if error.said else str(error)}
        if "failed" in told:
            self.close()
            raise LinkError(
                f"the debug probe {probe or 'that is attached'} does not reach the {chip}",
                expected="a running chip behind SWDIO, SWCLK and ground",
                received=str(told["failed"])[:400],
                remedy="check its cable and the board's power; name one of several by `probe` in rig.toml",
            )

    def access(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def read(self, address: int, count: int) -> bytes:
        return bytes.fromhex(self._ask({"do": "read", "at": address, "count": count})["data"])

    def write(self, address: int, data: bytes) -> None:
        self._ask({"do": "write", "at": address, "data": data.hex()})

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            told = self._helper.ask(request, ANSWER_S)
        except NoAnswer as error:
            raise OSError(f"pyOCD: {error}") from error
        if "failed" in told:
            raise OSError(f"pyOCD: {told['failed']}")
        if "refused" in told:
            raise PermissionError(told["refused"])
        return told

    def close(self) -> None:
        self._helper.close(STOP_S)
