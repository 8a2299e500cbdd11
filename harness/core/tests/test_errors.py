"""Exit codes: which one stands for several."""

from __future__ import annotations

import pytest

from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, EXIT_RIG, EXIT_USER, RigError, decisive


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        (set(), EXIT_GOOD),
        ({EXIT_GOOD}, EXIT_GOOD),
        ({EXIT_USER, EXIT_GOOD}, EXIT_USER),
        ({EXIT_USER, EXIT_RIG}, EXIT_RIG),
        ({EXIT_USER, EXIT_RIG, EXIT_CLAIM}, EXIT_CLAIM),
    ],
)
def test_a_failed_claim_outweighs_the_rig_and_the_rig_the_user(codes: set[int], wanted: int) -> None:
    assert decisive(codes) == wanted


def test_a_message_shows_control_characters_whoever_put_them_there() -> None:
    error = RigError("a\x1b[2J", expected="b\r", received="c\u202e\x9b31m\ud800", remedy="d\n\te")
    assert str(error) == "a\\x1b[2J\n  expected: b\\r\n  received: c\\u202e\\x9b31m\\ud800\n  remedy: d\n\te"
