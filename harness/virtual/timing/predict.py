"""`python -m tinyrig.virtual.timing.predict FILE`: cycles of functions of an image with many memory systems side by side.

FILE is the request, as JSON: `elf`; `functions`, their addresses; `systems`, a list of MemorySystem's fields each;
`rules`. On standard output, for each function a list of cycles, one a system; each runs from a cache that is empty and on.
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
from tinyrig.virtual.image import load_image
from tinyrig.virtual.timing.clock import MOST_SYSTEMS, CompiledCounter, compile_hook
from tinyrig.virtual.timing.memory import MemorySystem

RETURN = chip.RAM_BASE + 16
"""Of the WFI that a function returns to."""


def predict(elf: Path, functions: list[int], systems: list[MemorySystem], rules: bool) -> list[list[int]]:
    """Cycles [function][system]. Raises HostError without a host compiler."""
    library = compile_hook()
    if library is None:
        raise HostError("cycles can't be predicted", expected="a working cc on PATH", remedy="install gcc")
    parts = [systems[i : i + MOST_SYSTEMS] for i in range(0, len(systems), MOST_SYSTEMS)]
    found = [_predict(elf, functions, part, library, rules) for part in parts]
    return [[cycles for part in found for cycles in part[i]] for i in range(len(functions))]


def _predict(elf: Path, functions: list[int], systems: list[MemorySystem], library: Path, rules: bool) -> list[list[int]]:
    cpu = Cpu(bytes(chip.PAGE_BYTES), lambda _address: 0, lambda _address, _value: None)
    counter = CompiledCounter([cpu.flash, cpu.ram], systems, library, rules)
    counter.attach(cpu)
    for address, data in load_image(elf):
        cpu.flash.bytes[address : address + len(data)] = data
    found = []
    for function in functions:
        counter.forget()
        counter.cached(True)
        before = counter.all_cycles
        _call(cpu, function)
        found.append([now - then for now, then in zip(counter.all_cycles, before, strict=True)])
    return found


def _call(cpu: Cpu, function: int) -> None:
    cpu.flash.bytes[0:8] = struct.pack("<II", chip.RAM_BASE + chip.RAM_BYTES, function)
    cpu.ram.bytes[16:20] = b"\x30\xbf\xfe\xe7"  # wfi; b .
    cpu.start(0)
    cpu.set_return(RETURN)
    trap = cpu.run()
    if trap is not None:
        raise HostError("a loop can't be emulated", received=trap.what)


def main() -> int:
    asked: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    systems = [MemorySystem(**system) for system in asked["systems"]]
    json.dump(predict(Path(asked["elf"]), asked["functions"], systems, asked["rules"]), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
