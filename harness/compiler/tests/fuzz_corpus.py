"""Good models that the fuzzer starts from: each op of the tests in small models, whole nets, built variants where present."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tinyrig.compiler.tests import test_ops, test_rare_ops
from tinyrig.compiler.tests.cases import Workbench
from tinyrig.compiler.tests.test_free_batch import computed_shape, dilated
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.tests.small_models import dense_float, dense_int8

MAX_BYTES = 16 * 1024
"""Larger seeds spend the mutations on weights."""
_BUILT = Path(__file__).resolve().parents[3] / "variants" / "out"


@cache
def corpus() -> dict[str, bytes]:
    """Name -> .tflite. The same on every call of the same version; built variants only add to it."""
    found = {f"conv_net_{t}": finish_net(conv_net(dtype=t)) for t in ("int8", "float32")}
    found |= {"dense_int8": dense_int8(), "dense_float": dense_float(), "dilated": dilated(), "computed_shape": computed_shape()}
    for name, strategy in (test_ops.STRATEGIES | test_rare_ops.STRATEGIES).items():
        found |= {f"{name}_{i}": data for i, data in enumerate(_drawn(strategy))}
    built = sorted(_BUILT.glob("*/*.tflite")) if _BUILT.is_dir() else []
    found |= {f"built_{p.stem}": p.read_bytes() for p in built}
    return {name: data for name, data in found.items() if len(data) <= MAX_BYTES}


def _drawn(strategy: st.SearchStrategy) -> list[bytes]:
    """Three models of one to three ops each, with an input and an output for each op."""
    made: list[bytes] = []

    @settings(
        max_examples=4,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(strategy, min_size=1, max_size=3))
    def build(cases: list) -> None:
        bench = Workbench(np.random.default_rng(len(made)))
        for case in cases:
            case(bench)
        made.append(bench.finish())

    build()
    return made[-3:]
