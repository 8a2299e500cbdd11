"""Fast int8 dense layers (firmware/nn/m4/q8_dense.h): one input vector by four outputs at a time.

The input is widened to 16 bits in scratch: whole, or, where that would make the arena larger, piece by piece for some outputs at
a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinyrig.compiler.kernels.m4_fit import Channels, Fitted, fittings
from tinyrig.compiler.kernels.m4_int8 import has_mends, is_compact, range_text, shaped_kernel
from tinyrig.compiler.kernels.m4_pack import SEGMENTS, channels, mends, pack_words, pad_to, with_channels, with_channels_in_pieces
from tinyrig.compiler.kernels.m4_rest import RestLayer, all_rest, with_rest
from tinyrig.compiler.model.layers import FullyConnected, Window
from tinyrig.compiler.model.step import CompileOptions, Constant, Kernel, ProgramStep, Select


@dataclass(frozen=True)
class Pieces:
    """`steps` of four inputs are widened at a time, for `quads` of four outputs: 8 bytes of scratch a step, 16 a quad."""

    steps: int
    quads: int


PIECES = (None, Pieces(16, 8), Pieces(8, 4))
"""By how little scratch is wanted. With 256 bytes instead of 1,280 the first layer of the dense autoencoder takes 9 % longer."""


def fully_connected(step: ProgramStep[FullyConnected], options: CompileOptions) -> Kernel | None:
    """fully_connected_s8."""
    p = step.params
    if p.weight_zero:
        return None
    window, weights = Window(p.rows, 1, 1, p.in_n, 1, 1, p.out_n, 1, 1, 1, 1), p.weights.reshape(p.out_n, 1, 1, p.in_n)
    whole = RestLayer(window, weights, p.bias, p.in_zero, p.quantized)
    for fit in fittings(Channels(p.weights.reshape(p.out_n, p.in_n), p.bias, p.in_zero, p.quantized)):
        kernel = _plans(p, options, fit)
        if kernel is not None:
            return with_rest(kernel, whole, fit.rest)
    return all_rest(whole)


def _plans(p: FullyConnected, options: CompileOptions, fit: Fitted) -> Kernel | None:
    """The first number of parts that suits all outputs."""
    c, q = fit.channels, replace(p, requant=fit.channels.requant)
    pieces = _pieces(p, options)
    if pieces is None:
        counts = [(n, max(n, 1)) for n in (0, *SEGMENTS)]
    else:
        fewest = (p.in_n + 4 * pieces.steps - 1) // (4 * pieces.steps)
        counts = [(0, fewest), *((n, n) for n in range(fewest, fewest + max(SEGMENTS)))]
    for segments, parts in counts:
        weights = pad_to(c.weights, 4 * parts, 1)
        steps = np.arange(weights.shape[1] // 4)
        constants = channels(weights, c.bias, p.in_zero, c.requant, 4, segments)
        if pieces is None:
            mended = mends(weights, 4, segments, 8 * steps)
        else:
            mended = mends(weights, 4, parts, 8 * (steps % (len(steps) // parts)))
        if constants is not None and mended is not None:
            return _plan(q, options, segments, weights, constants + mended, parts, pieces.quads if pieces else 0)
    return None


def _pieces(p: FullyConnected, options: CompileOptions) -> Pieces | None:
    """Nothing where the whole input is to be widened, or takes no more."""
    most = PIECES[options.lean]
    if most is None:
        return None
    quads = min(most.quads, -(-p.out_n // 4))
    return Pieces(most.steps, quads) if 8 * most.steps + 16 * quads < 8 * -(-p.in_n // 4) else None


def _plan(
    p: FullyConnected,
    options: CompileOptions,
    segments: int,
    weights: np.ndarray,
    constants: tuple[Constant, ...],
    parts: int,
    quads_at_once: int,
) -> Kernel:
    """quads_at_once: 0 where the whole input is widened."""
    words = pack_words(pad_to(weights, 4, 0))
    quads = words.reshape(-1, 4, words.shape[1]).transpose(0, 2, 1)
    compact = is_compact("dense", p.rows * p.in_n * p.out_n, options)
    sizes = p.rows, p.in_n, p.out_n, segments, parts if quads_at_once else 0, quads_at_once
    shape = f"{{{', '.join(map(str, (*sizes, has_mends(constants), int(compact), range_text(p.quantized))))}}}"
    name = "q8_dense_pieces" if quads_at_once else "q8_dense"
    stream = with_channels_in_pieces(quads, constants, parts, quads_at_once) if quads_at_once else with_channels(quads, constants)
    scratch = 2 * weights.shape[1] // (parts if quads_at_once else 1) + 16 * quads_at_once
    return shaped_kernel(name, "q8_dense_shape", shape, "m4/q8_dense.h", stream, scratch)


KERNELS: dict[str, Select] = {"fully_connected_s8": fully_connected}
"""Step kind -> choice, for the engine "tinyrig"."""
