"""`python -m tinyrig.virtual.timing.predict FILE`: cycles of functions of an image with many memory systems side by side.

FILE is the request, as JSON: `elf`; `calls`, a list of [address of a function, whether the cache is on]; `systems`, a list of
MemorySystem's fields each; `rules`. On standard output, for each call a list of cycles, one a system; each begins with an empty
cache.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

from tinyrig.core.errors import HostError
from tinyrig.virtual import chip
from tinyrig.virtual.cpu import Cpu
from tinyrig.virtual.image import in_ram, load_image
from tinyrig.virtual.timing.clock import MOST_SYSTEMS, CompiledCounter, compile_hook
from tinyrig.virtual.timing.memory import MemorySystem

RETURN = chip.RAM_BASE + 16
"""Of the WFI that a function returns to."""
STACK_BYTES = 4096
"""At the beginning of RAM: firmware/port/cortexm/link.ld puts data at its end."""


def predict(elf: Path, calls: list[tuple[int, bool]], systems: list[MemorySystem], rules: int) -> list[list[int]]:
    """Cycles [call][system]. Raises HostError without a host compiler."""
    library = compile_hook()
    if library is None:
        raise HostError("cycles can't be predicted", expected="a working cc on PATH", remedy="install gcc")
    parts = [systems[i : i + MOST_SYSTEMS] for i in range(0, len(systems), MOST_SYSTEMS)]
    found = [_predict(elf, calls, part, library, rules) for part in parts]
    return [[cycles for part in found for cycles in part[i]] for i in range(len(calls))]


def _predict(elf: Path, calls: list[tuple[int, bool]], systems: list[MemorySystem], library: Path, rules: int) -> list[list[int]]:
    cpu = Cpu(bytes(chip.PAGE_BYTES), lambda _address: 0, lambda _address, _value: None)
    counter = CompiledCounter([cpu.flash, cpu.ram], systems, library, rules)
    counter.attach(cpu)
    for address, data in load_image(elf):
        cpu.flash.bytes[address : address + len(data)] = data
    for address, data in in_ram(elf):  # what the start-up copies there
        cpu.ram.bytes[address - chip.RAM_BASE : address - chip.RAM_BASE + len(data)] = data
    found = []
    for function, cached in calls:
        counter.forget()
        counter.cached(cached)
        before = counter.all_cycles
        _call(cpu, function)
        found.append([now - then for now, then in zip(counter.all_cycles, before, strict=True)])
    return found


def _call(cpu: Cpu, function: int) -> None:
    cpu.flash.bytes[0:8] = struct.pack("<II", chip.RAM_BASE + STACK_BYTES, function)
    cpu.ram.bytes[16:20] = b"\x30\xbf\xfe\xe7"  # wfi; b .
    cpu.start(0)
    cpu.set_return(RETURN)
    trap = cpu.run()
    if trap is not None:
        raise HostError("a loop can't be emulated", received=trap.what)


def main() -> int:
    asked: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    systems = [MemorySystem(**system) for system in asked["systems"]]
    json.dump(predict(Path(asked["elf"]), asked["calls"], systems, asked["rules"]), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
