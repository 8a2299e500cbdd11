"""Other layouts of the same code: what is moved, and what that changes behind a small cache."""

from __future__ import annotations

from pathlib import Path

from tinyrig.virtual.peripherals import Spans
from tinyrig.virtual.tests.test_memory import NOPS, NRF, START, run
from tinyrig.virtual.tests.test_timing import both
from tinyrig.virtual.timing.layouts import functions, layouts

APART = 2048
"""Bytes: two functions so far apart use the same lines of the cache."""


def test_each_function_lies_further_on_than_the_one_before() -> None:
    for layout, stride in zip(layouts([START + 64, START], NRF), (64, 32, 48), strict=True):
        places = [layout.moved(START - 4), layout.moved(START + 60), layout.moved(START + 64), layout.moved(NRF.flash_bytes - 4)]
        assert places == [0, stride, 2 * stride, 2 * stride]


def test_an_image_that_cant_be_read_has_no_functions(tmp_path: Path) -> None:
    (tmp_path / "firmware.bin").write_bytes(bytes(64))
    assert functions(tmp_path / "firmware.bin") == functions(tmp_path / "none") == () == layouts((), NRF)


def test_another_layout_ends_a_conflict(library: Path) -> None:
    for counter in both(NOPS, library, NRF):
        counter.cached(True)
        counter.lay_out(layouts([START, START + APART], NRF), [0])
        run(counter, 0, APART)
        before = counter.all_cycles
        run(counter, 0, APART)
        linked, *others = (now - then for now, then in zip(counter.all_cycles, before, strict=True))
        assert len(others) == 3 and linked > 32 and all(cycles == 32 for cycles in others)
        counter.forget()
        assert len(counter.all_cycles) == 1


def test_a_function_that_is_too_long_stays_so(library: Path) -> None:
    """Moved as a whole, its lines displace each other as before, also by what is fetched ahead beyond its end."""
    for counter in both(NOPS, library, NRF):
        counter.cached(True)
        counter.lay_out(layouts([START, START + APART + 32], NRF), [0])
        for _ in range(3):
            run(counter, 0, APART)
        before = counter.all_cycles
        run(counter, 0, APART)
        assert len({now - then for now, then in zip(counter.all_cycles, before, strict=True)}) == 1


def test_spans_begin_again_where_other_layouts_count() -> None:
    spans = Spans()
    for cycles in ((0, 0, 0), (1000, 900, 1100), (2000, 1800, 2200)):
        spans.read(cycles, 0)
    for k in range(4):  # behind empty caches the first one takes longer
        spans.read((3000 + 1000 * k, 2700 + 900 * k, 3300 + 1100 * k, 1050 * k + 70 * bool(k), 1200 * k + 70 * bool(k)), 0)
    assert spans.all() == [(1000, 900, 1100, 1050, 1200)]
