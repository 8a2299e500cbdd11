"""`optimise` of a call goes before rig.toml's, into what is compiled and into what is stored as asked."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from tinyrig.api import measure
from tinyrig.core.config import Config
from tinyrig.core.plans import AskedModel


@pytest.mark.parametrize(("given", "used"), [(None, "size"), ("ram", "ram"), ("speed", "speed")])
def test_the_call_goes_before_rig_toml(monkeypatch, given, used):
    seen = []

    @contextmanager
    def measuring(target, config, plan, **_):
        seen.append((config.optimise, plan.settings.optimise))
        yield SimpleNamespace(run=lambda variant: None, evaluated={"x": None}, run_id="1")

    monkeypatch.setattr(measure, "measuring", measuring)
    monkeypatch.setattr(measure, "own_variant", lambda asked: SimpleNamespace(name="x"))
    measure.take(AskedModel("x", "x.tflite"), "virtual", Config(optimise="size"), measure.How(optimise=given))
    assert seen == [(used, used)]
