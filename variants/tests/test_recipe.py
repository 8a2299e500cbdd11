"""What counts as the same build; nothing is built here."""

import json

import numpy as np
import pytest

from tinyrig.core.errors import HostError
from tinyrig.variants.lab import build


def test_recipe_survives_json():
    recipe = build.recipe_of("glove", 0, None)
    assert json.loads(json.dumps(recipe)) == recipe


def test_recipe_tells_apart_whatever_changes_a_build(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(path, x=np.zeros((2, 3, 1)))
    recipes = [
        build.recipe_of("glove", 0, None),
        build.recipe_of("glove", 1, None),
        build.recipe_of("glove", 0, 5),
        build.recipe_of("watch", 0, None),
        build.recipe_of(str(path), 0, None),
    ]
    np.savez(path, x=np.ones((2, 3, 1)))
    recipes.append(build.recipe_of(str(path), 0, None))
    assert len({json.dumps(recipe, sort_keys=True) for recipe in recipes}) == len(recipes)


def test_recipe_names_exact_package_versions():
    assert {"python", "numpy", "tensorflow"} <= build.recipe_of("glove", 0, None)["packages"].keys()


def test_a_missing_package_is_the_hosts_fault(monkeypatch):
    monkeypatch.setattr(build, "PACKAGES", ("numpy", "no-such-package-here"))
    with pytest.raises(HostError, match=r"no-such-package-here[\s\S]*tinyrig\[variants\]"):
        build.packages()
