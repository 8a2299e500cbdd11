"""Whole benchmarks on the fake board, which computes its results from the bytes it was given, with its faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tinyrig.analysis import metrics, outputs, verification
from tinyrig.board.resolve import identity
from tinyrig.compiler.tests.model_builder import ModelBuilder
from tinyrig.core.boards import MlperfTarget, parse_board, parse_own_board
from tinyrig.core.config import Config
from tinyrig.core.errors import EXIT_RIG, DeviceError, LinkError, UserError
from tinyrig.link.bounds import Impossible
from tinyrig.mlperf.bench import Asked, compare, mlperf_variant, resolution_us, run_mlperf
from tinyrig.mlperf.device import Inferences
from tinyrig.mlperf.fake import linear
from tinyrig.mlperf.forms import read_graph, windows_for
from tinyrig.mlperf.tests.board import CLASSES, IMPATIENT, QUICK, SHORT, FakeBoard, int8_windows, save_windows
from tinyrig.mlperf.text import printed_unit
from tinyrig.tests.small_models import dense_int8
from tinyrig.windows.files import read_windows

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))


@pytest.fixture
def windows(tmp_path):
    """Int8 windows whose labels are what the fake's linear layer answers."""
    x = int8_windows(12)
    return save_windows(tmp_path / "own.npz", x, np.asarray([int(np.argmax(right(w))) for w in x]))


def right(window: np.ndarray) -> np.ndarray:
    return linear(CLASSES, 0)(window.tobytes())


def measure(port, windows, model=b"", tflite=None, oracle="tflm", times=QUICK, rule=SHORT):
    variant = mlperf_variant(windows)
    if tflite is not None:
        variant = replace(variant, name="m", tflite=tflite, sha256="0" * 64, tflite_bytes=len(model), model=model)
    return run_mlperf(Asked(variant, None, oracle), port, Config(), times=times, rule=rule)


def test_a_benchmark_by_the_rule(windows):
    with FakeBoard("--model", "own01", "--invoke-us", "300", "--tick-us", "50") as board:
        run = measure(board.port, windows)
    assert np.allclose(outputs.scored_outputs(run), [right(w) for w in int8_windows(12)], atol=5.1e-4)
    assert outputs.accuracy(run)[0] == 1.0 and verification.withheld(run) is None
    found = metrics.throughput(run)
    assert len(found["runs"]) == 5 and found["timer_resolution_us"] == 50
    assert all(r["inferences"] >= 10 and r["us"] >= 20_000 for r in found["runs"])
    assert found["median"] == pytest.approx(np.median([1e6 * r["inferences"] / r["us"] for r in found["runs"]]))
    assert found["median"] <= 1e6 / 300 * 1.05  # no inference is shorter than the board's
    latency = metrics.latency(run)
    assert latency["us_median"] == pytest.approx(1e6 / found["median"], rel=0.2) and latency["cycles_median"] is None
    assert metrics.ram(run) is None and metrics.flash(run) is None
    assert run.settings.mlperf["model"] == "own01" and run.settings.mlperf["inputs"] == "read back"


@pytest.mark.parametrize("word", ["1e30", "1e1", "5", "1e300", "0"])
def test_numbers_too_coarse_to_tell_outputs_apart_verify_nothing(tmp_path, word):
    """A number may be off by its last printed digit, so such a list would agree with anything."""
    data = dense_int8()
    path = save_windows(tmp_path / "w.npz", int8_windows(2, 20))
    graph = read_graph(data, path)
    windows = windows_for(read_windows(path), "own01", graph, None)
    answers = [Inferences(1, 200, 200.0, f"{word},0.250,0.250,0.250")] * 2
    asked = Asked(replace(mlperf_variant(path), model=data), None, "tflm")
    with pytest.raises(DeviceError, match="too coarse") as caught:
        compare(asked, "own01", graph, windows, answers, max(printed_unit(a.results) for a in answers))
    assert word in caught.value.received and caught.value.remedy


LATE = pytest.param("late:0.05", marks=pytest.mark.slow)
FAULTS = ["drop-in:0.002", "drop-out:0.002", "garbage:0.1", LATE, "mute:0.04", "unknown:0.1", "reboot:0.04"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_line_changes_no_result(windows, fault):
    with FakeBoard("--model", "own01", "--fault", fault) as board:
        run = measure(board.port, windows)
    assert outputs.accuracy(run)[0] == 1.0
    assert np.allclose(outputs.scored_outputs(run), [right(w) for w in int8_windows(12)], atol=5.1e-4)
    counts = run.settings.link  # what befell the search for the board is not among them: the faults are frequent enough
    assert sum(counts[name] for name in ("retries", "timeouts", "damaged", "refused")) > 0
    assert (run.settings.mlperf["reboots"] > 0) == fault.startswith("reboot")


@pytest.mark.parametrize(("fault", "word"), [("nan", "nan"), ("inf", "-inf"), ("huge", "1e999"), ("zeros", "0e999")])
def test_a_result_that_is_no_number_is_the_devices_fault(windows, fault, word):
    """And not the line's: it is printed twice alike."""
    with FakeBoard("--model", "own01", "--fault", fault) as board, pytest.raises(Impossible) as caught:
        measure(board.port, windows)
    assert caught.value.exit_code == EXIT_RIG and f"result 2 ({word})" in caught.value.what and caught.value.expected


def test_a_name_with_escapes_is_seen_and_moves_no_cursor(windows):
    with FakeBoard("--model", "own01", "--fault", "escape") as board:
        run = measure(board.port, windows)
    assert run.board.name == "mlperf" and run.board.id == r"\x1b[2Jfake"


@pytest.mark.parametrize(
    ("fault", "key", "word"), [("no-print", "inputs", "bytes counted by the firmware"), ("no-results", "results", "printed once")]
)
def test_a_firmware_that_lacks_a_command_is_told(windows, fault, key, word):
    with FakeBoard("--model", "own01", "--fault", fault) as board:
        run = measure(board.port, windows)
    assert run.settings.mlperf[key] == word and outputs.accuracy(run)[0] == 1.0


def test_silence_is_the_links_fault(windows):
    with FakeBoard("--fault", "silent") as board, pytest.raises(LinkError, match="no MLPerf Tiny firmware answers") as caught:
        measure(board.port, windows, times=IMPATIENT)
    assert "115200 baud: silence; 921600 baud: silence" in str(caught.value)


def test_a_mute_firmware_ends_in_bounded_tries(windows):
    with FakeBoard("--model", "own01", "--fault", "mute:0.6") as board, pytest.raises(LinkError):
        measure(board.port, windows, times=IMPATIENT)


def test_an_energy_build_is_told(windows):
    with FakeBoard("--model", "own01", "--fault", "energy") as board, pytest.raises(DeviceError, match="prints no timestamps"):
        measure(board.port, windows)


def test_a_window_that_does_not_fit_is_told(tmp_path):
    path = save_windows(tmp_path / "large.npz", int8_windows(1, 40_000))
    with FakeBoard("--model", "own01") as board, pytest.raises(DeviceError, match="does not fit the firmware's buffer") as caught:
        measure(board.port, path)
    assert "Supplied buffer size 40000 exceeds maximum of 32768" in str(caught.value)


def test_streaming_benchmarks_are_refused(windows):
    with FakeBoard("--model", "sww01") as board, pytest.raises(DeviceError, match="sww01 can't be run here"):
        measure(board.port, windows)


def test_windows_of_another_benchmark_are_refused(windows):
    with FakeBoard("--model", "kws01") as board, pytest.raises(UserError, match="does not fit"):
        measure(board.port, windows)


def test_answers_no_better_than_chance_give_no_timing(windows):
    with FakeBoard("--model", "own01", "--fault", "constant") as board:
        run = measure(board.port, windows)
    assert "may be chance" in verification.withheld(run)
    assert metrics.latency(run) is None and metrics.throughput(run) is None


def test_without_labels_and_model_there_is_no_timing(tmp_path):
    path = save_windows(tmp_path / "own.npz", int8_windows(3))
    with FakeBoard("--model", "own01") as board:
        run = measure(board.port, path)
    assert "neither a model nor labels" in verification.withheld(run) and metrics.latency(run) is None


@pytest.mark.parametrize(("seed", "wrong"), [(0, 0), (1, 8)])
def test_a_model_file_gives_parity_within_the_printed_digits(tmp_path, seed, wrong):
    """The board runs the model of seed 0; compared with another one, its outputs are wrong and no timing is shown."""
    runs, given = tmp_path / "runs.tflite", tmp_path / "given.tflite"
    runs.write_bytes(dense_int8(0))
    given.write_bytes(dense_int8(seed))
    path = save_windows(tmp_path / "own.npz", int8_windows(8, 20))
    with FakeBoard("--model", "own01", "--tflite", str(runs)) as board:
        run = measure(board.port, path, given.read_bytes(), given)
    assert run.parity.compared == 8
    assert (run.parity.mismatched_windows > 0) == (wrong > 0) and (run.parity.max_abs_diff < 1.001e-3) == (wrong == 0)
    assert (verification.withheld(run) is None) == (metrics.latency(run) is not None) == (wrong == 0)


def test_a_model_that_the_firmware_can_not_run_is_the_users_fault(tmp_path):
    given = tmp_path / "given.tflite"
    given.write_bytes(dense_int8())
    path = save_windows(tmp_path / "own.npz", int8_windows(2, 21))
    with FakeBoard("--model", "own01") as board, pytest.raises(UserError, match="do not fit the model file"):
        measure(board.port, path, given.read_bytes(), given)


def autoencoder() -> bytes:
    """[1, 640] float32 -> itself, less what its smallest neighbour misses: larger inputs give larger errors."""
    b = ModelBuilder()
    x, out = b.tensor((1, 640), name="spectrum"), b.tensor((1, 640), name="restored")
    weights, bias = b.tensor((640, 640), data=0.9 * np.eye(640)), b.tensor((640,), data=np.zeros(640))
    b.op("FULLY_CONNECTED", [x, weights, bias], [out])
    return b.finish([x], [out])


def test_anomaly_detection_has_an_auc_and_its_error_is_compared(tmp_path):
    model = tmp_path / "ad.tflite"
    model.write_bytes(autoencoder())
    y = np.arange(10) % 2
    x = (np.random.default_rng(2).normal(size=(10, 640)) * (2 + 3 * y)[:, None]).astype(np.float32)
    path = save_windows(tmp_path / "ad.npz", x, y)
    with FakeBoard("--model", "ad01", "--dtype", "float32", "--tflite", str(model)) as board:
        run = measure(board.port, path, model.read_bytes(), model)
    assert outputs.auc(run) == 1.0 and outputs.accuracy(run)[0] is None
    assert run.parity.mismatched_windows == 0 and metrics.latency(run) is not None


def test_the_timers_step():
    assert resolution_us([1000, 3000, 14_000]) == 1000 and resolution_us([1000, 3001]) == 1


def test_the_board_needs_its_port():
    assert parse_board("mlperf@/dev/ttyACM0") == MlperfTarget("/dev/ttyACM0")
    for text in ("mlperf", "mlperf@"):
        with pytest.raises(UserError, match="can't be found automatically"):
            parse_board(text)


def test_what_needs_our_firmware_refuses_the_board():
    with pytest.raises(UserError, match="our own firmware") as caught:
        parse_own_board("mlperf@/dev/ttyACM0")
    assert caught.value.exit_code == 2 and "tinyrig run --board=mlperf@PORT" in caught.value.remedy
    assert identity(parse_board("mlperf@/dev/ttyACM0"), Config()) == identity(parse_board("/dev/ttyACM0"), Config())
