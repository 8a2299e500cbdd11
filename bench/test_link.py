"""Claim: at 1 Mbaud the protocol leaves at least 90 % of the line to the windows' own bytes.

Cycle counting is off: the emulator's own time is not the board's.
"""

import dataclasses
import time

from harness.boards import BOARDS, parse_board
from harness.campaign import built_variants
from harness.rig import Rig
from harness.runner import compile_for
from harness.windows import load_windows

WINDOWS = 60
LINE_RATE = 1_000_000
BITS_PER_BYTE = 10
"""8N1: a start and a stop bit around eight."""


def test_streaming_fills_the_line(config, record_property):
    (simple,) = built_variants(config, ["simple"])
    throttled = dataclasses.replace(config, line_rate=LINE_RATE)
    image = compile_for(simple.tflite.read_bytes(), BOARDS["virtual"], config)
    windows = load_windows(simple.windows, image.inputs, WINDOWS)
    payloads = [tuple(a.tobytes() for a in window) for window in windows.inputs]
    with Rig(parse_board("virtual"), throttled, clock="off") as rig:
        session, _ = rig.prepare(image)
        session.run(payloads[0])
        start = time.monotonic()
        samples = list(session.stream(payloads))
        elapsed = time.monotonic() - start
    payload_bytes = sum(len(p) for window in payloads for p in window) + sum(len(s.outputs) for s in samples)
    efficiency = payload_bytes * BITS_PER_BYTE / (LINE_RATE * elapsed)
    record_property("link_efficiency", round(efficiency, 4))
    print(f"link efficiency {efficiency:.1%}")
    assert session.retries == 0
    assert efficiency >= 0.90
