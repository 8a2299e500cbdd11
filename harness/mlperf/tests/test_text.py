"""The codec of the EEMBC text protocol: every byte stream gives messages or noise, and nothing is guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.link.bounds import Impossible
from tinyrig.mlperf.text import (
    COMMAND_BYTES,
    MAX_LINE,
    Decoder,
    Message,
    check_results,
    command,
    elapsed_us,
    load_commands,
    parse,
    printed_unit,
)

TRANSCRIPT = (
    b"m-timestamp-mode-performance\r\nm-lap-us-2\r\nm-init-done\r\nm-ready\r\n"
    b"m-name-dut-[unspecified]\r\nm-ready\r\n"
    b"m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[kws01]\r\nm-ready\r\n"
    b"m-[Expecting 3 bytes]\r\nm-ready\r\nm-load-done\r\nm-ready\r\n"
    b"m-buffer-00-7f-ff\r\n\r\nm-ready\r\n"
    b"m-warmup-start-1\r\nm-warmup-done\r\nm-infer-start-10\r\nm-lap-us-4294967290\r\nm-lap-us-10\r\n"
    b"m-infer-done\r\nm-results-[0.000,0.996,0.004]\r\nm-ready\r\n"
    b"e-[Unknown command: nmae]\r\nm-ready\r\n"
)
MESSAGES = [
    Message("mode", "performance"),
    Message("lap", "2"),
    Message("boot"),
    Message("ready"),
    Message("name", "unspecified"),
    Message("ready"),
    Message("profile", "ULPMark for tinyML Firmware V0.0.1"),
    Message("model", "kws01"),
    Message("ready"),
    Message("expecting", "3"),
    Message("ready"),
    Message("loaded"),
    Message("ready"),
    Message("buffer", "00-7f-ff"),
    Message("ready"),
    Message("warmup", "1"),
    Message("warm"),
    Message("start", "10"),
    Message("lap", "4294967290"),
    Message("lap", "10"),
    Message("done"),
    Message("results", "0.000,0.996,0.004"),
    Message("ready"),
    Message("error", "Unknown command: nmae"),
    Message("ready"),
]


def test_a_transcript_is_read_whole():
    assert Decoder().feed(TRANSCRIPT) == MESSAGES


@given(st.lists(st.integers(0, len(TRANSCRIPT)), max_size=20))
def test_where_it_is_cut_changes_nothing(cuts):
    decoder, found, at = Decoder(), [], 0
    for cut in [*sorted(cuts), len(TRANSCRIPT)]:
        found += decoder.feed(TRANSCRIPT[at:cut])
        at = cut
    assert found == MESSAGES


@given(st.binary(max_size=300))
def test_any_bytes_are_messages_and_what_follows_a_line_end_is_read(noise):
    decoder = Decoder()
    decoder.feed(noise)
    assert decoder.feed(b"\nm-ready\r\n")[-1] == Message("ready")


@given(st.integers(0, len(TRANSCRIPT) - 1))
def test_a_lost_byte_damages_no_other_line(at):
    """Two lines at most are touched: a lost line end joins them."""
    found = Decoder().feed(TRANSCRIPT[:at] + TRANSCRIPT[at + 1 :])
    same = [m for m in found if m in MESSAGES]
    assert len(same) >= len(MESSAGES) - 2


NOISE = [
    "m-read",
    "m-ready ",
    "m-results-[]",
    "m-results-[0.1,x]",
    "m-lap-us-",
    "m-lap-us--3",
    "m-lap-us-12345678901",
    "m-buffer-0-1f",
    "xm-ready",
    "e-[Unknown command",
    "m-results-[0.1,,0.2]",
]


@pytest.mark.parametrize("line", NOISE)
def test_what_is_not_exactly_a_line_is_noise(line):
    assert parse(line).kind == "noise"


def test_a_list_may_end_with_a_comma():
    assert parse("m-results-[0.25,0.75,]").values == (0.25, 0.75)


def test_a_line_without_end_takes_no_memory():
    decoder = Decoder()
    for _ in range(10):
        assert decoder.feed(b"x" * MAX_LINE) == []
    assert len(decoder.pending) == MAX_LINE
    assert [m.kind for m in decoder.feed(b"\nm-ready\n")] == ["noise", "ready"]


@given(st.binary(min_size=1, max_size=500))
def test_load_commands_hold_all_bytes_and_fit_the_firmwares_buffer(data):
    announce, *chunks = load_commands(data)
    assert announce == f"db load {len(data)}"
    assert b"".join(bytes.fromhex(chunk.removeprefix("db ")) for chunk in chunks) == data
    assert all(len(command(text)) <= COMMAND_BYTES + 1 for text in (announce, *chunks))


@pytest.mark.parametrize("text", ["", "  ", "a%b", "x" * 81, "é"])
def test_an_unusable_command_is_refused(text):
    with pytest.raises(ValueError, match="not a command"):
        command(text)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_time_passes_over_the_wrap(start, duration):
    assert elapsed_us(start, (start + duration) % 2**32) == duration


@pytest.mark.parametrize(
    ("text", "unit"),
    [("0.125,0.870", 1e-3), ("1,0", 1.0), ("0.5,0.25", 0.1), ("1.25e-2,1.00e-1", 1e-3), ("nan,0.12", 0.01), ("-3.50", 0.01)],
)
def test_the_last_printed_digit(text, unit):
    assert printed_unit(text) == pytest.approx(unit)


@pytest.mark.parametrize(
    "word", ["nan", "-nan", "NaN", "inf", "-INF", "infinity", "1e999", "-1e39", "0e999", "1e-999", "9" * 400]
)
def test_numbers_that_no_output_has_are_named(word: str) -> None:
    text = parse(f"m-results-[0.5,{word}]").text
    assert text == f"0.5,{word}"
    with pytest.raises(Impossible, match="result 2"):
        check_results(text)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=5), st.sampled_from("feg"))
def test_numbers_of_an_output_pass_however_they_are_printed(values: list[float], form: str) -> None:
    text = parse(f"m-results-[{','.join(f'{v:{form}}' for v in values)}]").text
    check_results(text)
    assert printed_unit(text) > 0


def test_a_timestamp_beyond_32_bits_is_noise() -> None:
    assert parse("m-lap-us-4294967295").kind == "lap" and parse("m-lap-us-4294967296").kind == "noise"


@pytest.mark.parametrize("line", ["m-name-dut-[\x1b[2J]", "e-[\x07bell]", "\x1b]0;title"])
def test_text_of_a_board_moves_no_cursor(line: str) -> None:
    text = parse(line).text
    assert text.isprintable() and "\\x" in text
