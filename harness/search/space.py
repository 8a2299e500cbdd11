"""What a search may choose from: the space of candidates, each of which is a variant's name (docs/lab.md has the grammar)."""

from __future__ import annotations

from typing import Any, Protocol

FAMILIES = ("cnn", "mlp")
LAYERS = (1, 2, 3)
FILTERS = (4, 6, 8, 12, 16, 24, 32)
KERNELS = (3, 5, 7)
STRIDES = (1, 2)
POOLS = (1, 2)
HEADS = ("gap", "max", "flat")
"""From maps to features: global average, global maximum, or all of them."""
HIDDEN = (1, 2)
UNITS = (8, 16, 32, 64)
ACTIVATIONS = ("relu", "relu6")
RATES = (1, 2, 5, 10)
"""Learning rate of Adam in thousandths."""
RATIOS = (0.0, 0.25, 0.5)
"""Share of each layer's filters that is removed by L1 norm after training; 0: none."""
PRECISIONS = ("float32", "int8", "int16x8")
INT16 = "int16x8"
"""TensorFlow Lite Micro, the oracle, has no REDUCE_MAX of int16, so neither has the engine: no such candidate with a maximum."""
_STEPS = {"float32": "", "int8": "+pqt", "int16x8": "+int16x8"}


class Chooser(Protocol):
    """The one method of optuna.Trial that is needed."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


def name_of(trial: Chooser, families: tuple[str, ...] = FAMILIES, precisions: tuple[str, ...] = PRECISIONS) -> str:
    """One candidate, such as `cnn-12x5s2-8x3-lr5+l1-filters@0.25+pqt`. Defaults are left out: one network has one name."""
    family = trial.suggest_categorical("family", families)
    base, head = _cnn(trial, precisions) if family == "cnn" else (_mlp(trial), "")
    limited = head == "max" and INT16 in precisions
    if trial.suggest_categorical("activation", ACTIVATIONS) == "relu6":
        base += "-relu6"
    rate = trial.suggest_categorical("learning_rate_per_mille", RATES)
    base += f"-lr{rate}" if rate != 1 else ""
    ratio = trial.suggest_categorical("filters_removed", RATIOS)
    pruned = f"+l1-filters@{ratio:g}" if ratio else ""
    choices = tuple(p for p in precisions if p != INT16) if limited else precisions
    return base + pruned + _STEPS[trial.suggest_categorical("precision_of_max" if limited else "precision", choices)]


def _cnn(trial: Chooser, precisions: tuple[str, ...]) -> tuple[str, str]:
    """-> name without activation and rate, head."""
    words = ["cnn"]
    for i in range(trial.suggest_categorical("convolutions", LAYERS)):
        filters = trial.suggest_categorical(f"filters_{i}", FILTERS)
        word = f"{filters}x{trial.suggest_categorical(f'kernel_{i}', KERNELS)}"
        word += "s2" if trial.suggest_categorical(f"stride_{i}", STRIDES) == 2 else ""
        word += "p2" if trial.suggest_categorical(f"pool_{i}", POOLS) == 2 else ""
        words.append(word)
    head = trial.suggest_categorical("head", tuple(h for h in HEADS if h != "max" or set(precisions) != {INT16}))
    return "-".join([*words, head] if head != HEADS[0] else words), head


def _mlp(trial: Chooser) -> str:
    count = trial.suggest_categorical("hidden_layers", HIDDEN)
    return "-".join(["mlp", *(str(trial.suggest_categorical(f"units_{i}", UNITS)) for i in range(count))])
