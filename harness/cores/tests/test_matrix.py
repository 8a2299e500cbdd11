"""The same bytes on every core. One core of another instruction set runs in every `make test`, all of them in CI."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.board.rig import Rig
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.test_ops import STRATEGIES
from tinyrig.compiler.tests.test_ops_board import HALVES, LARGE, ONCE
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.boards import BOARDS, BoardTarget
from tinyrig.core.config import Config, Folders
from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, UserError
from tinyrig.cores.command import _verdict
from tinyrig.cores.matrix import CORES, Cell, Network, measured, oracle_outputs
from tinyrig.cores.page import BEGIN, END, table, with_table
from tinyrig.measure.parity import split_outputs
from tinyrig.tests.needs import needs_board
from tinyrig.workload.image import build_image
from tinyrig.workload.oracle import TflmOracle
from tinyrig.workload.windows import random_windows

QUICK = "qemu-rv32"
EACH_CORE = [pytest.param(n, marks=[*needs_board(n), *([] if n == QUICK else [pytest.mark.slow])]) for n in CORES]
EVERY_OP = [pytest.param(n, marks=[*needs_board(n), pytest.mark.slow]) for n in CORES]


@pytest.fixture
def config(tmp_path):
    return replace(Config(), folders=replace(Folders(), build=str(tmp_path)))


def network(name: str, data: bytes) -> Network:
    specs = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18).inputs
    return Network(name, data, random_windows(specs, 3, 0).inputs)


@pytest.mark.parametrize("core", EACH_CORE)
@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_a_network_gives_the_oracles_outputs_on_every_core(core, dtype, config):
    net = network(dtype, finish_net(conv_net(dtype=dtype)))
    cell = measured(net, BOARDS[core], oracle_outputs(net), config)
    assert cell.wrong == 0 and cell.instructions and cell.flash and cell.ram
    assert len(cell.outputs) == 3
    again = measured(net, BOARDS[core], oracle_outputs(net), config)
    assert (again.instructions, again.outputs) == (cell.instructions, cell.outputs)


@pytest.mark.parametrize("core", EVERY_OP)
@pytest.mark.parametrize("half", [0, 1])
@ONCE
@given(data=st.data())
def test_every_op_gives_the_oracles_bytes_on_every_core(core, half, data, tmp_path_factory):
    """int8 and int16 to the byte, floats within the tolerance; the engine's own choice of kernels for that core."""
    board, bench = BOARDS[core], cases.Workbench(np.random.default_rng(data.draw(cases.seeds())))
    for case in [LARGE, *(data.draw(STRATEGIES[name]) for name in HALVES[half])]:
        case(bench)
    tflite = bench.finish()
    model = compile_model(tflite, flash_bytes=board.flash_bytes, ram_bytes=board.ram_bytes, core=board.core)
    image = build_image(model, board, tmp_path_factory.mktemp("image"))
    with Rig(BoardTarget(board, None), Config()) as rig:
        session, _ = rig.prepare(image)
        sample = session.run([x.tobytes() for x in bench.values])
    cases.compare(split_outputs(sample.outputs, model.outputs), TflmOracle(tflite).run(bench.values), model.ops)


@pytest.mark.parametrize("core", [pytest.param(QUICK, marks=needs_board(QUICK))])
def test_a_wrong_output_has_no_number(core, config):
    net = network("wrong", finish_net(conv_net()))
    expected = oracle_outputs(net)
    expected[1][0] = expected[1][0] ^ 1
    cell = measured(net, BOARDS[core], expected, config)
    assert (cell.wrong, cell.instructions) == (1, None)
    assert _verdict([net], [cell]) == EXIT_CLAIM
    assert "| - |" in table([cell]) and "1 of 3 windows wrong" in table([cell])


def test_a_network_without_room_is_a_row_that_says_so(config):
    net = network("large", finish_net(conv_net()))
    cell = measured(net, replace(BOARDS[QUICK], ram_bytes=64), [], config)
    assert "64 bytes of RAM" in cell.refused and cell.instructions is None
    assert "64 bytes of RAM" in table([cell])
    assert _verdict([net], [cell]) == EXIT_CLAIM  # it ran nowhere


def test_cores_that_differ_within_the_tolerance_are_told(capsys):
    net = Network("n", b"", ())
    cells = [Cell("n", core, 1, 2, 3, outputs=(out,)) for core, out in (("qemu-m0", b"a"), ("qemu-m4", b"b"))]
    assert _verdict([net], cells) == EXIT_GOOD
    assert "within the tolerance, of 2 kinds" in capsys.readouterr().out


def test_the_page_keeps_what_stands_around_the_table():
    cell = Cell("n", "qemu-m0", 1234, 5, 6, outputs=(b"",))
    page = with_table(f"before\n{BEGIN}\nold\n{END}\nafter\n", table([cell]))
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "old" not in page
    assert "| n | Cortex-M0 (`qemu-m0`) | 1,234 | 6 | 5 | right in 1 windows |" in page
    with pytest.raises(UserError):
        with_table("nothing", "")
