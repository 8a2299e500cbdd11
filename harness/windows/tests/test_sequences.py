"""Which windows belong together: as files say it, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.core.errors import UserError
from tinyrig.core.records import TensorSpec
from tinyrig.windows.sequences import check_sequences, places
from tinyrig.workload.windows import load_windows

SPEC = TensorSpec("x", (1, 2), "float32", 0.0, 0)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6))
def test_places_count_from_where_a_sequence_begins(lengths):
    ids = [name for name, length in enumerate(lengths) for _ in range(length)]
    assert places(ids) == tuple(place for length in lengths for place in range(length))
    assert check_sequences(np.asarray(ids), len(ids), "sequence") == places(ids)
    assert check_sequences(np.asarray([f"trial {i}" for i in ids]), len(ids), "sequence") == places(ids)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.asarray([0, 0, 1, 0]), "not side by side"),
        (np.asarray([0.0, 0.0, 1.0, 1.0]), "does not say which windows belong together"),
        (np.asarray([0, 0, 1]), "int64 of shape"),
        (np.zeros((4, 1), int), "int64 of shape"),
    ],
)
def test_what_says_no_sequences_is_refused(values, told):
    with pytest.raises(UserError) as caught:
        check_sequences(values, 4, "sequence")
    assert told in str(caught.value)


def test_an_npz_says_it(tmp_path):
    np.savez(tmp_path / "w.npz", x=np.zeros((5, 2), np.float32), y=np.zeros(5, int), Sequence=np.asarray(list("aabbb")))
    windows = load_windows(tmp_path / "w.npz", (SPEC,))
    assert windows.places == (0, 1, 0, 1, 2) and windows.sequences == 2 and windows.labels == (0,) * 5
    assert load_windows(tmp_path / "w.npz", (SPEC,), 4).places == (0, 1, 0, 1)


def test_other_sequences_are_other_windows(tmp_path):
    digests = set()
    for ids in ([0, 0, 1], [0, 1, 1], None):
        np.savez(tmp_path / "w.npz", x=np.zeros((3, 2), np.float32), **({} if ids is None else {"sequence": ids}))
        digests.add(load_windows(tmp_path / "w.npz", (SPEC,)).digest())
    assert len(digests) == 3


def test_csv_says_it_in_a_column(tmp_path):
    (tmp_path / "w.csv").write_text("sequence,a,b,label\n7,1,2,0\n7,3,4,1\n8,5,6,0\n")
    windows = load_windows(tmp_path / "w.csv", (SPEC,))
    assert windows.places == (0, 1, 0) and windows.labels == (0, 1, 0)
    assert [w[0].ravel().tolist() for w in windows.inputs] == [[1, 2], [3, 4], [5, 6]]


def test_a_folder_of_trials_says_it_in_labels_csv(tmp_path):
    for i in range(3):
        (tmp_path / f"{i}.csv").write_text(f"a,b\n{i},0\n")
    (tmp_path / "labels.csv").write_text("file,label,sequence\n0.csv,walk,m\n1.csv,walk,m\n2.csv,run,n\n")
    assert load_windows(tmp_path, (SPEC,)).places == (0, 1, 0)
