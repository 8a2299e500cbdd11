"""`tinyrig dataset`: what it says of data."""

import json

import numpy as np
import pytest

from tinyrig.variants.inspect.__main__ import main


@pytest.fixture
def data(tmp_path):
    """Two classes; a good channel, a constant one, one that is cut off above, one that stands still in a window."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (6, 50, 4)).astype(np.float32)
    x[:, :, 1] = 2.5
    x[:, :, 2] = np.minimum(x[:, :, 2], 0.5)
    x[4, :, 3] = 0.25
    names = {"class_names": np.array(["still", "moving"]), "channel_names": np.array(["good", "dead", "cut", "still"])}
    np.savez(tmp_path / "own.npz", x=x, y=np.array([0, 0, 0, 0, 1, 1]), **names)
    return tmp_path / "own.npz", x


def test_findings(data, capsys):
    path, x = data
    assert main([str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["windows"], found["steps"]) == (6, 50)
    assert found["classes"] == [{"name": "still", "windows": 4}, {"name": "moving", "windows": 2}]
    assert [c["finding"][:8] for c in found["channels"]] == ["", "constant", "on one e", "constant"]
    assert found["channels"][3]["constant_windows"] == 1
    assert found["channels"][2]["at_an_end"] == int((x[:, :, 2] == 0.5).sum())
    assert found["channels"][0]["mean"] == pytest.approx(float(x[:, :, 0].mean()), abs=1e-6)


@pytest.mark.slow
def test_text_and_plot(data, capsys, tmp_path):
    assert main([str(data[0]), "--plot", str(tmp_path / "p.svg"), "--json", str(tmp_path / "d.json")]) == 0
    out = capsys.readouterr().out
    assert "own: 6 windows of 50 steps, 4 channels" in out
    assert (tmp_path / "p.svg").stat().st_size > 1000
    assert json.loads((tmp_path / "d.json").read_text())["name"] == "own"


def test_what_cannot_be_read_or_written(data, tmp_path):
    assert main([str(tmp_path / "nothing")]) == 2
    assert main([str(data[0]), "--plot", str(tmp_path / "p.exe")]) == 3
    assert main([str(data[0]), "--json", str(tmp_path / "no" / "d.json")]) == 3
