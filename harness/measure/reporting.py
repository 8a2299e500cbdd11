"""Reports are written by processes of their own: this side never draws."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tinyrig.core.config import Config
from tinyrig.core.errors import EXIT_RIG, HostError
from tinyrig.host.own_command import run_module

REPORT_S = 600.0
"""For writing a report, beyond run_s: what a run has found must be reported even when its time is up."""


def write_night(night_id: str, config: Config) -> int:
    """The Markdown summary of a night, by the package that formats; returns its exit status."""
    return _reporting("tinyrig.reports.nights.summary", night_id, "--store", config.results)


def write_page(path: Path, config: Config) -> int:
    """The HTML page of all nights; returns its exit status."""
    return _reporting("tinyrig.reports", "--nights", "--store", config.results, "-o", str(path))


def _reporting(*words: str) -> int:
    """A report that fails costs a night nothing but itself."""
    try:
        return run_module(words, REPORT_S)[0]
    except (subprocess.TimeoutExpired, OSError) as error:
        late = isinstance(error, subprocess.TimeoutExpired)
        print(f"tinyrig: {f'a report took longer than {REPORT_S:g} s' if late else error}", file=sys.stderr)
        return EXIT_RIG


def write_report(run_id: str, config: Config, *extra: str) -> int:
    """The Markdown with its plots and the HTML page, through `python -m tinyrig.reports`; returns its exit status."""
    command = ["tinyrig.reports", run_id, "--store", config.results, "--format", "both", *extra]
    try:
        return run_module(command, REPORT_S)[0]
    except subprocess.TimeoutExpired as error:
        raise HostError(
            f"the report of run {run_id} is not finished",
            expected=f"within {REPORT_S:g} s",
            received="more",
            remedy=f"the run is stored: tinyrig report {run_id}",
        ) from error
