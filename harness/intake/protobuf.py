"""Just enough of protocol buffers to tell whose message a file is: its fields, number by number. Never raises for a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_MOST_FIELDS = 20_000


@dataclass(frozen=True)
class Field:
    """`value` is an int (wire type 0) or bytes (wire type 2); others are passed over."""

    number: int
    value: int | bytes


def fields(data: bytes) -> tuple[list[Field], bool]:
    """-> (the message's fields, whether all of `data` was a message). One that is cut off ends the list."""
    found: list[Field] = []
    at = 0
    while at < len(data) and len(found) < _MOST_FIELDS:
        step = _field(data, at)
        if step is None:
            return found, False
        at, field = step
        if field is not None:
            found.append(field)
    return found, True


def _field(data: bytes, at: int) -> tuple[int, Field | None] | None:
    key = _varint(data, at)
    if key is None or not 0 < key[0] >> 3 < 1 << 29:
        return None
    (tag, at), wire = key, key[0] & 7
    if wire == 0:
        number = _varint(data, at)
        return None if number is None else (number[1], Field(tag >> 3, number[0]))
    if wire in (1, 5):
        end = at + (8 if wire == 1 else 4)
        return (end, None) if end <= len(data) else None
    if wire != 2:
        return None
    size = _varint(data, at)
    if size is None or size[1] + size[0] > len(data):
        return None
    return size[1] + size[0], Field(tag >> 3, data[size[1] : size[1] + size[0]])


def _varint(data: bytes, at: int) -> tuple[int, int] | None:
    value = 0
    for i in range(10):
        if at + i >= len(data):
            return None
        byte = data[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if not byte & 0x80:
            return value, at + i + 1
    return None


def texts(found: list[Field], number: int) -> Iterator[str]:
    """The field's values that are text."""
    for field in found:
        if field.number == number and isinstance(field.value, bytes):
            text = field.value.decode("utf-8", "replace")
            if text.isprintable():
                yield text
