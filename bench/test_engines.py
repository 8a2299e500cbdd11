"""Claim: the engine reaches its targets and stays ahead of CMSIS-NN, network by network.

On demand, because it takes minutes: pytest bench/test_engines.py, or with -m "not slow" without the networks of the kinds
that users bring. The networks of the zoo are built first if missing, into variants/out/zoo. Writes reports/out/engines.json
and engines.md: every target beside the figure reached, all networks in a table, and the engines side by side.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from engine_summary import WORST_CYCLES, WORST_RAM, portable_share, summary
from per_tensor import per_tensor_dense

from tinyrig.core.boards import parse_board
from tinyrig.core.config import ROOT, Config
from tinyrig.core.records import Variant
from tinyrig.engines_command import markdown
from tinyrig.measure.engine_comparison import ENGINES, PEER, Comparison, wrong_engines
from tinyrig.measure.variants import built_variants, model_variant

ZOO = ROOT / "variants" / "out" / "zoo"
OUT = ROOT / "reports" / "out"
PAPER = ("pqt", "simple")
NETS = ("dscnn", "resnet8", "mobilenet", "autoencoder", "cnn1d")
TWIN = "autoencoder_int8_per_tensor"
"""The dense autoencoder with one weight scale a layer, which arm_fully_connected_s8 asks for."""
INT8 = ("pqt", *(f"{net}_int8" for net in NETS), TWIN)
FLOAT = ("simple", *(f"{net}_f32" for net in NETS if net != "autoencoder"))
"""The float autoencoder's weights, 1,063,456 bytes, are more than the board's flash."""
BROUGHT = tuple(f"{net}_int8" for net in ("mobilenet_dead", "mobilenet_v2", "resnet_wide", "attention", "unet", "lstm", "tcn"))
"""Of the kinds that users bring: tinyrig and the peer only, without the targets of the reference networks."""
INT16 = "conv16_int16x8"
MISSED: dict[tuple[str, str], str] = {}
"""Figure and network -> why its target is missed; a claim that is reached after all fails until its line is taken out."""
LIMIT = 2
"""Windows a network and engine; the largest take 0.3 billion instructions an inference with the portable kernels."""
KB = 1024


@dataclass(frozen=True)
class EngineTarget:
    """`limit`: at most this; `peer`: TFLM + CMSIS-NN as measured before this engine was written (docs/engines.md), None where
    no such figure exists."""

    model: str
    figure: str
    limit: float
    peer: float | None = None
    memory: str = "none"
    """The board's memory system, as in rig.toml."""
    optimise: str = "speed"

    def __str__(self) -> str:
        return f"{self.model}-{self.label}"

    @property
    def label(self) -> str:
        with_memory = [] if self.memory == "none" else ["memory on"]
        conditions = ", ".join([f'"{self.optimise}"'] * (self.optimise != "speed") + with_memory)
        return f"{self.figure} ({conditions})" if conditions else self.figure


TARGETS = (
    EngineTarget("pqt", "cycles", 72_000, 245_055),
    EngineTarget("pqt", "RAM", 3 * KB, 6_900),
    EngineTarget("pqt", "flash", 6 * KB, 47_560),
    EngineTarget("simple", "cycles", 270_000, 1_424_496),
    EngineTarget("simple", "RAM", 9 * KB, 18_836),
    EngineTarget("simple", "flash", 12 * KB),
    EngineTarget("dscnn_int8", "cycles", 4_600_000, 9_196_000),
    EngineTarget("dscnn_int8", "arena", 17_000, 22_820),
    EngineTarget("resnet8_int8", "cycles", 18_000_000, 36_470_000),
    EngineTarget("resnet8_int8", "arena", 50_000, 54_996),
    EngineTarget("mobilenet_int8", "cycles", 14_500_000, 29_130_000),
    EngineTarget("mobilenet_int8", "arena", 56_000, 100_708),
    EngineTarget("autoencoder_int8", "cycles", 420_000, 723_000),
    EngineTarget("dscnn_int8", "cycles", 4_200_000, memory="nrf52840"),
    EngineTarget("autoencoder_int8", "cycles", 420_000, memory="nrf52840"),
    EngineTarget("mobilenet_int8", "arena", 32_000, optimise="ram"),
    *(EngineTarget(f"{net}_f32", "cycles/MAC", 3.5) for net in ("dscnn", "resnet8", "mobilenet")),
)


class EngineFigures:
    """Compares a model's engines once, however many claims ask, and writes what was found."""

    def __init__(self, board: str, config: Config) -> None:
        self._board, self._config = board, config
        self._found: dict[str, dict[str, Any]] = {}
        self._reached: dict[tuple[str, str, str], dict[str, Any]] = {}

    def _compared(self, model: str, engines: tuple[str, ...], config: Config) -> dict[str, Any]:
        return Comparison(parse_board(self._board, config.boards), config, engines, LIMIT).run([self.variant(model)])

    def variant(self, model: str) -> Variant:
        return paper_variant(model, self._config) if model in PAPER else zoo_variant(model)

    def document(self, model: str) -> dict[str, Any]:
        if model not in self._found:
            self._found[model] = self._compared(model, engines_of(model), self._config)
        return self._found[model]

    def row(self, model: str, engine: str = "tinyrig") -> dict[str, Any]:
        return next(e for e in self.document(model)["models"][0]["engines"] if e["engine"] == engine)

    def _target_figures(self, target: EngineTarget) -> dict[str, Any]:
        key = (target.model, target.memory, target.optimise)
        if key not in self._reached:
            config = replace(self._config, memory=target.memory, optimise=target.optimise)
            found = self._compared(target.model, ("tinyrig",), config)
            self._reached[key] = found["models"][0]["engines"][0]
        return self._reached[key]

    def reached(self, target: EngineTarget) -> float:
        row = self._target_figures(target)
        figures = {
            "cycles": row["cycles"],
            "cycles/MAC": row["cycles_per_mac"],
            "RAM": row["ram"]["model_total"],
            "arena": row["ram"]["arena"],
            "flash": row["flash"]["model_total"],
        }
        return figures[target.figure]

    def write(self) -> None:
        """One document of all that was compared, and the page; nothing where nothing was."""
        if not self._found:
            return
        first, *others = self._found.values()
        whole = first | {"models": [m for d in (first, *others) for m in d["models"]]}
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / "engines.json").write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n")
        (OUT / "engines.md").write_text(self._page(whole))

    def _page(self, whole: dict[str, Any]) -> str:
        from tabulate import tabulate

        rows = [self._target_row(t) for t in TARGETS if (t.model, t.memory, t.optimise) in self._reached]
        headers = ["network", "figure", "TFLM + CMSIS-NN before", "target", "reached", ""]
        align = ("left", "left", "right", "right", "right", "left")
        table = tabulate(rows, headers, tablefmt="github", disable_numparse=True, colalign=align)
        head = f"# Engines: targets and figures reached\n\n{INTRODUCTION}\n\ntinyrig at {commit()}.\n\n"
        shares = {model: portable_share(self.variant(model).tflite) for model in self._found}
        every = f"## Every network\n\n{EVERY}\n\n{summary(whole['models'], shares)}\n\n{_why_missed()}"
        return wrapped(f"{head}{table}\n\n{every}\n\n## Side by side\n\n{markdown(whole)}")

    def _target_row(self, t: EngineTarget) -> list[str]:
        reached = self.reached(t)
        verdict = "no verified figure" if reached is None else "reached" if reached <= t.limit else "missed"
        return [t.model, t.label, *map(number, (t.peer, t.limit, reached)), verdict]


INTRODUCTION = f"""\
Written by `pytest bench/test_engines.py`. pqt and simple are the paper's networks; the others are the zoo's
(`python -m tinyrig.variants.networks.zoo`): usual layer shapes, seeded random weights. Cycles are for one inference,
the median over {LIMIT} windows per network. In bytes: RAM is arena + static + stack, flash is weights + engine code.

"TFLM + CMSIS-NN before" are whole runtimes, measured before this engine existed, with the same compiler and an earlier
version of the same timing model, on networks of the same shapes with other weights. That model's memory never waits,
and neither does that of the targets and of what is reached (`memory = "none"`) unless "memory on" says so. All other
tables are behind the nRF52840's flash and cache, with the ends of the band in brackets ([timing.md](timing.md)). The
peer there is measured in the same run on the same board as the others, called from generated code without an
interpreter.

The converter quantises dense weights per channel, for which CMSIS-NN 4.0.0 has no dense function: it runs those layers
as 1x1 convolutions, slowly for a single row. `{TWIN}` is the same network with one scale per
layer, where the peer is at its best. The float autoencoder's weights exceed the board's flash, so it has no figure."""


EVERY = """\
Behind the nRF52840's flash and cache, worst first. "x peer" is against CMSIS-NN in the same run, in brackets at both
ends of the band. "portable" is the share of multiply-accumulates that tinyrig leaves to portable kernels, "peer's own
share" that of the peer's cycles in functions of CMSIS-NN: where it is small, the ratio says little about CMSIS-NN."""


def _why_missed() -> str:
    lines = "\n".join(f"- {figure} of {model}: {why}" for (figure, model), why in MISSED.items())
    return f"Missed, and why:\n\n{lines}"


def engines_of(model: str) -> tuple[str, ...]:
    if model in BROUGHT:
        return ("tinyrig", PEER)
    return ENGINES if model in INT8 else tuple(e for e in ENGINES if e != PEER)


def wrapped(page: str) -> str:
    """Sentences and list items in lines of at most 120 characters, as in all documents; tables as they are."""
    return "\n".join(line if line.startswith("|") else _folded(line) for line in page.split("\n"))


def _folded(line: str) -> str:
    return textwrap.fill(
        line, 120, subsequent_indent="  " * line.startswith("- "), break_long_words=False, break_on_hyphens=False
    )


def commit() -> str:
    """The checkout's commit, marked where files differ from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False)
    return f"commit {done.stdout.strip()}" if done.returncode == 0 else "an unknown commit"


def number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 100 else f"{value:,.0f}"


def paper_variant(name: str, config: Config) -> Variant:
    if config.dataset != "glove":
        pytest.skip("the targets are for the paper's shapes: dataset glove")
    return built_variants(config, [name])[0]


def zoo_variant(name: str) -> Variant:
    if name == TWIN:
        return twin(zoo_variant("autoencoder_int8"))
    net = name.rpartition("_")[0]
    file, windows = ZOO / f"{name}.tflite", ZOO / f"{net}_windows.npz"
    if not (file.exists() and windows.exists()):
        subprocess.run(
            [sys.executable, "-m", "tinyrig.variants.networks.zoo", net, "--out", str(ZOO)],
            check=True,
            cwd=ROOT,
            stdout=sys.stderr,
        )
    return model_variant(file, windows)


def twin(original: Variant) -> Variant:
    file = original.tflite.with_name(f"{TWIN}.tflite")
    file.write_bytes(per_tensor_dense(original.tflite.read_bytes()))
    return model_variant(file, original.windows)


@pytest.fixture(scope="session")
def engine_figures(pytestconfig: pytest.Config, config: Config) -> Iterator[EngineFigures]:
    found = EngineFigures(pytestconfig.getoption("--board"), config)
    yield found
    found.write()


def marked(target: EngineTarget) -> Any:
    why = MISSED.get((target.label, target.model))
    return pytest.param(target, id=str(target), marks=[pytest.mark.xfail(reason=why, strict=True)] if why else [])


@pytest.mark.parametrize("target", map(marked, TARGETS))
def test_target_is_reached(engine_figures: EngineFigures, target: EngineTarget) -> None:
    assert engine_figures.reached(target) <= target.limit


def claimed(figure: str) -> list[Any]:
    """Every int8 network as a parameter: slow where users bring such, xfail where its target is known to be missed."""
    marks = {model: [pytest.mark.slow] if model in BROUGHT else [] for model in (*INT8, *BROUGHT)}
    for (missed, model), why in MISSED.items():
        if missed == figure:
            marks[model].append(pytest.mark.xfail(reason=why, strict=True))
    return [pytest.param(model, marks=found) for model, found in marks.items()]


@pytest.mark.parametrize("model", claimed("cycles"))
def test_cycles_against_the_peer_in_the_same_run(engine_figures: EngineFigures, model: str) -> None:
    ratio = engine_figures.row(model)["ratio_to_peer"]
    assert engine_figures.row(model, PEER)["cycles"] and ratio["cycles"] <= WORST_CYCLES


@pytest.mark.parametrize("model", claimed("RAM"))
def test_ram_against_the_peer(engine_figures: EngineFigures, model: str) -> None:
    assert engine_figures.row(model)["ratio_to_peer"]["ram"] <= WORST_RAM


@pytest.mark.parametrize("model", [*INT8, *FLOAT, *(pytest.param(m, marks=pytest.mark.slow) for m in (*BROUGHT, INT16))])
def test_every_engine_agrees_with_the_oracle(engine_figures: EngineFigures, model: str) -> None:
    document = engine_figures.document(model)
    assert wrong_engines(document) == []
    assert all(e["parity"]["compared"] == LIMIT for e in document["models"][0]["engines"] if not e["reason"])
