"""FLOPs as TensorFlow's profiler counts them, which is what the paper quotes."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from tinyrig.variants.networks import models


def count_flops(model: Any) -> int:
    """Floating-point operations of one window, biases, softmax and pooling included; a multiply-add counts as two.

    Source: tf.compat.v1.profiler over the frozen graph. For the paper's shapes this is F*(57*(2*3*35+2)+16)+48 with F filters.
    """
    tf = models.tensorflow()
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2_as_graph

    _, graph_def = convert_variables_to_constants_v2_as_graph(models.concrete_function(model))
    with tf.Graph().as_default() as graph:
        tf.graph_util.import_graph_def(graph_def, name="")
        options = tf.compat.v1.profiler.ProfileOptionBuilder(tf.compat.v1.profiler.ProfileOptionBuilder.float_operation())
        with contextlib.redirect_stdout(io.StringIO()):
            profile = tf.compat.v1.profiler.profile(graph, cmd="op", options=options.with_empty_output().build())
    return int(profile.total_float_ops)
