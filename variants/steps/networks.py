"""Bases that are spelled: any network of the two families (variants/families.py)."""

from __future__ import annotations

from variants import families, models
from variants.task import Built, Task


def build_network(task: Task) -> Built:
    """Trains the network that settings["network"] spells, from random weights."""
    network = families.parse(task.settings["network"])
    models.fresh(task.data.seed)
    model = families.keras_model(network, task.data.x.shape[1], task.data.x.shape[2], task.data.classes)
    return task.as_float(model, task.train(model))
