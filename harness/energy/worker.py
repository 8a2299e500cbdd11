"""A power meter's driver in a process of its own: `python -m tinyrig.energy.worker METER PORT MODE VOLTAGE_MV CHANNEL`.

Of its own for two reasons: a meter sends up to megabytes a second that must be read whatever the rig does meanwhile, and its
package may have a licence that tinyrig's code can't be linked with. Lines of JSON on standard input: {"do": "start"},
{"do": "stop", "file": FILE}; each is answered by one, after one that says that the meter is ready. FILE becomes an .npz of
`currents_ua` and `voltages_mv` (empty where the meter measures none) of all marked spans, and `lengths` of each.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict
from typing import Any

import numpy as np

from tinyrig.energy.driver import MeterDriver, Wiring
from tinyrig.energy.meters import open_driver
from tinyrig.energy.spans import Marked, analyse
from tinyrig.host.signals import exit_status, terminable


def serve(meter: str, wiring: Wiring) -> None:
    """Until the standard input ends; the meter is closed also where a signal ends this."""
    driver = open_driver(meter, wiring)
    try:
        answer_requests(driver)
    finally:
        driver.close()


def answer_requests(driver: MeterDriver) -> None:
    say({"ready": True, "title": driver.title, "trigger_input": driver.trigger_input})
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "start":
            driver.start()
            say({"started": True})
        elif request["do"] == "stop":
            recorded, marked = analyse(driver.stop())
            save(marked, request["file"])
            say(asdict(recorded))


def save(marked: list[Marked], file: str) -> None:
    volts = [m.mv for m in marked if m.mv is not None]
    np.savez(
        file,
        currents_ua=np.concatenate([m.ua for m in marked]) if marked else np.zeros(0),
        voltages_mv=np.concatenate(volts) if volts else np.zeros(0),
        lengths=np.asarray([len(m.ua) for m in marked], np.int64),
    )


def say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


def main(meter: str, port: str, mode: str, voltage_mv: str, channel: str) -> int:
    """-> exit code: 0, also after what was told, or 128 and the number of the signal that ended it."""
    with contextlib.suppress(BrokenPipeError):  # the rig is gone
        try:
            with terminable():
                serve(meter, Wiring(port, mode, int(voltage_mv), int(channel)))
        except ImportError as lacking:
            say({"lacking": str(lacking)})
        except KeyboardInterrupt as interruption:
            return exit_status(interruption)
        except Exception as failure:  # whatever a driver raises is reported to the rig, which words it
            say({"failed": f"{type(failure).__name__}: {failure}"})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
