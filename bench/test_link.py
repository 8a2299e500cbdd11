"""Claim: the protocol leaves at least 98 % of the bytes on the line to the windows' own, and asks once for each window.

Bytes and requests are counted, not timed: what else the host does meanwhile is not the protocol's cost.
"""

import pytest

from tinyrig.board.rig import Rig
from tinyrig.core.boards import BOARDS, parse_board
from tinyrig.measure.variant import compile_for
from tinyrig.measure.variants import built_variants
from tinyrig.workload.windows import load_windows

WINDOWS = 20
CLAIM = 0.98
LARGE_WINDOW = 8_000
"""Bytes. Smaller windows spend more of the line on each request's fixed costs."""


def test_the_line_carries_the_windows_and_little_else(config, pytestconfig):
    if pytestconfig.getoption("--board") != "virtual":
        pytest.skip("claimed on the virtual board's own line")
    (simple,) = built_variants(config, ["simple"])
    image = compile_for(simple.model, BOARDS["virtual"], config)
    if image.inputs[0].nbytes < LARGE_WINDOW:
        pytest.skip(f"claimed for windows of {LARGE_WINDOW} bytes: these have {image.inputs[0].nbytes}")
    windows = load_windows(simple.test_set, image.inputs, WINDOWS + 1)
    first, *others = [tuple(a.tobytes() for a in window) for window in windows.inputs]
    with Rig(parse_board("virtual"), config, clock="off") as rig:
        session, _ = rig.prepare(image)
        session.run(first)  # how long an inference takes is known from then on
        before = session.statistics.summary()
        assert len(list(session.stream(others))) == WINDOWS
        after = session.statistics.summary()
    spent = {key: after[key] - before[key] for key in ("requests", "retries", "bytes_sent", "bytes_received")}
    own = WINDOWS * sum(t.nbytes for t in (*image.inputs, *image.outputs))
    share = own / (spent["bytes_sent"] + spent["bytes_received"])
    print(f"{share:.2%} of the line's bytes are the windows' own")
    assert (spent["requests"], spent["retries"]) == (WINDOWS, 0)
    assert share >= CLAIM
