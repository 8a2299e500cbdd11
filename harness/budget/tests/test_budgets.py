"""Amounts as people write them, and the ones that are refused because they could mean something else."""

from __future__ import annotations

import math

import pytest

from tinyrig.budget.budgets import BudgetError, Budgets, read_budgets
from tinyrig.budget.quantity import drop, microseconds, share, show_us, whole_bytes


@pytest.mark.parametrize(
    ("read", "given", "value"),
    [
        (microseconds, "5ms", 5000.0),
        (microseconds, "800 us", 800.0),
        (microseconds, "0.1s", 100_000.0),
        (microseconds, "250µs", 250.0),
        (microseconds, "900ns", 0.9),
        (whole_bytes, "8KiB", 8192),
        (whole_bytes, "8 KB", 8000),
        (whole_bytes, "1.5KiB", 1536),
        (whole_bytes, "1MiB", 1 << 20),
        (whole_bytes, "8192", 8192),
        (whole_bytes, 8192, 8192),
        (share, "90%", 0.9),
        (share, "90 %", 0.9),
        (share, 0.9, 0.9),
        (share, "1", 1.0),
        (drop, "1%", 0.01),
        (drop, "0", 0.0),
    ],
)
def test_what_is_read(read, given, value):
    assert read(given) == pytest.approx(value)


@pytest.mark.parametrize(
    ("read", "given"),
    [
        *(
            (microseconds, text)
            for text in ("5", 5, "-5ms", "0ms", "5 min", "5 m", "", "ms", "5ms 3us", "nan", "1e3ms", math.inf)
        ),
        *((whole_bytes, text) for text in ("8K", "8 apples", "-1", 0, 1.5, "0.3", True, None, "8GiB")),
        *((share, text) for text in ("90", 90, "-1%", "101%", "0.9ms", math.nan)),
        *((drop, text) for text in ("1", 1, "5", "100%")),
    ],
)
def test_what_could_mean_something_else_is_refused(read, given):
    with pytest.raises(ValueError):
        read(given)


def test_an_error_names_the_budget():
    with pytest.raises(BudgetError, match="max_latency: a time with its unit"):
        read_budgets({"max_latency": "5", "max_ram": "8KiB"})


def test_budgets_are_laid_over_others_and_kept_as_json():
    given = read_budgets({"max_ram": "8KiB", "max_latency": None})
    both = given.over(Budgets(max_ram=1, max_flash=2))
    assert both == Budgets(max_ram=8192, max_flash=2) and Budgets.from_json(both.to_json()) == both
    assert not Budgets() and Budgets(max_accuracy_drop=0.0)


def test_times_are_shown_in_the_unit_that_fits():
    assert [show_us(v) for v in (24.515625, 1500.0, 2.5e6)] == ["24.52 us", "1.5 ms", "2.5 s"]
