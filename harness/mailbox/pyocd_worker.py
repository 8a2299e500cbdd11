"""`python -m tinyrig.mailbox.pyocd_worker CHIP PROBE`: memory of a running chip, over lines of JSON.

{"do": "read", "at", "count"} -> {"data": HEX}; {"do": "write", "at", "data": HEX} -> {}. "refused": there is no memory;
"failed": the probe or the chip is gone. Nothing is stopped or reset, at the beginning neither: connect_mode is `attach`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from tinyrig.host.signals import exit_status, terminable


def serve(chip: str, probe: str) -> None:
    from pyocd.core import exceptions
    from pyocd.core.helpers import ConnectHelper

    options = {"connect_mode": "attach", "auto_unlock": False, "target_override": chip, "no_config": True}
    session = ConnectHelper.session_with_chosen_probe(
        unique_id=probe or None, blocking=False, return_first=False, options=options
    )
    if session is None:
        raise RuntimeError("no debug probe is attached" if not probe else f"no debug probe {probe} is attached")
    with session:
        say({"ready": True})
        for line in sys.stdin:
            try:
                say(_done(session.target, json.loads(line)))
            except exceptions.TransferFaultError as fault:
                say({"refused": str(fault)})


def _done(target: Any, request: dict[str, Any]) -> dict[str, Any]:
    if request["do"] == "read":
        return {"data": bytes(target.read_memory_block8(request["at"], request["count"])).hex()}
    target.write_memory_block8(request["at"], list(bytes.fromhex(request["data"])))
    return {}


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main(chip: str, probe: str) -> int:
    """-> exit code: 0, also after what was told, or 128 and the number of the signal that ended it."""
    with contextlib.suppress(BrokenPipeError):
        try:
            with terminable():
                serve(chip, probe)
        except KeyboardInterrupt as interruption:
            return exit_status(interruption)
        except Exception as failure:  # whatever pyOCD raises is reported to the rig, which words it
            say({"failed": f"{type(failure).__name__}: {failure}"})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
