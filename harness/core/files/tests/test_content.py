"""A file's bytes as they were read, whatever lies at its path later."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tinyrig.core.errors import UserError
from tinyrig.core.files import content
from tinyrig.core.files.content import read_content


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (path := tmp_path / "w.npz").write_bytes(b"as it was")
    return path


def test_what_was_read_stays(file: Path) -> None:
    kept = read_content(file, "a file", "none")
    file.write_bytes(b"another")
    with kept.open() as stream:
        assert stream.read() == b"as it was"
    assert kept.sha256 == hashlib.sha256(b"as it was").hexdigest()


def test_a_large_file_is_read_again_and_refused_where_it_changed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "HELD_BYTES", 8)
    kept = read_content(file, "a file", "none")
    assert kept.data is None and kept.sha256 == hashlib.sha256(b"as it was").hexdigest()
    with kept.open() as stream:
        assert stream.read() == b"as it was"
    with pytest.raises(UserError, match="changed while it was in use"), kept.open() as stream:
        file.write_bytes(b"as it WAS")  # in place: what is read within is no longer what was hashed
    with pytest.raises(UserError, match="changed while it was in use") as caught, kept.open():
        pytest.fail("what has changed is not handed out")
    assert kept.sha256 in caught.value.expected


@pytest.mark.parametrize("there", [False, True])
def test_what_is_no_file_is_refused(tmp_path: Path, there: bool) -> None:
    with pytest.raises(UserError, match="can't be read") as caught:
        read_content(tmp_path if there else tmp_path / "none", "an .npz file", "look for it")
    assert caught.value.received == ("something else" if there else "no such file")
