"""What came over a line on which an answer was awaited: of use to whoever has to find out who speaks there."""

from __future__ import annotations

_SHOWN = 60
"""Characters of the example: a line of most programs, no page of a message."""


class Chatter:
    """Bytes that were no answer."""

    def __init__(self) -> None:
        self.count = 0
        self._line = b""
        self._whole = False

    def add(self, data: bytes) -> None:
        """`data`: what was read at once. Its first and last line may be cut."""
        self.count += len(data)
        lines = [line.strip() for line in data.splitlines()]
        whole = [line for line in lines[1:-1] if line]
        if not self._whole:
            self._line, self._whole = max(whole or [self._line, *lines], key=len), bool(whole)

    def __str__(self) -> str:
        """`silence`, or `1.5 KB that are no answer, such as '0.29,0.20,9.81'`."""
        if not self.count:
            return "silence"
        size = f"{self.count / 1024:.1f} KB" if self.count >= 1024 else f"{self.count} bytes"
        shown = self._line[:_SHOWN]
        text = shown.decode("ascii", "replace")
        return f"{size} that are no answer, such as {(text if text.isascii() and text.isprintable() else shown)!r}"
