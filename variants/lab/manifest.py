"""The output folder: `<name>.tflite` files, `windows.npz` and, written last, `manifest.json` that names and hashes them.

A folder is built beside its final place and renamed into it when it is whole. So whatever has a manifest that fits its files
is finished, and everything else isn't.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from tinyrig.core.errors import HostError, UserError
from tinyrig.places.project import made

SCHEMA = 1
MANIFEST = "manifest.json"
WINDOWS = "windows.npz"
_KEYS = {"schema", "dataset", "normalisation", "windows", "seed", "packages", "variants", "recipe"}
_REBUILD = "build it again: python -m tinyrig.variants --force"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a finished folder. UserError: missing, unreadable, another schema, or a file that isn't what it names."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no finished variants", expected=MANIFEST, received="no such file", remedy=_REBUILD) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: can't be read", expected="JSON", received=str(error)[:300], remedy=_REBUILD) from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA or not manifest.keys() >= _KEYS:
        received = f"schema {manifest.get('schema')}, keys {sorted(manifest)}" if isinstance(manifest, dict) else "no object"
        expected = f"schema {SCHEMA}, keys {sorted(_KEYS)}"
        raise UserError(f"{path}: not usable", expected=expected, received=received, remedy=_REBUILD)
    for entry in _entries(path, manifest):
        _check_file(folder, entry["file"], entry["sha256"])
    return manifest


def _entries(path: Path, manifest: dict[str, Any]) -> list[dict[str, str]]:
    try:
        entries = [manifest["windows"], *manifest["variants"]]
        names = [(entry["file"], entry["sha256"]) for entry in entries]
        [variant["name"] for variant in manifest["variants"]]
    except (LookupError, TypeError) as error:
        expected = "file and sha256 of each file"
        raise UserError(f"{path}: not usable", expected=expected, received=repr(error), remedy=_REBUILD) from error
    for file, _ in names:
        if not isinstance(file, str) or file != os.path.basename(file) or not file or not file.isprintable():
            raise UserError(f"{path}: names a file elsewhere", expected="a plain file name", received=repr(file), remedy=_REBUILD)
    return entries


def _check_file(folder: Path, file: str, expected: str) -> None:
    try:
        received = sha256((folder / file).read_bytes())
    except OSError as error:
        received = f"unreadable: {error.strerror}"
    if received != expected:
        raise UserError(f"{folder / file}: not what {MANIFEST} names", expected=expected, received=received, remedy=_REBUILD)


def finished(folder: Path, recipe: dict[str, Any], keys: Mapping[str, str]) -> dict[str, Any] | None:
    """The folder's manifest if it is whole, of exactly this recipe, and has every variant of `keys` (name -> key); else None."""
    try:
        manifest = read_manifest(folder)
    except UserError:
        return None
    present = {variant["name"]: variant.get("key") for variant in manifest["variants"]}
    same = all(present.get(name) == key for name, key in keys.items())
    return manifest if manifest["recipe"] == recipe and same else None


@contextlib.contextmanager
def locked(folder: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """One builder of a folder at a time; a second one waits, after calling `on_wait`. The lock ends with its process."""
    path = folder.parent / f".{folder.name}.lock"
    with _locked_file(path, on_wait):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _locked_file(path: Path, on_wait: Callable[[], None]) -> TextIO:
    """The open file once it is locked and still the one at `path`: its last holder removes it."""
    while True:
        try:
            made(path.parent)
            file = path.open("w")
        except OSError as error:
            raise HostError(f"{path.parent}: can't be written", received=str(error), remedy="choose another --out") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """An empty sibling folder that takes `folder`'s place when the block ends well, and vanishes when it doesn't."""
    partial = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    made(folder.parent)
    partial.mkdir()
    try:
        yield partial
        _put_in_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, folder: Path) -> None:
    """Two renames, since a folder can't replace a non-empty one; between them there is no folder, never a mixed one."""
    old = folder.parent / f".{folder.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def check_replaceable(folder: Path) -> None:
    """UserError if the folder holds anything but an earlier build: it would be lost."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"{folder}: in the way", expected="a folder", received="a file", remedy="choose another --out")
    found = {entry.name for entry in folder.iterdir()}
    foreign = sorted(name for name in found if name not in (MANIFEST, WINDOWS) and not name.endswith(".tflite"))
    if found and (foreign or MANIFEST not in found):
        raise UserError(
            f"{folder}: holds files of someone else",
            expected="an empty folder or an earlier build",
            received=", ".join((foreign or sorted(found))[:5]),
            remedy="choose another --out, or delete the folder",
        )


def write_windows(folder: Path, x: np.ndarray, y: np.ndarray, class_names: tuple[str, ...]) -> dict[str, str]:
    """Test windows x float32 [N,T,C] as the model takes them, y int64 [N] -> the manifest's entry."""
    np.savez(folder / WINDOWS, x=x, y=y, class_names=np.array(class_names))
    return {"file": WINDOWS, "sha256": sha256((folder / WINDOWS).read_bytes())}


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """The last file of a folder, on disk before this returns."""
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump({"schema": SCHEMA, **manifest}, file, indent=1, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
