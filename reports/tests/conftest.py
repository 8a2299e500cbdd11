import pytest

from tinyrig.reports.nights.page import page_of
from tinyrig.reports.tests import night_stories as stories


@pytest.fixture(scope="session")
def eventful_url(tmp_path_factory):
    """A database whose last night has everything; only read."""
    address = f"sqlite:///{tmp_path_factory.mktemp('nights')}/results.sqlite"
    with stories.history(address) as store:
        stories.eventful(store)
    return address


@pytest.fixture(scope="session")
def eventful_page(eventful_url):
    """Its page as HTML."""
    return page_of(eventful_url)
