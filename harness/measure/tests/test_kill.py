"""SIGKILL at any moment: what was measured is kept, the board dies too, and the resumed run is the uninterrupted one."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tinyrig.store.runs import Store
from tinyrig.tests.fake_runs import BOARD, SUBJECT
from tinyrig.tests.processes import children, wait_until_gone
from tinyrig.tests.user_home import MODEL, SAMPLES, finish, furnish, numbers, start, url


class Killer:
    """Starts the command and kills it, at seeded points: every other one after a part of the time that a whole run takes, the
    rest when so many samples are kept."""

    def __init__(self, home: Path, seed: int) -> None:
        self._home, self._random = home, random.Random(seed)
        self.kills = 0
        self.at: list[int] = []

    def whole_run(self) -> None:
        started = time.monotonic()
        assert finish(start(self._home, "run", *MODEL, "--no-report", "--json", "whole.json"))[0] == 0
        self._seconds = time.monotonic() - started

    def run_until_done(self, most: int) -> None:
        """One run, killed up to `most` times and resumed after each."""
        for _ in range(most):
            if self._attempt():
                return
        assert finish(self._start())[0] == 0

    def _start(self) -> subprocess.Popen[str]:
        words = ("--resume",) if self._open_run() else MODEL
        return start(self._home, "run", *words, "--no-report", "--json", "out.json")

    def _attempt(self) -> bool:
        """Whether the command was faster than its killer."""
        kept = self.kept()
        process = self._start()
        self._wait(process, kept)
        boards = children(process.pid)
        process.kill()
        killed = process.wait() == -9
        process.communicate()
        self.kills += killed
        self.at.append(self.kept())
        assert not killed or self.kept() >= kept or not self._open_run(), "a kept sample was lost"
        wait_until_gone(boards)
        return not killed

    def _wait(self, process: subprocess.Popen[str], kept: int) -> None:
        if self.kills % 2:
            samples, until = self._random.randint(kept, SAMPLES), time.monotonic() + 10 * self._seconds
            while process.poll() is None and self.kept() < samples and time.monotonic() < until:
                time.sleep(0.001)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._random.uniform(0, self._seconds))

    def kept(self) -> int:
        """Samples of the run that is not finished; its measurement may be, for a moment before it."""
        query = """SELECT count(*) FROM samples JOIN variant_runs ON variant_runs.id = variant_run_id
            JOIN runs ON runs.seq = variant_runs.run_seq WHERE runs.state = 'open'"""
        return self._ask(query)

    def _open_run(self) -> bool:
        return bool(self._ask("SELECT count(*) FROM runs WHERE state = 'open'"))

    def _ask(self, query: str) -> int:
        with contextlib.closing(sqlite3.connect(self._home / "results.sqlite", timeout=30)) as db:
            return db.execute(query).fetchone()[0]


def kill_and_resume(home: Path, kills: int, seed: int) -> Killer:
    killer = Killer(furnish(home), seed)
    killer.whole_run()
    whole = numbers(home / "whole.json")
    with Store(url(home)) as store:
        samples = store.load(store.latest()).runs[0].samples
    while killer.kills < kills:
        killer.run_until_done(min(6, kills - killer.kills))
        assert numbers(home / "out.json") == whole
        with Store(url(home)) as store:
            assert store.load(store.latest()).runs[0].samples == samples
            assert store.runs()[0].open_samples == 0
        (home / "out.json").unlink()
    with contextlib.closing(sqlite3.connect(home / "results.sqlite")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return killer


@pytest.mark.slow
def test_a_killed_run_that_is_resumed_is_the_uninterrupted_one(tmp_path):
    assert kill_and_resume(tmp_path, 4, seed=3).kills >= 4


@pytest.mark.slow
def test_fifty_kills_at_random_points(tmp_path):
    killer = kill_and_resume(tmp_path, 50, seed=1)
    inside = sum(0 < kept < SAMPLES for kept in killer.at)
    print(f"{killer.kills} kills, {inside} of them between the first and the last sample: {sorted(killer.at)}")
    assert killer.kills >= 50 and inside >= 10


def test_every_open_sample_is_on_disk_before_the_next(tmp_path):
    """A process that ends without closing anything leaves what it has added, though the file is read by somebody else."""
    from tinyrig.core.records import Sample

    pid = os.fork()
    if pid == 0:
        store = Store(url(tmp_path))
        store.begin_run("r", "2026")
        writer = store.begin_measurement("r", "v", SUBJECT, BOARD)
        for i in range(3):
            writer.add(Sample("window", i, bytes([i]) * 4, 10 + i, None, (1, i)))
        os._exit(9)
    os.waitpid(pid, 0)
    with Store(url(tmp_path)) as store:
        found = store.find_open("r", "v")
        assert found is not None and found.subject == SUBJECT
        assert found.samples == tuple(Sample("window", i, bytes([i]) * 4, 10 + i, None, (1, i)) for i in range(3))
        assert store.runs()[0].open_samples == 3 and store.runs()[0].state == "open"
