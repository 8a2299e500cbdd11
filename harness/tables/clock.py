"""The order of runs and nights is that of beginning them; their dates are shown, and say nothing about it."""

from __future__ import annotations

import datetime
import logging

import sqlalchemy as sa

from tinyrig.tables import schema

log = logging.getLogger(__name__)

TOLERANCE = datetime.timedelta(minutes=2)
"""Two hosts that write into one database differ by that much."""


def warn_of_the_past(db: sa.Connection, started: str) -> None:
    """Says where what begins now stands before what is stored already: either clock was wrong."""
    newest = max(db.scalar(sa.select(sa.func.max(t.c.started))) or "" for t in (schema.RUNS, schema.NIGHTS))
    now, last = _moment(started), _moment(newest)
    if now is None or last is None or last - now <= TOLERANCE:
        return
    log.warning(
        "this machine's clock says %s, but what was measured last is dated %s: one of the two is wrong. Results keep the order "
        "in which they were measured; only their dates mislead. Set the clock (timedatectl); measure again where dates matter",
        started,
        newest,
    )


def _moment(text: str) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)
