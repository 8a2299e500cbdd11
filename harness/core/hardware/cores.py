"""What a processor can do, read off the compiler's options for it: which kernels suit it, and which compiler serves it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

ARM_CC, RISCV_CC = "arm-none-eabi-gcc", "riscv64-unknown-elf-gcc"
_WITH_DSP = ("m4", "m7", "m33", "m35p", "m52", "m55", "m85")
"""Cortex-M cores that have the DSP extension unless an option takes it away."""
GENERIC = "-march=generic"
"""No option of a compiler: of a core that nothing is known of, or of another family, as Xtensa. It gets what is portable."""
CPU = ("-mcpu=", "-march=", "-mfloat-abi=", "-mfpu=", "-mabi=", "-mthumb")
"""Options that say which processor code is for."""
_KNOWN = ("-mcpu=cortex-m", "-march=rv32", "-march=armv")
_CORTEX = re.compile(r"-mcpu=cortex-(m\d+(?:p(?!lus)|plus)?)((?:\+\w+(?:\.\w+)*)*)")
_ARCH = re.compile(r"-march=(armv[\w.-]+)((?:\+\w+(?:\.\w+)*)*)")


@dataclass(frozen=True)
class Core:
    """arm: an M-profile core of Arm's; else RISC-V with 32 bits.
    dsp: it has SMLAD and its kin. fpu: single-precision arithmetic in hardware. mve: Arm's M-profile vectors."""

    arm: bool = True
    dsp: bool = True
    fpu: bool = True
    mve: bool = False

    @property
    def compiler(self) -> str:
        return ARM_CC if self.arm else RISCV_CC


CORTEX_M4F = Core()


def processor_in(words: Sequence[str]) -> tuple[str, ...]:
    """Which of a compiler call's words say what processor code is for; GENERIC alone for one that nobody knows here."""
    found = tuple(dict.fromkeys(word for word in words if word.startswith(CPU)))
    return found if any(word.startswith(_KNOWN) for word in found) else (GENERIC,)


def core_of(cpu_flags: Sequence[str]) -> Core:
    """What the options say; what they leave out, it has not got. An Arm core that nobody knows here counts as a Cortex-M4."""
    words = " ".join(cpu_flags)
    if GENERIC in words:
        return Core(arm=False, dsp=False, fpu=False)
    if "-march=rv32" in words:
        letters = re.search(r"-march=rv32([a-z]*)", words)
        return Core(arm=False, dsp=False, fpu="f" in letters[1] if letters else False)
    cortex, arch = _CORTEX.search(words), _ARCH.search(words)
    extras = (cortex or arch)[2].split("+") if cortex or arch else []  # type: ignore[index]
    if cortex:
        dsp = cortex[1] in _WITH_DSP and "nodsp" not in extras
    else:
        dsp = arch is None or arch[1].startswith("armv7e-m") or bool({"dsp", "mve", "mve.fp"} & set(extras))
    fpu = "-mfloat-abi=hard" in words or "-mfloat-abi=softfp" in words
    mve = cortex is not None and cortex[1] in ("m55", "m52", "m85") and "nomve" not in extras
    return Core(True, dsp, fpu, mve or bool({"mve", "mve.fp"} & set(extras)))
