"""Hostile files: windows, tables, settings, manifests and a results database with flipped bits, through what reads them."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinyrig.tests import user_home
from tinyrig.tests.adversary import invariants
from tinyrig.tests.adversary.attack import Attack, Attacker, Place
from tinyrig.tests.adversary.command import Command, Outcome
from tinyrig.variants.data import user_data
from tinyrig.workload import manifest

GOOD, CLAIM, USER, RIG = 0, 1, 2, 3
OPS = ("ops", "dense.tflite", "--windows", "windows.npz", "--limit", "2")
JSON_VALUES: tuple[Any, ...] = (None, True, -1, 0, 2, 1.5, 1e308, float("nan"), float("inf"), -float("inf"), 10**400)
JSON_VALUES += ("", "x", "../../x", "\x1b[2J", [], {}, [[]] * 3)
MAX_BYTES = 1 << 20
"""Of what an attack writes; what it unpacks to may be a thousand times as much."""


@dataclass(frozen=True)
class Case:
    said: str
    outcome: Outcome
    codes: tuple[int, ...]
    faults: tuple[str, ...] = ()


def _spoil(data: bytes, place: Place) -> tuple[str, bytes]:
    """Bytes changed, lost or doubled."""
    rng, way = place.rng, place.pick(("flip", "cut", "insert", "swap", "empty"))
    spoilt, at = bytearray(data), int(rng.integers(max(1, len(data))))
    if way == "flip":
        for _ in range(int(rng.integers(1, 9))):
            spoilt[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif way == "cut":
        del spoilt[at : at + int(rng.integers(1, len(data)))]
    elif way == "insert":
        spoilt[at:at] = rng.bytes(int(rng.integers(1, 40)))
    elif way == "swap":
        spoilt[at : at + 4] = place.pick((b"\xff" * 4, b"\0" * 4, b"-1e9", b"nan,", b"\n\n\n\n"))
    else:
        spoilt.clear()
    return way, bytes(spoilt)


# Windows


def _member(dtype: str, shape: tuple[int, ...], data: bytes) -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + data


def _archive(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, data in members.items():
            file.writestr(f"{name}.npy", data)


def windows(place: Place) -> Case:
    """An NPZ with spoilt bytes, through `tinyrig ops`."""
    path = user_home.furnish(place.folder) / "windows.npz"
    way, data = _spoil(path.read_bytes(), place)
    path.write_bytes(data)
    return Case(f"windows.npz: {way}", Command(place.folder, *OPS).finish(), (GOOD, USER))


def window_values(place: Place) -> Case:
    """A sound NPZ with arrays that are not meant."""
    path, rng = user_home.furnish(place.folder) / "windows.npz", place.rng
    shape = place.pick([(3, 20), (3, 5, 4), (0, 20), (20,), (3, 0), (3, 21), (), (1,) * 30 + (20,)])
    dtype = place.pick(["<f4", "<f8", "<f2", "|i1", "<i8", "<U3", "|b1", "<c16", "|S2", "<M8[s]"])
    x = np.zeros(shape, dtype)
    if x.size and dtype in ("<f4", "<f8", "<f2"):
        x.flat[int(rng.integers(x.size))] = place.pick((np.nan, np.inf, -np.inf, 1e4, 0.5))
    arrays: dict[str, np.ndarray] = {"x": x}
    if rng.random() < 0.5:
        arrays["y"] = np.array([place.pick((0, 1, -1, 7, 2**40)) for _ in range(3)])
    if rng.random() < 0.4:
        arrays["class_names"] = np.array(list(place.pick(("abcd", "ab", "a\x1bcd", "aaaa", "a\ncd"))))
    np.savez(path, **arrays)
    return Case(f"x {dtype} {shape}, {sorted(arrays)}", Command(place.folder, *OPS).finish(), (GOOD, USER))


def window_bombs(place: Place) -> Case:
    """Small files that unpack large."""
    path = user_home.furnish(place.folder) / "windows.npz"
    count = place.pick((1 << 20, 1 << 22, 20 << 20))
    dtype, size = place.pick((("<f4", 4), ("|i1", 1), ("<f8", 8)))
    count = min(count, (200 << 20) // size)
    data = bytes(count // 20 * 20 * size)
    members = {"x": _member(dtype, (count // 20, 20), data)} | {f"more{i}": b"\0" * 1000 for i in range(place.pick((0, 0, 2000)))}
    _archive(path, members)
    return Case(f"{count} zeros of {dtype}", Command(place.folder, *OPS).finish(), (GOOD, USER))


# Settings


TOML_VALUES = (
    "nan",
    "inf",
    "-1",
    "1e400",
    "true",
    '""',
    "[]",
    "{}",
    '"\\u001b[2J"',
    "99999999999999999999",
    "1979-05-27",
    '"x"',
    "0",
    "3",
)


def settings(place: Place) -> Case:
    """rig.toml: known keys with unmeant values, or spoilt bytes."""
    folder = user_home.furnish(place.folder)
    keys = (
        "repeats",
        "seed",
        "accuracy_drop",
        "float_tolerance",
        "oracle",
        "optimise",
        "limits.run_s",
        "boards.x.link",
        "boards.x.id",
    )
    keys += (
        "history.keep",
        "nightly.reruns",
        "logs.file",
        "energy.kind",
        "unknown",
        "boards.virtual.faults",
        "labgrid.coordinator",
    )
    lines = [f"{place.pick(keys)} = {place.pick(TOML_VALUES)}" for _ in range(int(place.rng.integers(1, 4)))]
    data = "\n".join(lines).encode()
    if place.rng.random() < 0.3:
        _, data = _spoil(data, place)
    (folder / "rig.toml").write_bytes(data)
    return Case(f"rig.toml {data!r}", Command(folder, *OPS).finish(), (GOOD, CLAIM, USER))


# The user's own data and built variants


def _called(place: Place, said: str, what: Callable[[], object]) -> Case:
    """A function that a command calls, in a process that ends as the command would."""

    def run() -> None:
        import sys

        from tinyrig.core.errors import RigError

        try:
            what()
        except RigError as error:
            print(f"tinyrig: {error}", file=sys.stderr)
            raise SystemExit(error.exit_code) from None

    return Case(said, Command(place.folder, prepare=run).finish(), (GOOD, USER))


def table(place: Place) -> Case:
    """A folder of CSV trials."""
    rng, folder = place.rng, place.folder / "trials"
    folder.mkdir()
    rows = [",".join(f"{v:.3f}" for v in rng.normal(size=3)) for _ in range(8)]
    trial = ("a,b,c\n" + "\n".join(rows) + "\n").encode()
    way = place.pick(("spoilt", "labels", "wide", "long", "cells"))
    labels = b"file,label\nt0.csv,x\nt1.csv,y\n"
    if way == "spoilt":
        _, trial = _spoil(trial, place)
    elif way == "labels":
        _, labels = _spoil(labels, place)
    elif way == "wide":
        trial = b",".join([b"1"] * (MAX_BYTES // 2)) + b"\n"
    elif way == "long":
        trial = b"a\n" + b"1\n" * (MAX_BYTES // 2)
    else:
        trial = trial.replace(b"0.", place.pick((b"nan", b"inf", b"1e999", b"\x1b[2J", b'"', b"\0", b"1e5;", b"0x")), 1)
    (folder / "labels.csv").write_bytes(labels)
    for name in ("t0.csv", "t1.csv"):
        (folder / name).write_bytes(trial)
    return _called(place, f"CSV: {way}", lambda: user_data.load(folder))


def dataset(place: Place) -> Case:
    """An NPZ of one's own data."""
    path = place.folder / "own.npz"
    np.savez(path, x=place.rng.normal(size=(6, 5, 3)).astype(np.float32), y=np.arange(6) % 2)
    way, data = _spoil(path.read_bytes(), place)
    path.write_bytes(data)
    return _called(place, f"own data: {way}", lambda: user_data.load(path))


def _change(document: Any, place: Place) -> str:
    """Another value at a random place of a JSON document."""
    path = []
    while True:
        keys: list[Any] = sorted(document) if isinstance(document, dict) else list(range(len(document)))
        key = place.pick(keys)
        path.append(str(key))
        if not (isinstance(document[key], dict | list) and document[key]) or place.rng.random() < 0.15:
            break
        document = document[key]
    if place.rng.random() < 0.15:
        del document[key]
        return f"{'.'.join(path)} gone"
    document[key] = place.pick(JSON_VALUES)
    return f"{'.'.join(path)} = {document[key]!r:.40}"


def built(place: Place) -> Case:
    """The manifest of built variants: another value somewhere, two variants of a name, or spoilt bytes."""
    import hashlib

    folder = user_home.furnish(place.folder)
    files = {name: (folder / name).read_bytes() for name in ("dense.tflite", "other.tflite", "windows.npz")}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    entries = [
        {"name": n, "file": f"{n}.tflite", "sha256": hashes[f"{n}.tflite"], "tflite_bytes": len(files[f"{n}.tflite"])}
        | {"zip_bytes": 900, "host_accuracy": 0.5, "flops": 576, "macs": 288}
        for n in ("dense", "other")
    ]
    document = {"schema": 1, "variants": entries, "windows": {"file": "windows.npz", "sha256": hashes["windows.npz"]}}
    document |= {"packages": {"p": "1"}, "seed": 0, "dataset": {"name": "d", "synthetic": True}}
    said = "; ".join(_change(document, place) for _ in range(int(place.rng.integers(1, 3))))
    data = json.dumps(document).encode()
    if place.rng.random() < 0.2:
        said, data = _spoil(data, place)
    (folder / "manifest.json").write_bytes(data)
    return _called(place, f"manifest: {said}", lambda: _check_read(folder))


def _check_read(folder: Path) -> None:
    """What is accepted may hold no number that can't be."""
    variants = manifest.read_built(folder)
    names = [variant.name for variant in variants]
    assert len(set(names)) == len(names), f"two variants of one name: {names}"
    for variant in variants:
        assert variant.host_accuracy is None or 0 <= variant.host_accuracy <= 1, f"host_accuracy {variant.host_accuracy}"
        for number in (variant.tflite_bytes, variant.zip_bytes, variant.flops, variant.macs):
            assert number is None or (isinstance(number, int) and 0 <= number < 2**53), f"number {number!r}"


# The results database


READERS = {
    ("history", "latency_us_median"): "metrics",
    ("history", "accuracy"): "metrics",
    ("export", "--format", "json"): "metrics",
    ("export", "--format", "csv", "--samples"): "samples",
    ("export", "--format", "json", "--samples"): "samples",
}
"""What reads the database, and the table whose rows it shows."""
_WORD = re.compile(r"[^\s,|]+")


@contextlib.contextmanager
def _measured() -> Any:
    """A folder with one finished run, and what each reader says of it."""
    with tempfile.TemporaryDirectory(prefix="tinyrig-measured-") as name:
        folder = user_home.furnish(Path(name))
        outcome = Command(folder, "run", *user_home.MODEL, "--no-report").finish()
        assert outcome.code == GOOD, outcome.errors
        yield folder, {words: Command(folder, *words).finish().output for words in READERS}


def _page(data: bytes, table: str) -> tuple[int, int]:
    """Where a small table begins and ends; the whole file where there is none of that name."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.deserialize(data[:18] + b"\1\1" + data[20:])  # a journal of its own can't be had in memory
        size = db.execute("PRAGMA page_size").fetchone()[0]
        row = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return (0, len(data)) if row is None else ((row[0] - 1) * size, row[0] * size)


def bit_rot(place: Place, measured: bytes, good: dict[tuple[str, ...], str]) -> Case:
    """Flipped bits in the database's file: what is still read is what was written, or it is said that something is wrong."""
    data = bytearray(measured)
    words = place.pick(tuple(READERS))
    first, end = _page(measured, place.pick((READERS[words], READERS[words], "variant_runs", "")))
    used = [i for i in range(first, end) if data[i]]
    flips = int(place.pick((1, 1, 2, 8)))
    for _ in range(flips):
        data[place.pick(used)] ^= 1 << int(place.rng.integers(8))
    (place.folder / "results.sqlite").write_bytes(data)
    outcome = Command(place.folder, *words).finish()
    faults: tuple[str, ...] = ()
    if outcome.code == GOOD and outcome.output != good[words]:
        new = set(_WORD.findall(outcome.output)) ^ set(_WORD.findall(good[words]))
        faults = (f"something else, silently: {sorted(new)[:6]}",)
    return Case(f"{flips} bits, {' '.join(words)}", outcome, (GOOD, RIG), faults)


CASES: tuple[tuple[Callable[[Place], Case], int], ...] = (
    (windows, 3),
    (window_values, 3),
    (window_bombs, 1),
    (settings, 3),
    (table, 3),
    (dataset, 2),
    (built, 4),
)
BIT_ROT_SHARE = 0.3
"""Of all; the others by their shares."""


def attacker() -> Attacker:
    with _measured() as (folder, good):
        database = (folder / "results.sqlite").read_bytes()

    def attack(place: Place) -> Attack:
        if place.rng.random() < BIT_ROT_SHARE:
            name, case = "bit_rot", bit_rot(place, database, good)
        else:
            make = place.pick([item for item, share in CASES for _ in range(share)])
            name, case = make.__name__, make(place)
        return Attack(f"{name}: {case.said}", (*invariants.broken(case.outcome, case.codes), *case.faults))

    return attack
