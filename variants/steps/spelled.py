"""Bases that are spelled: any network of the two families (variants/networks/families.py)."""

from __future__ import annotations

from tinyrig.variants.networks import families, models
from tinyrig.variants.networks.task import Built, Task


def build_network(task: Task) -> Built:
    """Trains the network that settings["network"] spells, from random weights."""
    network = families.parse(task.settings["network"])
    models.fresh(task.data.seed)
    model = families.keras_model(network, task.data.x.shape[1], task.data.x.shape[2], task.data.classes)
    return task.as_float(model, task.train(model))
