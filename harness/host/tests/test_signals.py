"""A signal that asks for the end is heard wherever it finds the process."""

from __future__ import annotations

import os
import signal
import time
import weakref
from collections.abc import Callable

import pytest

from tinyrig.core.errors import HostError
from tinyrig.host.process_pool import Ended, ProcessPool
from tinyrig.host.signals import Terminated, exit_status, held, terminable

PATIENCE_S = 30.0


class Thing:
    pass


def in_a_finalizer(number: int) -> None:
    thing = Thing()
    weakref.finalize(thing, os.kill, os.getpid(), number)
    del thing


def in_a_deleted_object(number: int) -> None:
    class Last:
        def __del__(self) -> None:
            os.kill(os.getpid(), number)
            for _ in range(100):  # the handler runs between two steps of Python
                pass

    Last()


MOMENTS = [in_a_finalizer, in_a_deleted_object]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("moment", MOMENTS)
def test_it_is_not_lost_where_python_ignores_exceptions(moment: Callable[[int], None], number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, terminable():
        moment(number)
        time.sleep(PATIENCE_S)
    assert exit_status(caught.value) == 128 + number


@pytest.mark.parametrize("moment", MOMENTS)
def test_nor_in_the_process_of_a_pool(moment: Callable[[int], None]) -> None:
    def task(tell: object) -> None:
        moment(signal.SIGTERM)
        time.sleep(PATIENCE_S)

    with ProcessPool({"one": task}) as pool:
        pool.listen(lambda *_: None, 2 * PATIENCE_S)
    assert pool.ended == {"one": Ended(128 + signal.SIGTERM)}


def test_other_exceptions_there_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("broken")

    told: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", lambda ignored: told.append(ignored.exc_value))
    with terminable():
        Broken()
    assert [str(error) for error in told] == ["broken"]


@pytest.mark.parametrize("error, kind", [(ValueError("op failed"), Terminated), (HostError("no board"), HostError)])
def test_what_native_code_makes_of_it_is_the_signals(error: Exception, kind: type[BaseException]) -> None:
    with pytest.raises(kind) as caught, terminable():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(PATIENCE_S)
        except Terminated as interruption:
            raise error from interruption
    assert caught.value is error or (caught.value.__cause__ is error and exit_status(caught.value) == 143)


def test_an_error_without_a_signal_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="op failed"), terminable():
        raise ValueError("op failed")


def test_outside_of_it_a_signal_is_as_it_was() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE_S)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_one_can_be_held_and_the_second_one_interrupts(number: signal.Signals) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt) as caught, terminable():
        with held() as found:
            os.kill(os.getpid(), number)
            steps.append(found.name)
        with held() as again:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            steps.append(again.name)
    assert steps == [number.name]
    assert exit_status(caught.value) == 128 + number
