"""Models that keep state see the windows of a recording one after another: on the host, on the board, through faults, kills."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.cases import compare, random_values
from tinyrig.compiler.tests.state_cases import MODELS
from tinyrig.compiler.tests.test_state import accumulator
from tinyrig.core.errors import DeviceError
from tinyrig.core.records import Sample
from tinyrig.link.window_sender import StateLost
from tinyrig.measure.sampling import take_samples
from tinyrig.store.runs import Store
from tinyrig.tests.user_home import finish, numbers, start, url, wait_for_samples
from tinyrig.workload.host_build import HostModel
from tinyrig.workload.oracle import LitertRefOracle, TflmOracle
from tinyrig.workload.windows import Windows

STEPS, RESET_AT = 50, 27
KEEPERS = {
    **{name: make(3, 1) for name, make in MODELS.items()},
    **{
        f"variable_{dtype}{'_once' * once}": accumulator(dtype, once)
        for dtype, once in (("float32", False), ("float32", True), ("int8", False), ("int8", True))
    },
}
"""Of every op that keeps state, one."""


def recording(data: bytes) -> list[list[np.ndarray]]:
    inputs = compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18).inputs
    rng = np.random.default_rng(8)
    return [[random_values(rng, t.shape, t.dtype) for t in inputs] for _ in range(STEPS)]


@pytest.mark.parametrize("name", KEEPERS)
def test_fifty_steps_with_a_reset_among_them(name):
    data = KEEPERS[name]
    host, given = HostModel(compile_model(data, flash_bytes=1 << 20, ram_bytes=1 << 18)), recording(data)
    with TflmOracle(data) as oracle:
        for i, x in enumerate(given):
            begins = i in (0, RESET_AT)
            found, wanted = (host.invoke(x), oracle.run(x)) if begins else (host.invoke_on(x), oracle.run_on(x))
            compare(found, wanted, (name, i))
        alone = [host.invoke(x) for x in given[:RESET_AT]]
    carried = [host.invoke(given[0]), *(host.invoke_on(x) for x in given[1:RESET_AT])]
    pairs = [(a, b) for one, two in zip(alone, carried, strict=True) for a, b in zip(one, two, strict=True)]
    assert any((a != b).any() for a, b in pairs), "it keeps no state"


def test_litert_follows_as_well():
    data = KEEPERS["variable_float32_once"]
    given = recording(data)[:6]
    with TflmOracle(data) as tflm, LitertRefOracle(data) as litert:
        for i, x in enumerate(given):
            compare(litert.run_on(x) if i % 4 else litert.run(x), tflm.run_on(x) if i % 4 else tflm.run(x), i)


# ---- on the board ----


def furnish(folder: Path, name: str) -> tuple[str, ...]:
    (folder / "net.tflite").write_bytes(KEEPERS[name])
    given = recording(KEEPERS[name])
    arrays = {"x": np.stack([x[0] for x in given])} if len(given[0]) == 1 else {}
    np.savez(folder / "w.npz", sequence=[int(i >= RESET_AT) for i in range(STEPS)], **arrays)
    return ("--model", "net.tflite", "--windows", "w.npz", "--no-report", "--json", "out.json")


ON_THE_BOARD = [pytest.param(n, marks=[] if n == "variable_int8_once" else [pytest.mark.slow]) for n in KEEPERS]


@pytest.mark.parametrize("name", ON_THE_BOARD)
def test_the_board_follows_a_recording(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    assert main(["run", *furnish(tmp_path, name)]) == 0
    (run,) = json.loads(Path("out.json").read_text())["runs"]
    assert run["sequences"] == 2 and (run["parity"]["compared"], run["parity"]["mismatched_windows"]) == (STEPS, 0)
    np.savez("w.npz", x=np.load("w.npz")["x"])
    assert main(["run", "--model", "net.tflite", "--windows", "w.npz", "--no-report", "--json", "alone.json"]) == 0
    with Store(url(tmp_path)) as store:
        followed, alone = (store.load(r.run_id).runs[0].samples for r in sorted(store.runs(), key=lambda r: r.started))
    assert [s.outputs for s in followed[:STEPS]] != [s.outputs for s in alone[:STEPS]], "each window was on its own"


@pytest.mark.slow
def test_damage_on_the_line_moves_no_state_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINYRIG_RESULTS", url(tmp_path))
    words = furnish(tmp_path, "svdf_s8")
    faults = "line-drop:2e-3,line-flip:2e-3,line-dup:2e-3,line-cut:25,line-disconnect:40:0.2"
    monkeypatch.setenv("TINYRIG_FAULTS", faults)
    assert main(["run", *words]) == 0
    (run,) = json.loads(Path("out.json").read_text())["runs"]
    assert run["parity"]["mismatched_windows"] == 0 and run["link"]["retries"] > 0


@pytest.mark.slow
def test_a_killed_run_begins_its_sequence_again(tmp_path):
    words = furnish(tmp_path, "variable_int8_once")
    assert finish(start(tmp_path, "run", *words))[0] == 0
    whole = numbers(tmp_path / "out.json")
    process = start(tmp_path, "run", *words, TINYRIG_LINE_RATE="4000")
    wait_for_samples(tmp_path, process, RESET_AT + 8)
    process.kill()
    process.communicate()
    time.sleep(0.2)
    code, errors = finish(start(tmp_path, "run", "--resume", "--no-report", "--json", "resumed.json"))
    assert code == 0, errors
    assert numbers(tmp_path / "resumed.json")["runs"][0]["parity"] == whole["runs"][0]["parity"]
    with Store(url(tmp_path)) as store:
        first, second = (store.load(r.run_id).runs[0].samples for r in sorted(store.runs(), key=lambda r: r.started))
    assert [s.outputs for s in first] == [s.outputs for s in second]


# ---- the order of requests ----


class Board:
    """A session with a board whose engine counts its inferences; it forgets its state before the calls named in `forgets`."""

    def __init__(self, forgets: tuple[int, ...] = (), drifts: bool = False) -> None:
        self._forgets, self._drifts = forgets, drifts
        self.asked: list[tuple[int, int]] = []
        self._state: list[int] | None = None

    def run(self, payload, stack=False, profile=False, kind="window", index=0, trigger=False, after=0):
        if len(self.asked) in self._forgets:
            self._state = None
        self.asked.append((index, after))
        if after and (self._state is None or len(self._state) != after):
            raise StateLost("elsewhere")
        self._state = [*self._state, index] if after and self._state else [index]
        outputs = repr((self._state, self._drifts and len(self.asked))).encode()
        return Sample(kind, index, outputs, 100, 8 if stack else None, (100,) if profile else ())

    def counter(self):
        return None

    class situation:
        counting = False


def given_windows(places):
    return Windows(tuple((np.zeros(1, np.int8),) for _ in places), places=tuple(places))


def test_a_lost_state_is_rebuilt_from_the_sequences_start():
    board = Board(forgets=(4,))
    samples = take_samples(board, given_windows([0, 1, 0, 1, 2]), 0)
    assert board.asked[:9] == [(0, 0), (1, 1), (2, 0), (3, 1), (4, 2), (2, 0), (3, 1), (4, 2), (0, 0)]
    assert samples[4].outputs == b"([2, 3, 4], False)"


def test_a_state_that_is_lost_while_it_is_rebuilt_is_rebuilt_again():
    board = Board(forgets=(4, 6))
    assert take_samples(board, given_windows([0, 1, 0, 1, 2]), 0)[4].outputs == b"([2, 3, 4], False)"


def test_a_board_that_forgets_without_end_is_given_up():
    with pytest.raises(StateLost):
        take_samples(Board(forgets=tuple(range(100))), given_windows([0, 1, 2]), 0)


def test_a_sequence_that_gives_other_outputs_when_it_runs_again_is_no_measurement():
    with pytest.raises(DeviceError, match="gave other outputs when the sequence ran again"):
        take_samples(Board(forgets=(2,), drifts=True), given_windows([0, 1, 2]), 0)


def test_resuming_runs_the_sequence_up_to_the_last_window_again():
    windows = given_windows([0, 1, 0, 1, 2, 3])
    done = take_samples(Board(), windows, 0)[:4]
    board = Board()
    assert take_samples(board, windows, 0, done)[:6] == take_samples(Board(), windows, 0)[:6]
    assert board.asked[:4] == [(2, 0), (3, 1), (4, 2), (5, 3)]
