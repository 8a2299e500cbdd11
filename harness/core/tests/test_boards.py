import pytest

from tinyrig.core.boards import BOARDS, VIRTUAL_ID_PREFIX, parse_board, recognise_id, recognise_usb
from tinyrig.core.config import BoardPorts
from tinyrig.core.errors import UserError
from tinyrig.core.records import ESTIMATED, MEASURED


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


# ---- boards of rig.toml ----

ENTRIES = {
    "left": BoardPorts(kind="virtual#7"),
    "desk": BoardPorts(kind="nano33ble", link="/dev/ttyUSB0"),
    "odd": BoardPorts(kind="teapot"),
    "nano33ble": BoardPorts(link="/dev/ttyUSB1"),
}


@pytest.mark.parametrize(
    ("text", "name", "port", "entry", "number"),
    [
        ("left", "virtual", None, "left", 7),
        ("virtual#7", "virtual", None, "", 7),
        ("virtual#0", "virtual", None, "", 0),
        ("desk", "nano33ble", None, "desk", 0),
        ("desk@/dev/ttyX", "nano33ble", "/dev/ttyX", "desk", 0),
        ("nano33ble", "nano33ble", None, "", 0),
        ("usb:A50285BI", None, "usb:A50285BI", "", 0),
        ("nano33ble@usb:A50285BI", "nano33ble", "usb:A50285BI", "", 0),
    ],
)
def test_a_board_goes_by_its_name_in_rig_toml(text, name, port, entry, number):
    target = parse_board(text, ENTRIES)
    assert (target.board and target.board.name, target.port, target.entry, target.number) == (name, port, entry, number)


@pytest.mark.parametrize(
    "text", ["virtual#256", "virtual#", "virtual#-1", "virtual#1.0", "nano33ble#1", "virtual#3@/dev/x", "left@"]
)
def test_a_number_or_port_that_can_not_be_is_refused(text):
    with pytest.raises(UserError, match="unknown board") as caught:
        parse_board(text, ENTRIES)
    assert "left" in caught.value.expected and "virtual#NUMBER" in caught.value.expected


def test_an_entry_of_an_unknown_kind_is_named():
    with pytest.raises(UserError, match=r"boards\.odd") as caught:
        parse_board("odd", ENTRIES)
    assert caught.value.received == "kind = 'teapot'"
