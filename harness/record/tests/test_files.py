"""A recorded dataset on disk: what it refuses, and that `variants` reads it as it is."""

import dataclasses

import numpy as np
import pytest

from tinyrig.core.errors import UserError
from tinyrig.record import files
from tinyrig.variants.data import user_data

MADE = files.Made("glove", "+-4 g", 20.0, 50_000, 4, ("a", "b"), ("g", "V"))


def trial(label, value=0.1, group=""):
    return files.Trial(label, group, np.full((4, 2), value, np.float32), {"samples": 4})


def test_variants_read_it_as_it_is(tmp_path):
    recorded = files.opened(tmp_path / "data", MADE)
    for i, label in enumerate(("big cube", "ball", "big cube")):
        recorded.add(trial(label, i / 3, "ann"))
    data = user_data.load(tmp_path / "data")
    assert data.class_names == ("ball", "big cube")
    assert data.channel_names == ("a", "b")
    assert np.array_equal(data.x[:, 0, 0], np.float32([0, 1 / 3, 2 / 3]))
    assert list(data.groups) == ["ann"] * 3
    assert data.cautions == ()
    again = files.opened(tmp_path / "data", MADE)
    assert (again.count("big cube"), again.count("cone")) == (2, 0)
    assert again.add(trial("big cube")) == "big-cube-003.csv"


def test_labels_that_make_one_file_name_stay_apart(tmp_path):
    recorded = files.opened(tmp_path, MADE)
    assert recorded.add(trial("A b")) != recorded.add(trial("a-B"))


def test_a_damaged_file_is_named(tmp_path):
    files.opened(tmp_path, MADE).add(trial("ball"))
    (tmp_path / "ball-001.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"ball-001\.csv is not what was recorded"):
        files.opened(tmp_path, MADE)


@pytest.mark.parametrize("name", ["rate_hz", "sensor", "steps", "channels"])
def test_trials_of_one_dataset_are_alike(tmp_path, name):
    files.opened(tmp_path, MADE).add(trial("ball"))
    other = {"rate_hz": 25.0, "sensor": "watch", "steps": 5, "channels": ("a", "c")}[name]
    with pytest.raises(UserError, match=name):
        files.opened(tmp_path, dataclasses.replace(MADE, **{name: other}))


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        files.opened(tmp_path, MADE)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"trials": 3}', '{"trials": [{"file": 3}]}'])
def test_metadata_that_are_none(tmp_path, text):
    (tmp_path / files.META).write_text(text)
    with pytest.raises(UserError, match=r"recording\.json"):
        files.opened(tmp_path, MADE)
