"""Mutated .tflite files are refused with words, or compile and equal the oracle. Never a crash, a hang, over 1 GB or silence."""

from __future__ import annotations

import numpy as np
import pytest

from tinyrig.compiler.tests.fuzz_corpus import corpus
from tinyrig.compiler.tests.fuzz_mutate import BYTE_CHANGES, TABLE_CHANGES
from tinyrig.compiler.tests.fuzz_run import Outcome, Worker, fuzz, mutant
from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.workload.oracle import TflmOracle


def found(outcomes: list[Outcome]) -> list[Outcome]:
    return [o for o in outcomes if not o.good]


def test_mutants_are_the_same_for_the_same_seed_and_all_mutations_occur() -> None:
    first, again = ([mutant(5, i) for i in range(400)] for _ in range(2))
    assert first == again
    names = {name for _, change, _ in first for name in change.split("+")}
    assert {c.__name__ for c in (*BYTE_CHANGES, *TABLE_CHANGES)} - names == set()
    assert len({data for data, _, _ in first}) > 380


def test_the_corpus_compiles_and_is_of_all_kinds() -> None:
    models = corpus()
    assert len(models) > 100 and {"conv_net_int8", "dense_float", "conv2d_s16_0", "dilated"} <= models.keys()


def test_mutants_compile_or_are_refused() -> None:
    assert found(list(fuzz(11, list(range(400)), run=False))) == []


def test_mutants_that_compile_equal_the_oracle() -> None:
    outcomes = list(fuzz(12, list(range(60)), sanitize_every=1000))
    assert found(outcomes) == []
    assert sum(o.kind == "equal" for o in outcomes) > 5


@pytest.mark.slow
def test_many_mutants_equal_the_oracle_and_are_clean_under_sanitizers() -> None:
    assert found(list(fuzz(13, list(range(600)), sanitize_every=16))) == []


def test_the_fuzzer_sees_a_difference_an_exception_and_a_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """Each kind of finding, made on purpose."""
    from tinyrig.compiler.tests import fuzz_run

    def judged(data: bytes) -> str:
        return Worker(0, True, 1000, str(tmp_path)).judge(data, np.random.default_rng(0))[0]

    good = finish_net(conv_net())
    assert judged(good) == "equal"
    with monkeypatch.context() as m:
        m.setattr(fuzz_run, "TflmOracle", lambda data: TflmOracle(finish_net(conv_net(seed=1))))
        assert judged(good) == "difference"
    with monkeypatch.context() as m:
        m.setattr(fuzz_run, "compile_model", lambda *a, **k: 1 // 0)
        assert judged(good) == "exception"
    with monkeypatch.context() as m:
        m.setattr(fuzz_run, "compile_model", lambda *a, **k: np.zeros(1 << 40))
        assert judged(good) == "memory"
        m.setattr(fuzz_run.Worker, "one", lambda *a: __import__("os").abort())
        assert [o.kind for o in fuzz(1, [0])] == ["crash"]
    with monkeypatch.context() as m:
        m.setattr(fuzz_run, "MUTANT_S", 1.0)
        m.setattr(fuzz_run.Worker, "one", lambda *a: __import__("time").sleep(60))
        assert [o.kind for o in fuzz(1, [0])] == ["hang"]
