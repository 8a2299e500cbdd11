"""What the claims of bench/ measure with: every built variant on the board of --board, in one run that can be resumed, and judged
as a night where that is asked for. The board, the settings and the reporting are those of the plugin `tinyrig`.

Run alone: it names fixtures (`variant`, `claim`, `night`) and options that other tests may have too.
"""

from __future__ import annotations

import dataclasses
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tinyrig.core.boards import parse_board, parse_own_board
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import RigError
from tinyrig.core.plans import RunPlan
from tinyrig.core.records import ClaimStatus, Measurement, Variant
from tinyrig.host.signals import alarm, terminable
from tinyrig.measure import reporting, variants
from tinyrig.measure.claims import claim_error
from tinyrig.measure.resume import find_run, go_on
from tinyrig.measure.run import OpenRun, measuring
from tinyrig.nightly.pytest_night import PytestNight
from tinyrig.plugin import rig_config
from tinyrig.store.runs import Store, StoredRun

ON_DEMAND = "test_engines.py"
"""Keeps `pytest bench/` quick: the engine targets are claimed only where their file is named."""
NIGHTLY_ONLY = "test_regression.py"
"""What got worse is a question only for nights."""
_NEEDS_OWN = "bench/ needs our own firmware on the board: it measures built variants, their memory and their ops"
_OPEN_RUN = pytest.StashKey[OpenRun]()
_CONFIG = pytest.StashKey[Config]()
_DEADLINE = pytest.StashKey[Deadline]()
_VARIANTS = pytest.StashKey[list[Variant]]()
_RESUMED = pytest.StashKey[StoredRun | None]()
_NIGHT = pytest.StashKey[PytestNight]()
_SIGNALS = pytest.StashKey[list[int]]()
"""Signals that asked for the end."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench", "the claims of bench/")
    group.addoption(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="continue an interrupted run at its first unmeasured window (default: this board's newest)",
    )
    group.addoption("--nightly", action="store_true", help="judge the run against the baseline, and store it as a night")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.name == ON_DEMAND and not any(ON_DEMAND in argument for argument in config.args):
        return True
    return True if collection_path.name == NIGHTLY_ONLY and not config.option.nightly else None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A --board or --resume that can't be used is said before anything is collected; a resumed run names its board."""
    try:
        config.stash[_RESUMED] = resumed = _find_resumed(config)
        config.option.tinyrig_board = config.option.tinyrig_board or (resumed and resumed.plan.board) or None
        if config.option.tinyrig_board:
            parse_own_board(config.option.tinyrig_board, rig_config(config).boards, _NEEDS_OWN)
    except RigError as error:
        pytest.exit(str(error), returncode=error.exit_code)


def _find_resumed(config: pytest.Config) -> StoredRun | None:
    if config.option.resume is None:
        return None
    with Store(rig_config(config).results, must_exist=True) as store:
        return find_run(store, config.option.resume, config.option.tinyrig_board, bench=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every claim that takes a `variant` is made for each built one; missing ones are built first."""
    if "variant" not in metafunc.fixturenames:
        return
    try:
        metafunc.parametrize("variant", _variants(metafunc.config), ids=lambda v: v.name, scope="session")
    except RigError as error:
        pytest.exit(str(error), returncode=error.exit_code)


def _variants(config: pytest.Config) -> list[Variant]:
    if _VARIANTS not in config.stash:
        capture = config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():  # a build takes a minute: its progress is for the user's eyes
            config.stash[_VARIANTS] = variants.built_variants(_config(config), _plan(config).variants, _deadline(config))
    return config.stash[_VARIANTS]


def _plan(config: pytest.Config) -> RunPlan:
    """What was asked for when the resumed run was begun; empty for a new one."""
    resumed = config.stash.get(_RESUMED, None)
    return resumed.plan if resumed else RunPlan()


def _deadline(config: pytest.Config) -> Deadline:
    """run_s, from the first step that takes time."""
    if _DEADLINE not in config.stash:
        config.stash[_DEADLINE] = Deadline("run_s", _config(config).limits.run_s)
    return config.stash[_DEADLINE]


def _config(config: pytest.Config) -> Config:
    """rig.toml, for the dataset that a resumed run was begun with."""
    dataset = _plan(config).dataset
    return dataclasses.replace(rig_config(config), dataset=dataset) if dataset else rig_config(config)


# ---- fixtures ----


@pytest.fixture(scope="session")
def config(pytestconfig: pytest.Config, tinyrig_board: object) -> Config:
    """rig.toml. Whatever is claimed with it is claimed of the board."""
    return _config(pytestconfig)


@pytest.fixture(scope="session")
def open_run(pytestconfig: pytest.Config, config: Config) -> Iterator[OpenRun]:
    """The session's run on the board of --board, a new one or that of --resume."""
    deadline = _deadline(pytestconfig)
    board, resumed = pytestconfig.option.tinyrig_board, pytestconfig.stash[_RESUMED]
    plan = RunPlan(board, config.dataset, settings=_plan(pytestconfig).settings)
    resume = resumed.run_id if resumed else None
    with (
        terminable() as pytestconfig.stash[_SIGNALS],
        alarm(deadline),
        measuring(parse_board(board, config.boards), config, plan, resume=resume, deadline=deadline) as open_run,
    ):
        pytestconfig.stash[_OPEN_RUN] = open_run
        open_run.check_finished(pytestconfig.stash.get(_VARIANTS, []))
        yield open_run


@pytest.fixture
def measurement(open_run: OpenRun, variant: Variant) -> Measurement:
    """The variant, flashed, streamed and compared; once a session, however many claims ask. A rig that fails raises here, in
    the setup: pytest then reports an error, not a failure."""
    return open_run.run(variant)


@pytest.fixture(scope="session")
def night(pytestconfig: pytest.Config, config: Config, open_run: OpenRun) -> Iterator[PytestNight]:
    """The session's run as a night."""
    board, deadline = pytestconfig.option.tinyrig_board, _deadline(pytestconfig)
    plan = RunPlan(settings=_plan(pytestconfig).settings)
    open_again = partial(measuring, parse_board(board, config.boards), config, plan, deadline=deadline)
    with PytestNight(board, config, open_run, open_again) as night:
        pytestconfig.stash[_NIGHT] = night
        yield night


@pytest.fixture
def claim(measurement: Measurement) -> Callable[[str], None]:
    """`claim(name)` of measure/claims.py on this measurement: passes, raises ClaimError, or skips where nothing was measured."""

    def check(name: str) -> None:
        found = next(c for c in measurement.claims if c.name == name)
        if found.status == ClaimStatus.NOT_MEASURED:
            pytest.skip(f"not measured: {found.reason}")
        if found.status == ClaimStatus.FAILED:
            raise claim_error(measurement, found)

    return check


# ---- the end ----


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Iterator[None]:
    """The open run hears of an interruption first: its fixture is torn down within."""
    stash = session.config.stash
    open_run = stash.get(_OPEN_RUN, None)
    interrupted = open_run is not None and exitstatus == pytest.ExitCode.INTERRUPTED
    if open_run is not None and interrupted:
        open_run.interrupted = True
    yield
    if interrupted:
        session.exitstatus = 128 + (stash[_SIGNALS] or [signal.SIGINT])[0]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The run's table, its report below reports/out, and how to measure the rest."""
    open_run = config.stash.get(_OPEN_RUN, None)
    if open_run is None:
        return
    if open_run.finished and not open_run.interrupted:
        terminalreporter.section(f"run {open_run.run_id}")
        sys.stdout.flush()
        reporting.write_report(open_run.run_id, _config(config), "--summary")
    if (night := config.stash.get(_NIGHT, None)) is not None and night.text:
        reporting.write_night(night.night_id, _config(config))
        terminalreporter.write_line(night.text)
    if open_run.interrupted or open_run.has_rig_fault:
        rest = f"pytest bench/ --resume {open_run.run_id}"
        how = go_on(_config(config).results, rest, run=open_run.run_id)
        terminalreporter.write_line(f"run {open_run.run_id}: {how}", yellow=True)
