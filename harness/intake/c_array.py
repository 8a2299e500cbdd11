"""A .tflite inside C source, as projects for microcontrollers keep it: `xxd -i`'s output, model_data.cc. Read as text:
comments and preprocessor lines do not count, whatever stands around the array does not matter."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tinyrig.core.errors import ModelError

_NOT_CODE = re.compile(rb"/\*.*?\*/|//[^\n]*|^[ \t]*#[^\n]*", re.DOTALL | re.MULTILINE)
_BEGIN = re.compile(rb"=\s*\{+")
_NAME = re.compile(rb"([A-Za-z_]\w*)\s*(?:\[[^\]]*\])")
_WORD = re.compile(rb"[A-Za-z_]\w*")
_DECLARED = re.compile(rb"extern\s[^;{]*?([A-Za-z_]\w*)\s*\[[^\]]*\]\s*;")
_NUMBER = re.compile(rb"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)[uUlL]*")
_HEAD = 400
"""Bytes before an array's brace in which its name stands."""
_MAGIC = b"TFL3"


def looks_like_c(data: bytes) -> bool:
    """Text with an array in braces, or the declaration of one."""
    head = data[: 1 << 16]
    return (
        b"\0" not in head
        and (b"{" in data or bool(_DECLARED.search(head)))
        and bool(re.search(rb"\bchar\b|u?int(8|32)_t|\bbyte\b", head))
    )


def model_in(text: bytes, name: str) -> bytes:
    """The bytes of the one array that is a .tflite. Raises ModelError; `name` of the file is for the message."""
    code = _NOT_CODE.sub(b" ", text)
    found = dict(arrays(code))
    models = {n: data for n, data in found.items() if data[4:8] == _MAGIC}
    if len(set(models.values())) == 1:
        return next(iter(models.values()))
    if models:
        raise ModelError(
            f"{name} holds {len(models)} models",
            expected="one array that is a .tflite",
            received=", ".join(models)[:300],
            remedy="keep each model's array in a file of its own",
        )
    declared = _DECLARED.search(code)
    if not found and declared:
        raise ModelError(
            f"{name} declares the array {declared[1].decode()} and does not hold it",
            expected="the C source that defines it, or the .tflite",
            received="a header",
            remedy="give the .c or .cc file with the numbers",
        )
    raise ModelError(
        f"{name} is C source in which no array is a .tflite",
        expected="an array of bytes with TFL3 at the 5th",
        received=f"arrays {', '.join(found)}"[:300] if found else "no array of numbers",
        remedy="give the .tflite, or the file that xxd -i made from it",
    )


def arrays(code: bytes) -> Iterator[tuple[str, bytes]]:
    """Each array of whole numbers, named and as bytes; others are passed over."""
    end = 0
    for begin in _BEGIN.finditer(code):
        if begin.start() < end:
            continue
        end = code.find(b"}", begin.end())
        if end < 0:
            end = len(code)
            continue  # cut off: the file ends inside the array
        head = code[max(0, begin.start() - _HEAD) : begin.start()]
        head = head[max(head.rfind(b";"), head.rfind(b"}")) + 1 :]
        if (data := _numbers(code[begin.end() : end], head)) is not None:
            yield _name_of(head), data


def _name_of(head: bytes) -> str:
    """The word before the brackets, which attributes may follow; of a std::array the last word."""
    named = [m[1] for m in _NAME.finditer(head)]
    words = named[:1] or _WORD.findall(head)[-1:] or [b"?"]
    return words[0].decode()


def _numbers(body: bytes, head: bytes) -> bytes | None:
    """None for what is no list of whole numbers that fit bytes, or words of 32 bits where the type says so."""
    values = []
    for token in body.split(b","):
        text = token.strip()
        if not text:
            continue
        match = _NUMBER.fullmatch(text)
        if match is None:
            return None
        digits = match[1]
        octal = digits[:1] == b"0" and digits.isdigit() and len(digits) > 1
        try:
            number = int(digits, 8 if octal else 0)
        except ValueError:  # 08, 09
            return None
        values.append(-number if text[:1] == b"-" else number)
    size = 4 if re.search(rb"int32_t|\bunsigned int\b|\blong\b", head) else 1
    bits = 8 * size
    if not values or not all(-(1 << bits - 1) <= v < 1 << bits for v in values):
        return None
    return bytes(v & 0xFF for v in values) if size == 1 else b"".join((v % (1 << 32)).to_bytes(4, "little") for v in values)
