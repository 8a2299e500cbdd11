"""The claim `live` of nights."""

import dataclasses

import pytest

from tinyrig.core.boards import parse_board
from tinyrig.core.config import BoardPorts, Config, Live
from tinyrig.core.errors import UserError
from tinyrig.core.records import ClaimStatus
from tinyrig.live.night import claim_of, night_claims

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


@pytest.mark.parametrize("board", ["nano33ble@/dev/ttyACM0", "nano33ble-uart@/dev/ttyUSB0", "qemu"])
def test_boards_that_play_nothing(board):
    assert night_claims(parse_board(board, LIVE.boards), LIVE) is None


def test_only_where_it_is_asked_for():
    virtual = parse_board("virtual", {})
    assert night_claims(virtual, Config()) is None
    assert night_claims(virtual, LIVE) is not None
    elsewhere = dataclasses.replace(LIVE, boards={"virtual": BoardPorts(link="/dev/ttyUSB9")})
    assert night_claims(parse_board("virtual", elsewhere.boards), elsewhere) is None
    with pytest.raises(UserError, match="no such sensor"):
        night_claims(virtual, Config(live=Live(sensor="nose")))
