"""`tinyrig record` on the virtual board: real firmware, real registers, real line."""

import csv
import dataclasses
import io
import os
import signal

import numpy as np
import pytest

from tinyrig.core.boards import BOARDS, BoardTarget, parse_own_board
from tinyrig.core.config import Config
from tinyrig.core.errors import DeviceError, LinkError, UserError
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.live.protocol import State
from tinyrig.live.sampler import Sampler
from tinyrig.live.sensors import sensor_named
from tinyrig.record.guide import Answer, Guide, TerminalGuide
from tinyrig.record.record import Plan, record
from tinyrig.virtual.launch import VirtualBoard

GLOVE = sensor_named("glove")
STEPS, RATE = 6, 20.0


@pytest.fixture
def played(tmp_path):
    """A recording of two classes, three trials each; every value different."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-2, 2, (6, STEPS, 30)), rng.uniform(0.1, 3.2, (6, STEPS, 5))], 2).astype(np.float32)
    path = tmp_path / "played.npz"
    np.savez(path, x=x, y=np.arange(6) % 2, class_names=np.array(["ball", "cube"]), rate_hz=RATE, sensor="glove")
    return path, x


def plan(tmp_path, played, **other):
    settings = {"trials": 2, "seconds": STEPS / RATE, "rate_hz": RATE, "folder": tmp_path / "data", "speed": 20.0}
    return Plan(GLOVE, "cube", play=str(played[0]), **{**settings, **other})


def recorded(plan_):
    config = Config()
    return record(plan_, parse_own_board("virtual", config.boards, ""), config, Guide(io.StringIO()))


def values(path):
    return np.array([[float(v) for v in row] for row in list(csv.reader(path.open()))[1:]])


def test_what_the_sensors_read_is_in_the_files(tmp_path, played):
    done = recorded(plan(tmp_path, played))
    assert (done.stored, done.dropped, done.lost) == (2, 0, 0)
    step = np.array([*([1 / 8192] * 3 + [np.pi / 180 / 32.8] * 3) * 5, *[3.3 / 4096] * 5])
    for name, trial in (("cube-001.csv", played[1][1]), ("cube-002.csv", played[1][3])):
        assert (np.abs(values(tmp_path / "data" / name) - trial) <= 0.501 * step).all()


class Impatient(Guide):
    """Sends a signal in the middle of the second trial."""

    def sampled(self, done, of, values):
        if done == 3 and self._title.startswith("cube 2"):
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_loses_nothing_and_a_recording_goes_on_from_there(tmp_path, played, caplog):
    config = Config()
    target = parse_own_board("virtual", config.boards, "")
    with pytest.raises(KeyboardInterrupt):
        record(plan(tmp_path, played, trials=3), target, config, Impatient(io.StringIO()))
    assert "cut short: 1 trials stored" in caplog.text
    assert sorted(p.name for p in (tmp_path / "data").glob("*.csv")) == ["cube-001.csv", "labels.csv"]
    assert recorded(plan(tmp_path, played, trials=3, resume=True)).stored == 2
    assert (np.abs(values(tmp_path / "data" / "cube-002.csv") - played[1][3])[:, :3] <= 0.501 / 8192).all()


def test_the_board_of_a_recording_that_was_cut_short_has_stopped_and_answers(tmp_path, played):
    """One that goes on running, as a physical one does."""
    board, asked = BOARDS["virtual"], dataclasses.replace(plan(tmp_path, played, trials=3), play="", speed=1.0)
    with VirtualBoard(sensors=played[0], sensor_speed=20.0) as virtual:
        target = BoardTarget(board, virtual.port)
        with pytest.raises(KeyboardInterrupt):
            record(asked, target, Config(), Impatient(io.StringIO()))
        with Session(open_link(virtual.port, board.baud)) as session:
            session.hello()
            assert Sampler(session, GLOVE).described.state is State.STOPPED
        asked = dataclasses.replace(asked, resume=True)
        assert record(asked, target, Config(), Guide(io.StringIO())).stored == 2


@pytest.mark.slow
def test_a_recording_is_resumed_where_it_was(tmp_path, played):
    recorded(plan(tmp_path, played))
    assert recorded(plan(tmp_path, played, trials=3, resume=True)).stored == 1
    step = 1 / 8192
    assert (np.abs(values(tmp_path / "data" / "cube-003.csv") - played[1][5])[:, :3] <= 0.501 * step).all()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("sensor-missing:3", "MPU-6050 of the ring finger: another device"),
        pytest.param("sensor-nack:140", "does not acknowledge", marks=pytest.mark.slow),
        pytest.param("sensor-bus:140", "a line is held low", marks=pytest.mark.slow),
        pytest.param("sensor-open:2", "force sensor of the middle finger: reads less", marks=pytest.mark.slow),
        pytest.param("sensor-clip:1", "fails its self-test", marks=pytest.mark.slow),
        pytest.param("sensor-stuck:3", "repeats one reading", marks=pytest.mark.slow),
    ],
)
def test_faults_have_names(tmp_path, played, fault, message):
    steps = 60 if "stuck" in fault else STEPS
    with pytest.raises(DeviceError, match=message):
        recorded(plan(tmp_path, played, faults=(fault,), seconds=steps / RATE))
    assert not list((tmp_path / "data").glob("*.csv"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "message"), [("", ""), ("sensor-missing:1", "magnetometer: another device"), ("sensor-nack:20", "ackno")]
)
def test_the_boards_own_sensor(tmp_path, fault, message):
    x = np.random.default_rng(0).uniform(-3, 3, (2, STEPS, 9)).astype(np.float32)
    np.savez(tmp_path / "played.npz", x=x, rate_hz=RATE, sensor="nano33-rev1")
    faults = (fault,) if fault else ()
    asked = plan(tmp_path, [tmp_path / "played.npz"], trials=1, faults=faults)
    asked = dataclasses.replace(asked, sensor=sensor_named("nano33-rev1"))
    if fault:
        with pytest.raises(DeviceError, match=message):
            recorded(asked)
        return
    assert recorded(asked).stored == 1
    step = np.array([0.000244] * 3 + [np.radians(0.07)] * 3 + [0.00014] * 3)
    assert (np.abs(values(tmp_path / "data" / "cube-001.csv") - x[0]) <= 0.501 * step).all()


@pytest.mark.slow
def test_lost_samples_are_counted_and_the_trial_is_not_stored(tmp_path, played):
    with pytest.raises(LinkError, match="every trial loses samples"):
        recorded(plan(tmp_path, played, faults=("sensor-drop:3",)))
    assert not list((tmp_path / "data").glob("*.csv"))


def test_a_class_that_is_not_played(tmp_path, played):
    with pytest.raises(UserError, match="has no class 'cone'"):
        recorded(Plan(GLOVE, "cone", 1, 0.3, RATE, tmp_path / "data", play=str(played[0])))


def test_answers_on_a_terminal(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    out = io.StringIO()
    guide = TerminalGuide(out, io.StringIO("\nx\nr\n\ns\n\n\n"))
    answers = []
    for _ in range(3):
        guide.before("cube", 1, 3)
        guide.sampled(6, 6, np.arange(35.0))
        answers.append(guide.after(0))
    assert answers == [Answer.REPEAT, Answer.SKIP, Answer.KEEP]
    assert "cube 1/3: 6/6" in out.getvalue()
    with pytest.raises(KeyboardInterrupt):
        guide.before("cube", 1, 3)
