"""The claim `live` of nights."""

import dataclasses

import numpy as np
import pytest

from tinyrig.core.boards import BOARDS, BoardTarget, MlperfTarget, parse_board
from tinyrig.core.config import BoardPorts, Config, Live
from tinyrig.core.errors import UserError
from tinyrig.core.records import ClaimStatus
from tinyrig.live import night
from tinyrig.live.night import claim_of, night_claims, streamed_claim, windows
from tinyrig.live.pipeline import MANIFEST
from tinyrig.live.tests.test_live import plan
from tinyrig.tests.small_models import dense_int8
from tinyrig.virtual.launch import VirtualBoard

LIVE = Config(live=Live(play="glove", seconds=30))


def found(differ=0, unseen=0, compared=20, **lost):
    counts = {"dropped_samples": 0, "missed_deadlines": 0, "frames_not_fetched": 0, "decisions_not_fetched": 0}
    return {"counts": counts | lost, "verified": {"differ": differ, "unseen": unseen, "compared": compared}}


@pytest.mark.parametrize(
    ("session", "status", "reason"),
    [
        (found(), ClaimStatus.PASSED, ""),
        (found(missed_deadlines=3), ClaimStatus.FAILED, "3 missed deadlines"),
        (found(differ=1, dropped_samples=2), ClaimStatus.FAILED, "2 dropped samples, 1 decisions that differ"),
        (found(unseen=4), ClaimStatus.FAILED, "4 decisions not seen"),
        (found(compared=0), ClaimStatus.NOT_MEASURED, "no window was complete"),
        (found(compared=0, dropped_samples=7), ClaimStatus.FAILED, "7 dropped samples"),
    ],
)
def test_what_a_session_comes_to(session, status, reason):
    claim = claim_of(session)
    assert (claim.name, claim.status, claim.reason) == ("live", status, reason)


@pytest.mark.parametrize("target", [parse_board("qemu", {}), MlperfTarget("/dev/ttyACM0")])
def test_boards_that_play_nothing(target):
    assert night_claims(target, LIVE) is None


@pytest.mark.parametrize(
    ("streamed", "differ", "late", "known", "status", "reason"),
    [
        (20, 0, 0, True, ClaimStatus.PASSED, ""),
        (20, 0, 0, False, ClaimStatus.PASSED, "when decisions come is not known of this board"),
        (20, 2, 0, True, ClaimStatus.FAILED, "2 decisions that differ"),
        (20, 0, 3, True, ClaimStatus.FAILED, "3 missed deadlines"),
        (0, 0, 0, True, ClaimStatus.NOT_MEASURED, "no window was complete"),
    ],
)
def test_what_windows_over_the_line_come_to(streamed, differ, late, known, status, reason):
    claim = streamed_claim(streamed, differ, late, known)
    assert (claim.name, claim.status, claim.reason) == ("live", status, reason)


def test_windows_are_those_of_the_frames_played_one_after_another():
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    found = [w[:, 0].tolist() for w in windows(x, 4, 3, 11)]
    assert found == [[0, 2, 4, 6], [6, 8, 10, 0], [0, 2, 4, 6]]


def on_a_physical_board(tmp_path, **other):
    """The claim of a board behind a port that somebody else has started."""
    asked = plan(tmp_path, dense_int8())
    (tmp_path / MANIFEST).write_bytes((tmp_path / "pipeline.json").read_bytes())
    config = Config(live=Live(**{"play": asked.play, "hop": 2, "seconds": 5} | other))
    with VirtualBoard() as board:
        claims = night_claims(BoardTarget(BOARDS["virtual"], board.port), config)
        assert claims is not None
        (claim,) = claims(asked.variant)
    return claim


def test_a_physical_board_gets_the_windows_over_the_line(tmp_path):
    claim = on_a_physical_board(tmp_path)
    assert (claim.status, claim.reason, claim.value) == (ClaimStatus.PASSED, "", 0.0)


@pytest.mark.slow
def test_one_that_decides_otherwise_or_too_late_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(night, "difference", lambda *_: 1.0)
    monkeypatch.setattr(
        night, "_plan", lambda *given, old=night._plan: dataclasses.replace(old(*given), rate_hz=1e6, seconds=1e-4)
    )
    claim = on_a_physical_board(tmp_path)
    assert claim.status is ClaimStatus.FAILED and claim.reason == "48 decisions that differ, 48 missed deadlines"


def test_only_where_it_is_asked_for():
    virtual = parse_board("virtual", {})
    assert night_claims(virtual, Config()) is None
    assert night_claims(virtual, LIVE) is not None
    elsewhere = dataclasses.replace(LIVE, boards={"virtual": BoardPorts(link="/dev/ttyUSB9")})
    assert night_claims(parse_board("virtual", elsewhere.boards), elsewhere) is not None
    with pytest.raises(UserError, match="no such sensor"):
        night_claims(virtual, Config(live=Live(sensor="nose")))
