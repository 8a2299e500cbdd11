"""Which kernels GCC optimises otherwise than the rest of a model's code."""

from __future__ import annotations

from pathlib import Path

from tinyrig.places.installed import FIRMWARE

KERNELS = FIRMWARE / "nn"
BY_HAND = ("O2",)
"""For loops that are unrolled, and registers allotted, by hand: -O3 would unroll them again, which costs 20 to 50 % more flash
and up to 0.9 % more cycles on the zoo's float networks."""
OPTIONS: dict[str, tuple[str, ...]] = {
    # file below firmware/nn: as in `#pragma GCC optimize`, where -f is left out
    "m4/f32_add.c": BY_HAND,
    "m4/f32_conv.c": BY_HAND,
    "m4/f32_dense.c": BY_HAND,
    "m4/f32_depthwise.c": BY_HAND,
    "m4/f32_depthwise_taps.c": BY_HAND,
    "m4/f32_exp.c": BY_HAND,
    "m4/f32_pool.c": BY_HAND,
    "m4/f32_wide.c": (*BY_HAND, "unswitch-loops"),  # for f32_add_rows: 16 bytes less
}


def options(source: Path) -> tuple[str, ...]:
    """What `source` asks for beside the model's own options; mostly nothing."""
    return OPTIONS.get(source.relative_to(KERNELS).as_posix(), ()) if source.is_relative_to(KERNELS) else ()


def flags(source: Path) -> tuple[str, ...]:
    """For the command line, behind the model's own flags."""
    return tuple(f"-{option}" if option.startswith("O") else f"-f{option}" for option in options(source))
