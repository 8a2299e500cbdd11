"""The whole benchmark over a bad line: `python bench/line_faults.py`, Markdown on stdout, progress on stderr.

Every built variant with all its windows on the virtual board, once over a clean line and once with each kind of byte fault at
`--rate`, both ways (`--transfers`: whole transfers, stalls, disconnects): the samples must be equal, outputs and cycles.
`--sweep`: one variant at rising rates until runs fail.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tinyrig.board.rig import Rig
from tinyrig.core.boards import parse_board
from tinyrig.core.config import Config, load_config
from tinyrig.core.errors import LinkError
from tinyrig.core.records import Sample, Variant
from tinyrig.measure.sampling import take_samples
from tinyrig.measure.variant import Request, compile_for, windows_of
from tinyrig.measure.variants import built_variants

KINDS = ("drop", "flip", "insert", "dup")
SWEEP = (1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 3e-2)
SWEEP_WINDOWS = 10
MANY_KINDS = ("line-cut:0.02", "line-delay:0.01:1.2", "line-stall:0.003:1", "line-disconnect:0.003:1")


@dataclass
class Streamed:
    """One variant over one line; `error` instead of samples where it failed."""

    samples: tuple[Sample, ...] = ()
    seconds: float = 0.0
    counts: dict[str, float] = field(default_factory=dict)
    injected: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    error: str = ""


def byte_faults(rate: float) -> tuple[str, ...]:
    return tuple(f"line-{kind}:{rate:g}" for kind in KINDS)


def stream(variant: Variant, config: Config, limit: int | None, faults: tuple[str, ...], seed: int) -> Streamed:
    """All windows, repeats, stack and profile of a variant, as a run takes them."""
    streamed = Streamed()
    with Rig(parse_board("virtual"), replace(config, faults=faults, fault_seed=seed)) as rig:
        image = compile_for(variant.model, rig.board, config)
        windows = windows_of(Request(variant, limit=limit), image.inputs, config)
        session = None
        start = time.monotonic()
        try:
            session, _ = rig.prepare(image)
            start = time.monotonic()
            streamed.samples = take_samples(session, windows, config.repeats)
        except LinkError as error:
            streamed.error = error.what
        streamed.seconds = time.monotonic() - start
        streamed.injected = Counter(rig.injected())
        if session is not None:
            streamed.counts, streamed.recoveries_s = session.statistics.summary(), session.statistics.recoveries_s
    print(f"{variant.name} {' '.join(faults) or 'clean'}: {streamed.seconds:.1f} s {streamed.error}", file=sys.stderr, flush=True)
    return streamed


def ms(seconds: list[float]) -> tuple[str, str]:
    return (f"{1000 * median(seconds):.0f}", f"{1000 * max(seconds):.0f}") if seconds else ("-", "-")


def full(variants: list[Variant], config: Config, limit: int | None, faults: tuple[str, ...], seed: int) -> bool:
    """Prints the table of all variants; whether all were equal to the clean run."""
    print(f"\n{', '.join(faults)}; seeds from {seed} on\n")
    heads = "variant, inferences, equal, s clean, s, injected, repeated, reconnects, bytes sent, in vain, ms median, ms worst"
    print(f"| {' | '.join(heads.split(', '))} |\n|---{'|--:' * heads.count(',')}|")
    total, good = Streamed(), True
    for n, variant in enumerate(variants):
        clean, faulty = stream(variant, config, limit, (), 0), stream(variant, config, limit, faults, seed + n)
        equal = bool(clean.samples) and faulty.samples == clean.samples
        good &= equal
        total.injected += faulty.injected
        total.recoveries_s += faulty.recoveries_s
        c = Counter(faulty.counts)
        print(
            f"| {variant.name} | {len(clean.samples)} | {'yes' if equal else faulty.error or 'NO'} | {clean.seconds:.1f} | "
            f"{faulty.seconds:.1f} | {faulty.injected.total():,} | {c['retries']:,} | {c['reconnects']} | {c['bytes_sent']:,} | "
            f"{c['bytes_resent']:,} | {' | '.join(ms(faulty.recoveries_s))} |",
            flush=True,
        )
    print("\nInjected, by direction and kind: " + ", ".join(f"{k} {n:,}" for k, n in sorted(total.injected.items())))
    middle, worst = ms(total.recoveries_s)
    print(f"\n{len(total.recoveries_s):,} recoveries: median {middle} ms, worst {worst} ms")
    return good


def sweep(variant: Variant, config: Config, seed: int) -> None:
    """Rates of each of the four kinds, at which a run begins to fail."""
    print(f"\n{variant.name}, {SWEEP_WINDOWS} windows, no repeats; each of {', '.join(KINDS)} at the rate, both ways\n")
    print("| rate | result | s | injected | repeated | ms, median | worst |")
    print("|--:|:--|--:|--:|--:|--:|--:|")
    config = replace(config, repeats=1)
    clean = stream(variant, config, SWEEP_WINDOWS, (), 0)
    for rate in SWEEP:
        faulty = stream(variant, config, SWEEP_WINDOWS, byte_faults(rate), seed)
        result = faulty.error or ("equal" if faulty.samples == clean.samples else "DIFFERS")
        retries = Counter(faulty.counts)["retries"]
        print(
            f"| {rate:g} | {result} | {faulty.seconds:.1f} | {faulty.injected.total():,} | {retries:,} | "
            f"{' | '.join(ms(faulty.recoveries_s))} |",
            flush=True,
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", help="built variants (default: all)")
    parser.add_argument("--rate", type=float, default=1e-4, help="of each kind of byte fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, help="windows of each variant (default: all)")
    parser.add_argument("--transfers", action="store_true", help="cut transfers, stalls and disconnects instead of byte faults")
    parser.add_argument("--sweep", action="store_true", help="increase the rates step by step, with the first variant")
    arguments = parser.parse_args()
    config = load_config()
    variants = built_variants(config, arguments.variants)
    if arguments.sweep:
        sweep(variants[0], config, arguments.seed)
        return 0
    faults = MANY_KINDS if arguments.transfers else byte_faults(arguments.rate)
    return 0 if full(variants, config, arguments.limit, faults, arguments.seed) else 1


if __name__ == "__main__":
    sys.exit(main())
