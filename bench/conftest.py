"""Keeps `pytest bench/` quick: the engine targets are claimed only where their file is named."""

from __future__ import annotations

from pathlib import Path

import pytest

ON_DEMAND = "test_engines.py"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path.name == ON_DEMAND and not any(ON_DEMAND in argument for argument in config.args):
        return True
    return None
