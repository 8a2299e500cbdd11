"""What a measurement came to, as frozen records whose names carry their units. Fields are added, never renamed or given another
unit or meaning; harness/tests/test_public_api.py holds them against that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tinyrig.budget.quantity import show_bytes, show_share, show_us


@dataclass(frozen=True)
class Latency:
    """One inference with its input in place. `cycles_median` counts what `Result.timing` says; the microseconds are None where an
    emulator counted instructions, which give no time. `us_low` and `us_high` are the ends of an estimate's band, both the median
    where it was measured. `layout_spread`: how far the worst layout of the same code in the flash lies above the best, as a share
    of the median; None where only one was looked at."""

    cycles_median: float | None
    us_median: float | None
    us_low: float | None
    us_high: float | None
    layout_spread: float | None
    us_p95: float | None
    us_p99: float | None
    us_min: float | None
    us_max: float | None
    samples: int


@dataclass(frozen=True)
class Ram:
    """Bytes. `model_total` is arena, static data and stack, what the model costs; `rig` is what measuring costs beside it."""

    arena_bytes: int
    static_bytes: int
    stack_bytes: int | None
    model_total_bytes: int | None
    rig_bytes: int


@dataclass(frozen=True)
class Flash:
    """Bytes. `model_total` is weights and engine, what the model costs; `rig` is what measuring costs beside it."""

    weights_bytes: int
    engine_bytes: int
    model_total_bytes: int
    rig_bytes: int
    total_bytes: int


@dataclass(frozen=True)
class Parity:
    """The board's outputs against the oracle's. `max_abs_diff` in LSB for integers, real units for floats; None: not finite."""

    oracle: str
    compared_windows: int
    mismatched_windows: int
    max_abs_diff: float | None
    top1_changed_windows: int


@dataclass(frozen=True)
class Op:
    """One step of the compiled model, in the order of execution; `cycles` None where there is no timing."""

    index: int
    op: str
    name: str
    cycles: float | None


@dataclass(frozen=True)
class Claim:
    """`status` is "passed", "failed" or "not measured". `value` was measured, `limit` is what it may come to, both in `unit`
    (fraction, us, bytes, windows); None where there is no number. `against` names whose accuracy the limit goes by."""

    name: str
    status: str
    reason: str
    limit: float | None
    value: float | None
    unit: str
    against: str


@dataclass(frozen=True)
class Output:
    """The output that the labels belong to; `scored_as` says how, as in docs/inputs.md: "classes", "binary", "regression" and
    the like."""

    name: str
    index: int
    scored_as: str


@dataclass(frozen=True)
class RunWarning:
    """Something that may make a number another one than it seems; `kind` is a fixed word, `text` is for people."""

    kind: str
    text: str


@dataclass(frozen=True)
class Result:
    """One model on one board.

    `verified`: an oracle computed the same outputs on all windows; without that there is no latency and no cycles of ops, and
    `unverified_reason` says why. `accuracy` is 0 to 1 over `windows` windows, None without labels, with its 95 % interval.
    `timing` is "estimated" (virtual board), "measured" (silicon) or "instructions" (QEMU); `timing_note` says what its times are
    worth, of estimates what the model was checked against and what not. `json` is this model's entry of
    `runs` in `tinyrig run --json`, with all there is.
    """

    name: str
    model_sha256: str
    board: str
    board_id: str
    clock_hz: int
    timing: str
    timing_note: str
    engine: str
    run_id: str
    windows: int
    verified: bool
    unverified_reason: str
    output: Output | None
    accuracy: float | None
    accuracy_ci95: tuple[float, float] | None
    parity: Parity | None
    latency: Latency | None
    ram: Ram | None
    flash: Flash | None
    ops: tuple[Op, ...]
    claims: tuple[Claim, ...]
    warnings: tuple[RunWarning, ...]
    macs: int | None
    tflite_bytes: int | None
    json: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def failed(self) -> tuple[Claim, ...]:
        """The claims that failed, budgets among them."""
        return tuple(claim for claim in self.claims if claim.status == "failed")

    @property
    def passed(self) -> bool:
        """Whether the outputs are verified and no claim failed."""
        return self.verified and not self.failed

    @property
    def latency_us(self) -> float | None:
        """The median, microseconds."""
        return self.latency.us_median if self.latency else None

    @property
    def ram_bytes(self) -> int | None:
        """What the model costs: arena, static data and stack."""
        return self.ram.model_total_bytes if self.ram else None

    @property
    def flash_bytes(self) -> int | None:
        """What the model costs: weights and engine."""
        return self.flash.model_total_bytes if self.flash else None


def result_of(entry: Mapping[str, Any], run_id: str) -> Result:
    """From an entry of `runs` (analysis/run_json.py)."""
    board, latency, ram, flash = entry["board"], entry["latency"], entry["ram"], entry["flash"]
    interval, parity, output = entry["accuracy_ci95"], entry["parity"], entry.get("output")
    return Result(
        name=entry["variant"],
        model_sha256=entry["tflite_sha256"],
        board=board["name"],
        board_id=board["id"],
        clock_hz=board["clock_hz"],
        timing=entry["timing"],
        timing_note=entry.get("timing_note") or "",
        engine=entry["engine"],
        run_id=run_id,
        windows=entry["windows"],
        verified=entry["latency_reason"] is None,
        unverified_reason=entry["latency_reason"] or "",
        output=output and Output(output["name"], output["index"], output["scored_as"]),
        accuracy=entry["accuracy"],
        accuracy_ci95=None if interval is None else (interval[0], interval[1]),
        parity=parity and _parity(parity),
        latency=latency and Latency(**{name: latency.get(name) for name in Latency.__dataclass_fields__}),
        ram=ram and Ram(**_in_bytes(Ram, ram)),
        flash=flash and Flash(**_in_bytes(Flash, flash)),
        ops=tuple(Op(op["index"], op["op"], op["name"], op.get("cycles")) for op in entry["ops"]),
        claims=tuple(Claim(**{name: claim[name] for name in Claim.__dataclass_fields__}) for claim in entry["claims"]),
        warnings=tuple(RunWarning(w["kind"], w["text"]) for w in entry.get("warnings", ())),
        macs=entry["macs"],
        tflite_bytes=entry["tflite_bytes"],
        json=entry,
    )


def _parity(entry: Mapping[str, Any]) -> Parity:
    numbers = ("compared", "mismatched_windows", "max_abs_diff", "top1_changed")
    return Parity(entry["oracle"], *(entry[name] for name in numbers))


def _in_bytes(record: type[Ram] | type[Flash], entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry[name.removesuffix("_bytes")] for name in record.__dataclass_fields__}


def line(found: Result) -> str:
    """`gesture on virtual: verified, 24.5 us (estimated, 23.9 us to 26.1 us), RAM 172 bytes, ..., run 2026...`."""
    parts = ["verified" if found.verified else f"no time: {found.unverified_reason}"]
    parts += [] if found.accuracy is None else [f"accuracy {show_share(found.accuracy)}"]
    parts += [f"{show_us(found.latency_us)} ({found.timing}{_band(found)})"] if found.latency_us is not None else []
    parts += [] if found.ram_bytes is None else [f"RAM {show_bytes(found.ram_bytes)}"]
    parts += [] if found.flash_bytes is None else [f"flash {show_bytes(found.flash_bytes)}"]
    return f"{found.name} on {found.board}: {', '.join(parts)}, run {found.run_id}"


def notes(found: Iterable[Result]) -> tuple[str, ...]:
    """What stands once below the lines of estimates with a band: what they were checked against."""
    told = dict.fromkeys(one.timing_note for one in found if one.timing_note and _band(one))
    return tuple(f"{note[0].upper()}{note[1:]}." for note in told)


def _band(found: Result) -> str:
    low, high = (found.latency.us_low, found.latency.us_high) if found.latency else (None, None)
    return "" if low is None or high is None or low == high else f", {show_us(low)} to {show_us(high)}"
