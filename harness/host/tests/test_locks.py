"""One process on one board."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal

import pytest

from tinyrig.board.rig import Rig
from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config
from tinyrig.core.errors import HostError, InfraError, LinkError
from tinyrig.core.records import Hello
from tinyrig.host import locks as lock
from tinyrig.host.locks import Locks, is_held, lock_folder, port_key, taken_at
from tinyrig.virtual.launch import VirtualBoard

CONTEXT = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "locks"))
    return tmp_path / "locks"


@pytest.fixture
def other():
    """Starts processes that take a lock and hold it until they are killed."""
    started = []

    def hold(key):
        ready = CONTEXT.Event()
        process = CONTEXT.Process(target=_hold, args=(key, ready))
        process.start()
        started.append(process)
        assert ready.wait(30)
        return process

    yield hold
    for process in started:
        process.kill()
        process.join()


def _hold(key, ready):
    Locks().take(key, "it")
    ready.set()
    signal.pause()


def test_a_second_process_is_told_who_has_it(other):
    holder = other("/dev/ttyX")
    assert is_held("/dev/ttyX")
    with pytest.raises(LinkError, match="the board at /dev/ttyX is in use") as caught:
        Locks().take("/dev/ttyX", "the board at /dev/ttyX")
    assert f"process {holder.pid} " in caught.value.received and "since 20" in caught.value.received
    assert caught.value.exit_code == 3 and caught.value.remedy


def test_the_lock_of_a_killed_process_is_free(other):
    holder = other("/dev/ttyX")
    holder.kill()
    holder.join()
    assert not is_held("/dev/ttyX")
    locks = Locks()
    locks.take("/dev/ttyX", "it")
    locks.take("/dev/ttyX", "it")  # once is enough
    assert is_held("/dev/ttyX")
    locks.close()
    assert not is_held("/dev/ttyX")


def test_a_lock_whose_holder_has_not_written_yet_is_a_lock(other, folder):
    other("/dev/ttyX")
    next(folder.iterdir()).write_text("")
    with pytest.raises(InfraError) as caught:
        Locks().take("/dev/ttyX", "it", InfraError)
    assert "has not said who it is" in caught.value.received


def _race(key, inside, wrong, rounds):
    for _ in range(rounds):
        locks = Locks()
        try:
            locks.take(key, "it")
        except LinkError:
            continue
        with inside.get_lock():
            inside.value += 1
            wrong.value += inside.value > 1
        with inside.get_lock():
            inside.value -= 1
        locks.close()


def test_never_two_at_once_though_the_file_comes_and_goes():
    inside, wrong = CONTEXT.Value("i", 0), CONTEXT.Value("i", 0)
    workers = [CONTEXT.Process(target=_race, args=("k", inside, wrong, 300)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [w.exitcode for w in workers] == [0, 0, 0] and wrong.value == 0


def test_every_name_of_a_port_is_one_key(tmp_path):
    (tmp_path / "ttyX").write_text("")
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyX")
    assert port_key(str(tmp_path / "by-id")) == port_key(str(tmp_path / "ttyX"))
    assert (
        port_key("socket://127.0.0.1:4000")
        == port_key("rfc2217://localhost:4000/?timeout=5")
        != port_key("socket://127.0.0.1:4001")
    )


@pytest.mark.parametrize("key", ["../../etc/passwd", "a b;rm -rf /", "x" * 5000, "\n\0", "socket://h:1/?a=b"])
def test_any_key_is_a_file_in_the_folder(folder, key):
    locks = Locks()
    locks.take(key, "it")
    (file,) = folder.iterdir()
    assert file.suffix == ".lock" and len(file.name) < 100
    locks.close()


def test_the_folder_serves_every_user(folder):
    locks = Locks()
    umask = os.umask(0o077)
    try:
        locks.take("k", "it")
    finally:
        os.umask(umask)
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert next(folder.iterdir()).stat().st_mode & 0o777 == 0o666
    locks.close()


def test_another_users_temporary_folder_hides_no_lock(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYRIG_LOCKS")
    before = lock_folder()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert lock_folder() == before


def test_a_folder_that_cannot_be_is_named_with_a_remedy(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TINYRIG_LOCKS", str(tmp_path / "file" / "locks"))
    with pytest.raises(HostError, match="no lock file") as caught:
        Locks().take("k", "it")
    assert "TINYRIG_LOCKS" in caught.value.remedy


def test_a_link_in_the_place_of_a_lock_file_is_not_followed(folder, tmp_path):
    folder.mkdir()
    lock._file("k").symlink_to(tmp_path / "precious")
    with pytest.raises(HostError):
        Locks().take("k", "it")
    assert not (tmp_path / "precious").exists()


# ---- the rig ----


def test_a_board_reached_by_port_is_locked_and_freed(other):
    with VirtualBoard() as board:
        target = parse_board(f"virtual@{board.port}")
        with Rig(target, Config()), pytest.raises(LinkError, match="in use"):
            Rig(target, Config())
        with Rig(target, Config()):
            pass
        holder = other(port_key(board.port))
        with pytest.raises(LinkError, match="in use") as caught:
            Rig(target, Config())
        assert str(holder.pid) in caught.value.received


def test_a_virtual_board_that_we_start_needs_no_lock(folder):
    with Rig(parse_board("virtual"), Config()), Rig(parse_board("virtual"), Config()):
        assert not folder.exists() or not list(folder.iterdir())


@pytest.mark.slow
def test_a_board_that_is_known_by_its_id_is_locked_by_it(other):
    """Another process reaches the same board through its other port."""
    with VirtualBoard() as board, Rig(parse_board(f"nano33ble@{board.port}"), Config()) as rig:
        other("board 0123456789abcdef")
        hello = Hello(1, "", "", "", "nano33ble", "0123456789abcdef", 1, 1, 1, 1, 1, (), ())
        with pytest.raises(LinkError, match="the board with id 0123456789abcdef is in use"):
            rig.attachment.lock_board(hello)
        rig.attachment.lock_board(dataclasses.replace(hello, board_id="5649525455414c00"))
        assert not is_held("board 5649525455414c00")


def test_one_id_at_two_ports_names_both(folder):
    """Two ports of one board, or two boards with one id."""
    hello = Hello(1, "", "", "", "nano33ble", "0123456789abcdef", 1, 1, 1, 1, 1, (), ())
    with VirtualBoard() as one, VirtualBoard() as two:
        first, second = (Rig(parse_board(f"nano33ble@{board.port}"), Config()) for board in (one, two))
        with first, second:
            first.attachment.lock_board(hello)
            with pytest.raises(InfraError, match="one board id at two ports: 0123456789abcdef") as caught:
                second.attachment.lock_board(hello)
            assert one.port in caught.value.received and two.port in caught.value.received
        assert taken_at("board 0123456789abcdef") == ""
