"""Weight clustering: every kernel is trained down to K different values, so that it can be stored as a codebook and indices.

Source: S. Han, H. Mao, W. J. Dally, "Deep Compression: compressing deep neural networks with pruning, trained quantization and
Huffman coding", ICLR 2016. Zeros of an earlier pruning stay zeros (one more value). What it saves is storage: see
variants/lab/coding.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyrig.core.errors import InfraError, UserError
from tinyrig.variants.networks import models
from tinyrig.variants.networks.task import Built, Task


def build_cluster(task: Task) -> Built:
    """Trains on with K shared values in each kernel (tensorflow-model-optimization), then asserts that there are no more."""
    clusters = task.settings["clusters"]
    kernels = {name: w[0] for name, w in task.net.layers.items() if w[0].ndim > 1}
    sparse = any(np.any(kernel == 0) for kernel in kernels.values())
    _check_sizes(kernels, clusters)
    wrapped = _wrapped(task.net.model(task.data.seed), clusters, sparse)
    outcome = task.train(wrapped)
    with models.quiet():
        import tensorflow_model_optimization as tfmot
    built = task.as_float(tfmot.clustering.keras.strip_clustering(wrapped), outcome)
    for name in kernels:
        values = np.unique(built.net.layers[name][0]).size
        if values > clusters + sparse:
            raise InfraError(f"clustering missed its target in layer {name}", expected=f"{clusters} values", received=str(values))
    return built


def _check_sizes(kernels: dict[str, np.ndarray], clusters: int) -> None:
    for name, kernel in kernels.items():
        if np.unique(kernel).size < clusters:
            raise UserError(
                f"layer {name} has fewer weights than clusters",
                expected=f"at most {np.unique(kernel).size} clusters",
                received=str(clusters),
                remedy="ask for fewer clusters",
            )


def _wrapped(model: Any, clusters: int, sparse: bool) -> Any:
    with models.quiet():
        import tensorflow_model_optimization as tfmot
        from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as with_zeros

    options = {
        "number_of_clusters": clusters,
        "cluster_centroids_init": tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
    }
    try:
        if sparse:
            return with_zeros.cluster_weights(model, preserve_sparsity=True, **options)
        return tfmot.clustering.keras.cluster_weights(model, **options)
    except ValueError as error:
        raise UserError("this network can't be clustered", received=str(error)[:300], remedy="leave the step out") from error
