"""pytest glue: --board and --resume, the fixtures of bench/, and the report at the end. Unit tests never touch a board through
it.

A claim that failed is a failed test; a rig that failed is an error of the test's setup; what was not asked for is skipped.
"""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tinyrig.core.errors import EXIT_CLAIM, EXIT_RIG, RigError, decisive

if TYPE_CHECKING:
    from tinyrig.core.config import Config
    from tinyrig.core.deadlines import Deadline
    from tinyrig.core.plans import RunPlan
    from tinyrig.core.records import Measurement, Variant
    from tinyrig.measure.run import OpenRun
    from tinyrig.nightly.pytest_night import PytestNight
    from tinyrig.store.runs import StoredRun

_OPEN_RUN = pytest.StashKey["OpenRun"]()
_CONFIG = pytest.StashKey["Config"]()
_DEADLINE = pytest.StashKey["Deadline"]()
_VARIANTS = pytest.StashKey["list[Variant]"]()
_RESUMED = pytest.StashKey["StoredRun | None"]()
_NIGHT = pytest.StashKey["PytestNight"]()
_CODES = pytest.StashKey[set[int]]()
"""Exit codes of all that went wrong."""
_SIGNALS = pytest.StashKey[list[int]]()
"""Signals that asked for the end."""
_NIGHTLY_ONLY = "test_regression.py"
_NEEDS_OWN = "bench/ needs our own firmware on the board: it measures built variants, their memory and their ops"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--board", help="board of bench/: a name, a serial port or URL, or NAME@PORT (default: virtual)")
    parser.addoption(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="continue an interrupted run at its first unmeasured window (default: this board's newest)",
    )
    parser.addoption("--nightly", action="store_true", help="judge the run against the baseline, and store it as a night")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What got worse is a question only for nights."""
    return True if collection_path.name == _NIGHTLY_ONLY and not config.option.nightly else None


def pytest_configure(config: pytest.Config) -> None:
    """A --board or --resume that can't be used is said before anything is collected."""
    from tinyrig.core.boards import parse_own_board

    try:
        config.stash[_RESUMED] = resumed = _find_resumed(config)
        config.option.board = config.option.board or (resumed and resumed.plan.board) or "virtual"
        if config.option.board != "virtual":  # unit tests need no rig.toml
            parse_own_board(config.option.board, _config(config).boards, _NEEDS_OWN)
    except RigError as error:
        pytest.exit(str(error), returncode=error.exit_code)


def _find_resumed(config: pytest.Config) -> StoredRun | None:
    if config.option.resume is None:
        return None
    from tinyrig.measure.resume import find_run
    from tinyrig.store.runs import Store

    with Store(_config(config).results, must_exist=True) as store:
        return find_run(store, config.option.resume, config.option.board, bench=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every claim that takes a `variant` is made for each built one; missing ones are built first."""
    if "variant" not in metafunc.fixturenames:
        return
    try:
        metafunc.parametrize("variant", _variants(metafunc.config), ids=lambda v: v.name, scope="session")
    except RigError as error:
        pytest.exit(str(error), returncode=error.exit_code)


def _variants(config: pytest.Config) -> list[Variant]:
    from tinyrig.measure.variants import built_variants

    if _VARIANTS not in config.stash:
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():  # a build takes a minute: its progress is for the user's eyes
            config.stash[_VARIANTS] = built_variants(_config(config), _plan(config).variants, _deadline(config))
    return config.stash[_VARIANTS]


def _plan(config: pytest.Config) -> RunPlan:
    """What was asked for when the resumed run was begun; empty for a new one."""
    from tinyrig.core.plans import RunPlan

    resumed = config.stash.get(_RESUMED, None)
    return resumed.plan if resumed else RunPlan()


def _deadline(config: pytest.Config) -> Deadline:
    """run_s, from the first step that takes time."""
    from tinyrig.core.deadlines import Deadline

    if _DEADLINE not in config.stash:
        config.stash[_DEADLINE] = Deadline("run_s", _config(config).limits.run_s)
    return config.stash[_DEADLINE]


def _config(config: pytest.Config) -> Config:
    """rig.toml, for the dataset that a resumed run was begun with."""
    from tinyrig.core.config import load_config

    if _CONFIG not in config.stash:
        config.stash[_CONFIG] = load_config()
    dataset = _plan(config).dataset
    return dataclasses.replace(config.stash[_CONFIG], dataset=dataset) if dataset else config.stash[_CONFIG]


@pytest.fixture(scope="session")
def config(pytestconfig: pytest.Config) -> Config:
    """rig.toml."""
    return _config(pytestconfig)


@pytest.fixture(scope="session")
def open_run(pytestconfig: pytest.Config, config: Config) -> Iterator[OpenRun]:
    """The session's run on the board of --board, a new one or that of --resume."""
    from tinyrig.core.boards import parse_board
    from tinyrig.core.plans import RunPlan
    from tinyrig.host.signals import alarm, terminable
    from tinyrig.measure.run import measuring

    deadline = _deadline(pytestconfig)
    board, resumed = pytestconfig.option.board, pytestconfig.stash[_RESUMED]
    plan = RunPlan(board, config.dataset, settings=_plan(pytestconfig).settings)
    resume = resumed.run_id if resumed else None
    with (
        terminable() as pytestconfig.stash[_SIGNALS],
        alarm(deadline),
        measuring(parse_board(board, config.boards), config, plan, resume=resume, deadline=deadline) as open_run,
    ):
        pytestconfig.stash[_OPEN_RUN] = open_run
        built = pytestconfig.stash.get(_VARIANTS, None)
        open_run.check_finished(built or [])
        yield open_run


@pytest.fixture
def measurement(open_run: OpenRun, variant: Variant) -> Measurement:
    """The variant, flashed, streamed and compared; once a session, however many claims ask. A rig that fails raises here, in
    the setup: pytest then reports an error, not a failure."""
    return open_run.run(variant)


@pytest.fixture(scope="session")
def night(pytestconfig: pytest.Config, config: Config, open_run: OpenRun) -> Iterator[PytestNight]:
    """The session's run as a night."""
    from tinyrig.core.boards import parse_board
    from tinyrig.core.plans import RunPlan
    from tinyrig.measure.run import measuring
    from tinyrig.nightly.pytest_night import PytestNight

    board, deadline = pytestconfig.option.board, _deadline(pytestconfig)
    plan = RunPlan(settings=_plan(pytestconfig).settings)
    open_again = partial(measuring, parse_board(board, config.boards), config, plan, deadline=deadline)
    with PytestNight(board, config, open_run, open_again) as night:
        pytestconfig.stash[_NIGHT] = night
        yield night


@pytest.fixture
def claim(measurement: Measurement) -> Callable[[str], None]:
    """`claim(name)` of measure/claims.py on this measurement: passes, raises ClaimError, or skips where nothing was measured."""
    from tinyrig.core.records import ClaimStatus
    from tinyrig.measure.claims import claim_error

    def check(name: str) -> None:
        found = next(c for c in measurement.claims if c.name == name)
        if found.status == ClaimStatus.NOT_MEASURED:
            pytest.skip(f"not measured: {found.reason}")
        if found.status == ClaimStatus.FAILED:
            raise claim_error(measurement, found)

    return check


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A RigError is shown by its message, not by a traceback, and decides the exit code."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    in_bench = item.path.is_relative_to(item.config.rootpath / "bench")
    # Whatever else a fixture of bench/ raises is no verdict on a model either: 1 is for tests that failed.
    code = EXIT_CLAIM if report.when == "call" or not in_bench else EXIT_RIG
    if in_bench and isinstance(error, RigError):
        report.longrepr = f"{type(error).__name__}: {error}"
        code = error.exit_code
        if report.when == "call" and code != EXIT_CLAIM:
            report.when = "setup"  # the only way to have it reported as an error, in JUnit's XML too: a failure is the model's
    if report.failed:
        item.config.stash.setdefault(_CODES, set()).add(code)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Iterator[None]:
    """The exit code. The open run hears of an interruption first: its fixture is torn down within."""
    stash = session.config.stash
    open_run = stash.get(_OPEN_RUN, None)
    interrupted = open_run is not None and exitstatus == pytest.ExitCode.INTERRUPTED
    if open_run is not None and interrupted:
        open_run.interrupted = True
    yield
    codes = stash.get(_CODES, set())
    if interrupted:
        session.exitstatus = 128 + (stash[_SIGNALS] or [signal.SIGINT])[0]
    elif exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        session.exitstatus = decisive(codes) or exitstatus


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The run's table, its report below reports/out, and how to measure the rest."""
    from tinyrig.measure.reporting import write_night, write_report
    from tinyrig.measure.resume import go_on

    open_run = config.stash.get(_OPEN_RUN, None)
    if open_run is None:
        return
    if open_run.finished and not open_run.interrupted:
        terminalreporter.section(f"run {open_run.run_id}")
        sys.stdout.flush()
        write_report(open_run.run_id, _config(config), "--summary")
    if (night := config.stash.get(_NIGHT, None)) is not None and night.text:
        write_night(night.night_id, _config(config))
        terminalreporter.write_line(night.text)
    if open_run.interrupted or open_run.has_rig_fault:
        rest = f"pytest bench/ --resume {open_run.run_id}"
        how = go_on(_config(config).results, rest, run=open_run.run_id)
        terminalreporter.write_line(f"run {open_run.run_id}: {how}", yellow=True)
