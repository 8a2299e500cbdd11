import pytest

from harness.boards import BOARDS, VIRTUAL_ID_PREFIX, parse_board, recognise_id, recognise_usb
from harness.errors import UserError
from harness.records import ESTIMATED, MEASURED


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("virtual", "virtual", None),
        ("nano33ble", "nano33ble", None),
        ("/dev/ttyACM0", None, "/dev/ttyACM0"),
        ("socket://bench:4000", None, "socket://bench:4000"),
        ("COM7", None, "COM7"),
        ("nano33ble@/dev/ttyUSB0", "nano33ble", "/dev/ttyUSB0"),
        ("virtual@socket://a@b:1", "virtual", "socket://a@b:1"),
    ],
)
def test_board_is_a_name_a_port_or_both(text, name, port):
    target = parse_board(text)
    assert (target.board.name if target.board else None, target.port) == (name, port)


@pytest.mark.parametrize("text", ["", "teapot", "teapot@/dev/ttyACM0", "virtual@", "ttyACM0"])
def test_anything_else_is_the_users_error_and_lists_the_boards(text):
    with pytest.raises(UserError, match="virtual") as caught:
        parse_board(text)
    assert "nano33ble" in str(caught.value)


def test_usb_ids_name_their_board_in_either_case():
    for usb_id in ("2341:805A", "2341:015a", "2341:025a", "2341:005a"):
        assert recognise_usb(usb_id) is BOARDS["nano33ble"]  # not nano33ble-uart: its data come over an adapter
    assert recognise_usb("0403:6001") is None


def test_a_virtual_board_never_passes_for_a_physical_one():
    nano = BOARDS["nano33ble"]
    assert recognise_id(VIRTUAL_ID_PREFIX.upper() + "00", nano).timing == ESTIMATED
    assert recognise_id("0123456789abcdef", nano).timing == MEASURED
