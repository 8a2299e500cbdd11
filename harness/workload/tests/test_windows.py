import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec
from tinyrig.workload.windows import load_windows, random_windows

INT8 = TensorSpec("in", (1, 2, 3), "int8", scale=0.5, zero_point=3)
FLOAT = TensorSpec("in", (1, 2, 3), "float32")


def npz(tmp_path, **arrays_):
    path = tmp_path / "windows.npz"
    np.savez(path, **arrays_)
    return path


def test_float_windows_are_quantised_ties_away_from_zero(tmp_path):
    x = np.array([[0.25, -0.25, 0.2, 100.0, -100.0, 0.0]], np.float32)
    windows = load_windows(npz(tmp_path, x=x), (INT8,))
    assert windows.inputs[0][0].reshape(-1).tolist() == [4, 2, 3, 127, -128, 3]


def test_windows_of_the_input_dtype_pass_as_they_are(tmp_path):
    x = np.arange(12, dtype=np.int8).reshape(2, 6)
    windows = load_windows(npz(tmp_path, x=x, y=np.array([1, 0]), class_names=np.array(["a", "b"])), (INT8,))
    assert np.array_equal(np.concatenate([w[0].ravel() for w in windows.inputs]), x.ravel())
    assert windows.inputs[0][0].shape == (1, 2, 3)
    assert (windows.labels, windows.class_names) == ((1, 0), ("a", "b"))


def test_limit_cuts_windows_and_labels_alike(tmp_path):
    windows = load_windows(npz(tmp_path, x=np.zeros((5, 6), np.float32), y=np.arange(5)), (FLOAT,), limit=2)
    assert len(windows) == 2 and windows.labels == (0, 1)


def test_several_inputs_are_x0_x1(tmp_path):
    path = npz(tmp_path, x0=np.zeros((3, 6), np.float32), x1=np.ones((3, 6), np.int8))
    windows = load_windows(path, (FLOAT, INT8))
    assert [a.dtype.name for a in windows.inputs[2]] == ["float32", "int8"]


@pytest.mark.parametrize(
    "bad",
    [
        {"y": np.arange(3)},
        {"x": np.zeros((3, 5), np.float32)},
        {"x": np.zeros((0, 6), np.float32)},
        {"x": np.full((1, 6), np.nan, np.float32)},
        {"x": np.zeros((3, 6), np.int32)},
        {"x": np.zeros((3, 6), np.float32), "y": np.arange(2)},
        {"x": np.array([object()] * 6)},
        {"x": np.full((1, 6), 1e300)},
        {"x": np.zeros((2, 6), np.float32), "y": np.array([0, 2]), "class_names": np.array(["a", "b"])},
        {"x": np.zeros((2, 6), np.float32), "class_names": np.array("abc")},
        {"x": np.zeros((2, 6), np.float32), "class_names": np.array([1, 2])},
    ],
)
def test_what_does_not_fit_is_the_users_error(tmp_path, bad):
    with pytest.raises(UserError):
        load_windows(npz(tmp_path, **bad), (INT8,))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"plain text"])
def test_a_file_that_is_no_npz_is_the_users_error(tmp_path, content):
    path = tmp_path / "windows.npz"
    path.write_bytes(content)
    with pytest.raises(UserError):
        load_windows(path, (INT8,))


def test_fractions_are_no_values_of_an_integer_input_without_scale(tmp_path):
    with pytest.raises(UserError, match="dtype"):
        load_windows(npz(tmp_path, x=np.full((2, 6), 0.7, np.float32)), (TensorSpec("ids", (6,), "int32"),))


def test_random_windows_are_seeded_and_cover_the_range():
    first, again, other = (random_windows((INT8,), 50, seed) for seed in (1, 1, 2))
    values = np.stack([w[0] for w in first.inputs])
    assert np.array_equal(values, np.stack([w[0] for w in again.inputs]))
    assert not np.array_equal(values, np.stack([w[0] for w in other.inputs]))
    assert values.min() < -100 and values.max() > 100 and first.random


@given(arrays(np.float32, 6, elements=st.floats(-60, 60, width=32)), st.floats(0.01, 2), st.integers(-128, 127))
def test_quantisation_is_within_half_a_step(x, scale, zero_point):
    spec = TensorSpec("t", (6,), "int8", float(np.float32(scale)), zero_point)
    back = spec.dequantize(spec.quantize(x))
    low, high = (-128 - zero_point) * spec.scale, (127 - zero_point) * spec.scale
    assert np.all(np.abs(back - np.clip(x, low, high)) <= spec.scale * 0.5001 + 1e-5)
