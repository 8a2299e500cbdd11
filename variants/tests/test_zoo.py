"""The zoo's networks: their sizes on paper, and one of them really built twice."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinyrig.variants.networks.tflite_facts import weights_and_macs
from tinyrig.variants.networks.zoo import ZOO, main, random_windows

needs_tensorflow = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs the extra `variants`")
MILLION_MACS = {"dscnn": 2.66, "resnet8": 12.5, "mobilenet": 7.5, "autoencoder": 0.264}
"""The speed table's figures, rounded as it rounds them."""


@pytest.mark.parametrize(("name", "millions"), MILLION_MACS.items())
def test_macs_are_those_of_the_speed_table(name: str, millions: float) -> None:
    assert ZOO[name].macs / 1e6 == pytest.approx(millions, rel=0.005)


@pytest.mark.parametrize("shape", [(640,), (128, 6), (32, 32, 3)])
def test_windows_repeat_with_the_seed_and_differ_among_themselves(shape: tuple[int, ...]) -> None:
    x, again, other = (random_windows(shape, 6, 5, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert x.shape == (6, *shape) and x.dtype == np.float32
    assert np.array_equal(x, again) and not np.array_equal(x, other)
    assert 0.5 < x.std() < 2 and len(np.unique(x.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize("arguments", [["nosuchnet"], ["cnn1d", "--seed", "-1"], ["cnn1d", "--windows", "0"]])
def test_unusable_arguments_are_the_users_fault(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, "--out", str(tmp_path)]) == 2
    assert "expected:" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def build(out: Path, seed: int, name: str = "cnn1d") -> dict[str, bytes]:
    command = [sys.executable, "-m", "tinyrig.variants.networks.zoo", name, "--out", str(out), "--seed", str(seed)]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    return {path.name: path.read_bytes() for path in out.glob("*.tflite")}


@pytest.mark.slow
@needs_tensorflow
def test_a_network_is_alive_and_repeats_with_its_seed(tmp_path: Path) -> None:
    from tflite_micro.python.tflite_micro import runtime

    built = build(tmp_path / "a", 2)
    assert built == build(tmp_path / "b", 2)
    assert sorted(built) == ["cnn1d_f32.tflite", "cnn1d_int8.tflite"]
    assert {weights_and_macs(data)[1] for data in built.values()} == {ZOO["cnn1d"].macs}
    interpreter = runtime.Interpreter.from_bytes(built["cnn1d_int8.tflite"])
    spec = interpreter.get_input_details(0)
    scale, zero = (spec["quantization_parameters"][key][0] for key in ("scales", "zero_points"))
    outputs = []
    with np.load(tmp_path / "a" / "cnn1d_windows.npz") as windows:
        assert windows["x"].dtype == np.float32 and len(windows["y"]) == len(windows["x"])
        for window in windows["x"]:
            interpreter.set_input(np.clip(np.round(window[None] / scale) + zero, -128, 127).astype(np.int8), 0)
            interpreter.invoke()
            outputs.append(interpreter.get_output(0).copy().ravel())
    assert len(np.unique(outputs, axis=0)) > len(outputs) // 2
    assert np.std(outputs, axis=0).max() > 5


@pytest.mark.slow
@needs_tensorflow
def test_dead_filters_have_tiny_scales_and_a_bias_at_its_limit(tmp_path: Path) -> None:
    """What makes a reference MobileNet hard: the converter widens such a scale until the bias fits 2^30."""
    built = (
        "from dataclasses import replace; from pathlib import Path; "
        "from tinyrig.variants.networks.zoo import ZOO, build_net; "
        "build_net(replace(ZOO['conv16'], kinds=('int8',), dead=0.3), Path('.'), 1)"
    )
    subprocess.run([sys.executable, "-c", built], check=True, capture_output=True, cwd=tmp_path)
    found = weights_and_macs((tmp_path / "conv16_int8.tflite").read_bytes())[0]
    biases = [w.values for w in found if w.role == "bias"]
    assert sum(np.any(np.abs(b.astype(np.int64)) > 2**29) for b in biases) > len(biases) // 2


@pytest.mark.slow
@needs_tensorflow
def test_a_net_of_16_bit_activations_is_one_file(tmp_path: Path) -> None:
    built = build(tmp_path, 1, "conv16")
    assert sorted(built) == ["conv16_int16x8.tflite"]
    assert weights_and_macs(built["conv16_int16x8.tflite"])[1] == ZOO["conv16"].macs
