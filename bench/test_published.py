"""Claim: cycles that others published of a real Cortex-M4 are what the timing model makes of kernels with the same instructions.
On the host alone, whatever board the rest of bench/ runs on."""

from __future__ import annotations

import subprocess
from dataclasses import replace

import published
import pytest

from tinyrig.virtual.timing.systems import CHIPS

WITHIN = [p for p in published.points() if p.tolerance is not None]
BEYOND = [p for p in published.points() if p.tolerance is None]


def estimate(point):
    return next(e for e in published.estimates() if e.point == point)


@pytest.mark.parametrize("point", WITHIN, ids=lambda p: p.name)
def test_an_estimate_is_within_its_tolerance(point):
    found = estimate(point)
    assert abs(found.error) <= point.tolerance, f"{found.value:g} {point.unit}, published {point.published} ({point.source})"
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize("point", BEYOND, ids=lambda p: p.name)
@pytest.mark.xfail(strict=True, reason="known not to agree, as docs/timing.md says")
def test_what_does_not_agree_still_does_not(point):
    assert abs(estimate(point).error) <= 0.05


def test_the_permutation_is_chachas():
    """RFC 8439, 2.3.2: the block function's state, and what it comes to with the state added."""
    start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574, *(0x03020100 + 0x04040404 * i for i in range(8))]
    start += [1, 0x09000000, 0x4A000000, 0]
    ended = [0xE4E7F110, 0x15593BD1, 0x1FDD0F50, 0xC47120A3, 0xC7F4D1C7, 0x0368C033, 0x9AAA2204, 0x4E6CD4C3]
    ended += [0x466482D2, 0x09AA9F07, 0x05D7C214, 0xA2028BD9, 0xD19C12B5, 0xB94E16DE, 0xE883D0CB, 0x4E3C50A2]
    assert [(a + b) & 0xFFFFFFFF for a, b in zip(start, published.permuted(start, 20), strict=True)] == ended


def test_a_kernel_with_a_wrong_result_yields_no_cycles(tmp_path, monkeypatch):
    monkeypatch.setattr(published, "permuted", lambda state, rounds: list(state))
    about = [p for p in WITHIN if p.chip == published.CORE]
    with pytest.raises(subprocess.CalledProcessError):
        published._cycles(published._built(tmp_path), CHIPS["none"], about)


def test_chacha_tells_the_rule_for_unaligned_wide_instructions(tmp_path):
    """Without it the same kernel is further off than its tolerance: a point that can fail."""
    slope = next(p for p in WITHIN if p.per == 6)
    cycles = published._cycles(published._built(tmp_path), replace(CHIPS["none"], rules=0), [slope])
    found = published._estimated(slope, cycles)
    assert slope.tolerance < abs(found.error) < 0.06


def test_the_page_has_the_table():
    page = published.PAGE.read_text("utf-8")
    written = page.partition(published.BEGIN)[2].partition(published.END)[0]
    assert written.strip() == published.table(published.estimates()), "python bench/published.py --write writes it again"
