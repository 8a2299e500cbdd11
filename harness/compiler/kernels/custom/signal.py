"""The portable engine's kernels of the signal library. States are outputs of their steps."""

from __future__ import annotations

from tinyrig.compiler.kernels.portable import call, type_of
from tinyrig.compiler.model.custom.records import (
    Channels,
    Delay,
    Energy,
    Fft,
    FilterBank,
    Frames,
    Log,
    Pcan,
    Scaled,
    Stack,
    Subtract,
    Window,
)
from tinyrig.compiler.model.step import CompileOptions, Constant, Kernel, ProgramStep, Select

_HEADERS = ("nn_signal.h",)


def _plain(text: str, source: str, *constants: Constant) -> Kernel:
    return Kernel(lambda prefix: text.replace("@", prefix), constants, sources=(f"portable/{source}",), headers=_HEADERS)


def fft(step: ProgramStep[Fft], options: CompileOptions) -> Kernel:
    p = step.params
    constants = Constant("twiddles", p.twiddles), Constant("edges", p.edges)
    pointers = "@_twiddles, @_edges, in0, out0"
    source, fields = f"fft_{type_of(step)}.c", f"{p.rows}, {p.given}, {p.n}"
    return call(f"nn_{step.kind}", source, "nn_fft", fields, pointers, constants=constants, headers=_HEADERS)


def window(step: ProgramStep[Window], options: CompileOptions) -> Kernel:
    p = step.params
    weights = (Constant("weights", p.weights),)
    fields, struct = f"{p.rows}, {p.n}, {p.shift}", "nn_signal_window_shape"
    pointers = "@_weights, in0, out0"
    return call("nn_signal_window", "signal.c", struct, fields, pointers, constants=weights, headers=_HEADERS, inplace=(0,))


def scale(step: ProgramStep[Scaled], options: CompileOptions) -> Kernel:
    return _plain(f"nn_signal_scale({step.params.n}, in0, out0, out1);", "signal.c")


def energy(step: ProgramStep[Energy], options: CompileOptions) -> Kernel:
    p = step.params
    return _plain(f"nn_signal_energy({p.n}, {p.first}, {p.end}, in0, out0);", "signal.c")


def filter_bank(step: ProgramStep[FilterBank], options: CompileOptions) -> Kernel:
    p = step.params
    tables = ("weights", "unweights", "starts", "weight_starts", "widths")
    constants = tuple(Constant(name, getattr(p, name)) for name in tables)
    fields = f"{p.channels}, " + ", ".join(f"@_{name}" for name in tables)
    return call("nn_signal_filter_bank", "signal.c", "nn_filter_bank", fields, "in0, out0", constants=constants, headers=_HEADERS)


def root(step: ProgramStep[Channels], options: CompileOptions) -> Kernel:
    return _plain(f"nn_signal_root({step.params.n}, in0, in1, out0);", "signal.c")


def subtract(step: ProgramStep[Subtract], options: CompileOptions) -> Kernel:
    p = step.params
    pairs = ", ".join(f"{{{a}u, {b}u}}" for a, b in (p.smoothing, p.rest))
    fields = f"{p.n}, {pairs}, {p.smoothing_bits}, {p.bits}, {p.floor}, {int(p.clamping)}"
    return call("nn_signal_subtract", "signal.c", "nn_subtract", fields, "in0, out2, out0, out1", headers=_HEADERS)


def pcan(step: ProgramStep[Pcan], options: CompileOptions) -> Kernel:
    p = step.params
    return _plain(f"nn_signal_pcan({p.n}, {p.shift}, @_gains, in0, in1, out0);", "signal.c", Constant("gains", p.gains))


def log(step: ProgramStep[Log], options: CompileOptions) -> Kernel:
    p = step.params
    text = f"nn_signal_log({p.n}, {p.correction_bits}, {p.scale}u, @_table, in0, out0);"
    return _plain(text, "signal.c", Constant("table", p.table))


def _frames(p: Frames) -> str:
    return f"{p.rows}, {p.frames}, {p.size}, {p.step}, {p.room}, {p.start}"


def framer(step: ProgramStep[Frames], options: CompileOptions) -> Kernel:
    pointers = "in0, out2, out3, out0, out1"
    return call("nn_signal_framer", "frames.c", "nn_frames", _frames(step.params), pointers, headers=_HEADERS)


def overlap(step: ProgramStep[Frames], options: CompileOptions) -> Kernel:
    return call(f"nn_{step.kind}", "frames.c", "nn_frames", _frames(step.params), "in0, out1, out0", headers=_HEADERS)


def stacker(step: ProgramStep[Stack], options: CompileOptions) -> Kernel:
    p = step.params
    fields = f"{p.channels}, {p.left}, {p.room}, {p.step}"
    return call("nn_signal_stacker", "frames.c", "nn_stack", fields, "in0, out2, out3, out0, out1", headers=_HEADERS)


def delay(step: ProgramStep[Delay], options: CompileOptions) -> Kernel:
    p = step.params
    return _plain(f"nn_signal_delay({p.rows}, {p.n}, {p.length}, in0, out1, out0);", "frames.c")


KERNELS: dict[str, Select] = {
    **dict.fromkeys((f"{way}_{t}" for way in ("rfft", "irfft") for t in ("s16", "s32", "f32")), fft),
    "signal_window": window,
    "signal_scale": scale,
    "signal_energy": energy,
    "signal_filter_bank": filter_bank,
    "signal_root": root,
    "signal_subtract": subtract,
    "signal_pcan": pcan,
    "signal_log": log,
    "signal_framer": framer,
    **dict.fromkeys(("signal_overlap_s16", "signal_overlap_f32"), overlap),
    "signal_stacker": stacker,
    "signal_delay": delay,
}
