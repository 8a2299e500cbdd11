"""pytest glue: --board, the fixtures of bench/, and the report at the end. Unit tests never touch a board through it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from harness.errors import RigError

if TYPE_CHECKING:
    from harness.campaign import Campaign
    from harness.config import Config
    from harness.records import Variant, VariantRun

_CAMPAIGN = pytest.StashKey["Campaign"]()
_CONFIG = pytest.StashKey["Config"]()
_VARIANTS = pytest.StashKey["list[Variant]"]()
_WORST = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--board", default="virtual", help="board of bench/: a name, a serial port or URL, or NAME@PORT (default: virtual)"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every claim that takes a `variant` is made for each built one; missing ones are built first."""
    if "variant" not in metafunc.fixturenames:
        return
    try:
        metafunc.parametrize("variant", _variants(metafunc.config), ids=lambda v: v.name, scope="session")
    except RigError as error:
        pytest.exit(str(error), returncode=error.exit_code)


def _variants(config: pytest.Config) -> list[Variant]:
    from harness.campaign import built_variants

    if _VARIANTS not in config.stash:
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():  # a build takes a minute: its progress is for the user's eyes
            config.stash[_VARIANTS] = built_variants(_config(config))
    return config.stash[_VARIANTS]


def _config(config: pytest.Config) -> Config:
    from harness.config import load_config

    if _CONFIG not in config.stash:
        config.stash[_CONFIG] = load_config()
    return config.stash[_CONFIG]


@pytest.fixture(scope="session")
def config(pytestconfig: pytest.Config) -> Config:
    """rig.toml."""
    return _config(pytestconfig)


@pytest.fixture(scope="session")
def campaign(pytestconfig: pytest.Config, config: Config) -> Iterator[Campaign]:
    """The session's run on the board of --board."""
    from harness.boards import parse_board
    from harness.campaign import Campaign

    with Campaign(parse_board(pytestconfig.getoption("--board")), config) as campaign:
        pytestconfig.stash[_CAMPAIGN] = campaign
        yield campaign


@pytest.fixture
def outcome(campaign: Campaign, variant: Variant) -> VariantRun:
    """The variant, flashed, streamed and compared; once a session, however many claims ask."""
    return campaign.run(variant)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A RigError is told by its message, not by a traceback, and decides the exit code."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, RigError) and item.path.is_relative_to(item.config.rootpath / "bench"):
        report.longrepr = f"{type(error).__name__}: {error}"
        item.config.stash[_WORST] = max(item.config.stash.get(_WORST, 0), error.exit_code)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    worst = session.config.stash.get(_WORST, 0)
    if worst and exitstatus in (0, 1):
        session.exitstatus = worst


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The run's table, and its report below reports/out."""
    from harness.campaign import write_report

    campaign = config.stash.get(_CAMPAIGN, None)
    if campaign is None or not campaign.finished:
        return
    terminalreporter.section(f"run {campaign.run_id}")
    sys.stdout.flush()
    write_report(campaign.run_id, _config(config), "--summary")


def pytest_configure(config: pytest.Config) -> None:
    """A --board that can't be used is said before anything is collected."""
    from harness.boards import parse_board

    try:
        parse_board(config.getoption("--board"))
    except RigError as error:
        pytest.exit(str(error), returncode=error.exit_code)
