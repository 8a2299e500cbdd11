"""What keeps a model from being compiled. A file may have several obstacles; all are reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinyrig.core.errors import ModelError

MAX_TOLD = 12
"""Obstacles that a message lists; a file may have one in every op."""


@dataclass(frozen=True)
class Obstacle:
    """`op` and `index`: the operator at fault, "" and -1 for the model as a whole. `name`: the layer as its author knows it, else
    the tensor's name. `reason` is a sentence; `expected` and `received` may be empty; `remedy` says how to get rid of it."""

    op: str
    index: int
    name: str
    reason: str
    remedy: str
    expected: str = ""
    received: str = ""


class Refused(ModelError):
    """The model has `obstacles`; never none."""

    def __init__(self, obstacles: Sequence[Obstacle]) -> None:
        self.obstacles = tuple(obstacles)
        if len(self.obstacles) == 1:
            (one,) = self.obstacles
            super().__init__(one.reason, expected=one.expected, received=one.received, remedy=one.remedy)
        else:
            super().__init__(_listed(self.obstacles))


def obstacles_of(error: ModelError) -> tuple[Obstacle, ...]:
    """Of a refusal that lists none, the error itself."""
    if isinstance(error, Refused):
        return error.obstacles
    return (Obstacle("", -1, "", error.what, error.remedy, error.expected, error.received),)


def _listed(obstacles: tuple[Obstacle, ...]) -> str:
    """Those that one remedy helps against stand together, above it."""
    groups: dict[str, list[Obstacle]] = {}
    for o in obstacles[:MAX_TOLD]:
        groups.setdefault(o.remedy, []).append(o)
    lines = [f"the model has {len(obstacles)} obstacles:"]
    for remedy, group in groups.items():
        lines += ["- " + _sentence(o) for o in group] + ([f"  remedy: {remedy}"] if remedy else [])
    if len(obstacles) > MAX_TOLD:
        lines.append(f"and {len(obstacles) - MAX_TOLD} more: tinyrig check MODEL.tflite --json FILE lists all")
    return "\n  ".join(lines)


def _sentence(o: Obstacle) -> str:
    facts = [f"expected {o.expected}"] if o.expected else []
    facts += [f"received {o.received}"] if o.received else []
    return o.reason + (f" ({'; '.join(facts)})" if facts else "")
