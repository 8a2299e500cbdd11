"""The .tflite fuzzer: `python -m tinyrig.compiler.tests.fuzz_run --count 10000 --jobs 2`. Each mutant is compiled in a child
process that may take 1 GB beyond what it has after its imports (RLIMIT_AS); what compiles is built for the host and must give
the oracle's outputs, unless the oracle refuses it. Everything else is a finding, which `--one INDEX` shows again."""

from __future__ import annotations

import argparse
import collections
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from tinyrig.compiler.compile import compile_model
from tinyrig.compiler.tests.cases import random_values
from tinyrig.compiler.tests.fuzz_corpus import corpus
from tinyrig.compiler.tests.fuzz_mutate import mutate
from tinyrig.core.errors import HostError, ModelError, UserError
from tinyrig.core.records import CompiledModel, TensorSpec
from tinyrig.host.isolated import Child, ChildFailed
from tinyrig.measure.parity import allowed, difference
from tinyrig.workload import host_build
from tinyrig.workload.oracle import TflmOracle

ROOM = {"flash_bytes": 983_040, "ram_bytes": 262_144}
REFUSAL_S = 5.0
"""Processor seconds that compile_model may take: a refusal that takes longer stops the user for nothing."""
MUTANT_S = 120.0
"""For compiling, building and running one mutant on a busy machine; beyond it hangs."""
ALLOWED = ("refused", "equal", "no oracle", "overflow")
"""overflow: a float model whose values leave float32, or whose outputs hang on the last bits of its inputs. Its difference to
the oracle is no error of a kernel, and a run reports it as a mismatch."""


Batch = list[list[np.ndarray]]
"""For each window the tensors of one side."""


@dataclass(frozen=True)
class Outcome:
    index: int
    kind: str
    change: str
    seed_model: str
    detail: str = ""

    @property
    def good(self) -> bool:
        return self.kind in ALLOWED


def mutant(seed: int, index: int, only: tuple[str, ...] = ()) -> tuple[bytes, str, str]:
    """-> (file, what was done, to which model)."""
    models, rng = corpus(), np.random.default_rng([seed, index])
    names = sorted(models)
    name = names[int(rng.integers(len(names)))]
    data, change = mutate(models[name], [models[n] for n in names], rng, only)
    return data, change, name


class Worker:
    """Lives in the child. `run`: also build and run what compiles; `sanitize_every`-th of them under ASan and UBSan too."""

    def __init__(self, seed: int, run: bool, sanitize_every: int, cache: str, only: tuple[str, ...] = ()) -> None:
        self._only = only
        self._seed, self._run, self._sanitize_every = seed, run, sanitize_every
        os.environ["XDG_CACHE_HOME"] = cache
        self._compiled = 0
        self._limits = resource.getrlimit(resource.RLIMIT_AS)

    def one(self, index: int) -> Outcome:
        data, change, name = mutant(self._seed, index, self._only)
        kind, detail = self.judge(data, np.random.default_rng([self._seed, index, 1]))
        return Outcome(index, kind, change, name, detail)

    def judge(self, data: bytes, rng: np.random.Generator) -> tuple[str, str]:
        engine, began = ("portable", "portable", "tinyrig")[int(rng.integers(3))], time.process_time()
        try:
            models = {e: compile_model(data, **ROOM, engine=e) for e in ("portable", "tinyrig")}
        except UserError as e:
            return ("refused", e.what) if e.what and str(e) else ("silent refusal", "")
        except MemoryError:
            return "memory", traceback.format_exc(limit=-4)
        except Exception:
            return "exception", traceback.format_exc(limit=-4)
        finally:
            spent = time.process_time() - began
        if spent > REFUSAL_S:
            return "slow", f"{spent:.1f} s"
        resource.setrlimit(resource.RLIMIT_AS, (self._limits[1], self._limits[1]))  # sanitizers reserve terabytes
        try:
            return self._host(data, models[engine], rng) if self._run else ("equal", "compiled")
        finally:
            resource.setrlimit(resource.RLIMIT_AS, self._limits)

    def _host(self, data: bytes, model: CompiledModel, rng: np.random.Generator) -> tuple[str, str]:
        windows = [[_values(rng, s) for s in model.inputs] for _ in range(2)]
        try:
            oracle = TflmOracle(data)
            want = [oracle.run(w) for w in windows]
        except ModelError as e:
            want, refusal = None, str(e)
        self._compiled += 1
        try:
            host = host_build.HostModel(model)
            got = [host.invoke(w) for w in windows]
            if self._compiled % self._sanitize_every == 0:
                host_build.run_sanitized(model, windows)
        except HostError as e:
            return ("sanitizer" if "sanitizer" in str(e) else "build"), str(e)
        if want is None:
            return "no oracle", refusal
        kind, detail = _compared(got, want)
        return ("overflow", detail) if kind == "difference" and _unstable(oracle, windows, want, got) else (kind, detail)


def _unstable(oracle: TflmOracle, windows: Batch, want: Batch, got: Batch) -> bool:
    """A float model whose outputs move as far when its inputs change in the last bits: rounding decides them."""
    if any(x.dtype.kind != "f" for x in (*windows[0], *want[0])):
        return False
    moved = [oracle.run([x * np.float32(1 + 2**-20) for x in w]) for w in windows]
    gaps = [difference(b, a) for a, b in zip(chain(*got), chain(*want), strict=True)]
    shifts = [difference(b, a) for a, b in zip(chain(*moved), chain(*want), strict=True)]
    return all(gap <= 10 * shift or gap <= 1e-5 for gap, shift in zip(gaps, shifts, strict=True))


def _values(rng: np.random.Generator, spec: TensorSpec) -> np.ndarray:
    return rng.integers(0, 2, spec.shape).astype(bool) if spec.dtype == "bool" else random_values(rng, spec.shape, spec.dtype)


def _compared(got: Batch, want: Batch) -> tuple[str, str]:
    """The harness's own comparison: a float window is right within its tolerance."""
    for a, b in zip(chain(*got), chain(*want), strict=True):
        if a.dtype != b.dtype or a.size != b.size:
            return "difference", f"{a.dtype} {a.shape}, oracle {b.dtype} {b.shape}"
        if not difference(b, a) <= allowed(b, 1e-5):
            if a.dtype.kind == "f" and not (np.isfinite(a).all() and np.isfinite(b).all()):
                return "overflow", ""
            return "difference", f"{difference(b, a)} of at most {allowed(b, 1e-5)}: {a.ravel()[:6]}, oracle {b.ravel()[:6]}"
    return "equal", ""


def fuzz(
    seed: int, indices: list[int], run: bool = True, sanitize_every: int = 8, only: tuple[str, ...] = ()
) -> Iterator[Outcome]:
    """One outcome a mutant; a child that died or hung is one, too, and is replaced."""
    corpus()
    cache = tempfile.mkdtemp(prefix="tinyrig-fuzz-")
    child: Child | None = None
    try:
        for n, index in enumerate(indices):
            if child is None or n % 200 == 0:  # loaded libraries stay: a new child now and then
                _end(child, cache)
                child = Child(lambda: Worker(seed, run, sanitize_every, cache, only), MUTANT_S)
            try:
                yield child.call("one", index)
            except ChildFailed as e:
                _, change, name = mutant(seed, index, only)
                yield Outcome(index, "hang" if "no answer" in e.died else "crash", change, name, f"{e.died} {e.text}")
                child = None
    finally:
        _end(child, cache)
        shutil.rmtree(cache, ignore_errors=True)


def _end(child: Child | None, cache: str) -> None:
    if child is not None:
        child.close()
    for pattern in ("*.so", "*.exe"):
        for path in Path(cache).rglob(pattern):
            path.unlink()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--compile-only", action="store_true", help="do not build and run what compiles")
    parser.add_argument("--only", nargs="+", default=(), metavar="CHANGE", help="table changes to draw from (fuzz_mutate.py)")
    parser.add_argument("--one", type=int, help="show this mutant's outcome, in this process")
    arguments = parser.parse_args()
    only = tuple(arguments.only)
    if arguments.one is not None:
        worker = Worker(arguments.seed, not arguments.compile_only, 1, tempfile.gettempdir(), only)
        print(worker.one(arguments.one))
        return 0
    indices = range(arguments.first, arguments.first + arguments.count)
    slices = [list(indices[j :: arguments.jobs]) for j in range(arguments.jobs)]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        jobs = pool.map(lambda part: _job(arguments.seed, part, not arguments.compile_only, only), slices)
        kinds = sum(jobs, collections.Counter())
    print(", ".join(f"{n} {kind}" for kind, n in kinds.most_common()), f"of {kinds.total()} mutants")
    return 0 if all(kind in ALLOWED for kind in kinds) else 1


def _job(seed: int, indices: list[int], run: bool, only: tuple[str, ...]) -> collections.Counter[str]:
    kinds: collections.Counter[str] = collections.Counter()
    for outcome in fuzz(seed, indices, run, only=only):
        kinds[outcome.kind] += 1
        if not outcome.good:
            print(f"{outcome.index} {outcome.kind}: {outcome.change} of {outcome.seed_model}: {outcome.detail}", flush=True)
    return kinds


if __name__ == "__main__":
    sys.exit(main())
