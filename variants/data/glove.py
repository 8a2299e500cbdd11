"""A synthetic sensing glove: 5 fingers, each with a 6-axis IMU and a force sensor, grasping 8 objects.

Nothing here is a recording. A trial is open hand -> reach and close -> hold and lift -> release. Which object is held shows in
how far each finger bends and how hard it presses; how a trial differs from the next of its class is drawn at random. The
`difficulty` (spread between trials) was tuned so that the paper's network reaches the paper's accuracies on it; agreement with
the paper on these data therefore proves nothing about the network.

Physics: fingers follow minimum-jerk trajectories (Flash & Hogan 1985); an accelerometer on a finger at flexion `a` and roll `r`
reads gravity as (sin a, sin r cos a, cos r cos a) in g, plus the lift; the gyroscope reads the flexion rate; a force-sensing
resistor in a voltage divider reads V = Vcc F / (F + F_half).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OBJECTS = (
    "large cuboid",
    "large cube",
    "large sphere",
    "large pyramid",
    "small cuboid",
    "small cube",
    "small sphere",
    "small pyramid",
)
FINGERS = ("thumb", "index", "middle", "ring", "little")
AXES = ("ax", "ay", "az", "gx", "gy", "gz")
CHANNELS = (*(f"{finger}_{axis}" for finger in FINGERS for axis in AXES), *(f"{finger}_force" for finger in FINGERS))

STEPS = 59
"""Time steps of a trial; with 59 the paper's network costs exactly the paper's FLOPs."""
RATE_HZ = 20.0
TRIALS_PER_OBJECT = 150
DIFFICULTY = 0.5
"""Spread between trials at which the paper's network reaches the paper's accuracies."""

_SUPPLY_V = 3.3
_FORCE_HALF_N = 6.0
"""Force at which the divider reads half its supply."""
_SIZES = {"large": 1.0, "small": 0.55}
_WIDTH_LENGTH_MM = {"cuboid": (45.0, 90.0), "cube": (55.0, 55.0), "sphere": (62.0, 62.0), "pyramid": (60.0, 60.0)}
_ALONG_PALM = np.array([-1.0, -0.33, 0.33, 1.0])
"""Index to little finger along the palm, in units of 22 mm from its middle."""


@dataclass(frozen=True)
class _Trials:
    """One row a trial: class [N], flexion [N,5] in rad, force [N,5] in N, roll and pitch of the hand [N] in rad."""

    label: np.ndarray
    flexion: np.ndarray
    force: np.ndarray
    roll: np.ndarray
    pitch: np.ndarray


def generate(
    trials_per_object: int = TRIALS_PER_OBJECT, steps: int = STEPS, seed: int = 0, difficulty: float = DIFFICULTY
) -> tuple[np.ndarray, np.ndarray]:
    """-> x float32 [N, steps, 35] in g, rad/s and V (order of CHANNELS), y int64 [N] (index into OBJECTS), shuffled."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(OBJECTS)), trials_per_object)
    trials = _draw_trials(rng, label, difficulty)
    closure, rate = _draw_closure(rng, len(label), steps)
    imu = _imu_channels(rng, trials, closure, rate)
    force = _force_channels(rng, trials.force, closure)
    x = np.concatenate([imu, force], axis=2).astype(np.float32)
    order = rng.permutation(len(label))
    return x[order], label[order].astype(np.int64)


def _grasp_of(size: str, shape: str) -> tuple[np.ndarray, np.ndarray]:
    """Flexion [5] in rad and force [5] in N of a typical grasp of one object."""
    width, length = (_SIZES[size] * mm for mm in _WIDTH_LENGTH_MM[shape])
    local_width = np.full(4, width)
    if shape == "sphere":
        local_width = width * np.sqrt(np.clip(1 - (0.75 * _ALONG_PALM) ** 2, 0.1, 1))
    if shape == "pyramid":
        local_width = width * (1 - 0.42 * (_ALONG_PALM + 1))
    # A finger beyond the object's end closes further and carries less.
    contact = 1 / (1 + np.exp((22 * np.abs(_ALONG_PALM) - length / 2 - 6) / 4))
    flexion = np.deg2rad(98 - 0.95 * local_width) + 0.35 * (1 - contact)
    force = contact * (2.2 + 1.6 * local_width / 60) * (1.25 if shape in ("cube", "cuboid") else 0.9)
    thumb_force = 0.6 * force.sum() * (0.85 if shape == "pyramid" else 1.0)
    return np.r_[np.deg2rad(58 - 0.45 * width), flexion], np.r_[thumb_force, force]


def _draw_trials(rng: np.random.Generator, label: np.ndarray, difficulty: float) -> _Trials:
    """The typical grasp of each trial's object with the trial's own posture, grip strength and hand orientation."""
    typical = [_grasp_of(*name.split()) for name in OBJECTS]
    flexion = np.array([grasp[0] for grasp in typical])[label]
    force = np.array([grasp[1] for grasp in typical])[label]
    n, d = len(label), difficulty
    posture = rng.normal(0, 0.060 * d, (n, 1)) + rng.normal(0, 0.075 * d, (n, 5))
    strength = np.exp(rng.normal(0, 0.22 * d, (n, 1)) + rng.normal(0, 0.20 * d, (n, 5)))
    roll, pitch = rng.normal(0, 0.14 * d, (2, n))
    return _Trials(label, flexion + posture, force * strength, roll, pitch)


def _minimum_jerk(t: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A step from 0 at `start` to 1 at `stop`, and its derivative; all broadcast together."""
    u = np.clip((t - start) / (stop - start), 0, 1)
    return u**3 * (10 - 15 * u + 6 * u**2), 30 * u**2 * (1 - u) ** 2 / (stop - start)


def _draw_closure(rng: np.random.Generator, n: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """How far each finger has closed, 0..1, and its rate in 1/s; both [N,5,T]. Times are shares of the trial."""
    close_from = rng.uniform(0.05, 0.15, (n, 1, 1))
    close_to = close_from + rng.uniform(0.12, 0.25, (n, 1, 1))
    open_from = rng.uniform(0.68, 0.80, (n, 1, 1))
    open_to = open_from + rng.uniform(0.10, 0.18, (n, 1, 1))
    t = np.arange(steps) / steps + rng.normal(0, 0.012, (n, 5, 1))  # fingers don't start together
    closing, closing_rate = _minimum_jerk(t, close_from, close_to)
    opening, opening_rate = _minimum_jerk(t, open_from, open_to)
    return closing - opening, (closing_rate - opening_rate) * RATE_HZ / steps


def _imu_channels(rng: np.random.Generator, trials: _Trials, closure: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Accelerometer (g) and gyroscope (rad/s) of the five fingers -> [N,T,30]."""
    n, fingers, steps = closure.shape
    angle = trials.pitch[:, None, None] + 0.12 + trials.flexion[:, :, None] * closure
    mounting = np.array([0.5, 0, 0, 0, 0]) + 0.06 * (np.arange(fingers) - 2)  # the thumb opposes, the others fan out
    roll = np.broadcast_to(trials.roll[:, None, None] + mounting[:, None], angle.shape)
    lift = closure.mean(1, keepdims=True) * rng.uniform(0.05, 0.15, (n, 1, 1))
    acceleration = np.stack([np.sin(angle), np.sin(roll) * np.cos(angle), np.cos(roll) * np.cos(angle) + lift])
    sideways = rng.normal(0, 0.15, (2, n, fingers, 1)) * rate
    turning = np.stack([sideways[0], trials.flexion[:, :, None] * rate, sideways[1]])
    acceleration = _with_noise(rng, acceleration, bias=0.02, noise=0.03)
    turning = _with_noise(rng, turning, bias=0.03, noise=0.05)
    return np.concatenate([acceleration, turning]).transpose(1, 3, 2, 0).reshape(n, steps, fingers * len(AXES))


def _with_noise(rng: np.random.Generator, signal: np.ndarray, bias: float, noise: float) -> np.ndarray:
    """Adds a constant offset per trial, finger and axis, and white noise; signal [3,N,5,T]."""
    return signal + rng.normal(0, bias, (*signal.shape[:3], 1)) + rng.normal(0, noise, signal.shape)


def _force_channels(rng: np.random.Generator, force: np.ndarray, closure: np.ndarray) -> np.ndarray:
    """Voltage of the five force sensors, pressed only in the last quarter of the closing, with a 3-cycle tremor -> [N,T,5]."""
    n, fingers, steps = closure.shape
    tremor = 1 + 0.06 * rng.normal(size=(n, fingers, 1)) * np.sin(2 * np.pi * 3 * np.arange(steps) / steps)
    newton = force[:, :, None] * np.clip((closure - 0.75) / 0.25, 0, 1) * tremor
    volt = _SUPPLY_V * newton / (newton + _FORCE_HALF_N) + rng.normal(0, 0.03, newton.shape)
    return np.asarray(np.clip(volt, 0, _SUPPLY_V)).transpose(0, 2, 1)
