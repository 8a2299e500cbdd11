"""Exit codes: which one stands for several."""

from __future__ import annotations

import pytest

from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, EXIT_RIG, EXIT_USER, decisive


@pytest.mark.parametrize(
    ("codes", "wanted"),
    [
        (set(), EXIT_GOOD),
        ({EXIT_GOOD}, EXIT_GOOD),
        ({EXIT_USER, EXIT_GOOD}, EXIT_USER),
        ({EXIT_USER, EXIT_RIG}, EXIT_RIG),
        ({EXIT_USER, EXIT_RIG, EXIT_CLAIM}, EXIT_CLAIM),
    ],
)
def test_a_failed_claim_outweighs_the_rig_and_the_rig_the_user(codes: set[int], wanted: int) -> None:
    assert decisive(codes) == wanted
