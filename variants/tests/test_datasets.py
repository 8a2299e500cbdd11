import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyrig.core.errors import HostError, UserError
from tinyrig.variants.data import datasets


def test_glove_is_labelled_synthetic():
    data = datasets.load_glove(seed=0, trials_per_object=5)
    assert data.synthetic and "synthetic" in data.source
    assert data.x.shape == (40, 59, 35) and data.groups is None


def test_watch_has_whole_windows_of_ten_subjects():
    data = datasets.load("watch")
    assert data.x.shape[1:] == (59, 6) and data.x.dtype == np.float32 and not data.synthetic
    assert len(set(data.groups)) == 10 and len(data.class_names) == 7
    assert len(data.x) == len(data.y) == len(data.groups)
    assert np.linalg.norm(data.x[:, :, :3], axis=2).mean() == pytest.approx(1.0, abs=0.2)  # g, of a slowly moved wrist


def test_watch_is_not_unpickled_unless_it_is_the_known_file(monkeypatch):
    monkeypatch.setattr(datasets, "WATCH_SHA256", hashlib.sha256(b"another file").hexdigest())
    with pytest.raises(HostError, match="isn't the known one"):
        datasets.load("watch")


def test_windows_at_half_rate_averages_neighbours_and_drops_the_rest():
    series = np.arange(14.0).reshape(7, 2)
    np.testing.assert_array_equal(datasets._windows_at_half_rate(series, 1)[:, 0], [[1, 2], [5, 6], [9, 10]])
    assert datasets._windows_at_half_rate(series, 2).shape == (1, 2, 2)


def test_fingerprint_covers_data_labels_names_and_groups():
    data = datasets.load_glove(seed=0, trials_per_object=5)
    changed = data.x.copy()
    changed[0, 0, 0] += 1
    others = [
        replace(data, x=changed),
        replace(data, y=data.y[::-1]),
        replace(data, groups=data.y),
        replace(data, class_names=tuple(reversed(data.class_names))),
    ]
    assert len({d.fingerprint for d in (data, *others)}) == 5
    assert datasets.load_glove(seed=0, trials_per_object=5).fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("spec", "name"),
    [("glove", "glove"), ("some/gait.npz", "gait"), ("trials v2/", "trials-v2"), ("glove.npz", "glove-own"), ("+.npz", "data")],
)
def test_names(spec, name):
    assert datasets.name_of(spec) == name


def test_missing_path_is_the_users_error(tmp_path: Path):
    with pytest.raises(UserError, match="no such dataset"):
        datasets.load(str(tmp_path / "nothing"))


def small(n=20, steps=5, classes=2, **changes):
    values = dict(
        name="small",
        x=np.zeros((n, steps, 1), np.float32),
        y=np.arange(n) % classes,
        groups=None,
        synthetic=False,
        class_names=tuple("abcdefgh"[:classes]),
        channel_names=("c",),
        source="",
    )
    return datasets.Dataset(**{**values, **changes})


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (small(steps=2), "too short"),
        (small(classes=1), "nothing to tell apart"),
        (small(n=9), "too few windows of class 'b'"),
        (small(class_names=("a", "b", "never seen")), "'never seen'"),
    ],
)
def test_unusable_datasets_are_refused(data, match):
    with pytest.raises(UserError, match=match):
        datasets.check(data)
