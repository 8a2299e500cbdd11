import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyrig.core.errors import UserError
from tinyrig.variants.data import user_data

X = np.arange(60, dtype=np.float32).reshape(5, 4, 3)
Y = np.array([0, 1, 0, 1, 1])


def save(path, **arrays):
    np.savez(path, **arrays)
    return path


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.floats(-1e6, 1e6, width=32)))
def test_npz_round_trip(tmp_path, x):
    y = np.arange(len(x)) % 3
    data = user_data.load(save(tmp_path / "d.npz", x=x, y=y, class_names=np.array(["a", "b", "c"]), groups=y))
    np.testing.assert_array_equal(data.x, x)
    np.testing.assert_array_equal(data.y, y)
    assert data.class_names == ("a", "b", "c") and data.channel_names == tuple(f"ch{i}" for i in range(x.shape[2]))


def test_npz_labels_without_names_become_indices(tmp_path):
    numbers = user_data.load(save(tmp_path / "n.npz", x=X, y=np.array([7, 3, 7, 3, 9])))
    assert numbers.y.tolist() == [1, 0, 1, 0, 2] and numbers.class_names == ("3", "7", "9")
    words = user_data.load(save(tmp_path / "w.npz", x=X, y=np.array(["run", "sit", "run", "sit", "sit"])))
    assert words.y.tolist() == [0, 1, 0, 1, 1] and words.class_names == ("run", "sit")


def test_npz_takes_doubles_and_integers(tmp_path):
    for dtype in ("f8", "i4", "u1"):
        assert user_data.load(save(tmp_path / "d.npz", x=X.astype(dtype), y=Y)).x.dtype == np.float32


def with_value(value, dtype=np.float64):
    x = X.astype(dtype)
    x[2, 1, 0] = value
    return x


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"y": Y}, "no array 'x'"),
        ({"x": X}, "no array 'y'"),
        ({"x": X[0], "y": Y}, r"wrong shape[\s\S]*\[4, 3\][\s\S]*x\[:, :, None\]"),
        ({"x": X[:0], "y": Y[:0]}, "wrong shape"),
        ({"x": with_value(np.nan), "y": Y}, "window 2, step 1, channel 0"),
        ({"x": with_value(np.inf), "y": Y}, "window 2, step 1, channel 0"),
        ({"x": with_value(1e300), "y": Y}, "window 2, step 1, channel 0"),
        ({"x": X.astype(str), "y": Y}, "isn't numeric"),
        ({"x": X.astype(complex), "y": Y}, "isn't numeric"),
        ({"x": X, "y": Y[:4]}, r"y doesn't fit x[\s\S]*\[5\][\s\S]*\[4\]"),
        ({"x": X, "y": Y[:, None]}, "y doesn't fit x"),
        ({"x": X, "y": Y.astype(float)}, "wrong type"),
        ({"x": X, "y": Y.astype(str), "class_names": np.array(["0", "1"])}, "wrong type"),
        ({"x": X, "y": Y, "class_names": np.array(["only"])}, r"outside class_names[\s\S]*1 in row 1"),
        ({"x": X, "y": -Y, "class_names": np.array(["a", "b"])}, "-1 in row 1"),
        ({"x": X, "y": Y, "class_names": np.array(["a", "a"])}, "class_names is unusable"),
        ({"x": X, "y": Y, "channel_names": np.array(["a", "b"])}, r"channel_names[\s\S]*3 different"),
        ({"x": X, "y": Y, "channel_names": np.arange(3)}, "channel_names is unusable"),
        ({"x": X, "y": Y, "groups": Y[:2]}, "groups is unusable"),
        ({"x": X, "y": Y, "groups": Y.astype(float)}, "groups is unusable"),
    ],
)
def test_malformed_npz_says_where_and_what(tmp_path, arrays, match):
    path = save(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=match) as caught:
        user_data.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("key", ["x", "y", "class_names", "groups"])
def test_pickled_arrays_are_never_opened(tmp_path, key):
    arrays = {"x": X, "y": Y, key: np.array([print, 1], dtype=object)}
    with pytest.raises(UserError, match="unpickled"):
        user_data.load(save(tmp_path / "p.npz", **arrays))


def corrupt_member() -> bytes:
    """A valid zip whose member x.npy isn't an array."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00broken")
    return buffer.getvalue()


def flipped() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=X, y=Y)
    raw = bytearray(buffer.getvalue())
    raw[len(raw) // 3] ^= 0xFF
    return bytes(raw)


@pytest.mark.parametrize("raw", [b"", b"not a zip", b"PK\x03\x04cut", corrupt_member(), flipped()])
def test_corrupt_files_are_the_users_error(tmp_path, raw):
    path = tmp_path / "bad.npz"
    path.write_bytes(raw)
    with pytest.raises(UserError, match="can't be read"):
        user_data.load(path)


def test_a_lone_array_is_not_an_archive(tmp_path):
    np.save(tmp_path / "d.npy", X)
    with pytest.raises(UserError, match="single array"):
        user_data.load(tmp_path / "d.npy")


def folder(tmp_path, labels="file,label\na.csv,run\nb.csv,sit\n", **trials):
    (tmp_path / "labels.csv").write_text(labels)
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text(trials.get(name, "ax,ay\n1,2\n3,4\n5,6\n"))
    return tmp_path


def test_csv_folder(tmp_path):
    labels = "file,label,group\r\nb.csv,sit,ann\r\na.csv,run,bob\r\n\r\n"
    data = user_data.load(folder(tmp_path, labels, a="ax, ay\n-1,2e-1\n3,4\n5,6\n\n"))
    np.testing.assert_array_equal(data.x[1], np.array([[-1, 0.2], [3, 4], [5, 6]], np.float32))
    assert data.class_names == ("run", "sit") and data.y.tolist() == [1, 0]
    assert data.channel_names == ("ax", "ay") and data.groups.tolist() == ["ann", "bob"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": ""}, "labels.csv: empty"),
        ({"labels": "file,label\n"}, "no trials"),
        ({"labels": "name,label\na.csv,run\n"}, "labels.csv, row 1: wrong columns"),
        ({"labels": "file,label\na.csv,run\nb.csv\n"}, "labels.csv, row 3: incomplete"),
        ({"labels": "file,label\na.csv,\n"}, "labels.csv, row 2: incomplete"),
        ({"labels": "file,label\na.csv,run\na.csv,sit\n"}, "row 3: the file is listed twice"),
        ({"labels": "file,label\nc.csv,run\n"}, "row 2: no such trial"),
        ({"labels": "file,label\n../a.csv,run\n"}, "row 2: no such trial"),
        ({"b": "ax,ay\n1,2\n3\n5,6\n"}, r"b.csv, row 3: ragged[\s\S]*expected: 2 columns[\s\S]*received: 1"),
        ({"b": "ax,ay\n1,2\n"}, r"b.csv: another number of time steps than a.csv[\s\S]*expected: 3[\s\S]*received: 1"),
        ({"b": "ax,az\n1,2\n3,4\n5,6\n"}, "b.csv, row 1: other channels"),
        ({"a": "1,2\n3,4\n5,6\n"}, "a.csv, row 1: no usable header"),
        ({"a": "ax,ax\n3,4\n5,6\n"}, "a.csv, row 1: no usable header"),
        ({"a": "ax,ay\n"}, "a.csv, row 1: no usable header"),
        ({"a": "ax,ay\n1,2\n3,nan\n5,6\n"}, r"a.csv, row 3, column ay: not a finite number[\s\S]*'nan'"),
        ({"a": "ax,ay\n1,2\n3,4\n5,1e39\n"}, "a.csv, row 4, column ay"),
        ({"a": "ax,ay\n1,2\n3,four\n5,6\n"}, r"row 3, column ay[\s\S]*'four'"),
        ({"a": "ax,ay\n1,2\n3,\n5,6\n"}, "row 3, column ay"),
    ],
)
def test_malformed_csv_says_where_and_what(tmp_path, change, match):
    with pytest.raises(UserError, match=match):
        user_data.load(folder(tmp_path, **change))


def test_folder_without_labels_and_binary_trial(tmp_path):
    with pytest.raises(UserError, match=r"labels.csv: can't be read"):
        user_data.load(tmp_path)
    (folder(tmp_path) / "a.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"a.csv: can't be read"):
        user_data.load(tmp_path)


def test_source_id_follows_the_content(tmp_path):
    ids = [user_data.source_id(save(tmp_path / "d.npz", x=X + i, y=Y))["sha256"] for i in (0, 0, 1)]
    assert ids[0] == ids[1] != ids[2]
    (tmp_path / "csv").mkdir()
    before = user_data.source_id(folder(tmp_path / "csv"))
    (tmp_path / "csv" / "a.csv").write_text("ax,ay\n9,2\n3,4\n5,6\n")
    assert user_data.source_id(tmp_path / "csv") != before
