"""Boards whose noise is known, for simulate_nights.py: run medians that scatter, odd samples, runs and nights, coarse timers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinyrig.analysis import stats
from tinyrig.analysis.stats import FINE, Timer
from tinyrig.analysis.verdicts import Policy

MS = 1000.0
"""Microseconds; every level here is in microseconds."""
POLICY = Policy()
MIXED_SD = (2e-4, 8e-4)
"""Standard deviation of run medians of real boards, as a share: each board has one of its own within these limits."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape)


def student3(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_t(3, shape) / np.sqrt(3)


def two_levels(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Three of ten runs lie on a second level, as when code or buffers land on another cache line; standard deviation 1."""
    return ((rng.random(shape) < 0.3) - 0.3) / np.sqrt(0.21 + 0.01) + 0.213 * rng.standard_normal(shape)


@dataclass(frozen=True)
class Board:
    """`sd`: standard deviation of run medians, as a share; half of its variance is the night's and stays in a rerun (`night`).
    `sample_sd`: of the samples within a run. `odd_samples` are interrupted (exponential, 20 % on average), `odd_runs` are off by
    0.3 to 3 % either way; with `odd_nights` that lasts through every rerun. `memory`: correlation with the night before;
    `earlier`: accepted runs before the first night that counts."""

    name: str
    sd: float | tuple[float, float]
    latency: float = 4 * MS
    samples: int = 270
    timer: Timer = FINE
    night: float = 0.5
    sample_sd: float = 1e-3
    odd_samples: float = 0.01
    odd_runs: float = 0.01
    odd_nights: float = 0.0
    memory: float = 0.0
    draw: Draw = normal
    read: Callable[[np.ndarray, Timer], np.ndarray] = stats.location
    earlier: int = POLICY.min_runs
    policy: Policy = POLICY
    boards: int = 100
    nights: int = 1000


class Rig:
    """Draws the runs of `board.boards` boards side by side."""

    def __init__(self, board: Board, rng: np.random.Generator) -> None:
        self._board, self._rng = board, rng
        n = board.boards
        # Every board has a latency of its own, so that ticks are met at every phase.
        self.level = board.latency + rng.uniform(0, board.timer.tick or 1.0, n)
        low, high = board.sd if isinstance(board.sd, tuple) else (board.sd, board.sd)
        self.sd = rng.uniform(low, high, n)
        self._mood = board.draw(rng, (n,))
        self._odd = np.zeros(n)

    def next_night(self) -> None:
        b, rng = self._board, self._rng
        self._mood = b.memory * self._mood + np.sqrt(1 - b.memory**2) * b.draw(rng, (b.boards,))
        self._odd = self.off(b.odd_nights)

    def run(self, change: np.ndarray | float = 0.0, which: np.ndarray | slice = slice(None)) -> np.ndarray:
        """One run's value of each board in `which`, its true level raised by the share `change`."""
        b = self._board
        own = b.draw(self._rng, (b.boards,))
        noise = self.sd * (np.sqrt(b.night) * self._mood + np.sqrt(1 - b.night) * own) + self._odd + self.off(b.odd_runs)
        return b.read(self.samples((self.level * (1 + change) * (1 + noise))[which]), b.timer)

    def off(self, share: float) -> np.ndarray:
        size = self._rng.uniform(0.003, 0.03, self._board.boards) * self._rng.choice((-1, 1), self._board.boards)
        return np.where(self._rng.random(self._board.boards) < share, size, 0.0)

    def samples(self, levels: np.ndarray) -> np.ndarray:
        b, rng, shape = self._board, self._rng, (len(levels), self._board.samples)
        x = levels[:, None] * (1 + b.sample_sd * rng.standard_normal(shape, np.float32))
        odd = rng.random(shape, np.float32) < b.odd_samples
        x[odd] *= 1 + rng.exponential(0.2, int(odd.sum()))
        if not b.timer.tick:
            return x
        phase = rng.random(shape, np.float32) if b.timer.random_phase else 0.0
        return np.floor(x / b.timer.tick + phase) * b.timer.tick


def run_medians(board: Board, rng: np.random.Generator, nights: int) -> np.ndarray:
    low, high = board.sd if isinstance(board.sd, tuple) else (board.sd, board.sd)
    noise = rng.uniform(low, high) * board.draw(rng, (nights,))
    if board.memory:
        for i in range(1, nights):
            noise[i] = board.memory * noise[i - 1] + np.sqrt(1 - board.memory**2) * noise[i]
    odd = rng.random(nights) < board.odd_runs
    noise += odd * rng.uniform(0.003, 0.03, nights) * rng.choice((-1, 1), nights)
    return board.latency * (1 + noise)


def percentile95(samples: np.ndarray, timer: Timer) -> np.ndarray:
    rank = round(0.95 * (samples.shape[-1] - 1))
    return np.partition(samples, rank, axis=-1)[..., rank]
