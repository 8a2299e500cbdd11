"""Whether two kinds of board gave the same outputs, byte for byte, over all windows of all variants: their newest runs decide.

    python bench/same_outputs.py [virtual qemu]

Exit status 1 where any output differs, 3 where there are no such runs, or they have nothing in common.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tinyrig.core.config import load_config
from tinyrig.core.errors import EXIT_CLAIM, EXIT_GOOD, EXIT_RIG
from tinyrig.core.records import RunState
from tinyrig.store.comparison import Values, run_values
from tinyrig.store.runs import Store


def newest(store: Store, board: str) -> dict[str, Values]:
    """The variants of the newest finished run on `board`; none where there is no such run."""
    runs = [run for run in store.runs() if run.boards == (board,) and run.state == RunState.FINISHED]
    return {values.variant: values for values in run_values(store, max(runs, key=lambda run: run.run_id).run_id)} if runs else {}


def main(boards: Sequence[str]) -> int:
    with Store(load_config().results, must_exist=True) as store:
        first, second = (newest(store, board) for board in boards)
    both = sorted(first.keys() & second.keys())
    for name in both:
        windows = [int(side[name].metrics.get("windows", 0)) for side in (first, second)]
        same = windows[0] == windows[1] and first[name].outputs_sha256 == second[name].outputs_sha256 is not None
        print(f"{name:<10} {windows[0]} and {windows[1]} windows: {'identical to the byte' if same else 'DIFFERENT'}")
        if not same:
            return EXIT_CLAIM
    print(f"{' and '.join(boards)} agree on {len(both)} variants")
    return EXIT_GOOD if both else EXIT_RIG


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ("virtual", "qemu")))
