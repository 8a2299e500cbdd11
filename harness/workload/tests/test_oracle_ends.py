"""Whose fault it is when an oracle's process ends: decided by its exit status, its signal and whether it happens again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinyrig.compiler.tests.whole_nets import conv_net, finish_net
from tinyrig.core.errors import EXIT_RIG, EXIT_USER, HostError, ModelError, RigError
from tinyrig.host import isolated
from tinyrig.workload import oracle
from tinyrig.workload.oracle import TflmOracle

X = np.zeros((1, 8, 6, 3), np.int8)
RUN = oracle._Tflm.run


def at_work() -> None:
    while True:
        pass


def said_and_aborted() -> None:
    os.write(2, b"check failed: scale > 0")
    os.abort()


def failing(monkeypatch: pytest.MonkeyPatch, trouble: Callable[[], None]) -> RigError:
    """What comes of `trouble` in the child in the second window, and of the third window afterwards."""

    def run(self: object, inputs: list[np.ndarray]) -> list[np.ndarray]:
        if inputs[0].max() == 1:
            trouble()
        return RUN(self, inputs)

    monkeypatch.setattr(oracle._Tflm, "run", run)
    tflm = TflmOracle(finish_net(conv_net()))
    tflm.run([X])
    with pytest.raises(RigError) as e:
        tflm.run([X + np.int8(1)])
    assert np.array_equal(tflm.run([X + np.int8(2)])[0], TflmOracle(finish_net(conv_net())).run([X + np.int8(2)])[0])
    return e.value


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGXCPU])
def test_one_that_is_killed_says_nothing_about_the_model(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    error = failing(monkeypatch, lambda: os.kill(os.getpid(), number))
    assert type(error) is HostError and error.exit_code == EXIT_RIG
    assert error.received == signal.Signals(number).name and "quantisation" not in str(error)


def test_want_of_memory_is_named_where_the_system_counted_it(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = iter([7, 7, 8, 8, 8, 8])  # before and after the window that is killed
    monkeypatch.setattr(oracle, "memory_kills", lambda: next(counts, 8))
    error = failing(monkeypatch, lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert "for want of memory" in error.received


def test_a_crash_that_happens_again_in_a_new_process_is_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    error = failing(monkeypatch, said_and_aborted)
    assert type(error) is ModelError and error.exit_code == EXIT_USER
    assert "SIGABRT, and again" in error.what and error.received == "check failed: scale > 0"
    assert "quantisation" not in str(error)


def test_a_crash_that_does_not_happen_again_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def once() -> None:
        if not (tmp_path / "crashed").exists():
            (tmp_path / "crashed").touch()
            os.kill(os.getpid(), signal.SIGSEGV)

    error = failing(monkeypatch, once)
    assert type(error) is HostError and "SIGSEGV once" in error.what


@pytest.mark.parametrize(("trouble", "kind"), [(at_work, ModelError), (lambda: time.sleep(60), HostError)])
def test_a_slow_model_is_told_from_a_process_that_is_held_up(
    monkeypatch: pytest.MonkeyPatch, trouble: Callable[[], None], kind: type[RigError]
) -> None:
    monkeypatch.setattr(oracle, "TIMEOUT_S", 2.0)
    monkeypatch.setattr(isolated, "_AT_WORK", 0.05)  # this machine may be busy
    error = failing(monkeypatch, trouble)
    assert type(error) is kind and "no answer within" in error.received


def test_no_process_to_be_had_is_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(life: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(isolated, "Forked", none_left)
    with pytest.raises(HostError, match="no process for tflite-micro"):
        TflmOracle(finish_net(conv_net())).run([X])
