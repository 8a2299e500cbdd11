"""What test windows are called, whatever a model makes of their values."""

from __future__ import annotations

from functools import lru_cache

from tinyrig.core.files.content import Content
from tinyrig.core.files.npz import open_npz


def name_of_windows(source: Content | None, limit: int | None, seed: int) -> str:
    """Equal for equal windows: a hash of the numbers in their file as far as they are used, or for random windows (None) their
    seed. A requantised model leaves it as it is. Raises UserError for a file that can't be read."""
    return f"random, seed {seed}" if source is None else _digest(source, limit)


@lru_cache(8)
def _digest(source: Content, limit: int | None) -> str:
    with open_npz(source, "see docs/model.md for the form of a windows file") as npz:
        return npz.digest(limit)[:16]
