"""Which power meters there are: those that tinyrig brings, and what other packages offer as entry points `tinyrig.meters`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from tinyrig.core.errors import UserError
from tinyrig.energy.driver import MeterDriver, Wiring

GROUP = "tinyrig.meters"


@dataclass(frozen=True)
class OwnMeter:
    """`driver` as an entry point names it; `package` is what it needs from elsewhere and `extra` tinyrig's name for that."""

    title: str
    driver: str
    package: str = ""
    extra: str = ""


OWN = {
    "ppk2": OwnMeter("Power Profiler Kit II", "tinyrig.energy.ppk2:Ppk2", "ppk2-api", "energy"),
    "joulescope": OwnMeter("Joulescope", "tinyrig.energy.joulescope:Joulescope", "joulescope", "joulescope"),
    "otii": OwnMeter("Otii", "tinyrig.energy.otii:Otii"),
}
IMPORTED = "csv"
"""No meter: the recording of one, in a file."""


def known() -> list[str]:
    return [*OWN, IMPORTED, *sorted(point.name for point in entry_points(group=GROUP))]


def check_known(meter: str) -> None:
    """Raises UserError for a name that nobody offers."""
    if meter not in known():
        raise UserError(
            f"[energy] names the meter {meter!r}, which nobody offers",
            expected=" or ".join(known()),
            received=meter,
            remedy=f"correct the name, or install the package that offers it as an entry point {GROUP} (docs/energy.md)",
        )


def open_driver(meter: str, wiring: Wiring) -> MeterDriver:
    """In the meter's own process. Raises whatever the driver raises; ImportError where its package lacks."""
    if meter in OWN:
        module, _, name = OWN[meter].driver.partition(":")
        make = cast(Callable[[Wiring], MeterDriver], getattr(importlib.import_module(module), name))
    else:
        make = cast(Callable[[Wiring], MeterDriver], _point(meter).load())
    return make(wiring)


def _point(meter: str) -> EntryPoint:
    (point,) = entry_points(group=GROUP, name=meter)
    return point
