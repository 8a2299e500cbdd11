"""What a live session came to: counts, the sample clock, and, only where every decision was verified, times. As JSON (schema 1)
and as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinyrig.core.records import TensorSpec
from tinyrig.live.protocol import Decision
from tinyrig.live.sensors import Sensor
from tinyrig.live.session import Gathered
from tinyrig.live.verify import Verified

SCHEMA = 1
WRAP = 1 << 32
MOST_PPM = 100.0
"""Both clocks come from one crystal; what they differ by is the reading of two counters, one after the other."""
SHOWN = 0.75
"""A window shows a class when at least so much of it does."""
Truth = Callable[[int], str | None]


@dataclass(frozen=True)
class Setting:
    """What was run: names, and numbers as they were asked for."""

    subject: Mapping[str, Any]
    period_us: int
    hop: int
    clock_hz: int
    class_names: tuple[str, ...]
    output: TensorSpec
    sensor: Sensor


def document(setting: Setting, gathered: Gathered, verified: Verified | None, truth: Truth) -> dict[str, Any]:
    """The log of a session. `truth(frame)`: the class that frame shows, None where nobody knows."""
    assert gathered.status is not None
    status = gathered.status
    decisions = [_decision(d, setting, truth, verified) for d in gathered.decisions]
    return {
        "schema": SCHEMA,
        "kind": "live",
        **setting.subject,
        "period_us": setting.period_us,
        "hop": setting.hop,
        "class_names": list(setting.class_names),
        "counts": {
            "samples": status.slots,
            "dropped_samples": status.dropped,
            "frames_not_fetched": status.frames_lost,
            "windows": status.windows,
            "missed_deadlines": status.missed,
            "decisions_not_fetched": status.decisions_lost,
            "decisions": len(decisions),
        },
        "clock": _clock(gathered, setting),
        "clipped": _clipped(gathered, setting.sensor),
        "verified": None if verified is None else {**vars(verified), "differ": verified.differ, "passed": verified.passed},
        "times": _times(gathered, setting) if verified is not None and verified.passed else None,
        "accuracy": _accuracy(decisions),
        "decisions": decisions,
    }


def _decision(d: Decision, setting: Setting, truth: Truth, verified: Verified | None) -> dict[str, Any]:
    scores = _scores(d, setting.output)
    shown, frames = Counter(truth(n) for n in range(d.first, d.last + 1)).most_common(1)[0]
    timed = verified is not None and verified.passed
    return {
        "window": d.window,
        "first": d.first,
        "last": d.last,
        "class": _name(d.best, setting.class_names),
        "smoothed": _name(d.smoothed, setting.class_names),
        "confidence": round(float(scores[d.best]), 5) if d.best < len(scores) else None,
        "truth": shown if frames >= SHOWN * (d.last - d.first + 1) else None,
        **({"cycles": d.cycles, "fill_cycles": d.fill_cycles, "latency_us": d.latency_us} if timed else {}),
    }


def _scores(d: Decision, output: TensorSpec) -> np.ndarray:
    return output.dequantize(np.frombuffer(d.scores, output.dtype)) if d.scores else np.zeros(0)


def _name(index: int, names: tuple[str, ...]) -> str:
    return names[index] if index < len(names) else f"class {index}"


def _clipped(gathered: Gathered, sensor: Sensor) -> dict[str, int]:
    """In how many of the frames that came a channel lies at an end of its range; channels of which none does are left out."""
    if not gathered.frames:
        return {}
    counts = sensor.at_end(np.stack([f.counts for f in gathered.frames.values()])).sum(axis=0)
    return {name: int(n) for name, n in zip(sensor.channels, counts, strict=True) if n}


def _clock(gathered: Gathered, setting: Setting) -> dict[str, float] | None:
    """Of the frames that came: how far each lies from its time, in us, and how much the sample clock is ahead of the processor's,
    in ppm. None for fewer than three frames."""
    frames = [gathered.frames[n] for n in sorted(gathered.frames)]
    if len(frames) < 3:
        return None
    numbers = np.array([f.number for f in frames])
    times = np.unwrap(np.array([f.time_us for f in frames], np.float64), period=WRAP)
    cycles = np.unwrap(np.array([f.cycles for f in frames], np.float64), period=WRAP)
    late = times - times[0] - (numbers - numbers[0]) * setting.period_us
    late -= np.median(late)
    passed = (cycles[-1] - cycles[0]) / setting.clock_hz * 1e6
    return {
        "jitter_median_us": float(np.median(np.abs(late))),
        "jitter_p99_us": float(np.percentile(np.abs(late), 99)),
        "jitter_worst_us": float(np.abs(late).max()),
        "ahead_of_processor_ppm": round(float((times[-1] - times[0]) / passed - 1) * 1e6, 2) if passed else 0.0,
    }


def _times(gathered: Gathered, setting: Setting) -> dict[str, float]:
    """Of decisions that were all verified."""
    status, decisions = gathered.status, gathered.decisions
    assert status is not None
    latency = np.array([d.latency_us for d in decisions], float)
    cycles = np.array([d.cycles for d in decisions], float)
    elapsed_s = status.slots * setting.period_us / 1e6
    return {
        "decision_latency_median_us": float(np.median(latency)),
        "decision_latency_worst_us": float(latency.max()),
        "inference_median_us": float(np.median(cycles)) / setting.clock_hz * 1e6,
        "fill_median_us": float(np.median([d.fill_cycles for d in decisions])) / setting.clock_hz * 1e6,
        "load": status.busy_cycles / setting.clock_hz / elapsed_s,
    }


def _accuracy(decisions: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Of decisions whose window shows one known class; None where nobody knows any."""
    known = [d for d in decisions if d["truth"] is not None]
    if not known:
        return None
    pairs = Counter((d["truth"], d["smoothed"]) for d in known)
    return {
        "decisions": len(known),
        "right": sum(d["class"] == d["truth"] for d in known),
        "right_smoothed": sum(d["smoothed"] == d["truth"] for d in known),
        "confusion": [{"truth": t, "decided": c, "decisions": n} for (t, c), n in sorted(pairs.items())],
    }


def text(found: Mapping[str, Any]) -> str:
    """For people."""
    counts, clock, times, accuracy, verified = (found[k] for k in ("counts", "clock", "times", "accuracy", "verified"))
    lines = [
        f"{found['variant']} on {found['board']}, sensor {found['sensor']}: {counts['samples']} sample times, "
        f"{counts['decisions']} decisions ({found['timing']})",
        f"  dropped samples {counts['dropped_samples']}, missed deadlines {counts['missed_deadlines']}, not fetched "
        f"{counts['frames_not_fetched']} frames and {counts['decisions_not_fetched']} decisions",
    ]
    if found.get("cut_short"):
        lines.append(f"  CUT SHORT by {found['cut_short']}")
    if found["clipped"]:
        ends = ", ".join(f"{name} {n}" for name, n in found["clipped"].items())
        lines.append(f"  warning: values at an end of their range: {ends}")
    if clock:
        lines.append(
            f"  jitter of the sample clock: median {clock['jitter_median_us']:.0f} us, worst {clock['jitter_worst_us']:.0f} us"
        )
        if abs(clock["ahead_of_processor_ppm"]) > MOST_PPM:
            lines.append(f"  warning: the sample clock is {clock['ahead_of_processor_ppm']:+.0f} ppm off the processor's")
    if accuracy:
        lines.append(f"  right: {accuracy['right']} of {accuracy['decisions']}, after smoothing {accuracy['right_smoothed']}")
    lines.append(_verified_text(verified))
    if times:
        lines.append(
            f"  load {times['load']:.1%}, decision {times['decision_latency_median_us'] / 1000:.2f} ms after the last sample "
            f"(worst {times['decision_latency_worst_us'] / 1000:.2f}), inference {times['inference_median_us'] / 1000:.2f} ms"
        )
    return "\n".join(lines)


def _verified_text(verified: Mapping[str, Any] | None) -> str:
    if verified is None:
        return "  not verified (--verify): no times"
    if not verified["compared"] and not verified["unseen"]:
        return "  nothing to verify: not one window without a gap"
    if verified["passed"]:
        streamed = f", and the {verified['replayed']} that were streamed as windows" if verified["replayed"] else ""
        return f"  verified: all {verified['compared']} decisions equal the host's ({verified['oracle']}){streamed}"
    parts = {"input": "inputs_differ", "output": "outputs_differ", "class": "classes_differ", "streamed window": "replays_differ"}
    differ = ", ".join(f"{name} {verified[key]}" for name, key in parts.items())
    return f"  VERIFICATION FAILED: {verified['compared']} decisions compared, {verified['unseen']} not seen; differing: {differ}"
