"""`python -m tinyrig.tests.adversary --seconds N --seed S [--only KIND]`: attacks of all kinds, each with its share of the time.

Everything that comes from outside is made hostile; after each attack the invariants must hold (invariants.py). A failure prints
the words that repeat it. Exit status 1 if any broke.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.tests.adversary import boards, disturbances, files, models, text_devices
from tinyrig.tests.adversary.attack import Attack, Attacker, Place


@dataclass(frozen=True)
class Kind:
    """`share` of the time, `number` in the seed: never given to another kind."""

    make: Callable[[], Attacker]
    share: float
    number: int


KINDS = {
    "models": Kind(models.attacker, 0.2, 1),
    "boards": Kind(boards.attacker, 0.2, 2),
    "text-devices": Kind(text_devices.attacker, 0.15, 3),
    "swaps-and-kills": Kind(disturbances.swaps_and_kills, 0.2, 4),
    "signals": Kind(disturbances.signals, 0.1, 5),
    "files": Kind(files.attacker, 0.15, 6),
}
PROGRAM = "python -m tinyrig.tests.adversary"


def strike(kind: Kind, attack: Attacker, seed: int, index: int) -> Attack:
    """One attack, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="tinyrig-adversary-") as folder:
        try:
            return attack(Place(Path(folder), np.random.default_rng([seed, kind.number, index])))
        except Exception:  # would hide what the other attacks find
            return Attack("an error of the adversary's own", (traceback.format_exc(),))


def campaign(name: str, seed: int, seconds: float, first: int = 0, count: int | None = None) -> Counter[str]:
    """Attacks of one kind until the time is up, at least one: how many held and broke."""
    kind, until, counts = KINDS[name], time.monotonic() + seconds, Counter[str]()
    attack, index = kind.make(), first
    while index == first or (time.monotonic() < until if count is None else index < first + count):
        result = strike(kind, attack, seed, index)
        counts["broke" if result.faults else "held"] += 1
        if result.faults:
            print(
                f"BROKE {name} {index}: {result.what}\n  repeat: {PROGRAM} --only {name} --seed {seed} --first {index} --count 1"
            )
            print("".join(f"  - {fault}\n" for fault in result.faults), end="", flush=True)
        index += 1
    print(f"{name}: {counts.total()} attacks, {counts['broke']} broke something", flush=True)
    return counts


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of all kinds together")
    parser.add_argument("--seed", type=int, help="of all choices (default: the time; it is printed)")
    parser.add_argument("--only", choices=KINDS, help="this kind alone, for all of the time")
    parser.add_argument("--first", type=int, default=0, metavar="INDEX", help="the first attack of --only")
    parser.add_argument("--count", type=int, metavar="N", help="so many attacks of --only, whatever their time")
    arguments = parser.parse_args(words)
    seed = int(time.time()) if arguments.seed is None else arguments.seed
    warnings.simplefilter("ignore")  # zip members of one name, overflows: meant
    print(f"seed {seed}", flush=True)
    shares = {arguments.only: 1.0} if arguments.only else {name: kind.share for name, kind in KINDS.items()}
    found = [campaign(name, seed, arguments.seconds * share, arguments.first, arguments.count) for name, share in shares.items()]
    return 1 if any(counts["broke"] for counts in found) else 0


if __name__ == "__main__":
    sys.exit(main())
