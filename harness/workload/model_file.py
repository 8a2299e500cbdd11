"""A model file's bytes."""

from __future__ import annotations

from pathlib import Path

from tinyrig.compiler.model.graph import MAX_FILE_BYTES
from tinyrig.core.errors import UserError
from tinyrig.intake.recognise import folder_refused, model_bytes


def read_model(path: Path) -> bytes:
    """The bytes of the .tflite at `path`, or of the one in a C array there. Raises UserError for what can't be read, ModelError
    for what is something else, with the way to a .tflite."""
    if path.is_dir():
        raise folder_refused(path)
    return model_bytes(read_file(path), path)


def read_file(path: Path) -> bytes:
    """As it is. Raises UserError."""
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for
            raise OSError(0, "no regular file")
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)  # a longer file is refused as such by the compiler
    except OSError as error:
        raise UserError(
            f"{path} can't be read: {error.strerror}", expected="a .tflite file", received=str(path), remedy="check the path"
        ) from error
