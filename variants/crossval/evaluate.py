"""One configuration, cross-validated: folds -> trained networks -> how often each is right, kept by its content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.core.errors import HostError, UserError
from tinyrig.variants.crossval import stacked
from tinyrig.variants.data import datasets, splits
from tinyrig.variants.files import write_whole
from tinyrig.variants.lab import build
from tinyrig.variants.networks import families, models, tflite_facts
from tinyrig.variants.networks.families import Network

_CODE = ("stacked.py", "evaluate.py", "../networks/families.py", "../networks/models.py", "../data/splits.py")
EPOCHS = 80
FOLDS = 10


@dataclass(frozen=True)
class CrossvalSettings:
    """What decides a cross-validation besides the data and the configuration."""

    folds: int = FOLDS
    epochs: int = EPOCHS
    seed: int = 0
    batch: int = models.BATCH


@dataclass(frozen=True)
class CrossvalResult:
    """train and test: accuracy (0 to 1) of each fold, its training windows after the training and its held-out ones;
    `confusion` [classes][classes]: held-out windows of all folds, rows the true class, columns the predicted one."""

    network: Network
    train: tuple[float, ...]
    test: tuple[float, ...]
    confusion: tuple[tuple[int, ...], ...]
    parameters: int
    macs: int
    tflite_bytes: int
    method: str

    @property
    def mean(self) -> float:
        return float(np.mean(self.test))

    @property
    def spread(self) -> float:
        """Sample standard deviation of the held-out accuracy between folds."""
        return float(np.std(self.test, ddof=1))


def folds_of(data: datasets.Dataset, settings: CrossvalSettings) -> tuple[list[tuple[np.ndarray, np.ndarray]], str]:
    """(training rows, test rows) of each fold and the method in words. With groups no group is on both sides, and where there
    are no more groups than folds, each is held out once. Raises UserError."""
    from sklearn.model_selection import LeaveOneGroupOut, StratifiedGroupKFold, StratifiedKFold

    groups = None if data.groups is None else np.unique(data.groups, return_inverse=True)[1].reshape(-1)
    _check_folds(data, groups, settings)
    if groups is None:
        found = StratifiedKFold(settings.folds, shuffle=True, random_state=settings.seed).split(data.x, data.y)
        return list(found), f"stratified {settings.folds}-fold, seed {settings.seed}"
    count = int(groups.max()) + 1
    if count <= settings.folds:
        return list(LeaveOneGroupOut().split(data.x, data.y, groups)), f"each of {count} groups held out once"
    found = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=settings.seed).split(data.x, data.y, groups)
    return list(found), f"stratified {settings.folds}-fold over {count} groups, seed {settings.seed}"


def _check_folds(data: datasets.Dataset, groups: np.ndarray | None, settings: CrossvalSettings) -> None:
    fewest = int(np.bincount(data.y).min()) if groups is None else int(groups.max()) + 1
    what = "windows of each class" if groups is None else "groups"
    least = settings.folds if groups is None else 2
    if settings.folds < 2 or fewest < least:
        raise UserError(
            f"dataset {data.name} can't be cut into {settings.folds} folds",
            expected=f"2 folds or more, and at least {least} {what}",
            received=f"{fewest} {what}",
            remedy="choose fewer --folds, or record more",
        )


def evaluate(
    network: Network, data: datasets.Dataset, settings: CrossvalSettings, on_epoch: Callable[[int, int], None] = lambda d, t: None
) -> CrossvalResult:
    """Trains all folds of one configuration. Raises UserError for windows that are too short or too few."""
    families.check_fits(network, data.x.shape[1])
    folds, method = folds_of(data, settings)
    train_rows, test_rows = [a for a, _ in folds], [b for _, b in folds]
    norms = [splits.fit_normalisation(data.x[rows]) for rows in train_rows]
    arrays = stacked.FoldData(data.x, data.y, np.stack([n.mean for n in norms]), np.stack([n.std for n in norms]))
    classes = len(data.class_names)
    weights = stacked.initial(network, arrays, classes, [settings.seed + fold for fold in range(len(folds))])
    order = stacked.orders(train_rows, settings.epochs, settings.batch, np.random.default_rng(settings.seed))
    weights = stacked.train(network, weights, arrays, order, on_epoch)
    seen, unseen = (stacked.predict(network, weights, arrays, rows) for rows in (train_rows, test_rows))
    return CrossvalResult(
        network,
        _accuracies(data.y, train_rows, seen),
        _accuracies(data.y, test_rows, unseen),
        _confusion(data.y, test_rows, unseen, classes),
        *_size(network, data, weights),
        method,
    )


def _accuracies(y: np.ndarray, rows: list[np.ndarray], found: list[np.ndarray]) -> tuple[float, ...]:
    return tuple(float(np.mean(y[own] == classes)) for own, classes in zip(rows, found, strict=True))


def _confusion(y: np.ndarray, rows: list[np.ndarray], found: list[np.ndarray], classes: int) -> tuple[tuple[int, ...], ...]:
    from sklearn.metrics import confusion_matrix

    table = confusion_matrix(y[np.concatenate(rows)], np.concatenate(found), labels=np.arange(classes))
    return tuple(tuple(int(n) for n in row) for row in table)


def _size(network: Network, data: datasets.Dataset, weights: stacked.Weights) -> tuple[int, int, int]:
    """(parameters, multiply-accumulates of one inference, bytes of the float .tflite) of the first fold's network; another one
    differs at most where the converter drops a bias of zeros."""
    models.fresh(0)
    model = families.keras_model(network, data.x.shape[1], data.x.shape[2], len(data.class_names))
    model.set_weights([w[0] for w in weights])
    tflite = models.to_tflite(model)
    return int(model.count_params()), tflite_facts.weights_and_macs(tflite)[1], len(tflite)


# ---- kept results ----


def key_of(network: Network, data: datasets.Dataset, settings: CrossvalSettings) -> str:
    """SHA-256 over everything that decides a result."""
    digest = hashlib.sha256()
    for name in _CODE:
        digest.update((Path(__file__).parent / name).read_bytes())
    digest.update(repr((network, data.fingerprint, settings, sorted(build.packages().items()))).encode())
    return digest.hexdigest()


def kept(folder: Path, key: str) -> CrossvalResult | None:
    """The result of an earlier call, None where there is none that can be read."""
    try:
        found: dict[str, Any] = json.loads((folder / f"{key[:32]}.json").read_text("utf-8"))
        fields = {name: _tuples(value) for name, value in found.items() if name != "network"}
        return CrossvalResult(families.parse(found["network"]), **fields)
    except (OSError, ValueError, TypeError, KeyError, UserError):
        return None


def keep(folder: Path, key: str, result: CrossvalResult) -> None:
    """Raises HostError where the folder can't be written."""
    text = json.dumps({**dataclasses.asdict(result), "network": str(result.network)}, allow_nan=False)
    try:
        write_whole(folder / f"{key[:32]}.json", text.encode())
    except OSError as error:
        raise HostError(f"{folder}: can't be written", received=str(error), remedy="choose another --out") from error


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
