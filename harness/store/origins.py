"""What stored numbers belong to, without their samples: board, clock, timer, compiler and firmware of each variant run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from tinyrig.analysis import provenance
from tinyrig.core.records import BoardInfo, ClockCheck
from tinyrig.store.runs import Store
from tinyrig.tables import schema, seals


@dataclass(frozen=True)
class Origin:
    """One variant run's. `timer_hz`, `overhead` (cycles) and `clock` None: from before they were kept; `compiler` and `flags`
    empty where they are not known; `timing_model` None: not estimated, or for zero wait states."""

    run_id: str
    variant: str
    board: str
    board_id: str
    timing: str
    clock_hz: int
    timer_hz: int | None
    overhead: int | None
    build_id: str
    clock: ClockCheck | None
    compiler: str
    flags: str
    timing_model: str | None = None

    @property
    def info(self) -> BoardInfo:
        return BoardInfo(self.board, self.board_id, self.clock_hz, self.timing, self.timer_hz)

    @property
    def toolchain(self) -> str:
        return f"{self.compiler} {self.flags}".strip() or "a compiler that is not known"

    @property
    def place(self) -> str:
        """All but board and firmware, in words."""
        clock = "" if self.clock is None else f", clock check: {provenance.clock_text(self.clock)}"
        timer = provenance.timer_text(self.info, self.overhead)
        return f"{self.timing} cycles at {provenance.hertz(self.clock_hz)}, timer {timer}{clock}; {self.toolchain}"


def origins(store: Store, run_ids: Sequence[str], variant: str | None = None) -> list[Origin]:
    """Of these runs (their full ids), in the order of storing."""
    v, r, c = schema.VARIANT_RUNS.c, schema.RUNS.c, schema.COMPARABLES.c
    query = (
        select(r.run_id, v.variant, v.board_name, v.board_id, v.timing, v.id, c.metadata)
        .join_from(schema.VARIANT_RUNS, schema.RUNS, r.seq == v.run_seq)
        .join(schema.COMPARABLES, c.comparable == v.comparable, isouter=True)
        .where(r.run_id.in_(run_ids), schema.is_finished())
        .order_by(v.id)
    )
    with store.reading() as db:
        lines = db.execute(query if variant is None else query.where(v.variant == variant)).all()
        bodies = seals.bodies(db, [line.id for line in lines])
    return [_origin(line, bodies[line.id]) for line in lines]


def _origin(line: Any, body: Any) -> Origin:
    known = json.loads(line.metadata) if line.metadata else {}
    ppm = body.clock_ppm
    clock = None if ppm is None else ClockCheck(ppm, body.clock_ppm_error, body.clock_seconds or 0.0)
    return Origin(
        line.run_id,
        line.variant,
        line.board_name,
        line.board_id,
        line.timing,
        body.clock_hz,
        body.timer_hz,
        body.timer_overhead_cycles,
        body.build_id,
        clock,
        str(known.get("compiler", "")),
        str(known.get("flags", "")),
        known.get("timing_model"),
    )
