"""model_bytes: what was given -> a .tflite's bytes, or a refusal that says what it is and how it becomes one.

Only the content decides, never the ending of a name."""

from __future__ import annotations

from pathlib import Path

from tinyrig.core.errors import ModelError
from tinyrig.intake import c_array
from tinyrig.intake.kinds import KINDS, Kind
from tinyrig.intake.remedies import saved_model, unknown

TFLITE = b"TFL3"


def is_tflite(data: bytes) -> bool:
    return data[4:8] == TFLITE


def model_bytes(data: bytes, path: Path) -> bytes:
    """`data` is what lies at `path`, which may have been cut off behind what no board could hold. Raises ModelError."""
    if is_tflite(data):
        return data
    kind = next((k for k in KINDS if k.is_one(data)), None)
    if kind is not None:
        raise _refused(kind, data, path)
    if c_array.looks_like_c(data):
        return c_array.model_in(data, str(path))
    raise ModelError(f"{path} is no .tflite file", expected=_EXPECTED, received=unknown(data), remedy=_ANY)


def folder_refused(path: Path) -> ModelError:
    """A folder where a model file was asked for."""
    if any((path / name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
        received, remedy = "a TensorFlow SavedModel (a folder)", saved_model(path)
    else:
        inside = sorted(p.name for p in path.iterdir() if p.suffix == ".tflite")[:3] if path.is_dir() else []
        received = "a folder" + (f" with {', '.join(inside)} in it" if inside else "")
        remedy = f"name a file: {path / inside[0]}" if inside else "name a file"
    return ModelError(f"{path} is no .tflite file", expected=_EXPECTED, received=received, remedy=remedy)


_EXPECTED = "a .tflite file, or C source with one as an array"
_ANY = "convert the network with TensorFlow's TFLiteConverter, or download the file again"


def _refused(kind: Kind, data: bytes, path: Path) -> ModelError:
    received, remedy = kind.told(data, path)
    return ModelError(f"{path} is no .tflite file", expected=_EXPECTED, received=received, remedy=remedy)
