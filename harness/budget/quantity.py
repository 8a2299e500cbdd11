"""Amounts as people write them, `5ms`, `8KiB`, `90%` -> numbers in one unit.

Each reader takes a text or a number and raises ValueError, whose message says what was expected.
"""

from __future__ import annotations

import math
import re

_TIMES = {"ns": 1e-3, "us": 1.0, "µs": 1.0, "μs": 1.0, "ms": 1e3, "s": 1e6}
"""Microseconds."""
_BYTES = {"": 1, "b": 1, "kb": 1000, "mb": 1000**2, "kib": 1024, "mib": 1024**2}
_WRITTEN = re.compile(r"(\d{1,15}(?:\.\d{1,15})?|\.\d{1,15})\s*([a-zA-Zµμ]{0,3}|%)")
TIME_WORDS = "a time with its unit: 800us, 5ms or 0.1s"
BYTES_WORDS = "bytes: 8192, 8KiB (8 x 1024), 8KB (8 x 1000) or 1MiB"
SHARE_WORDS = "a share: 90% or 0.9"
DROP_WORDS = "a share: 1% or 0.01"


def microseconds(given: object) -> float:
    """A time > 0. A number without a unit could be anything, so it is refused."""
    amount, unit = _split(given, TIME_WORDS)
    if unit not in _TIMES or amount <= 0:
        raise ValueError(TIME_WORDS)
    return amount * _TIMES[unit]


def whole_bytes(given: object) -> int:
    """Bytes > 0."""
    amount, unit = _split(given, BYTES_WORDS)
    if unit not in _BYTES or amount <= 0 or not (amount * _BYTES[unit]).is_integer():
        raise ValueError(BYTES_WORDS)
    return int(amount * _BYTES[unit])


def share(given: object) -> float:
    """0 to 1."""
    amount, unit = _split(given, SHARE_WORDS)
    value = amount / 100 if unit == "%" else amount
    if unit not in ("", "%") or not 0 <= value <= 1:
        raise ValueError(SHARE_WORDS)
    return value


def drop(given: object) -> float:
    """0 to less than 1: `1` without a percent sign is more likely a slip than a drop to nothing."""
    amount, unit = _split(given, DROP_WORDS)
    value = amount / 100 if unit == "%" else amount
    if unit not in ("", "%") or not 0 <= value < 1:
        raise ValueError(DROP_WORDS)
    return value


def _split(given: object, words: str) -> tuple[float, str]:
    """(amount, unit in lower case, "" where there is none)."""
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise ValueError(words)
    if isinstance(given, str):
        found = _WRITTEN.fullmatch(given.strip())
        if not found:
            raise ValueError(words)
        return float(found[1]), found[2].lower()
    if not math.isfinite(given):
        raise ValueError(words)
    return float(given), ""


# ---- back to words ----


def show_us(value: float) -> str:
    """Microseconds in the unit that people would use, without losing what decides."""
    for unit, size in (("s", 1e6), ("ms", 1e3), ("us", 1.0)):
        if value >= size or unit == "us":
            return f"{value / size:.4g} {unit}"
    raise AssertionError("unreachable")


def show_bytes(value: float) -> str:
    return f"{value:,.0f} bytes"


def show_share(value: float) -> str:
    return f"{100 * value:.2f} %"
