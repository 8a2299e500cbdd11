"""Runs that a page must be able to show. Nothing in them was measured."""

from __future__ import annotations

from dataclasses import replace

from tinyrig.core.records import ArenaBuffer, Claim, ClaimStatus, Measurement, NotMeasured, OpInfo, Run
from tinyrig.reports.tests.night_stories import HOSTILE, slower
from tinyrig.tests.fake_runs import SHAPES, make_run, make_variant_run


def named(run: Measurement, name: str) -> Measurement:
    return replace(run, variant=replace(run.variant, name=name))


def many_variants() -> Run:
    """More than a chapter shows at once, all but alike."""
    names = tuple(SHAPES)
    runs = (named(slower(make_variant_run(names[i % 4], 64), 1 + i / 1000), f"variant-number-{i}-of-a-search") for i in range(12))
    return replace(make_run(), runs=tuple(runs))


def two_engines() -> Run:
    """One file with two engines, verified and not."""
    run = make_variant_run("pqt", 64)
    peer = replace(slower(run, 2.6), image=replace(run.image, engine="cmsis-nn"))
    unverified = replace(named(run, "unverified"), parity=None)
    return replace(make_run(), runs=(run, peer, unverified))


def with_steps(run: Measurement, count: int, name: str = "model/block_{}/conv2d/Relu;model/block_{}/BiasAdd") -> Measurement:
    """A deep network's: `count` steps of one kind, and the buffers between them."""
    ops = tuple(OpInfo(i, "CONV_2D" if i % 3 else "DEPTHWISE_CONV_2D", name.format(i, i), 1000 + i) for i in range(count))
    samples = (
        replace(s, op_cycles=tuple(100 + 37 * i % 5000 for i in range(count))) if s.kind == "profile" else s for s in run.samples
    )
    arena = tuple(ArenaBuffer(name.format(i, i), 1000 + 8 * i, 1200 * (i % 3), i - 1, i) for i in range(count))
    return replace(run, samples=tuple(samples), image=replace(run.image, ops=ops, arena=arena))


def hostile_run() -> Run:
    """Names that would be markup, in every place where a board or a file has its say; and many classes and steps."""
    run = with_steps(make_variant_run("pqt", 64), 60, HOSTILE + "/{}{}")
    names = tuple(f"{HOSTILE} {i}" for i in range(8))
    claims = (Claim("accuracy", ClaimStatus.FAILED, HOSTILE), Claim("parity", ClaimStatus.PASSED))
    board = replace(run.board, name=HOSTILE, id=HOSTILE)
    run = replace(named(run, HOSTILE * 3), class_names=names, claims=claims, board=board)
    return replace(make_run(HOSTILE), runs=(run,), not_measured=(NotMeasured(HOSTILE, HOSTILE, "link"),))
