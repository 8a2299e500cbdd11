"""The pages in a real browser: nothing is wider than the screen, no label covers another, the console stays silent."""

from __future__ import annotations

import pytest

from tinyrig.reports.nights.page import nights_page
from tinyrig.reports.run.report import report_of
from tinyrig.reports.run_page.page import run_page
from tinyrig.reports.tests.browser import needs_chromium, seen
from tinyrig.reports.tests.run_stories import hostile_run, many_variants, two_engines
from tinyrig.reports.tests.test_nights import hostile_store
from tinyrig.tests.fake_runs import make_run

pytestmark = [needs_chromium, pytest.mark.slow]


@pytest.mark.parametrize("width", [1280, 390, 320])
def test_the_nights_page_fits(eventful_page, tmp_path, width):
    page = seen(eventful_page, tmp_path, width)
    page.check(width)
    assert page.panels == 32 and page.filter


def test_pages_are_dark_where_that_is_preferred(eventful_page, tmp_path):
    for source in (eventful_page, run_page(report_of([make_run()]))):
        assert seen(source, tmp_path, 1280).ground == "rgb(255, 255, 255)"
        assert seen(source, tmp_path, 1280, dark=True).ground == "rgb(15, 20, 25)"


def test_hostile_names_run_nothing_and_fit(tmp_path):
    with hostile_store(f"sqlite:///{tmp_path}/r.sqlite") as store:
        hostile = nights_page(store)
    seen(hostile, tmp_path, 390).check(390)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("make", [make_run, many_variants, two_engines, hostile_run])
def test_a_runs_page_fits(tmp_path, make, width):
    page = seen(run_page(report_of([make()])), tmp_path, width)
    page.check(width)
    assert page.texts > 20
