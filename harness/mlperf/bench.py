"""One benchmark on a board with an MLPerf Tiny firmware -> a Measurement without an image: accuracy over all windows, then
throughput by the benchmark's rule. Flash and RAM stay unknown: the firmware was built elsewhere."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.boards import MLPERF
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import DeviceError, LinkError, UserError
from tinyrig.core.files.test_set import name_of_windows
from tinyrig.core.plans import MeasurementSettings
from tinyrig.core.records import MEASURED, BoardInfo, Image, Measurement, Parity, Sample, TensorSpec, Toolchain, Variant
from tinyrig.core.text import printable
from tinyrig.host.locks import Locks, port_key
from tinyrig.link.serial_link import open_link
from tinyrig.mlperf.channel import Times
from tinyrig.mlperf.device import BAUDS, Device, Identity, Inferences
from tinyrig.mlperf.forms import check_supported, oracle_input, oracle_results, read_graph, windows_for
from tinyrig.mlperf.text import elapsed_us, printed_unit
from tinyrig.windows.files import read_windows
from tinyrig.workload.oracle import ORACLES
from tinyrig.workload.windows import Windows, check_labels

log = logging.getLogger(__name__)

WINDOW_S = 30.0
"""For one inference of which nothing is known yet, where rig.toml's [limits] say nothing."""
TIMESTAMPS = 8
"""Asked for beside those of the inferences, to see the timer's step."""
MARGIN = 1.1
"""Inferences beyond what the shortest run needs, as far as is known."""
ATTEMPTS = 8
"""At a run that turned out too short: a first guess comes from few inferences."""
GROWTH = 1.5
"""Of such a run's inferences, at least."""
COARSEST = 0.1
"""Of the largest output: a last printed digit worth more tells no outputs apart, and a number may be off by it."""
CLOCK_RATIO = 1.5
"""A board's time beyond this (or its inverse) of the host's is a damaged timestamp or a wrong clock, not a measurement."""
CLOCK_SLACK_US = 250_000
"""Of the host's time: a busy host reads late."""


@dataclass(frozen=True)
class Rule:
    """Throughput is the median of `runs`, each of at least `seconds` and `inferences`, after `warmups`."""

    runs: int = 5
    seconds: float = 10.0
    inferences: int = 10
    warmups: int = 1


@dataclass(frozen=True)
class Asked:
    """Of a variant whose `model` is empty it is not known which .tflite the firmware was built with."""

    variant: Variant
    limit: int | None
    oracle: str


def mlperf_variant(windows: Path) -> Variant:
    """What is measured where no model file is known: named after its windows."""
    return Variant(printable(windows.stem, 100), Path(), "", None, windows=windows, test_set=read_windows(windows))


def run_mlperf(
    asked: Asked,
    port: str,
    config: Config,
    deadline: Deadline | None = None,
    rule: Rule | None = None,
    times: Times | None = None,
) -> Measurement:
    """Everything raw about one benchmark. Raises RigErrors."""
    rule, deadline = rule or Rule(), deadline or Deadline("run_s", config.limits.run_s)
    times = times or replace(Times(), inferences_s=config.limits.window_s or WINDOW_S)
    graph = read_graph(asked.variant.model, asked.variant.tflite) if asked.variant.model else None
    if asked.variant.test_set is None:
        raise UserError(
            "an MLPerf Tiny firmware can't be run without windows",
            expected="--windows FILE.npz",
            received="none",
            remedy="give the benchmark's windows in the form of docs/mlperf.md",
        )
    locks = Locks()
    locks.take(port_key(port), f"the board at {port}")
    try:
        device, baud = find_device(port, times)
        with device:
            identity = device.identify()
            check_supported(identity.model)
            windows = windows_for(asked.variant.test_set, identity.model, graph, asked.limit)
            log.info("%s of %s, %d baud; %d windows", printable(identity.model), printable(identity.name), baud, len(windows))
            benchmark = Benchmark(device, times, deadline)
            answers = benchmark.accuracy(windows)
            runs = benchmark.throughput(windows, rule)
            step_us = resolution_us(benchmark.intervals())
    finally:
        locks.close()
    deadline.check("before comparing with the oracle")
    outputs = _outputs(answers)
    check_labels(windows, outputs)
    unit = max(printed_unit(a.results) for a in answers)
    parity = None
    if graph is not None and asked.oracle != "none":
        parity = compare(asked, identity.model, graph, windows, answers, unit)
    samples = (*_window_samples(answers), *(Sample("throughput", i, b"", r.elapsed_us) for i, r in enumerate(runs)))
    settings = _settings(asked, windows, unit, device, baud, identity, rule, runs, step_us)
    image = _no_image(asked, identity, windows, outputs)
    info = BoardInfo(MLPERF, printable(identity.name, 64), 0, MEASURED)
    return Measurement(asked.variant, image, info, samples, parity, windows.labels, windows.class_names, settings)


def find_device(port: str, times: Times) -> tuple[Device, int]:
    """A device that answers on `port`, and at what baud rate. Raises LinkError."""
    heard: list[str] = []
    for baud in BAUDS:
        link = open_link(port, baud)
        try:
            Device(link, replace(times, tries=2)).resync()
            return Device(link, times), baud
        except LinkError as error:
            link.close()
            heard.append(f"{baud} baud: {error.received or error.what}")
        except BaseException:
            link.close()
            raise
    raise LinkError(
        f"no MLPerf Tiny firmware answers on {port}",
        expected="m-name-... and m-ready in reply to `name%`",
        received="; ".join(printable(text, 80) for text in heard),
        remedy="check port, wires and power, and that the firmware is one of docs/mlperf.md",
    )


TELL_EVERY = 100
"""Windows: one of image classification takes about 2 s at 115200 baud."""


class Benchmark:
    """Its two passes on one device, and how the board's time compares with the host's."""

    def __init__(self, device: Device, times: Times, deadline: Deadline) -> None:
        self._device, self._times, self._deadline = device, times, deadline
        self._slowest_us = 0.0
        self._intervals: list[int] = []

    def accuracy(self, windows: Windows) -> list[Inferences]:
        """One inference of each window."""
        found = []
        for i, data in enumerate(_payloads(windows)):
            self._deadline.check(f"after {i} of {len(windows)} windows")
            found.append(self._run(data, 1, 0))
            if (i + 1) % TELL_EVERY == 0:
                log.info("%d of %d windows", i + 1, len(windows))
            if len(found[-1].results.split(",")) != len(found[0].results.split(",")):
                raise DeviceError(
                    "the firmware prints lists of different lengths",
                    expected=found[0].results[:200],
                    received=found[-1].results[:200],
                    remedy="reset the board, then run again",
                )
        return found

    def throughput(self, windows: Windows, rule: Rule) -> list[Inferences]:
        """The runs of the rule, each on another window where there are several. Raises DeviceError where one stays too short."""
        payloads, found = list(_payloads(windows)), []
        iterations = rule.inferences
        for i in range(rule.runs):
            for _ in range(ATTEMPTS):
                self._deadline.check(f"after {i} of {rule.runs} throughput runs")
                run = self._run(payloads[i % len(payloads)], iterations, rule.warmups)
                if run.elapsed_us >= rule.seconds * 1e6:
                    break
                # A timer that has not moved yet shows nothing but its step.
                needed = math.ceil(iterations * rule.seconds * 1e6 * MARGIN / run.elapsed_us) if run.elapsed_us else 0
                iterations = max(needed or iterations * 10, math.ceil(iterations * GROWTH))
            else:
                raise DeviceError(
                    "a throughput run never lasts long enough",
                    expected=f"{rule.seconds:g} s of the board's time",
                    received=f"{run.elapsed_us} us for {run.iterations} inferences",
                    remedy="check the firmware's timer",
                )
            log.info("run %d of %d: %d inferences in %.3f s", i + 1, rule.runs, run.iterations, run.elapsed_us / 1e6)
            found.append(run)
        return found

    def intervals(self) -> list[int]:
        """Between timestamps that were seen, and some more, us."""
        stamps = [self._device.timestamp() for _ in range(TIMESTAMPS)]
        return self._intervals + [elapsed_us(a, b) for a, b in pairwise(stamps)]

    def _run(self, data: bytes, iterations: int, warmups: int) -> Inferences:
        """Raises DeviceError where the board's time is far from the host's, again and again."""
        for _ in range(self._times.tries):
            run = self._device.infer(data, iterations, warmups, self._allowed_s(iterations + warmups))
            low, high = run.host_us / CLOCK_RATIO - CLOCK_SLACK_US, run.host_us * CLOCK_RATIO + CLOCK_SLACK_US
            if low <= run.elapsed_us <= high:
                self._slowest_us = max(self._slowest_us, run.elapsed_us / iterations, 1.0)
                self._intervals.append(run.elapsed_us)
                return run
            self._device.statistics.damaged += 1
        raise DeviceError(
            "the board's time is not the host's",
            expected=f"about {run.host_us:.0f} us, as the host saw it",
            received=f"{run.elapsed_us} us",
            remedy="check the clock set-up behind the firmware's th_timestamp",
        )

    def _allowed_s(self, inferences: int) -> float:
        if not self._slowest_us:
            return self._times.inferences_s * inferences
        return 2 * inferences * self._slowest_us * 1e-6 + self._times.reply_s


def _payloads(windows: Windows) -> Iterable[bytes]:
    """Little-endian, as the reference platforms are."""
    for (window,) in windows.inputs:
        yield np.ascontiguousarray(window).astype(window.dtype.newbyteorder("<")).tobytes()


def _numbers(answer: Inferences) -> np.ndarray:
    return np.asarray([float(word) for word in answer.results.split(",")], np.float64)


def _outputs(answers: list[Inferences]) -> tuple[TensorSpec, ...]:
    return (TensorSpec("m-results, as printed", (len(_numbers(answers[0])),), "float32"),)


def _window_samples(answers: list[Inferences]) -> Iterable[Sample]:
    """`cycles` of such samples are the board's microseconds."""
    for i, answer in enumerate(answers):
        yield Sample("window", i, _numbers(answer).astype("<f4").tobytes(), answer.elapsed_us)


def compare(asked: Asked, model: str, graph: Any, windows: Windows, answers: list[Inferences], unit: float) -> Parity:
    """The printed results against the oracle's. A window mismatches where a number is a whole last printed digit away: firmwares
    round or cut. The top-1 changed where the oracle puts the board's class behind its own by more than both may be off.

    Raises UserError where the model file has other outputs, DeviceError where what was printed would agree with anything."""
    oracle, allowed = ORACLES[asked.oracle](asked.variant.model), unit * (1 + 1e-3)
    wrong, worst, top1, largest = [], 0.0, 0, 0.0
    for i, answer in enumerate(answers):
        window = windows.inputs[i][0]
        expected = oracle_results(graph, model, window, oracle.run([oracle_input(graph, window)])[0])
        received = _numbers(answer)
        if len(expected) != len(received):
            raise UserError(
                "the model file is not what the firmware runs",
                expected=f"{len(received)} results",
                received=f"{len(expected)} outputs",
                remedy="give the model that the firmware was built with",
            )
        gap = float(np.nan_to_num(np.abs(expected - received), nan=np.inf).max())
        worst, largest = max(worst, gap), max(largest, float(np.abs(expected).max()))
        wrong += [i] if gap > allowed else []
        top1 += int(len(expected) > 1 and expected.max() - expected[np.argmax(received)] > 2 * allowed)
    if unit > COARSEST * largest:
        raise DeviceError(
            "the firmware's numbers are too coarse to be compared with the model's",
            expected=f"a last digit worth at most {COARSEST:g} of the largest output, {largest:g}",
            received=next(a.results[:200] for a in answers if printed_unit(a.results) == unit),
            remedy="let the firmware print more digits of its results",
        )
    return Parity(asked.oracle, len(answers), len(wrong), worst, top1, wrong[0] if wrong else None)


def resolution_us(intervals: Iterable[int]) -> int:
    """The largest step of which all intervals are multiples: the timer's own is that or finer. Timestamps themselves would
    mislead: a step need not divide 2^32, where they wrap."""
    return reduce(math.gcd, intervals, 0)


def _settings(
    asked: Asked,
    windows: Windows,
    unit: float,
    device: Device,
    baud: int,
    identity: Identity,
    rule: Rule,
    runs: list[Inferences],
    step_us: int,
) -> MeasurementSettings:
    how = "read back" if device.reads_back else "bytes counted by the firmware"
    return MeasurementSettings(
        oracle=asked.oracle if asked.variant.model else "none",
        windows_sha256=windows.digest(),
        random_windows=False,
        float_tolerance=unit * (1 + 1e-3),
        link=device.statistics.summary(),
        retries=device.statistics.retries,
        mlperf={
            "name": printable(identity.name),
            "profile": printable(identity.profile),
            "model": printable(identity.model),
            "baud": baud,
            "iterations": [r.iterations for r in runs],
            "host_us": [round(r.host_us) for r in runs],
            "timer_resolution_us": step_us,
            "printed_unit": unit,
            "inputs": how,
            "results": "printed twice" if device.repeats_results else "printed once",
            "reboots": device.reboots,
            "rule": vars(rule),
        },
        test_set=name_of_windows(asked.variant.test_set, asked.limit, 0),
    )


def _no_image(asked: Asked, identity: Identity, windows: Windows, outputs: tuple[TensorSpec, ...]) -> Image:
    window = windows.inputs[0][0]
    inputs = (TensorSpec("the firmware's buffer", window.shape, window.dtype.name),)
    toolchain = Toolchain("not known: the firmware was built elsewhere", "")
    engine = f"{printable(identity.profile, 60)} {printable(identity.model, 20)}"
    return Image(Path(), Path(), 0, asked.variant.sha256, "", engine, toolchain, None, inputs, outputs, ())


__all__ = ["Asked", "Rule", "compare", "find_device", "mlperf_variant", "resolution_us", "run_mlperf"]
