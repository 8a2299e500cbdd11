"""The channels of a layer that the fast int8 kernels can't compute, in exact loops beside the kernel that computes the others
(firmware/nn/m4/q8_rest.h)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tinyrig.compiler.kernels.ctext import c_window
from tinyrig.compiler.model.layers import Requant, Window
from tinyrig.compiler.model.step import Constant, Kernel


@dataclass(frozen=True, eq=False)
class RestLayer:
    """A whole layer as in the file: weights int8 [out_c, k_h, k_w, c], where c is how many of the input channels a filter reads:
    1 for a depthwise layer, those of its group for a convolution."""

    window: Window
    weights: np.ndarray
    bias: np.ndarray
    in_zero: int
    requant: Requant
    given: tuple[str, ...] = ()
    """Fields of the window that are in scope (m4_int8_map.given_rows)."""


LEAST_CHANNELS = 4
"""From so many input channels a filter on, the loops take four values at a time."""


def all_rest(layer: RestLayer) -> Kernel | None:
    """A kernel for a layer of which nothing fits the fast kernels; None where the portable kernel is as good."""
    if layer.weights.shape[3] < LEAST_CHANNELS:
        return None
    constants, records = _parts(layer, np.arange(layer.window.out_c))
    return Kernel(
        lambda prefix: f"{records(prefix)}q8_rest(&rest, &rest_channels, in0, out0);\n",
        constants,
        headers=("m4/q8_rest.h",),
        rows=bool(layer.given),
    )


def with_rest(kernel: Kernel, layer: RestLayer, rest: tuple[int, ...]) -> Kernel:
    """`kernel`, which writes all channels, with those in `rest` put right. They are computed first, into scratch, because the
    kernel may overwrite its input."""
    if not rest:
        return kernel
    w = layer.window
    constants, records = _parts(layer, np.array(rest))

    def body(prefix: str) -> str:
        return (
            f"{records(prefix)}"
            f"int8_t *rest_out = (int8_t *)scratch + {kernel.scratch_bytes};\n"
            f"q8_rest(&rest, &rest_channels, in0, rest_out);\n"
            f"{kernel.body(prefix)}"
            f"q8_rest_put(&rest, &rest_channels, rest_out, out0);\n"
        )

    return replace(
        kernel,
        body=body,
        constants=(*kernel.constants, *constants),
        scratch_bytes=kernel.scratch_bytes + w.batch * w.out_h * w.out_w * len(rest),
        headers=(*kernel.headers, "m4/q8_rest.h"),
    )


def _parts(layer: RestLayer, at: np.ndarray) -> tuple[tuple[Constant, ...], Callable[[str], str]]:
    """The constants of the channels `at`, and the C text of the records that a call takes."""
    w, q, filter_c = layer.window, layer.requant, layer.weights.shape[3]
    per_group = w.out_c // (w.in_c // filter_c)
    fields = (len(at), filter_c, per_group, layer.in_zero, q.zero_point, q.act_min, q.act_max)
    shape = f"{{{c_window(w)}, {', '.join(map(str, fields))}}}"
    constants = (
        Constant("rest_weights", layer.weights[at], "[channel][row][column][input channel]"),
        Constant("rest_bias", layer.bias[at].astype(np.int32)),
        Constant("rest_multiplier", q.multiplier[at].astype(np.int32)),
        Constant("rest_shift", q.shift[at].astype(np.int8), "to the left"),
        Constant("rest_channel", at.astype(np.int32)),
    )

    def records(prefix: str) -> str:
        arrays = ", ".join(f"{prefix}_{c.name}" for c in constants)
        kept = "" if layer.given else "static const "
        given = "".join(f"rest.w.{g} = {g};\n" for g in layer.given)
        return f"{kept}q8_rest_shape rest = {shape};\nstatic const q8_rest_channels rest_channels = {{{arrays}}};\n{given}"

    return constants, records
