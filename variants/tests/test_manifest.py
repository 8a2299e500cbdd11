import json
import multiprocessing

import numpy as np
import pytest

from tinyrig.core.errors import UserError
from tinyrig.variants.lab import manifest

RECIPE = {"seed": 1}


def fill(folder, content=b"model", **changes):
    (folder / "simple.tflite").write_bytes(content)
    windows = manifest.write_windows(folder, np.zeros((2, 3, 1), np.float32), np.array([0, 1]), ("a", "b"))
    variant = {"name": "simple", "file": "simple.tflite", "sha256": manifest.sha256(content), "key": "k1"}
    body = {"dataset": {}, "normalisation": {}, "windows": windows, "seed": 1, "packages": {}, "recipe": RECIPE}
    manifest.write_manifest(folder, {**body, "variants": [variant], **changes})


@pytest.fixture
def built(tmp_path):
    with manifest.staged(tmp_path / "glove") as partial:
        fill(partial)
    return tmp_path / "glove"


def test_a_finished_folder_reads_back(built):
    assert manifest.read_manifest(built)["variants"][0]["name"] == "simple"
    assert manifest.finished(built, RECIPE, {"simple": "k1"})
    assert [entry.name for entry in built.parent.iterdir()] == ["glove"]
    with np.load(built / "windows.npz", allow_pickle=False) as windows:
        assert (windows["x"].dtype, windows["y"].dtype) == (np.float32, np.int64)
        assert windows["class_names"].tolist() == ["a", "b"]


def test_another_recipe_or_a_missing_variant_is_not_finished(built):
    assert manifest.finished(built, {"seed": 2}, {"simple": "k1"}) is None
    assert manifest.finished(built, RECIPE, {"simple": "k1", "pqt": "k2"}) is None
    assert manifest.finished(built, RECIPE, {"simple": "k2"}) is None


@pytest.mark.parametrize("file", ["simple.tflite", "windows.npz"])
def test_a_changed_or_missing_file_is_found(built, file):
    raw = bytearray((built / file).read_bytes())
    raw[-1] ^= 1
    (built / file).write_bytes(raw)
    with pytest.raises(UserError, match=file):
        manifest.read_manifest(built)
    (built / file).unlink()
    with pytest.raises(UserError, match=f"{file}[\\s\\S]*unreadable"):
        manifest.read_manifest(built)
    assert manifest.finished(built, RECIPE, {}) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 2}', "\x00", "null"])
def test_an_unusable_manifest_is_the_users_error(built, text):
    (built / manifest.MANIFEST).write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json"):
        manifest.read_manifest(built)


@pytest.mark.parametrize("windows", [None, {}, *({"file": file, "sha256": ""} for file in ("../x.npz", "/x.npz", "", 3))])
def test_entries_can_not_point_elsewhere(built, windows):
    body = json.loads((built / manifest.MANIFEST).read_text())
    (built / manifest.MANIFEST).write_text(json.dumps({**body, "windows": windows}))
    with pytest.raises(UserError, match=r"manifest\.json"):
        manifest.read_manifest(built)


def test_a_folder_without_manifest_is_not_finished(tmp_path):
    with pytest.raises(UserError, match="no finished variants"):
        manifest.read_manifest(tmp_path)


def test_a_failed_build_leaves_the_earlier_one(built):
    with pytest.raises(RuntimeError), manifest.staged(built) as partial:
        fill(partial, b"half")
        raise RuntimeError
    assert manifest.finished(built, RECIPE, {"simple": "k1"})
    assert [entry.name for entry in built.parent.iterdir()] == ["glove"]


def test_a_killed_build_leaves_nothing_that_looks_finished(tmp_path):
    child = multiprocessing.get_context("fork").Process(target=_die_half_way, args=(tmp_path / "glove",))
    child.start()
    child.join()
    assert child.exitcode == 7 and not (tmp_path / "glove").exists()
    with manifest.staged(tmp_path / "glove") as partial:  # and the next build isn't disturbed by what is left
        assert not list(partial.iterdir())
        fill(partial)
    assert [entry.name for entry in tmp_path.iterdir()] == ["glove"]


def _die_half_way(folder):
    import os

    with manifest.staged(folder) as partial:
        (partial / "simple.tflite").write_bytes(b"half")
        os._exit(7)


def test_a_new_build_replaces_the_whole_folder(built):
    (built / "old.tflite").write_bytes(b"")
    with manifest.staged(built) as partial:
        fill(partial, b"new")
    assert sorted(entry.name for entry in built.iterdir()) == ["manifest.json", "simple.tflite", "windows.npz"]


def test_only_empty_folders_and_earlier_builds_are_replaceable(built, tmp_path):
    manifest.check_replaceable(built)
    manifest.check_replaceable(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    manifest.check_replaceable(tmp_path / "empty")
    (built / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes\.txt"):
        manifest.check_replaceable(built)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.tflite").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"mine\.tflite"):
        manifest.check_replaceable(tmp_path / "models")
    with pytest.raises(UserError, match="received: a file"):
        manifest.check_replaceable(tmp_path / "models" / "mine.tflite")


def test_builders_of_one_folder_take_turns(tmp_path):
    """Each adds to a counter in a way that loses counts unless it is alone."""
    (tmp_path / "count").write_text("0")
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=_count_up, args=(tmp_path,)) for _ in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert (tmp_path / "count").read_text() == "200"
    assert [entry.name for entry in tmp_path.iterdir()] == ["count"]


def _count_up(folder):
    for _ in range(50):
        with manifest.locked(folder / "glove"):
            count = int((folder / "count").read_text())
            (folder / "count").write_text(str(count + 1))


def test_waiting_is_announced(tmp_path):
    """The second one announces its wait from inside the lock's acquisition, and stops there."""
    folder = tmp_path / "glove"
    with manifest.locked(folder), pytest.raises(RuntimeError, match="waiting"), manifest.locked(folder, _stop):
        pass


def _stop():
    raise RuntimeError("waiting")
