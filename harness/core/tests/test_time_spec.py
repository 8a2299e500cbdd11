import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import UserError
from tinyrig.core.time_spec import age, moment

NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1d", "2026-02-28T12:00:00+00:00"),
        ("36h", "2026-02-28T00:00:00+00:00"),
        ("2w", "2026-02-15T12:00:00+00:00"),
        ("1y", "2025-03-01T12:00:00+00:00"),
        ("2026-01-31", "2026-01-31T00:00:00+00:00"),
        ("2026-01-31T10:00+02:00", "2026-01-31T08:00:00+00:00"),
        (" 0d ", "2026-03-01T12:00:00+00:00"),
    ],
)
def test_moments(text, expected):
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1m", "999999999y", "yesterday", "2026-13-01", "1d2h"])
def test_what_is_neither_age_nor_date(text):
    with pytest.raises(UserError) as caught:
        moment(text, NOW)
    assert caught.value.expected and caught.value.remedy


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_the_older_of_two_ages_is_the_earlier_moment_as_text(a, b):
    assert (moment(f"{a}d", NOW) < moment(f"{b}d", NOW)) == (a > b)


@pytest.mark.parametrize("text", ["2026-01-31", "forever", "999999999y"])
def test_a_policy_is_an_age(text):
    with pytest.raises(UserError):
        age(text)
    assert age(" 90d ") == "90d"
