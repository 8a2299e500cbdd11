import numpy as np
import pytest

from tinyrig.variants.lab import cache
from tinyrig.variants.networks.task import Built, Net


@pytest.fixture
def built():
    rng = np.random.default_rng(0)
    conv = [rng.normal(size=(3, 2, 4)).astype(np.float32), np.zeros(4, np.float32)]
    layers = {"conv": conv, "norm": [np.ones(4, np.float32)] * 4}
    return Built("simple", b"tflite bytes", Net('{"config": 1}', layers), {"epochs": 3}, {"flops": None})


def test_what_is_kept_comes_back(built, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYRIG_NETS", str(tmp_path / "nets"))
    assert cache.load("key", "other") is None
    cache.save("key", built)
    again = cache.load("key", "other")
    assert (again.name, again.tflite, again.training, again.facts) == ("other", built.tflite, built.training, built.facts)
    assert again.net.architecture == built.net.architecture and list(again.net.layers) == ["conv", "norm"]
    for name, weights in built.net.layers.items():
        for a, b in zip(weights, again.net.layers[name], strict=True):
            np.testing.assert_array_equal(a, b)
    assert [path.name for path in (tmp_path / "nets").iterdir()] == ["key.npz"]


@pytest.mark.parametrize("spoil", [lambda raw: raw[:-20], lambda raw: b"", lambda raw: raw[:100] + b"x" + raw[101:]])
def test_a_spoilt_file_counts_as_missing(built, tmp_path, monkeypatch, spoil):
    monkeypatch.setenv("TINYRIG_NETS", str(tmp_path))
    cache.save("key", built)
    (tmp_path / "key.npz").write_bytes(spoil((tmp_path / "key.npz").read_bytes()))
    assert cache.load("key", "simple") is None


def test_a_folder_that_can_not_be_written_stops_nothing(built, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TINYRIG_NETS", str(tmp_path / "file" / "nets"))
    cache.save("key", built)
    assert cache.load("key", "simple") is None


def test_the_longest_unused_go(built, tmp_path, monkeypatch):
    import os

    monkeypatch.setenv("TINYRIG_NETS", str(tmp_path))
    monkeypatch.setattr(cache, "MOST_FILES", 2)
    for age, key in enumerate(["c", "b", "a"]):
        cache.save(key, built)
        os.utime(tmp_path / f"{key}.npz", (1000 + age, 1000 + age))
    assert cache.load("b", "simple")  # used just now
    cache.save("d", built)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["b", "d"]
