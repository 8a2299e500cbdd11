"""What would make a model smaller or faster, from what the compiler sees in it. Each piece is a row of ADVISERS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinyrig.compiler.compile import weight_bytes
from tinyrig.compiler.emit import Unit
from tinyrig.compiler.model.step import AnyStep, Kernel
from tinyrig.compiler.refuse.names import layer_in
from tinyrig.preflight.records import Advice

LARGE = 0.5
"""Share of the weights in one layer, or of the work on portable kernels, from which on it is worth a word."""


@dataclass(frozen=True)
class Seen:
    """The model as it is compiled for speed, and for size."""

    fast: Unit
    small: Unit

    @property
    def steps(self) -> list[tuple[AnyStep, Kernel]]:
        return list(zip(self.fast.lowered.steps, self.fast.kernels, strict=True))


def advice_for(fast: Unit, small: Unit) -> tuple[Advice, ...]:
    """The most useful first: by the bytes that each spares."""
    found = [advice for adviser in ADVISERS if (advice := adviser(Seen(fast, small))) is not None]
    return tuple(sorted(found, key=lambda a: -a.saves_bytes))


def _place(step: AnyStep) -> str:
    layer = layer_in(step.outputs[0].name)
    return f"step {step.index} {step.op}" + (f" of `{layer}`" if layer else "")


def _quantise(seen: Seen) -> Advice | None:
    floats = sum(s.macs for s, _ in seen.steps if s.inputs and s.inputs[0].dtype == "float32")
    if not floats or 2 * floats < sum(s.macs for s, _ in seen.steps):
        return None
    saved = (weight_bytes(seen.fast) + seen.fast.memory.arena_bytes) * 3 // 4
    return Advice(
        "quantise to full int8 (tinyrig convert, or the converter with a representative dataset): a quarter of it all", saved
    )


def _float_input(seen: Seen) -> Advice | None:
    low = seen.fast.lowered
    saved = sum(
        s.inputs[0].nbytes for s, _ in seen.steps if s.op == "QUANTIZE" and _is_float_border(seen, s.inputs[0].index, low.inputs)
    )
    return (
        Advice("make the input int8 (converter.inference_input_type = tf.int8): it is float32 and quantised first", saved)
        if saved
        else None
    )


def _float_output(seen: Seen) -> Advice | None:
    low = seen.fast.lowered
    saved = sum(
        s.outputs[0].nbytes
        for s, _ in seen.steps
        if s.op == "DEQUANTIZE" and _is_float_border(seen, s.outputs[0].index, low.outputs)
    )
    return (
        Advice("make the output int8 (converter.inference_output_type = tf.int8): it is float32 at the very end", saved)
        if saved
        else None
    )


def _is_float_border(seen: Seen, tensor: int, border: tuple[int, ...]) -> bool:
    low = seen.fast.lowered
    return low.root(tensor) in {low.root(i) for i in border} and low.tensors[tensor].dtype == "float32"


def _unfused_pad(seen: Seen) -> Advice | None:
    pads = [s for s, _ in seen.steps if s.op in ("PAD", "PADV2", "MIRROR_PAD")]
    if not pads:
        return None
    largest = max(pads, key=lambda s: s.outputs[0].nbytes)
    text = f"pad inside the layer behind it (padding='same', or a smaller kernel) instead of before it: {_place(largest)}"
    return Advice(text + (f" and {len(pads) - 1} more" if len(pads) > 1 else ""), largest.outputs[0].nbytes)


def _optimise(seen: Seen) -> Advice | None:
    def need(unit: Unit) -> int:
        return weight_bytes(unit) + unit.memory.arena_bytes

    saved = need(seen.fast) - need(seen.small)
    return Advice('compile for size (optimise = "size" in rig.toml), at the price of speed', saved) if saved > 256 else None


def _large_layer(seen: Seen) -> Advice | None:
    total = weight_bytes(seen.fast)
    step, kernel = max(seen.steps, key=lambda pair: pair[1].weight_bytes, default=(None, None))
    if (
        step is None
        or kernel is None
        or kernel.weight_bytes < LARGE * total
        or len(seen.steps) < 3
        or step.op != "FULLY_CONNECTED"
    ):
        return None
    share = 100 * kernel.weight_bytes // total
    return Advice(f"{_place(step)} holds {share} % of the weights: pool before it (GlobalAveragePooling) or give it fewer units")


def _portable(seen: Seen) -> Advice | None:
    slow = [s for s, k in seen.steps if s.macs and not any(h.startswith("m4/") for h in k.headers)]
    macs = sum(s.macs for s, _ in seen.steps)
    if not slow or sum(s.macs for s in slow) < LARGE * macs:
        return None
    largest = max(slow, key=lambda s: s.macs)
    return Advice(
        f"{_place(largest)} runs on a portable kernel: in int8 or float32, as an ordinary layer, it may get a faster one"
    )


def _changes_of_type(seen: Seen) -> Advice | None:
    inner = [s for s, _ in seen.steps if s.op in ("QUANTIZE", "DEQUANTIZE")]
    low = seen.fast.lowered
    border = {low.root(i) for i in low.inputs + low.outputs}
    inner = [s for s in inner if not {low.root(s.inputs[0].index), low.root(s.outputs[0].index)} & border]
    if len(inner) < 2:
        return None
    return Advice(
        f"{len(inner)} steps only change between int8 and float inside the model, the first is {_place(inner[0])}: quantise all"
    )


ADVISERS: tuple[Callable[[Seen], Advice | None], ...] = (
    _quantise,
    _float_input,
    _float_output,
    _unfused_pad,
    _optimise,
    _large_layer,
    _portable,
    _changes_of_type,
)
