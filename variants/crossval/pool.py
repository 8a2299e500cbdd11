"""Several networks at once, each in a training process. A module of its own: a spawned process imports it by name, which
it can't do with `__main__`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool

from tinyrig.core.errors import HostError
from tinyrig.variants.crossval.evaluate import CrossvalResult, CrossvalSettings, evaluate
from tinyrig.variants.data import datasets
from tinyrig.variants.networks.families import Network
from tinyrig.variants.workers import training_processes


def trained(
    missing: Sequence[Network], data: datasets.Dataset, spec: str, settings: CrossvalSettings, workers: int | None = None
) -> Iterator[CrossvalResult]:
    """Results in the order in which they are ready; one after another in this process where there is only one to train.

    `spec`: what `data` was loaded from. workers: processes, each of which takes about one core; None: one a core.
    """
    workers = min(len(missing), workers or os.cpu_count() or 1)
    if workers < 2:
        yield from (evaluate(network, data, settings) for network in missing)
        return
    with training_processes(workers) as pool:
        tasks = [pool.submit(_train, network, spec, data.fingerprint, settings) for network in missing]
        try:
            yield from (task.result() for task in as_completed(tasks))
        except BrokenProcessPool as error:
            raise HostError("a training process died", received=str(error), remedy="free memory, or take --workers 1") from error


def _train(network: Network, spec: str, fingerprint: str, settings: CrossvalSettings) -> CrossvalResult:
    """Raises UserError where the data are no longer those of `fingerprint`, under which the result will be kept."""
    data = datasets.load(spec, settings.seed)
    if data.fingerprint != fingerprint:
        raise datasets.changed(spec)
    return evaluate(network, data, settings)
