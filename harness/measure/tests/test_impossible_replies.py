"""Replies that can't be, from the virtual board with its real firmware: good frames, whose numbers something has changed."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tinyrig.board import attachment
from tinyrig.board.rig import Rig
from tinyrig.cli import main
from tinyrig.compiler.least_work import least_cycles, least_work
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.boards import BOARDS, own_target, parse_board
from tinyrig.core.config import Config
from tinyrig.core.records import Sample
from tinyrig.link import wire
from tinyrig.link.bounds import Impossible
from tinyrig.link.session import Session
from tinyrig.link.wire import Frame, RunFlag, RunReply, Type
from tinyrig.measure.sampling import take_samples
from tinyrig.measure.variant import compile_for
from tinyrig.store.runs import Store
from tinyrig.tests import small_models
from tinyrig.tests.damaging_link import RewritingLink
from tinyrig.workload.windows import Windows, random_windows

BOARD = BOARDS["virtual"]
MODEL = small_models.wide_int8()
Change = Callable[[RunReply], RunReply]
WORST = 2**32 - 1


@pytest.fixture(scope="module")
def measured() -> Iterator[tuple[Session, Windows, RewritingLink]]:
    """One board with its firmware for all cases."""
    with Rig(own_target(parse_board("virtual")), Config()) as rig:
        image = compile_for(MODEL, rig.board, Config())
        session, hello = rig.prepare(image, least_cycles(MODEL, "tinyrig", rig.board))
        link = RewritingLink(session.link)
        session.connection.exchange.attach(link)
        yield session, random_windows(hello.inputs, 3, 0), link


def changed(change: Change) -> Callable[[Frame], bytes]:
    def rewrite(frame: Frame) -> bytes:
        if frame.type != Type.RUN | wire.REPLY_BIT or not frame.payload:
            return wire.encode(frame)
        ops = int.from_bytes(frame.payload[8:10], "little")
        reply = wire.decode_run_reply(frame.payload, len(frame.payload) - wire.RUN_REPLY_BYTES - 4 * ops)
        return wire.encode(dataclasses.replace(frame, payload=wire.encode_run_reply(change(reply))))

    return rewrite


def times(factor: float) -> Change:
    """All cycles, so that they fit each other."""

    def change(reply: RunReply) -> RunReply:
        ops = tuple(min(int(c * factor), WORST) for c in reply.op_cycles)
        return dataclasses.replace(reply, cycles=sum(ops) if ops else min(int(reply.cycles * factor), WORST), op_cycles=ops)

    return change


def at_random(seed: int) -> Change:
    numbers = random.Random(seed)
    return lambda reply: dataclasses.replace(reply, cycles=numbers.randrange(2**32))


def only(flag: RunFlag, **changes: object) -> Change:
    return lambda reply: dataclasses.replace(reply, **changes) if reply.flags & flag else reply  # type: ignore[arg-type]


def clock(hz: int) -> Callable[[Frame], bytes]:
    """What a hello says, at byte 60 of its payload (WIRE.md)."""

    def rewrite(frame: Frame) -> bytes:
        if frame.type != Type.HELLO | wire.REPLY_BIT:
            return wire.encode(frame)
        payload = frame.payload[:60] + hz.to_bytes(4, "little") + frame.payload[64:]
        return wire.encode(dataclasses.replace(frame, payload=payload))

    return rewrite


def test_as_it_is_the_board_is_believed(measured: tuple[Session, Windows, RewritingLink]) -> None:
    session, windows, link = measured
    link.rewrite = changed(lambda reply: reply)
    assert len(take_samples(session, windows, 5)) == 3 + 5 + 2


HOSTILE: dict[str, tuple[Change, str]] = {
    # what the board says of its inferences: what is refused
    "no cycles at all": (times(0), "cycles of an inference 0"),
    "all ones": (lambda reply: dataclasses.replace(reply, cycles=WORST), "4294967295"),
    "random": (at_random(1), "cycles"),
    "a hundredth": (times(0.01), "cycles of an inference"),
    "a twelfth": (times(1 / 12), "cycles of an inference"),
    "thirty times": (times(30), "cycles by its own counter"),
    "a stack of all ones": (only(RunFlag.STACK, stack_bytes=WORST), "stack 4294967295 bytes"),
    "a stack beyond the RAM": (only(RunFlag.STACK, stack_bytes=BOARD.ram_bytes), "stack 262144 bytes"),
    "a step of all ones": (only(RunFlag.PROFILE, op_cycles=(WORST,)), "cycles of a step 4294967295"),
    "two steps where there is one": (only(RunFlag.PROFILE, op_cycles=(1, 2)), "number of step cycles 2"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_impossible_reply_ends_the_measurement(measured: tuple[Session, Windows, RewritingLink], what: str) -> None:
    session, windows, link = measured
    change, said = HOSTILE[what]
    link.rewrite = changed(change)
    with pytest.raises(Impossible, match=said) as caught:
        take_samples(session, windows, 5)
    assert caught.value.exit_code == 3 and caught.value.expected


def test_a_lost_reading_of_the_counter_costs_no_sample(measured: tuple[Session, Windows, RewritingLink]) -> None:
    session, windows, link = measured
    link.rewrite = lambda frame: b"\0" * 30 if frame.type == Type.CLOCK | wire.REPLY_BIT else wire.encode(frame)
    assert len(take_samples(session, windows, 2)) == 3 + 2 + 2


def test_repetitions_of_one_window_cost_about_the_same(measured: tuple[Session, Windows, RewritingLink]) -> None:
    session, windows, link = measured
    taken: list[Sample] = []
    link.rewrite = changed(lambda reply: times(3 if len(taken) > 4 else 1)(reply))
    with pytest.raises(Impossible, match="repeat 2, reports what can't be: cycles of a repetition"):
        take_samples(session, windows, 5, keep=taken.append)


def test_one_window_does_not_cost_fifty_others(measured: tuple[Session, Windows, RewritingLink]) -> None:
    session, windows, link = measured
    taken: list[Sample] = []
    link.rewrite = changed(lambda reply: times(50 if taken else 1)(reply))
    with pytest.raises(Impossible, match="window 1, reports what can't be: cycles of a window"):
        take_samples(session, windows, 5, keep=taken.append)


@pytest.mark.parametrize(
    ("rewrite", "said"),
    [
        (changed(times(0)), "cycles of an inference 0 cycles"),
        (clock(128_000_000), "board's clock 128000000 Hz"),
        pytest.param(clock(0), "clock 0 Hz", marks=pytest.mark.slow),
    ],
    ids=["no cycles", "twice the clock", "no clock"],
)
def test_nothing_of_it_is_stored_or_judged(tmp_path, monkeypatch, capfd, rewrite, said) -> None:
    """The whole command: the rig is at fault (exit 3), and no metric comes of it."""
    monkeypatch.chdir(tmp_path)
    results = f"sqlite:///{tmp_path / 'results.sqlite'}"
    monkeypatch.setenv("TINYRIG_RESULTS", results)
    (tmp_path / "dense.tflite").write_bytes(small_models.dense_int8())
    open_link = attachment.open_link
    monkeypatch.setattr(attachment, "open_link", lambda *where: RewritingLink(open_link(*where), rewrite))
    assert main(["run", "--model", "dense.tflite", "--limit", "2", "--no-report"]) == 3
    told = capfd.readouterr().err
    assert said in told and "Traceback" not in told and "claim failed" not in told
    with Store(results) as store:
        (stored,) = store.runs()
        assert not store.load(stored.run_id).runs and store.load(stored.run_id).not_measured[0].kind == "device"


def test_what_lies_in_the_padding_is_no_work() -> None:
    """5 x 5 taps over one pixel: 25 are counted, 1 is multiplied."""
    b = ModelBuilder()
    x, y = b.tensor((1, 1, 1, 8), name="x"), b.tensor((1, 1, 1, 8), name="y")
    weights, bias = b.tensor((8, 5, 5, 8), data=np.ones((8, 5, 5, 8))), b.tensor((8,), data=np.zeros(8))
    b.op("CONV_2D", [x, weights, bias], [y], padding=0, strideH=1, strideW=1)
    assert least_work(b.finish([x], [y])) == (64, 0)
    assert least_work(small_models.dense_float()) == (80, 0)
    assert least_work(small_models.dense_int8()) == (0, 288)


def test_a_users_engine_may_do_as_it_likes() -> None:
    assert least_cycles(MODEL, "firmware/examples/own_engine", BOARD) == 0
