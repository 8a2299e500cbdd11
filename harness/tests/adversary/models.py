"""Hostile models: the compiler's own mutator over its corpus, each mutant that is accepted built for the host under the
sanitizers and compared with the oracle."""

from __future__ import annotations

from collections.abc import Iterator

from tinyrig.compiler.tests.fuzz_run import Outcome, fuzz
from tinyrig.tests.adversary.attack import Attack, Attacker, Place

MUTANTS = 8
"""An attack: most mutants are refused within milliseconds."""
SEEDS = 2**31


def attacker() -> Attacker:
    def attack(place: Place) -> Attack:
        seed = int(place.rng.integers(SEEDS))
        outcomes = list(_outcomes(seed))
        kinds = ", ".join(outcome.kind for outcome in outcomes)
        return Attack(f"mutants 0 to {MUTANTS - 1} of fuzz_run's seed {seed}: {kinds}", tuple(map(_said, _bad(outcomes))))

    return attack


def _outcomes(seed: int) -> Iterator[Outcome]:
    return fuzz(seed, list(range(MUTANTS)), sanitize_every=1)


def _bad(outcomes: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if not outcome.good]


def _said(outcome: Outcome) -> str:
    return f"mutant {outcome.index}, {outcome.change} of {outcome.seed_model}: {outcome.kind}: {outcome.detail}"
