"""Keeps the samples of one measurement as they arrive, and returns those that an earlier attempt kept."""

from __future__ import annotations

from typing import Protocol

from tinyrig.core.errors import InfraError
from tinyrig.core.plans import Subject
from tinyrig.core.records import BoardInfo, Sample
from tinyrig.measure.resume import board_facts, check_same
from tinyrig.store.decisions import others_with_id
from tinyrig.store.measurements import SampleWriter
from tinyrig.store.runs import Store


class Recorder(Protocol):
    """What measure_variant() hands samples to."""

    def start(self, subject: Subject, board: BoardInfo) -> tuple[Sample, ...]:
        """`subject` says what the samples belong to. Raises UserError when what was kept belongs to something else."""

    def add(self, sample: Sample) -> None:
        """Durable on return."""

    @property
    def resumed_at(self) -> tuple[int, ...] | None:
        """After how many samples measuring was interrupted; None where it was not."""


class NoRecorder:
    """Where nothing needs to survive."""

    resumed_at: tuple[int, ...] | None = None

    def start(self, subject: Subject, board: BoardInfo) -> tuple[Sample, ...]:
        return ()

    def add(self, sample: Sample) -> None:
        pass


class StoreRecorder:
    """In a run of the store. `board`: the one that the run's other measurements were made on, None where there are none yet."""

    def __init__(self, store: Store, run_id: str, variant: str, board: BoardInfo | None) -> None:
        self._store, self._run_id, self._variant, self._board = store, run_id, variant, board
        self._writer: SampleWriter | None = None
        self.resumed_at: tuple[int, ...] | None = None

    def start(self, subject: Subject, board: BoardInfo) -> tuple[Sample, ...]:
        """Raises UserError when what was kept, or the rest of the run, belongs to something else; InfraError when another board
        of the same night reports this one's id."""
        whose = f"{self._variant} of run {self._run_id}"
        if self._board is not None:
            check_same(board_facts(self._board), subject.to_json(), whose)
        found = self._store.find_open(self._run_id, self._variant)
        if found is None or not found.samples:
            self._writer = self._store.begin_measurement(self._run_id, self._variant, subject, board)
            self._check_alone(board)  # after that: of two that begin at once each sees the other
            return ()
        self._check_alone(board)
        check_same(found.subject.to_json(), subject.to_json(), whose)
        self.resumed_at = (*found.resumed, len(found.samples))
        self._writer = self._store.resume_measurement(found)
        return found.samples

    def _check_alone(self, board: BoardInfo) -> None:
        others = others_with_id(self._store, self._run_id, board.id)
        if not others:
            return
        if self._writer is not None:
            self._store.drop_measurement(self._run_id, self._variant)
        this = self._store.plan_of(self._run_id).board
        raise InfraError(
            f"two boards of this night report one id: {board.id}",
            expected="an id of its own from each board: histories go by it",
            received=", ".join([*others, this]),
            remedy="look which board hangs at which port; boards that share an id can't be in one night, and several virtual "
            "boards differ by their numbers (virtual#1)",
        )

    def add(self, sample: Sample) -> None:
        assert self._writer is not None
        self._writer.add(sample)
