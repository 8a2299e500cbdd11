"""Moments that people name: an age like 90d, or a date. All of the database's are ISO-8601 UTC and compare as text."""

from __future__ import annotations

import datetime
import re

from tinyrig.core.errors import UserError

_UNITS = {"h": 1 / 24, "d": 1, "w": 7, "y": 365}
"""Days."""


def moment(text: str, now: datetime.datetime | None = None) -> str:
    """`90d` (also h, w, y) -> that long before `now`; an ISO date or date and time, UTC without an offset -> itself.

    Raises UserError.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    age = re.fullmatch(r"(\d{1,9})([hdwy])", text.strip())
    try:
        if age:
            when = now - datetime.timedelta(days=int(age[1]) * _UNITS[age[2]])
        else:
            when = datetime.datetime.fromisoformat(text.strip())
        when = when.replace(tzinfo=datetime.UTC) if when.tzinfo is None else when.astimezone(datetime.UTC)
        return when.isoformat(timespec="seconds")
    except (ValueError, OverflowError) as error:
        raise UserError(
            "not an age or date",
            expected="90d, 12w, 1y, 36h, or a date like 2026-01-31",
            received=repr(text),
            remedy="write it like one of these",
        ) from error


def age(text: str) -> str:
    """`text` if it is an age; a policy can't be a date. Raises UserError."""
    if not re.fullmatch(r"\d{1,9}[hdwy]", text.strip()):
        raise UserError("not an age", expected="90d, 12w, 1y or 36h", received=repr(text), remedy="write it like these")
    moment(text)
    return text.strip()
