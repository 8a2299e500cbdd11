"""What steps of custom operators must compute: one frozen record a kind, as params.py has them for the built-in ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Window:
    """signal_window: int16 [rows, n] times weights [n], each product >> shift, saturated."""

    rows: int
    n: int
    shift: int
    weights: np.ndarray


@dataclass(frozen=True, eq=False)
class Fft:
    """rfft_s16 / _s32 / _f32: [rows, given], zeros behind, 2n real values a transform -> [rows, n + 1] complex; irfft_*:
    the other way, given = 2n. `twiddles` [n, 2] of the complex transform of n, `edges` [n / 2, 2] of the step between it and
    the real one: (cosine, sine) in the type of the values."""

    rows: int
    given: int
    n: int
    twiddles: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True)
class Scaled:
    """signal_scale: int16 [n] shifted left as far as the largest allows; out1 is by how many bits."""

    n: int


@dataclass(frozen=True)
class Energy:
    """signal_energy: int16 complex [n] -> uint32 [n], squared magnitudes of first <= i < end, elsewhere 0."""

    n: int
    first: int
    end: int


@dataclass(frozen=True, eq=False)
class FilterBank:
    """signal_filter_bank: uint32 [inputs] -> uint64 [channels]. Band i of channels + 1 sums `widths` inputs from `starts` on,
    times weights (of channel i) and unweights (of channel i + 1) from weight_starts on; band 0's own sum is dropped."""

    channels: int
    weights: np.ndarray
    unweights: np.ndarray
    starts: np.ndarray
    weight_starts: np.ndarray
    widths: np.ndarray


@dataclass(frozen=True)
class Channels:
    """signal_root: uint64 [n] -> uint32 roots, shifted right by input 1."""

    n: int


@dataclass(frozen=True)
class Subtract:
    """signal_subtract: uint32 [n]; out2 keeps the estimate of the noise. smoothing: (of even, of odd channels), each with what
    it lacks to one."""

    n: int
    smoothing: tuple[int, int]
    rest: tuple[int, int]
    smoothing_bits: int
    bits: int
    floor: int
    clamping: bool


@dataclass(frozen=True, eq=False)
class Pcan:
    """signal_pcan: uint32 [n] times the gain that the curve `gains` has for the noise in input 1."""

    n: int
    shift: int
    gains: np.ndarray


@dataclass(frozen=True, eq=False)
class Log:
    """signal_log: uint32 [n] -> int16. table: uint16, what log2(1 + i / 128) exceeds i / 128 by, times 2^16."""

    n: int
    correction_bits: int
    scale: int
    table: np.ndarray


@dataclass(frozen=True)
class Frames:
    """signal_framer: int16 [rows, frames * step] -> [rows, frames, size], out1: are all of them whole? out2 keeps [rows, room]
    samples, out3 how many beyond `start`. signal_overlap_*: [rows, frames, size] -> [rows, frames * step], out1 keeps [rows,
    size]."""

    rows: int
    frames: int
    size: int
    step: int
    room: int = 0
    start: int = 0


@dataclass(frozen=True)
class Stack:
    """signal_stacker: int16 [channels] -> [room * channels]; out1: is it whole? The first input stands for `left` before it;
    `step` of them leave after each whole stack. out2 keeps the inputs, out3 how many, and whether there was a first."""

    channels: int
    left: int
    room: int
    step: int


@dataclass(frozen=True)
class Delay:
    """signal_delay: int16 [rows, n], `length` samples later; out1 keeps [rows, length]."""

    rows: int
    n: int
    length: int


@dataclass(frozen=True)
class Detect:
    """detect: boxes [boxes, coded], scores [boxes, scored] of `classes` and perhaps one in front for the background, anchors
    [boxes, 4] -> boxes [most, 4], classes, scores [most], how many. per_class: 0: a box counts for its best class alone."""

    boxes: int
    coded: int
    scored: int
    classes: int
    most: int
    per_class: int
    least_score: float
    most_overlap: float
    scales: tuple[float, float, float, float]
