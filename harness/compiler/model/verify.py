"""Is a file the FlatBuffer it claims to be? Every table, list and string that the reader follows must lie inside the file, where
its alignment demands. Runtimes that skip this check read other numbers out of a corrupt file than ours would."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

# Kinds of a field: its width in bytes, "string", "table" (checked as a shell), a schema table's name, or a list of one of these.
Kind = int | str | list[int] | list[str]

TABLES: dict[str, dict[int, Kind]] = {
    "Model": {0: 4, 1: ["OperatorCode"], 2: ["SubGraph"], 3: "string", 4: ["Buffer"], 5: [4]},
    "OperatorCode": {0: 1, 1: "string", 2: 4, 3: 4},
    "SubGraph": {0: ["Tensor"], 1: [4], 2: [4], 3: ["Operator"], 4: "string"},
    "Tensor": {0: [4], 1: 1, 2: 4, 3: "string", 4: "Quantization", 5: 1, 6: "table", 7: [4], 8: 1},
    "Quantization": {0: [4], 1: [4], 2: [4], 3: [8], 4: 1, 5: "table", 6: 4},
    "Operator": {0: 4, 1: [4], 2: [4], 3: 1, 4: "table", 5: [1], 6: 1, 7: [1], 8: [4], 9: 8, 10: 8, 11: 1, 12: "table"},
    "Buffer": {0: [1], 1: 8, 2: 8},
    "table": {},
}
"""Schema table -> field number -> kind, as in TFLite's schema.fbs."""


class EndsTooEarly(ValueError):
    """Something that the file names would lie behind its end, at `need` bytes."""

    def __init__(self, what: str, need: int) -> None:
        super().__init__(what)
        self.need = need


@dataclass
class _Walk:
    data: bytes
    seen: set[tuple[int, str]] = field(default_factory=set)
    todo: list[tuple[int, str]] = field(default_factory=list)

    def number(self, at: int, code: str) -> int:
        """A little-endian number inside the file, at a multiple of its size. Raises ValueError."""
        size = struct.calcsize(code)
        if at + size > len(self.data):
            raise EndsTooEarly(f"a {size}-byte number at {at} of {len(self.data)}", at + size)
        if at % size or not 0 <= at <= len(self.data) - size:
            raise ValueError(f"a {size}-byte number at {at} of {len(self.data)}")
        return int(struct.unpack_from("<" + code, self.data, at)[0])

    def target(self, at: int) -> int:
        """Offsets point forward from where they stand."""
        return at + self.number(at, "I")

    def visit(self, at: int, kind: str) -> None:
        """Once for each place: lists may share tables."""
        if (at, kind) not in self.seen:
            self.seen.add((at, kind))
            self.todo.append((at, kind))


def verify(data: bytes) -> None:
    """Raises ValueError saying what lies where it can not. Takes time in proportion to the file's size."""
    walk = _Walk(data)
    walk.visit(walk.target(0), "Model")
    while walk.todo:
        _table(walk, *walk.todo.pop())


def _table(walk: _Walk, at: int, kind: str) -> None:
    vtable = at - walk.number(at, "i")
    size, inline = walk.number(vtable, "H"), walk.number(vtable + 2, "H")
    if size < 4 or size % 2 or vtable + size > len(walk.data) or inline < 4 or at + inline > len(walk.data):
        raise ValueError(f"the table {kind} at {at} with {size} + {inline} bytes")
    fields = TABLES[kind]
    for i in range((size - 4) // 2):
        offset = walk.number(vtable + 4 + 2 * i, "H")
        if offset and i in fields:
            what = fields[i]
            width = what if isinstance(what, int) else 4
            if offset + width > inline or (at + offset) % width:
                raise ValueError(f"field {i} of the table {kind} at {at + offset}")
            _field(walk, at + offset, what)
        elif offset >= inline:
            raise ValueError(f"field {i} of the table {kind} at {at + offset}")


def _field(walk: _Walk, at: int, kind: Kind) -> None:
    if isinstance(kind, int):
        return
    target = walk.target(at)
    if kind == "string":
        _list(walk, target, 1)
    elif isinstance(kind, str):
        walk.visit(target, kind)
    elif isinstance(width := kind[0], int):
        _list(walk, target, width)
    else:
        _tables(walk, target, width)


def _tables(walk: _Walk, at: int, kind: str) -> None:
    first, count = _list(walk, at, 4)
    if (at, "list of " + kind) not in walk.seen:
        walk.seen.add((at, "list of " + kind))
        for i in range(count):
            walk.visit(walk.target(first + 4 * i), kind)


def _list(walk: _Walk, at: int, width: int) -> tuple[int, int]:
    """-> (where its elements begin, how many they are)."""
    count = walk.number(at, "I")
    if at + 4 + count * width > len(walk.data):
        raise EndsTooEarly(f"a list of {count} x {width} bytes at {at} of {len(walk.data)}", at + 4 + count * width)
    if (at + 4) % min(width, 4):  # older Python writers align 8-byte numbers to 4, and both runtimes load them
        raise ValueError(f"a list of {count} x {width} bytes at {at} of {len(walk.data)}")
    return at + 4, count
