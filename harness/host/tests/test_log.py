"""Lines of the log, as whoever shows or keeps them gets them."""

from __future__ import annotations

import logging

from tinyrig.host.log import about, heard


def test_what_a_device_or_a_file_says_moves_no_cursor() -> None:
    lines: list[str] = []
    with heard(lines.append), about("net\x1b[2J"):
        logging.getLogger("tinyrig.board").info("%s answers", "\x9b31m")
    assert lines == [r"net\x1b[2J: \x9b31m answers"]
