"""`tinyrig live` on the virtual board, and what its numbers are made of."""

import dataclasses
import json
import os
import signal
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from tinyrig.cli import main
from tinyrig.core.boards import parse_own_board
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, UserError
from tinyrig.core.records import TensorSpec
from tinyrig.live import session, summary
from tinyrig.live.command import Shown
from tinyrig.live.pipeline import read_pipeline
from tinyrig.live.protocol import Asked, Decision, Fetched, Frame, Smoothing, State, Status
from tinyrig.live.run import Plan, live
from tinyrig.live.sampler import RECORD, Sampler
from tinyrig.live.sensors import sensor_named
from tinyrig.live.tests.sampling import sampler_of
from tinyrig.live.verify import Model, verify
from tinyrig.measure.variants import model_variants
from tinyrig.tests.small_models import dense_float, dense_int8

GLOVE = sensor_named("glove")
CHANNELS = ["middle_force", "thumb_ax", "little_gz", "index_ay"]
STEPS, CLASSES = 5, ["ball", "cube", "cone", "rest"]
PIPELINE = {"length": STEPS, "channels": CHANNELS, "mean": [1.1, 0.1, -0.2, 0.05], "std": [0.9, 0.7, 1.3, 0.8]}
INPUT = TensorSpec("window", (1, 20), "int8", 0.05, -3)
OUTPUT = TensorSpec("scores", (1, 4), "int8", 1 / 256, -128)


def manifest(tmp_path, **other):
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps({"pipeline": {**PIPELINE, **other}, "class_names": CLASSES}))
    return path


def plan(tmp_path, model, **other):
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.uniform(-2, 2, (4, 20, 30)), rng.uniform(0.1, 3.2, (4, 20, 5))], 2).astype(np.float32)
    names = {"class_names": np.array(CLASSES), "sensor": "glove", "rate_hz": 20.0}
    np.savez(tmp_path / "played.npz", x=x, y=np.arange(4), **names)
    (tmp_path / "small.tflite").write_bytes(model)
    variant = model_variants([tmp_path / "small.tflite"], None)[0]
    settings = {"rate_hz": 20.0, "hop": 2, "seconds": 3.0, "verify": True, "speed": 20.0, "self_test": False}
    wanted = {"manifest": manifest(tmp_path), "play": str(tmp_path / "played.npz")}
    return Plan(variant, GLOVE, **{**settings, **wanted, **other})


def ran(plan_):
    config = Config()
    return live(plan_, parse_own_board("virtual", config.boards, ""), config, lambda *_: None)


@pytest.mark.parametrize("model", [dense_int8, pytest.param(dense_float, marks=pytest.mark.slow)])
def test_every_decision_of_the_board_is_the_hosts(tmp_path, model):
    found = ran(plan(tmp_path, model(), smooth="majority:3"))
    assert found["verified"]["passed"], found["verified"]
    assert found["counts"]["dropped_samples"] == found["counts"]["missed_deadlines"] == 0
    numbers = [(d["first"], d["last"]) for d in found["decisions"]]
    assert numbers[:3] == [(0, 4), (2, 6), (4, 8)]
    assert len(numbers) >= 28
    assert {d["truth"] for d in found["decisions"]} >= {"ball", "cube", "cone", None}  # None: half of one, half of another
    assert found["accuracy"]["decisions"] == sum(d["truth"] is not None for d in found["decisions"])
    assert 0 < found["times"]["load"] < 1
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), pytest.param(signal.SIGHUP, marks=pytest.mark.slow)],
)
def test_a_signal_cuts_it_short_and_nothing_that_came_is_lost(tmp_path, monkeypatch, capsys, number):
    asked = plan(tmp_path, dense_int8())
    frames = []

    def seen(self, fetched, pipeline):
        frames.extend(fetched.frames)
        if len(frames) > 20 and not done:
            done.append(os.kill(os.getpid(), number))

    done: list[None] = []
    monkeypatch.setattr(Shown, "__call__", seen)
    words = ["--model", str(asked.variant.tflite), "--manifest", str(asked.manifest), "--play", asked.play, "--speed", "20"]
    status = main(["live", *words, "--hop", "2", "--seconds", "3000", "--verify", "--replay", "--json", str(tmp_path / "log")])
    found = json.loads((tmp_path / "log").read_text())
    assert status == 128 + number
    assert found["cut_short"] == number.name and f"CUT SHORT by {number.name}" in capsys.readouterr().out
    assert found["counts"]["samples"] < 3000 * 20 and found["counts"]["frames_not_fetched"] == 0
    assert found["verified"]["passed"] and found["verified"]["compared"] >= 5


def test_a_board_that_samples_for_a_host_that_is_gone_is_stopped(tmp_path):
    with sampler_of("glove", tmp_path) as (sampler, _):
        sampler.start(Asked(50_000, RECORD))
        again = Sampler(sampler._session, GLOVE)
        again.start(Asked(50_000, RECORD))
        assert again.stop().status.fault == 0


@pytest.mark.slow
def test_windows_never_span_a_gap(tmp_path):
    found = ran(plan(tmp_path, dense_int8(), faults=("sensor-drop:9",)))
    assert found["counts"]["dropped_samples"] > 3
    assert found["verified"]["passed"]
    assert all(d["last"] - d["first"] == STEPS - 1 for d in found["decisions"])


@pytest.mark.slow
def test_a_sample_clock_that_drifts_is_noticed(tmp_path):
    found = ran(plan(tmp_path, dense_int8(), faults=("sensor-drift:5000",)))
    assert found["clock"]["ahead_of_processor_ppm"] == pytest.approx(5000, abs=100)
    assert "+50" in summary.text(found) and "ppm off the processor's" in summary.text(found)
    assert found["verified"]["passed"]


@pytest.mark.slow
def test_a_sensor_that_falls_silent_ends_it(tmp_path):
    with pytest.raises(DeviceError, match="does not acknowledge"):
        ran(plan(tmp_path, dense_int8(), faults=("sensor-nack:150",)))


def test_a_class_that_is_not_the_models(tmp_path):
    with pytest.raises(UserError, match="--expect names no class"):
        ran(plan(tmp_path, dense_int8(), expect="hedgehog"))


@pytest.mark.parametrize(
    "other",
    [
        {"channels": ["thumb_ax", "thumb_ay", "thumb_az", "nose"]},
        {"std": [1, 1, 1, 0]},
        {"mean": [1, 1, 1]},
        {"mean": [1, 1, 1, float("nan")]},
        {"length": 6},
        {"arithmetic": "float64"},
        {"channels": 3},
    ],
)
def test_a_pipeline_that_does_not_fit(tmp_path, other):
    with pytest.raises(UserError):
        read_pipeline(manifest(tmp_path, **other), GLOVE, INPUT)


class Oracle:
    """Class 2 for everything."""

    name = "fake"

    def run(self, _):
        return [np.array([[-128, -128, 127, -128]], np.int8)]


def gathered(decisions=(), frames=8, **status):
    numbers = {f.name: 0 for f in dataclasses.fields(Status)} | {"state": State.STOPPED, "slots": 100, "windows": len(decisions)}
    g = session.Gathered()
    counts = np.arange(35, dtype=np.int16)
    taken = tuple(Frame(n, 50_000 * n, 3_200_000 * n, counts + n) for n in range(frames))
    g.add(Fetched(Status(**{**numbers, **status}), tuple(decisions), taken))
    return g


def decision(model, g, first=0, **other):
    window = np.stack([g.frames[n].counts for n in range(first, first + STEPS)])
    scores = bytes([128, 128, 127, 128])
    crc = zlib.crc32(model.pipeline.input_bytes(window, model.scale, model.input))
    made = Decision(0, first, first + STEPS - 1, 10, 20, 30, 40, crc, zlib.crc32(scores), 2, 2, scores)
    return dataclasses.replace(made, **other)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({}, ""),
        ({"inputs_crc": 1}, "inputs_differ"),
        ({"scores": bytes([128, 129, 127, 128])}, "outputs_differ"),
        ({"outputs_crc": 1}, "outputs_differ"),
        ({"best": 1}, "classes_differ"),
        ({"last": 99}, "unseen"),
    ],
)
def test_what_differs_is_found(tmp_path, other, what):
    pipeline = read_pipeline(manifest(tmp_path), GLOVE, INPUT)
    model = Model(pipeline, INPUT, OUTPUT, np.full(35, 0.01, np.float32), 1e-5)
    g = gathered()
    verified = verify(gathered([decision(model, g, **other)]), model, Oracle())
    assert verified.passed == (not what)
    assert not what or getattr(verified, what) == 1


def test_no_times_without_verification_and_no_accuracy_without_labels(tmp_path):
    pipeline = read_pipeline(manifest(tmp_path), GLOVE, INPUT)
    model = Model(pipeline, INPUT, OUTPUT, np.full(35, 0.01, np.float32), 1e-5)
    g = gathered([decision(model, gathered())], busy_cycles=32_000_000)
    setting = summary.Setting({"variant": "v"}, 50_000, 5, 64_000_000, tuple(CLASSES), OUTPUT, GLOVE)
    for verified in (None, verify(gathered([decision(model, g, best=1)]), model, Oracle())):
        found = summary.document(setting, g, verified, lambda _: None)
        assert found["times"] is None
        assert found["accuracy"] is None
        assert "latency_us" not in found["decisions"][0]
    found = summary.document(setting, g, verify(g, model, Oracle()), lambda _: "cone")
    assert found["times"]["load"] == pytest.approx(0.1)  # 0.5 s of 5 s
    assert found["accuracy"]["right"] == 1
    assert found["clock"] == {k: 0.0 for k in found["clock"]}


def test_values_at_the_end_of_their_range_are_counted_by_channel(tmp_path):
    g = gathered(frames=4)
    for n, channel, counts in ((0, 0, 32767), (1, 0, -32768), (2, 34, 4095), (3, 1, 32766)):
        g.frames[n].counts[channel] = counts
    setting = summary.Setting({"variant": "v"}, 50_000, 5, 64_000_000, tuple(CLASSES), OUTPUT, GLOVE)
    found = summary.document(setting, g, None, lambda _: None)
    assert found["clipped"] == {"thumb_ax": 2, "little_force": 1}
    found |= {"variant": "v", "board": "b", "sensor": "glove", "timing": "estimated"}
    assert "at an end of their range: thumb_ax 2, little_force 1" in summary.text(found)


@pytest.mark.parametrize("columns", [80, 40, 10])
def test_what_is_shown_stays_on_one_line(columns):
    shown = Shown(GLOVE)
    frames = tuple(Frame(n, 0, 0, np.full(35, 32767 * (n % 2), np.int16)) for n in range(3))
    made = gathered().status
    pipeline = SimpleNamespace(class_names=("a class with a long name",) * 4)
    text = shown.line(Fetched(made, (SimpleNamespace(smoothed=1, window=7),), frames), pipeline, columns)
    assert len(text) < columns
    assert columns < 80 or "clipped 35" in text


def test_the_line_is_asked_before():
    need = session.line_need(20, 10, 35, 32, True)
    assert need == pytest.approx(20 * 82 + 2 * 72 + 96 * 20, rel=0.1)
    assert "100,000" in session.check_line(need, 1_000_000, True)
    with pytest.raises(UserError, match="not every frame would arrive"):
        session.check_line(session.line_need(2000, 10, 35, 32, True), 1_000_000, True)
    session.check_line(session.line_need(2000, 10, 35, 32, True), 1_000_000, False)


def test_smoothing_in_words():
    assert session.smoothing_of("") == (Smoothing.NONE, 0)
    assert session.smoothing_of("hysteresis:3") == (Smoothing.HYSTERESIS, 3)
    for word in ("majority", "none:3", "majority:0", "majority:33", "majority:x"):
        with pytest.raises(UserError):
            session.smoothing_of(word)
