"""Archives: what lies inside decides what they are. Nothing is unpacked but names and, of one member, its first bytes."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from pathlib import Path

from tinyrig.core.text import printable
from tinyrig.intake import remedies

Told = tuple[str, str]
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"Rar!": "RAR",
}
_HEAD = 1 << 16
"""Bytes that are unpacked to look at: a small file may unpack to any size."""
_MOST_NAMES = 10_000


def is_zip(data: bytes) -> bool:
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def is_packed(data: bytes) -> bool:
    return data.startswith(tuple(_PACKED)) or data[257:262] == b"ustar"


def is_keras_zip(data: bytes) -> bool:
    names = _zip_names(data)
    return "config.json" in names and any(name.endswith(".weights.h5") for name in names)


def told_zip(data: bytes, path: Path) -> Told:
    names = _zip_names(data)
    lower = [name.lower() for name in names]
    if is_keras_zip(data):
        return "a Keras model (.keras)", remedies.keras(path)
    for told in (_torch, _numpy):
        if (found := told(lower, path)) is not None:
            return found
    if any(name.endswith("saved_model.pb") for name in lower):
        return "a ZIP archive with a TensorFlow SavedModel inside", f'unzip "{path}", then give the folder'
    return _archive("ZIP", names, f'unzip -j "{path}" "{{}}"')


def _zip_names(data: bytes) -> list[str]:
    """From the directory at the end; of a file that was cut off, from the headers."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [printable(n) for n in archive.namelist()[:_MOST_NAMES]]
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError):
        found = re.finditer(rb"PK\x03\x04.{22}(..)(..)", data, re.DOTALL)
        spans = ((m.end(), int.from_bytes(m[1], "little")) for m in found)
        return [printable(data[at : at + size].decode("utf-8", "replace")) for at, size in spans][:_MOST_NAMES]


def _torch(names: list[str], path: Path) -> Told | None:
    leaves = {name.rpartition("/")[2] for name in names}
    if leaves & {"archive_format", "serialized_exported_program.json"} or any(
        "/models/" in f"/{n}" and n.endswith(".json") for n in names
    ):
        return "an exported PyTorch program (.pt2)", remedies.torch_export(path)
    if "constants.pkl" in leaves and any("/code/" in f"/{name}" for name in names):
        return "a TorchScript program", remedies.torch_script(path)
    if "data.pkl" in leaves:
        return "weights or a pickled module of PyTorch (.pth)", remedies.torch_weights(path)
    return None


def _numpy(names: list[str], path: Path) -> Told | None:
    if names and all(name.endswith(".npy") for name in names):
        return "arrays of NumPy (.npz)", f'give it as --windows "{path}", and the .tflite as the model'
    return None


def _archive(kind: str, names: list[str], unpack: str) -> Told:
    models = [name for name in names if name.lower().endswith(".tflite")]
    if models:
        more = f" and {len(models) - 1} more" if len(models) > 1 else ""
        return f"a {kind} archive with {models[0]}{more} inside", f"unpack it: {unpack.format(models[0])}"
    inside = f" with {', '.join(names[:3])}{' ...' if len(names) > 3 else ''} inside" if names else ""
    return (
        f"a {kind} archive{inside}",
        "give the .tflite itself: there is none inside" if names else "unpack it, and give the .tflite",
    )


def told_packed(data: bytes, path: Path) -> Told:
    kind = next((name for mark, name in _PACKED.items() if data.startswith(mark)), "tar")
    head = data if kind == "tar" else _unpacked_head(data, kind)
    if head[257:262] == b"ustar":
        return _archive("tar", _tar_names(data), f'tar xf "{path}" "{{}}"')
    if head[4:8] == b"TFL3":
        program = {"gzip": "gunzip", "bzip2": "bunzip2", "xz": "unxz"}[kind]
        return f"a .tflite that was packed with {kind}", f'{program} < "{path}" > model.tflite'
    return f"a file that was packed with {kind}", "unpack it, and give the .tflite"


def _unpacked_head(data: bytes, kind: str) -> bytes:
    try:
        if kind == "gzip":
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _HEAD)
        if kind == "bzip2":
            return bz2.BZ2Decompressor().decompress(data, _HEAD)
        return lzma.LZMADecompressor().decompress(data, _HEAD) if kind == "xz" else b""
    except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error):
        return b""


def _tar_names(data: bytes) -> list[str]:
    """Of a damaged archive, or beyond what is looked at, those before."""
    names: list[str] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|*") as archive:
            for member in archive:
                names.append(printable(member.name))
                if len(names) >= 100:
                    break
    except (tarfile.TarError, OSError, EOFError, ValueError, lzma.LZMAError, zlib.error):
        return names
    return names
