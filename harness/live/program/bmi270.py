"""The BMI270's program (BST-BMI270-DS000, 4.4): out of Bosch's public C file or a raw binary."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tinyrig.core.errors import UserError

BYTES = 8192
KNOWN = "2d75e68e343a13ff99be98261dfbd99d9e8c6f267da9e3c5aeb883276ad178db"
"""SHA-256 of the array bmi270_config_file in Bosch's BMI270_SensorAPI 2.86.1."""
WHERE = 'get bmi270.c of github.com/boschsensortec/BMI270_SensorAPI and name it in rig.toml: bmi270_config = "bmi270.c"'
LARGEST = 1 << 22
_ARRAY = re.compile(rb"=\s*\{([^{}]*)\}")
_COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.DOTALL)
_BYTE = re.compile(rb"\s*(0[xX][0-9a-fA-F]{1,2}|[0-9]{1,3})[uU]?\s*")


def program_source(file: str, sha256: str) -> str:
    """The C source of `bmi270_program`, as firmware/sensors/bmi270.c wants it. `file`: rig.toml's bmi270_config; `sha256`: its
    bmi270_sha256, empty for the program that is known here. Raises UserError."""
    program = _read(file)
    expected, received = (sha256 or KNOWN).lower(), hashlib.sha256(program).hexdigest()
    if received != expected:
        raise UserError(
            f"{file}: another program for the BMI270 than expected",
            expected=f"SHA-256 {expected[:80]}",
            received=received,
            remedy=f'{WHERE}; if it is meant, say bmi270_sha256 = "{received}"',
        )
    text = ", ".join(str(b) for b in program)
    head = "#include <stdint.h>\nextern const uint8_t bmi270_program[8192];\n"
    return f"{head}const uint8_t bmi270_program[8192] = {{{text}}};\n"


def _read(file: str) -> bytes:
    if not file:
        raise UserError(
            "the BMI270 needs its maker's program, which is not part of tinyrig",
            expected="bmi270_config in rig.toml",
            received="none",
            remedy=WHERE,
        )
    try:
        with Path(file).open("rb") as f:
            data = f.read(LARGEST + 1)
    except OSError as error:
        raise UserError(f"the BMI270's program can't be read: {file}", received=str(error), remedy=WHERE) from error
    if len(data) == BYTES:
        return data
    found = [program for program in map(_bytes_of, _ARRAY.findall(_COMMENT.sub(b" ", data))) if program]
    if len(data) > LARGEST or len(found) != 1:
        raise UserError(
            f"{file} is no program for the BMI270",
            expected=f"{BYTES} bytes, or C with one array of so many",
            received=f"{len(data)} bytes, {len(found)} such arrays",
            remedy=WHERE,
        )
    return found[0]


def _bytes_of(text: bytes) -> bytes | None:
    """Of an array's initialiser; None where it is not one of so many bytes."""
    words = text.rstrip().removesuffix(b",").split(b",")
    if len(words) != BYTES:
        return None
    matches = [_BYTE.fullmatch(word) for word in words]
    values = [int(m[1], 0) if m[1][:2].lower() == b"0x" else int(m[1]) for m in matches if m]
    return bytes(values) if len(values) == BYTES and max(values) < 256 else None
