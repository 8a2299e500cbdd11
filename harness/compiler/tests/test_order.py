"""Steps of branches come in the order that needs the least memory."""

from __future__ import annotations

import numpy as np

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.stream.tests.chains import Chain
from tinyrig.compiler.tests.cases import compare
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import TflmOracle

ROOM = {"flash_bytes": 1 << 20, "ram_bytes": 1 << 20}


def branches() -> bytes:
    """Two branches widen the input and narrow it again. The file has both wide maps before the first narrow one."""
    chain = Chain((1, 16, 16, 4), 0)
    given, wide = chain.x, []
    for _ in range(2):
        chain.x = given
        chain.conv(32, (1, 1))
        wide.append(chain.x)
    narrow = []
    for x in wide:
        chain.x = x
        chain.conv(4, (3, 3), padding="VALID")
        narrow.append(chain.x)
    y = chain._act(chain.shape)
    chain.b.op("ADD", narrow, [y])
    chain.x = y
    return chain.finish()


def test_one_branch_is_finished_before_the_other_begins() -> None:
    data = branches()
    model = compile_model(data, **ROOM)
    wide = 16 * 16 * 32
    assert wide < model.arena_bytes < 1.5 * wide  # 2 * wide and more in the file's order
    inputs = [np.random.default_rng(0).integers(-128, 128, (1, 16, 16, 4)).astype(np.int8)]
    compare(HostModel(model).invoke(inputs), TflmOracle(data).run(inputs), model.ops)


def test_the_order_of_the_file_stays_where_there_is_nothing_to_win() -> None:
    ops = compile_model(finish_net(conv_net()), **ROOM).ops
    assert [op.index for op in ops] == list(range(len(ops)))
    assert [op.op for op in ops] == ["CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX"]
