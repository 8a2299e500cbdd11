"""The two tables of the lab: BASES, the networks that a variant starts from, and STEPS, what can be done to one after another.

A variant's name is BASE or BASE+STEP[@ARGUMENT]+..., such as `simple+l1-filters@0.5+pqt` (variants/lab/chains.py reads it;
docs/lab.md explains it). The paper's four variants are bases that start from one another: simple -> pruned -> reshaped -> pqt.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinyrig.variants.networks import families, models
from tinyrig.variants.networks.task import Build
from tinyrig.variants.steps import cluster, exits, filters, paper, quantise
from tinyrig.variants.steps import spelled as spelled_networks

DENSE, SPARSE, CLUSTERED, CONVERTED = "dense", "sparse", "clustered", "converted"
"""What a variant's network is: ordinary floats; floats with zeros or shared values that more training would undo; or no
network to continue from, only a .tflite."""

Filters = tuple[int, ...]
"""Filters of each hidden layer, so that an argument is refused before anything is trained."""


@dataclass(frozen=True)
class Argument:
    """What follows a step's @: a number, settings[name],, `low` to `high`, ends included where `kind` is int."""

    name: str
    kind: type
    low: float
    high: float
    example: str

    @property
    def words(self) -> str:
        between = f"between {self.low:g} and {self.high:g}" if self.kind is float else f"from {self.low:g} to {self.high:g}"
        return f"{'a number' if self.kind is float else 'a whole number'} {between}, like {self.example}"


@dataclass(frozen=True)
class Base:
    """`parent` is the base it starts from, `settings` all that changes its result, `note` what the report says about it."""

    build: Build
    what: str
    parent: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    gives: str = DENSE
    filters: Filters | None = None
    note: str = ""


@dataclass(frozen=True)
class Step:
    """`takes` are the networks that it can follow, `gives` what it makes of them; `check` refuses an argument that these filters
    can't have (UserError) and gives the filters afterwards."""

    build: Build
    what: str
    settings: dict[str, Any] = field(default_factory=dict)
    argument: Argument | None = None
    takes: tuple[str, ...] = (DENSE,)
    gives: str = DENSE
    check: Callable[[Any, Filters], Filters] | None = None
    note: str = ""


_RATIO = Argument("ratio", float, 0, 1, "0.5")
_ANY_FLOAT = (DENSE, SPARSE, CLUSTERED)
_TRAINED = {"epochs": 80, "learning_rate": 0.001}
_TUNED = {"epochs": 20, "learning_rate": 0.001}
_FILTERS = {"epochs": 40, "learning_rate": 0.001}
_RESHAPED = {"epochs": 50, "learning_rate": 0.01}
_CALIBRATED = {"representative_windows": 500}
_FULL = models.FILTERS
_HALF = models.FILTERS // 2

PRUNED_NOTE = (
    "its zeros are stored and multiplied like any other weight: latency, RAM and flash are those of the unpruned network; "
    "only a compressed file is smaller"
)
CLUSTER_NOTE = (
    "its shared weights are stored one by one on the board: latency, RAM and flash are those of the network before; "
    "only a compressed file is smaller"
)
FLOAT16_NOTE = (
    "the compiler widens float16 weights to float32, so latency, RAM and flash are those of the float network; only the file is "
    "smaller"
)
DYNAMIC_NOTE = (
    "layers of 1024 weights or more get int8 weights under float activations; the board computes in float32, as fast and as "
    "large as the float network, or with int8 in flash, slower, where those leave no room; smaller layers stay float32"
)
INT16_NOTE = "int16 activations run on the engine's portable kernels: more exact than int8, and slower than the float network"

BASES: dict[str, Base] = {
    "simple": Base(paper.build_simple, "the paper's network, trained", None, _TRAINED, filters=(_FULL,)),
    "pruned": Base(
        paper.build_pruned,
        "simple, half of each kernel set to zero by magnitude while training continues",
        "simple",
        {**_TUNED, "sparsity": 0.5},
        SPARSE,
        (_FULL,),
        PRUNED_NOTE,
    ),
    "reshaped": Base(
        paper.build_reshaped,
        "the remaining weights of pruned, refilled into half the filters, trained further",
        "pruned",
        {**_RESHAPED, "start": "literal"},
        filters=(_HALF,),
    ),
    "reshaped-random": Base(
        paper.build_reshaped_random,
        "control of reshaped: new random weights",
        None,
        {**_RESHAPED, "start": "random"},
        filters=(_HALF,),
    ),
    "reshaped-l1": Base(
        filters.build_filters,
        "control of reshaped: the half of simple's filters with the highest L1 norm",
        "simple",
        {**_RESHAPED, "norm": "l1", "ratio": 0.5, "start": "l1"},
        filters=(_HALF,),
    ),
    "pqt": Base(
        quantise.build_pqt,
        "reshaped, quantised after training to int8, input and output too",
        "reshaped",
        {**_CALIBRATED, "dtype": "int8"},
        CONVERTED,
        (_HALF,),
    ),
    "deep": Base(paper.build_deep, "the paper's network with three convolutions, trained", None, _TRAINED, filters=(_FULL,) * 3),
}


def spelled(name: str) -> Base:
    """The base that a network's name is (variants/networks/families.py). Raises UserError for another name."""
    network = families.parse(name)
    settings = {"network": name, "epochs": families.EPOCHS, "learning_rate": network.learning_rate}
    return Base(
        spelled_networks.build_network,
        "a network of a family, trained",
        None,
        settings,
        filters=tuple(layer.units for layer in network.layers),
    )


DEFAULT = ("simple", "pruned", "reshaped", "pqt")
EVERY_LINE = (
    *BASES,
    "deep+trained@20",
    "deep+cut@1",
    "deep+cut@2",
    "simple+l1-filters@0.5",
    "simple+l2-filters@0.5",
    "simple+random-init@0.5",
    "simple+pruned@0.75",
    "simple+pruned@0.75+reshaped",
    "simple+cluster@16",
    "pruned+cluster@16",
    "simple+qat",
    "simple+pqt",
    "simple+int16x8",
    "simple+dynamic",
    "simple+float16",
    "simple+l1-filters@0.5+pqt",
    "simple+l1-filters@0.5+qat",
)
EVERYTHING = "all"
"""This name stands for EVERY_LINE: a variant for each line of the two tables, and the chains that end in small integer models."""

STEPS: dict[str, Step] = {
    "trained": Step(
        paper.build_trained, "continues training", {"learning_rate": 0.001}, Argument("epochs", int, 1, 10_000, "20")
    ),
    "l1-filters": Step(
        filters.build_filters,
        "removes this share of each layer's filters, those of the smallest L1 norm, and continues training",
        {**_FILTERS, "norm": "l1"},
        _RATIO,
        check=filters.checked,
    ),
    "l2-filters": Step(filters.build_filters, "the same by L2 norm", {**_FILTERS, "norm": "l2"}, _RATIO, check=filters.checked),
    "random-init": Step(
        filters.build_random,
        "control: the network that those two leave, trained from new random weights",
        _TRAINED,
        _RATIO,
        check=filters.checked,
    ),
    "cut": Step(
        exits.build_cut,
        "ends the network after this many convolutions with a head of its own (early exit), continues training",
        {"head_epochs": 20, "epochs": 20, "learning_rate": 0.001},
        Argument("convolutions", int, 1, 100, "1"),
        check=exits.checked,
    ),
    "pruned": Step(
        paper.build_pruned,
        "sets this share of each kernel to zero by magnitude while training continues",
        _TUNED,
        Argument("sparsity", float, 0, 1, "0.5"),
        gives=SPARSE,
        note=PRUNED_NOTE,
    ),
    "reshaped": Step(
        paper.build_reshaped,
        "the paper's reshaping, directly after pruned@R: refills the remaining weights into fewer filters",
        {**_RESHAPED, "start": "literal"},
        takes=(SPARSE,),
    ),
    "cluster": Step(
        cluster.build_cluster,
        "trains each kernel down to this many different values",
        {"epochs": 20, "learning_rate": 0.0005},
        Argument("clusters", int, 2, 256, "16"),
        (DENSE, SPARSE),
        CLUSTERED,
        note=CLUSTER_NOTE,
    ),
    "qat": Step(
        quantise.build_qat,
        "continues training with int8 rounding in the loop; int8, input and output too",
        _TUNED,
        None,
        gives=CONVERTED,
    ),
    "pqt": Step(
        quantise.build_pqt,
        "quantises after training to int8, input and output too",
        {**_CALIBRATED, "dtype": "int8"},
        None,
        _ANY_FLOAT,
        CONVERTED,
    ),
    "int16x8": Step(
        quantise.build_int16x8,
        "quantises after training to int16 activations and int8 weights",
        {**_CALIBRATED, "dtype": "int16x8"},
        None,
        _ANY_FLOAT,
        CONVERTED,
        note=INT16_NOTE,
    ),
    "dynamic": Step(
        quantise.build_dynamic,
        "quantises only the weights to int8: the board computes in float32",
        {"dtype": "dynamic"},
        None,
        _ANY_FLOAT,
        CONVERTED,
        note=DYNAMIC_NOTE,
    ),
    "float16": Step(
        quantise.build_float16,
        "stores the weights as float16",
        {"dtype": "float16"},
        None,
        _ANY_FLOAT,
        CONVERTED,
        note=FLOAT16_NOTE,
    ),
}


@dataclass(frozen=True)
class Tables:
    """All bases and steps that names may use: the lab's own and the user's."""

    bases: dict[str, Base]
    steps: dict[str, Step]


BUILT_IN = Tables(BASES, STEPS)
