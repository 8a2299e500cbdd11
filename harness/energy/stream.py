"""The PPK2's stream of samples: framing, losses, logic inputs. Pure; currents are computed by ppk2-api (ppk2.py).

A sample is 4 bytes, little-endian, 100,000 a second: bits 0-13 the ADC's value, 14-16 the range, 18-23 a counter, 24-31 the
digital inputs D0-D7. Source: pc-nrfconnect-ppk, src/device/serialDevice.ts (Nordic Semiconductor), from which ppk2-api was made.
"""

from __future__ import annotations

import numpy as np

SAMPLE_BYTES = 4
SAMPLE_US = 10.0
COUNTER_SHIFT, COUNTER_MASK = 18, 0x3F
LOGIC_SHIFT = 24
RANGE_SHIFT, RANGE_MASK, LAST_RANGE = 14, 7, 4
ADC_MASK = 0x3FFF
_ALIGN_BY = 4096
"""Samples looked at to find where one begins."""


def words(raw: bytes) -> np.ndarray:
    """Bytes as they came -> whole samples, uint32, from where the counter runs on: a byte lost at the start shifts all."""
    offsets = range(min(SAMPLE_BYTES, len(raw) // SAMPLE_BYTES + 1))
    best = max(offsets, key=lambda offset: (_steps(_words(raw, offset)[:_ALIGN_BY]), -offset), default=0)
    return _words(raw, best)


def _words(raw: bytes, offset: int) -> np.ndarray:
    count = max(0, (len(raw) - offset) // SAMPLE_BYTES)
    return np.frombuffer(raw, "<u4", count, offset) if count else np.zeros(0, "<u4")


def counters(samples: np.ndarray) -> np.ndarray:
    return (samples >> COUNTER_SHIFT) & COUNTER_MASK


def _counted(samples: np.ndarray) -> np.ndarray:
    """By how much the counter went on at each sample but the first, modulo its range."""
    counted: np.ndarray = np.mod(np.diff(counters(samples).astype(np.int64)), COUNTER_MASK + 1)
    return counted


def _steps(samples: np.ndarray) -> int:
    return int(np.sum(_counted(samples) == 1))


def losses(samples: np.ndarray) -> np.ndarray:
    """Positions before which samples are missing: where the counter does not advance by one. A loss of a multiple of 64 can't be
    seen."""
    return np.flatnonzero(_counted(samples) != 1) + 1


def high(samples: np.ndarray, channel: int) -> np.ndarray:
    """Whether logic input `channel` was high, bool for each sample."""
    return ((samples >> (LOGIC_SHIFT + channel)) & 1).astype(bool)


def saturated(samples: np.ndarray) -> bool:
    """Whether a sample is the largest that the largest range can show: more than about 1 A flowed."""
    at_end = (samples & ADC_MASK) == ADC_MASK
    return bool(np.any(at_end & (((samples >> RANGE_SHIFT) & RANGE_MASK) >= LAST_RANGE)))
