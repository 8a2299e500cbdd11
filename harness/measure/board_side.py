"""What an open run measures on: a board with our firmware, attached when it is first needed, or a firmware built elsewhere."""

from __future__ import annotations

from typing import Protocol

from tinyrig.board.rig import Rig
from tinyrig.core.boards import BoardTarget, MlperfTarget, Target
from tinyrig.core.config import Config
from tinyrig.core.deadlines import Deadline
from tinyrig.core.errors import UserError
from tinyrig.core.plans import RunSettings
from tinyrig.core.records import Measurement, Variant
from tinyrig.measure.recorder import Recorder
from tinyrig.measure.resume import check_same, finished_facts, image_facts
from tinyrig.measure.variant import Request, compile_for, measure_variant, windows_of
from tinyrig.mlperf.bench import Asked, run_mlperf


class BoardSide(Protocol):
    """Measures one variant after another."""

    def measure(self, variant: Variant, recorder: Recorder) -> Measurement:
        """Raises RigErrors."""

    def check_unchanged(self, variant: Variant, known: Measurement, whose: str) -> None:
        """Raises UserError where `known`, of an earlier attempt, is no longer what would be measured now."""

    def release(self) -> None:
        """Gives the board back until the next measurement."""


def board_side(target: Target, config: Config, settings: RunSettings, deadline: Deadline) -> BoardSide:
    if isinstance(target, MlperfTarget):
        return MlperfBoardSide(target, config, settings, deadline)
    return OwnBoardSide(target, config, settings, deadline)


class OwnBoardSide:
    """A board for our own firmware. It is attached at the first measurement, so that a bad model costs no flash cycle, and again
    after it was released."""

    def __init__(self, target: BoardTarget, config: Config, settings: RunSettings, deadline: Deadline) -> None:
        self._target, self._config, self._settings, self._deadline = target, config, settings, deadline
        self._rig: Rig | None = None

    def measure(self, variant: Variant, recorder: Recorder) -> Measurement:
        return measure_variant(self._request(variant), self._attached(), self._config, recorder, self._deadline)

    def check_unchanged(self, variant: Variant, known: Measurement, whose: str) -> None:
        """Compiles the variant, and attaches the board only where --board does not say its kind."""
        board = self._target.board or self._attached().board
        image = compile_for(variant.model, board, self._config, self._settings.engine)
        windows = windows_of(self._request(variant), image.inputs, self._config)
        check_same(finished_facts(known), {**image_facts(image), "windows_sha256": windows.digest()}, whose)

    def release(self) -> None:
        if self._rig is not None:
            self._rig.close()
            self._rig = None

    def _attached(self) -> Rig:
        if self._rig is None:
            self._rig = Rig(self._target, self._config)
        return self._rig

    def _request(self, variant: Variant) -> Request:
        return Request(variant, self._settings.engine, self._settings.limit, self._settings.oracle)


class MlperfBoardSide:
    """A board whose firmware somebody else built: nothing is compiled or flashed."""

    def __init__(self, target: MlperfTarget, config: Config, settings: RunSettings, deadline: Deadline) -> None:
        self._target, self._config, self._settings, self._deadline = target, config, settings, deadline

    def measure(self, variant: Variant, recorder: Recorder) -> Measurement:
        asked = Asked(variant, self._settings.limit, self._settings.oracle)
        return run_mlperf(asked, self._target.port, self._config, self._deadline)

    def check_unchanged(self, variant: Variant, known: Measurement, whose: str) -> None:
        raise UserError(
            f"{whose} can't be resumed",
            expected="a run of our own firmware",
            received="a firmware that somebody else built",
            remedy="measure in a new run: without --resume",
        )

    def release(self) -> None:
        """Its port is open only while it is measured."""
