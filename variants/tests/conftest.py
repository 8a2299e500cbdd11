import pytest


@pytest.fixture(scope="session", autouse=True)
def own_nets(tmp_path_factory):
    """Trained networks of the tests are kept apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TINYRIG_NETS", str(tmp_path_factory.mktemp("nets")))
        yield
