"""The pytest plugin `tinyrig` (entry point pytest11) for anybody's tests: the option --board and the fixtures `tinyrig_board` and
`tinyrig_measure`. It does nothing where nobody asks for it: nothing is trained, built or opened, and nothing else is imported.
docs/pytest.md explains it.

A claim that failed is a failed test; a rig that failed, or input that can't be used, is an error, in JUnit's XML too.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinyrig.core.errors import EXIT_CLAIM, EXIT_RIG, RigError, decisive

if TYPE_CHECKING:
    from tinyrig.api.session import BoardInUse, PytestMeasure
    from tinyrig.core.config import Config

PREFIX = "tinyrig_"
_CONFIG = pytest.StashKey["Config"]()
_GROUP = ("tinyrig", "measuring models on microcontrollers")
MEASURED, NOTE = "tinyrig", "tinyrig.note"
"""The properties of a test that say what it measured, a line for people, and what its estimates were checked against."""
_ITEM = pytest.StashKey[pytest.Item]()
"""The test that is being run."""
_CODE = "tinyrig_code"
"""Of a report, which travels from xdist's workers."""
_OWN_ONLY = "tests measure with our own firmware on the board: --board takes no mlperf@PORT"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup(*_GROUP).addoption(
        "--tinyrig-board", dest="tinyrig_board", metavar="BOARD", help="as --board, where that is an option of the project's own"
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> Generator[None]:
    """--board comes last: a project that has an option of that name keeps it."""
    _is_no_path(early_config, args)
    yield
    with contextlib.suppress(argparse.ArgumentError, ValueError):
        parser.getgroup(*_GROUP).addoption(
            "--board",
            dest="tinyrig_board",
            metavar="BOARD",
            help="a board's name, a serial port or URL, or NAME@PORT (default: virtual)",
        )


def _is_no_path(config: pytest.Config, args: list[str]) -> None:
    """What follows `--board ` is no test: pytest, which does not know the option yet, would look there for conftest.py."""
    paths = config.known_args_namespace.file_or_dir
    for option, value in itertools.pairwise(args):
        if option == "--board" and value in paths:
            paths.remove(value)


def pytest_configure(config: pytest.Config) -> None:
    """A board that can't be used is said before anything is collected."""
    config.pluginmanager.register(_Reports(), "tinyrig-reports")
    if config.option.tinyrig_board is None:
        config.option.tinyrig_board = "virtual"  # which needs no rig.toml
        return
    from tinyrig.core.boards import parse_own_board

    try:
        parse_own_board(config.option.tinyrig_board, rig_config(config).boards, _OWN_ONLY)
    except RigError as error:
        pytest.exit(str(error), returncode=error.exit_code)


def rig_config(config: pytest.Config) -> Config:
    """rig.toml, read once. Raises UserError."""
    from tinyrig.core.config import load_config

    if _CONFIG not in config.stash:
        config.stash[_CONFIG] = load_config()
    return config.stash[_CONFIG]


# ---- fixtures ----


@pytest.fixture(scope="session")
def tinyrig_board(pytestconfig: pytest.Config) -> BoardInUse:
    """The board of --board: `asked` as it was named, `name` its kind, `virtual` whether it is emulated. Nothing is opened."""
    from tinyrig.api.session import board_in_use

    return board_in_use(pytestconfig.option.tinyrig_board, rig_config(pytestconfig))


@pytest.fixture(scope="session")
def tinyrig_measure(pytestconfig: pytest.Config, tinyrig_board: BoardInUse) -> PytestMeasure:
    """`tinyrig_measure(model, windows=None, *, limit, oracle, engine, labels, output, check=True, ...)`, with budgets as in
    tinyrig.run(), measures on the board of --board and gives a tinyrig.Result; the same model and windows are measured once a
    session. A claim that fails fails the test, unless check=False."""
    from tinyrig.api.session import PytestMeasure

    def note(name: str, value: object) -> None:
        if _ITEM in pytestconfig.stash:
            pytestconfig.stash[_ITEM].user_properties.append((name, value))

    uid = getattr(pytestconfig, "workerinput", {}).get("testrunuid", "")
    return PytestMeasure(tinyrig_board.asked, rig_config(pytestconfig), Path(pytestconfig.rootpath), uid, note)


# ---- how it is reported ----


def pytest_runtest_setup(item: pytest.Item) -> None:
    item.config.stash[_ITEM] = item


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A RigError is shown by its message, not by a traceback, and decides the exit code."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    ours = any(name.startswith(PREFIX) for name in getattr(item, "fixturenames", ()))
    # Whatever else a fixture raises beside the board is no verdict on a model either: 1 is for tests that failed.
    code = EXIT_CLAIM if report.when == "call" or not ours else EXIT_RIG
    if isinstance(error, RigError) and report.failed:  # not where the test is expected to fail
        code = error.exit_code
        if ours:
            report.longrepr = f"{type(error).__name__}: {error}"
        if report.when == "call" and code != EXIT_CLAIM:
            report.when = "setup"  # the only way to have it reported as an error, in JUnit's XML too: a failure is the model's
    if report.failed:
        vars(report)[_CODE] = code
    return report


class _Reports:
    """What the reports say, where xdist distributes the tests those of all its workers: it says how the session ends."""

    def __init__(self) -> None:
        self.codes: set[int] = set()
        self._lines: list[str] = []
        self._notes: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and (code := vars(report).get(_CODE)) is not None:
            self.codes.add(code)
        if report.when == "teardown":
            self._lines += [str(value) for name, value in report.user_properties if name == MEASURED]
            self._notes += [str(value) for name, value in report.user_properties if name == NOTE]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None]:
        """What tinyrig had a part in ends as its commands do."""
        yield
        if exitstatus == pytest.ExitCode.TESTS_FAILED and not hasattr(session.config, "workerinput"):
            session.exitstatus = decisive(self.codes) or exitstatus

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._lines:
            terminalreporter.section("tinyrig")
            for line in dict.fromkeys((*self._lines, *self._notes)):
                terminalreporter.write_line(line)
