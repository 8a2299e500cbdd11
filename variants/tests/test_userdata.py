import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyrig.core.errors import UserError
from tinyrig.variants.data import datasets, user_data

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


# ---- what a folder's identity is, and what can hardly be meant ----


def trials(path, ending=".CSV", header="ax,ay", extra="", labels=("still", "walk"), value=0.0):
    """12 trials of 20 rows, whose values move up and down."""
    path.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    lines = ["file,label"]
    for i in range(12):
        rows = (f"{extra.format(1000 * i + t, t)}{a:.3f},{b + value:.3f}" for t, (a, b) in enumerate(rng.normal(0, 1, (20, 2))))
        (path / f"T{i}{ending}").write_text(f"{header}\n" + "\n".join(rows) + "\n")
        lines.append(f"T{i}{ending},{labels[i % len(labels)]}")
    (path / "labels.csv").write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("ending", [".csv", ".CSV", ".txt", ""])
def test_the_id_of_a_folder_covers_exactly_what_labels_csv_names(tmp_path, ending):
    before = user_data.source_id(trials(tmp_path / "d", ending))
    (tmp_path / "d" / "notes.csv").write_text("not named anywhere")
    assert user_data.source_id(tmp_path / "d") == before
    assert user_data.source_id(trials(tmp_path / "d", ending, value=2.0)) != before, "trained on other trials"
    changed = user_data.source_id(trials(tmp_path / "d", ending, labels=("walk", "still")))
    assert changed not in (before, user_data.source_id(trials(tmp_path / "d", ending, value=2.0)))


def test_data_that_change_while_they_are_read_are_refused(tmp_path, monkeypatch):
    path, load = trials(tmp_path / "d"), user_data.load
    monkeypatch.setattr(user_data, "load", lambda p: (load(p), trials(p, value=1.0))[0])
    with pytest.raises(UserError, match="changed while it was read"):
        datasets.load(str(path))


@pytest.mark.parametrize(
    ("header", "extra", "named"),
    [
        ("timestamp,ax,ay", "1700{:06}000,", "'timestamp' rises in every row"),  # beyond float32: it stands still in a trial
        ("n0,ax,ay", "1700{:06}000,", "'n0' rises in every row"),
        ("counter,ax,ay", "{},", "'counter' rises in every row"),
        ("step,ax,ay", "{1},", "'step' rises in every row"),
        ("Time (s),ax,ay", "7,", "'Time (s)' is named like a clock"),
        ("t,ax,ay", "7,", "'t' is named like"),
        ("ms,ax,ay", "7,", "'ms' is named like"),
        ("INDEX,ax,ay", "7,", "'INDEX' is named like"),
        ("temp,ax,ay", "7,", None),
        ("time_constant,ax,ay", "7,", None),
    ],
)
def test_a_clock_or_an_index_among_the_channels_is_named(tmp_path, header, extra, named):
    said = []
    data = datasets.load(str(trials(tmp_path / "d", header=header, extra=extra)), say=said.append)
    assert [c for c in data.cautions if "channel" in c] == list(data.cautions) and len(said) == len(data.cautions)
    assert said == [] if named is None else named in said[0] and said[0].startswith("warning: channel ")


def test_labels_that_differ_by_case_and_files_without_a_row_are_named_before_anything_is_refused(tmp_path):
    said, path = [], trials(tmp_path / "d", labels=("Walk", "Walk", "Walk", "Walk", "still ", "walk"))
    (path / "T99.CSV").write_text("ax,ay\n1,2\n")
    (path / "._T1.CSV").write_text("what macOS leaves behind")
    with pytest.raises(UserError, match="too few windows"):
        datasets.load(str(path), say=said.append)
    assert len(said) == 2
    assert "1 file is named in no row of labels.csv and left out: 'T99.CSV'" in said[0]
    assert "labels 'Walk' (8), 'walk' (2) differ only by case or white space" in said[1]


def test_an_npz_is_looked_at_as_well(tmp_path):
    x = np.random.default_rng(0).normal(0, 1, (12, 20, 2)).astype(np.float32)
    x[:, :, 1] = np.arange(20)
    path = save(tmp_path / "d.npz", x=x, y=np.array(["a", "A"] * 6))
    assert [text.split(" ")[0] for text in datasets.load(str(path)).cautions] == ["channel", "labels"]
