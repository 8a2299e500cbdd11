"""CMSIS-NN on the virtual board: there its DSP branch runs, which a host never compiles."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.kernels import cmsis
from tinyrig.compiler.kernels.ctext import c_array
from tinyrig.compiler.lower.lower import lower
from tinyrig.compiler.model.graph import read_model
from tinyrig.compiler.model.step import AnyStep, CompileOptions, Kernel
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.on_board import BOARD, run_on_board
from tinyrig.core.records import CompiledModel, TensorSpec
from tinyrig.workload.oracle import TflmOracle

FEW = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
"""The smallest model and two drawn ones: an image and a board cost seconds, a layer nearly nothing."""

KINDS = (
    cases.conv2d("int8"),
    cases.depthwise("int8"),
    cases.dense("int8"),
    cases.pool("int8", "AVERAGE_POOL_2D"),
    cases.pool("int8", "MAX_POOL_2D"),
)


def layers(each: int) -> st.SearchStrategy[list[cases.Case]]:
    """`each` of every kind; one of each is what a hello can describe."""
    groups = st.tuples(*(st.lists(kind, min_size=each, max_size=each) for kind in KINDS))
    return groups.map(lambda lists: [case for group in lists for case in group])


@pytest.mark.slow
@FEW
@given(drawn=layers(1), seed=cases.seeds())
def test_dsp_branch_equals_tflm(tmp_path_factory, drawn: list[cases.Case], seed: int) -> None:
    bench = cases.Workbench(np.random.default_rng(seed))
    for case in drawn:
        case(bench)
    data = bench.finish()
    model = compile_model(data, flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes, engine=cmsis.ENGINE)
    assert model.extra_sources
    received = run_on_board(model, bench.values, tmp_path_factory.mktemp("image"))
    cases.compare(received, TflmOracle(data).run(bench.values), model.ops)


SIZE_CALLS = {
    "conv2d_s8": "arm_convolve_wrapper_s8_get_buffer_size(&@_params, &@_in_dims, &@_filter_dims, &@_out_dims)",
    "depthwise_conv2d_s8": "arm_depthwise_conv_wrapper_s8_get_buffer_size(&@_params, &@_in_dims, &@_filter_dims, &@_out_dims)",
    "fully_connected_s8": "arm_fully_connected_s8_get_buffer_size(&@_filter_dims)",
    "average_pool_s8": "arm_avgpool_s8_get_buffer_size(@_out_dims.w, @_in_dims.c)",
}

LIBRARY = [cmsis.vendor() / "cmsis_nn" / name for names in cmsis.SOURCES.values() for name in names]

PROBE = """#include "engine.h"
#include "arm_nnfunctions.h"

{parameters}
static int32_t sizes[{count}];
static const engine_tensor outputs[] = {{{{sizes, sizeof sizes, ENGINE_INT32, 1, {{{count}}}, 0, 0}}}};
const engine_info engine = {{"probe", {{{digest}}}, sizeof sizes, 0, 1, 0, 0, outputs}};
int engine_init(void) {{
    return ENGINE_OK;
}}
int engine_run_op(uint16_t index) {{
    return index ? ENGINE_ERR_INVOKE : ENGINE_OK;
}}
int engine_invoke(void) {{
{calls}
    return ENGINE_OK;
}}
"""


def probe(pairs: list[tuple[AnyStep, Kernel]]) -> CompiledModel:
    """An engine whose output is what CMSIS-NN's size functions return for these steps, int32."""
    parameters, calls = "", ""
    for i, (step, kernel) in enumerate(pairs):
        prefix = f"p{i}"
        arrays = "".join(c_array(f"{prefix}_{c.name}", c) for c in kernel.constants)
        parameters += arrays + (kernel.file_scope(prefix) if kernel.file_scope else "")
        calls += f"    sizes[{i}] = {SIZE_CALLS[step.kind].replace('@', prefix)};\n"
    sha256 = hashlib.sha256(parameters.encode()).digest()
    sources = {p for _, k in pairs for p in k.extra_sources} | set(LIBRARY)
    unused = '#pragma GCC diagnostic ignored "-Wunused-const-variable"\n'  # the sizes need the shapes alone
    text = unused + PROBE.format(parameters=parameters, count=len(pairs), calls=calls, digest=", ".join(map(str, sha256)))
    return CompiledModel(
        "probe",
        sha256.hex(),
        {"model.c": text},
        (),
        (),
        (TensorSpec("sizes", (len(pairs),), "int32"),),
        (),
        arena_bytes=4 * len(pairs),
        weight_bytes=0,
        extra_sources=tuple(sorted(sources)),
        include_dirs=cmsis.include_dirs(),
    )


@settings(FEW, max_examples=2)
@given(drawn=layers(6), seed=cases.seeds())
def test_scratch_is_what_the_librarys_own_functions_ask_for(tmp_path_factory, drawn: list[cases.Case], seed: int) -> None:
    bench = cases.Workbench(np.random.default_rng(seed))
    for case in drawn:
        case(bench)
    steps = [s for s in lower(read_model(bench.finish())).steps if s.kind in SIZE_CALLS]
    chosen = [(s, cmsis.KERNELS[s.kind](s, CompileOptions())) for s in steps]
    pairs = [(s, k) for s, k in chosen if k is not None]
    assert len({s.kind for s, _ in pairs}) == len(SIZE_CALLS)
    (sizes,) = run_on_board(probe(pairs), [], tmp_path_factory.mktemp("probe"))
    assert sizes.tolist() == [k.scratch_bytes for _, k in pairs]
