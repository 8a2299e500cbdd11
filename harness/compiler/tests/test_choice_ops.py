"""Comparisons, choices, casts, picks, running sums and norms against tflite-micro's reference kernels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.compiler.tests import cases
from tinyrig.compiler.tests.choice_cases import STRATEGIES
from tinyrig.compiler.tests.test_ops import LONG, ROUNDS


@pytest.mark.parametrize("name", STRATEGIES)
@settings(ROUNDS, max_examples=3)
@given(data=st.data())
def test_op_equals_tflm(name: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=5, max_size=25))
    cases.check(drawn, data.draw(cases.seeds()))


@pytest.mark.slow
@pytest.mark.parametrize("name", STRATEGIES)
@LONG
@given(data=st.data())
def test_op_equals_tflm_in_many_random_models(name: str, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(STRATEGIES[name], min_size=1, max_size=25))
    cases.check(drawn, data.draw(cases.seeds()))


@pytest.mark.slow
@settings(ROUNDS, max_examples=1)
@given(data=st.data())
def test_ops_are_clean_under_sanitizers(data: st.DataObject) -> None:
    drawn = [case for strategy in STRATEGIES.values() for case in data.draw(st.lists(strategy, min_size=3, max_size=3))]
    cases.check(drawn, data.draw(cases.seeds()), sanitize=True)
