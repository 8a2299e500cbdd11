"""Frozen records that cross stage borders. Units are in the names; `None` means not measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.budget.budgets import Budgets
from tinyrig.core.files.content import Content
from tinyrig.core.plans import MeasurementSettings

ESTIMATED = "estimated"
"""Cycles come from the virtual board's timing model."""
MEASURED = "measured"
"""Cycles come from the counter of a physical board."""
INSTRUCTIONS = "instructions"
"""No cycles at all: an emulator counted the instructions that it executed."""


class ClaimStatus(StrEnum):
    """What a claim came to, as it is stored. NOT_MEASURED: nothing is known of the model, because the rig failed or the user
    asked for less than the claim needs."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_MEASURED = "not measured"


class RunState(StrEnum):
    """Of a run, as it is stored. An open one is under way, or was cut off without a chance to say so."""

    OPEN = "open"
    FINISHED = "finished"
    INTERRUPTED = "interrupted"


class VerdictStatus(StrEnum):
    """What a verdict says of a metric, as it is stored. CHANGED: an exact value differs and neither is the better one."""

    SAME = "same"
    BETTER = "better"
    WORSE = "worse"
    CHANGED = "changed"
    NOT_COMPARABLE = "not comparable"
    NOT_MEASURED = "not measured"


MOVED = (VerdictStatus.WORSE, VerdictStatus.CHANGED, VerdictStatus.BETTER)
"""The verdicts that found a difference, the most urgent first."""


class VerdictKind(StrEnum):
    """NIGHT: tonight against the baseline; DRIFT: the last levels of the history against each other."""

    NIGHT = "night"
    DRIFT = "drift"


@dataclass(frozen=True)
class TensorSpec:
    """A model's input or output: `dtype` is a numpy name; `scale` 0.0 means not quantised."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        return self.size * np.dtype(self.dtype).itemsize

    def quantize(self, x: np.ndarray) -> np.ndarray:
        """float32 real values -> this tensor's dtype, saturating, ties away from zero (as TFLite's QUANTIZE)."""
        if not self.scale:
            return np.ascontiguousarray(x, self.dtype)
        info = np.iinfo(self.dtype)
        scaled = np.asarray(x, np.float32) / np.float32(self.scale)
        rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)).astype(np.float64)
        q: np.ndarray = np.clip(rounded + self.zero_point, info.min, info.max).astype(self.dtype)
        return q

    def dequantize(self, q: np.ndarray) -> np.ndarray:
        """This tensor's dtype -> float32 real values."""
        if not self.scale:
            return np.asarray(q, np.float32)
        return (np.asarray(q, np.float32) - self.zero_point) * np.float32(self.scale)


@dataclass(frozen=True)
class OpInfo:
    """One step of the compiled program, in execution order; `macs` multiply-accumulates of one inference."""

    index: int
    op: str
    name: str
    macs: int = 0


@dataclass(frozen=True)
class ArenaBuffer:
    """`size` bytes of the arena at `offset`, in use from step `first` to step `last`, both included: -1 is before the first step,
    the number of steps behind the last. `scratch`: of a step's own, no tensor."""

    name: str
    size: int
    offset: int
    first: int
    last: int
    scratch: bool = False


@dataclass(frozen=True)
class CompiledModel:
    """The compiler's result. `sources` maps file names to C text; `kernels` are the files below firmware/nn to
    compile beside them, `extra_sources` and `include_dirs` those of another runtime from elsewhere, `objects` what is compiled
    already, archives last; sizes in bytes;
    `tensor_offsets` maps a tensor's index in the .tflite to its arena offset; `arena` is the plan behind it, empty where it is
    not known (a user's own engine)."""

    engine: str
    sha256: str
    sources: dict[str, str]
    kernels: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ops: tuple[OpInfo, ...]
    arena_bytes: int
    weight_bytes: int
    tensor_offsets: dict[int, int] = field(default_factory=dict)
    extra_sources: tuple[Path, ...] = ()
    include_dirs: tuple[Path, ...] = ()
    objects: tuple[Path, ...] = ()
    arena: tuple[ArenaBuffer, ...] = ()
    least_payload: int = 0
    """Bytes that a frame on the wire must be able to carry whatever the model's tensors are."""

    @property
    def macs(self) -> int:
        return sum(op.macs for op in self.ops)


@dataclass(frozen=True)
class Variant:
    """A built .tflite beside what its builder knows of it; `windows` is the .npz of test windows. Of a foreign firmware (Image)
    whose model file is not known, `sha256` is empty and `tflite_bytes` None.

    `model` and `test_set` are what the two files held when they were read: all that is measured, hashed and sized comes from
    these, and the paths are names only. They are not stored: empty and None in a record from the store. `output` is the one that
    is scored, by name or index; None: the one that fits the labels."""

    name: str
    tflite: Path
    sha256: str
    tflite_bytes: int | None
    zip_bytes: int | None = None
    windows: Path | None = None
    dataset: str | None = None
    synthetic: bool = False
    host_accuracy: float | None = None
    flops: int | None = None
    macs: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    budgets: Budgets = field(default_factory=Budgets)
    output: str | None = None
    model: bytes = field(default=b"", repr=False, compare=False)
    test_set: Content | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Toolchain:
    """`cc` is the compiler's name and version; `flags` all that change the generated code."""

    cc: str
    flags: str


@dataclass(frozen=True)
class Footprint:
    """Bytes by section arithmetic. `weights` are the constant tensors; `engine` the code that runs the model;
    `rig` what the measuring itself costs (protocol, buffers, port, startup): an image linked with an empty engine."""

    flash_weights: int
    flash_engine: int
    flash_rig: int
    ram_arena: int
    ram_static: int
    ram_rig: int

    @property
    def flash_model(self) -> int:
        return self.flash_weights + self.flash_engine

    @property
    def flash_total(self) -> int:
        return self.flash_model + self.flash_rig


@dataclass(frozen=True)
class Image:
    """A linked firmware image. `build_id` is 16 bytes as hex and names firmware sources, flags and model.

    Of a foreign firmware, that somebody else built, `footprint` is None and files, build id, toolchain say nothing. `arena` is
    empty where its plan is not known."""

    elf: Path
    bin: Path
    base_address: int
    model_sha256: str
    build_id: str
    engine: str
    toolchain: Toolchain
    footprint: Footprint | None
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ops: tuple[OpInfo, ...]
    arena: tuple[ArenaBuffer, ...] = ()


@dataclass(frozen=True)
class Hello:
    """What a board says of itself."""

    wire_version: int
    build_id: str
    model_sha256: str
    engine: str
    board_name: str
    board_id: str
    clock_hz: int
    max_payload: int
    arena_bytes: int
    timer_overhead_cycles: int
    op_count: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    fault: str | None = None
    internal_clock: bool = False
    """Whether its external oscillator did not start: its clock is exact to 1 % only."""
    sensor: bool = False
    """Whether its image has a sensor: it knows SENSOR, START, FETCH and STOP."""


@dataclass(frozen=True)
class FaultRecord:
    """What a board kept of the fault that caused its last reset; fields as FAULT in firmware/WIRE.md.

    `kind` is 1 (processor), 2 (hang) or 3 (stack overflow); `registers` r0, r1, r2, r3, r12, lr, pc, xpsr, sp."""

    kind: int
    flags: int
    registers: tuple[int, ...]
    cfsr: int
    hfsr: int
    mmfar: int
    bfar: int
    trace: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether more than the kind is known."""
        return bool(self.flags & 1)

    @property
    def at_start(self) -> bool:
        """Whether it happened while the engine was prepared, before the board listened."""
        return bool(self.flags & 2)

    @property
    def pc(self) -> int:
        return self.registers[6]

    @property
    def lr(self) -> int:
        return self.registers[5]


@dataclass(frozen=True)
class Sample:
    """One inference, raw. `kind` is "window" (test window `index`), "repeat" (repeat `index` of one window), "profile", "stack"
    or "energy" (marked for a power meter); `outputs` the output tensors' bytes, concatenated. Of a foreign firmware `cycles` are
    the board's microseconds, and "throughput" is a run of many inferences."""

    kind: str
    index: int
    outputs: bytes
    cycles: int
    stack_bytes: int | None = None
    op_cycles: tuple[int, ...] = ()


@dataclass(frozen=True)
class Parity:
    """Device outputs against the oracle's, a window at a time. `max_abs_diff` in LSB for integers, real units for floats;
    `oracle_correct`: in how many of the compared windows the oracle's own class is the label, None without labels."""

    oracle: str
    compared: int
    mismatched_windows: int
    max_abs_diff: float
    top1_changed: int
    first_mismatch: int | None
    oracle_correct: int | None = None


@dataclass(frozen=True)
class BoardInfo:
    """The board a run was made on; `timing` is ESTIMATED, MEASURED or INSTRUCTIONS. `clock_hz`: what its cycles are counted in,
    0: not known; `timer_hz`: the steps in which its timer really goes, None for a run from before they were kept."""

    name: str
    id: str
    clock_hz: int
    timing: str
    timer_hz: int | None = None


@dataclass(frozen=True)
class ClockCheck:
    """The board's counter against the host's clock over `seconds`: it gains `ppm` parts in a million on the clock that the board
    is said to have, give or take `ppm_error` (a bound from the round trips). None where it was not checked; `reason` says why."""

    ppm: float | None
    ppm_error: float | None
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Claim:
    """What a claim came to; `reason` says why, empty where it passed.

    `value` was measured and `limit` is what it may come to, both in `unit` (fraction, us, bytes, windows); None where there is no
    such number. `against`: whose accuracy the limit goes by, empty for claims that have no reference.
    """

    name: str
    status: ClaimStatus
    reason: str = ""
    limit: float | None = None
    value: float | None = None
    unit: str = ""
    against: str = ""


@dataclass(frozen=True)
class NotMeasured:
    """A variant that a run could not measure. `kind` says who is at fault: user, model, host, link, device or infra."""

    variant: str
    error: str
    kind: str


@dataclass(frozen=True)
class Measurement:
    """One variant on one board: everything raw that the metrics are computed from.

    `labels` holds N integers or None; `output` is the (first) output tensor; samples keep their order; `claims` are as judged
    when the run was stored, none for a run from before they were kept; so is `clock` None.
    """

    variant: Variant
    image: Image
    board: BoardInfo
    samples: tuple[Sample, ...]
    parity: Parity | None
    labels: tuple[int, ...] | None
    class_names: tuple[str, ...] | None
    settings: MeasurementSettings = field(default_factory=MeasurementSettings)
    claims: tuple[Claim, ...] = ()
    clock: ClockCheck | None = None


@dataclass(frozen=True)
class Run:
    """One call of the harness: an id, when it started (ISO-8601 UTC), the runs of its variants and those it could not make."""

    run_id: str
    started: str
    runs: tuple[Measurement, ...]
    versions: dict[str, str] = field(default_factory=dict)
    not_measured: tuple[NotMeasured, ...] = ()


@dataclass(frozen=True)
class Night:
    """One nightly: the boards that were asked for, its runs (first ones and reruns), and how it ended.

    `finished` and `exit_code` are None while it is under way or when its process was killed. `cut_off`: it ended before it had
    measured all, by a signal or an error. `reruns` has one number for each of `runs`: 0 for a board's first run of the night, n
    for its n-th repetition.
    """

    night_id: str
    started: str
    boards: tuple[str, ...]
    finished: str | None = None
    exit_code: int | None = None
    summary: str = ""
    runs: tuple[str, ...] = ()
    reruns: tuple[int, ...] = ()
    cut_off: bool = False


@dataclass(frozen=True)
class Accepted:
    """A run (or one variant of it, None: all) that later ones are compared with. `wanted`: somebody says that its changes are
    meant; else nothing had changed. `when` is ISO-8601 UTC."""

    run_id: str
    variant: str | None
    when: str
    who: str
    why: str
    wanted: bool


@dataclass(frozen=True)
class StoredVerdict:
    """A judgement (verdicts.py) of one metric of a stored variant run. `old` and `new` are numbers or hashes;
    `details` is what else the judgement says, by its own names."""

    run_id: str
    variant: str
    board: str
    board_id: str
    metric: str
    kind: VerdictKind
    status: VerdictStatus
    old: Any = None
    new: Any = None
    change: float | None = None
    change_percent: float | None = None
    threshold: float | None = None
    detectable: float | None = None
    p_value: float | None = None
    reason: str = ""
    details: dict[str, Any] = field(default_factory=dict)
