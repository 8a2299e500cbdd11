"""One call of the harness: variants on one board, one after another, each stored as soon as it is finished."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from harness.boards import Target
from harness.built import read_built
from harness.config import Config
from harness.errors import EXIT_USER, HostError, RigError, UserError
from harness.names import printable
from harness.records import Run, Variant, VariantRun
from harness.rig import Rig
from harness.runner import Job, new_run_id, read_model, run_variant
from harness.store import Store

Say = Callable[[str], None]
_VERSIONS = ("tflite", "tflite-micro", "ai-edge-litert", "unicorn", "numpy", "pyserial", "tinyrig")


class Campaign:
    """Runs variants on one board and keeps what is done: in memory by name, in the store at once.

    A context manager; the board is attached at the first variant, so that a bad model costs no flash cycle.
    With `resume` the finished variants of that run are taken from the store, not run again.
    """

    def __init__(
        self,
        target: Target,
        config: Config,
        *,
        oracle: str | None = None,
        limit: int | None = None,
        engine: str = "tinyrig",
        resume: str | None = None,
        clock: str = "cycles",
        say: Say = lambda text: None,
    ) -> None:
        self._target, self._config, self._clock, self._say = target, config, clock, say
        self._oracle, self._limit, self._engine = oracle or config.oracle, limit, engine
        self._rig: Rig | None = None
        self._done: dict[str, VariantRun] = {}
        self._failed: dict[str, RigError] = {}
        self._store = Store(config.results)
        if resume:
            earlier = self._store.load(resume)
            self.run_id = earlier.run_id
            self._done = {r.variant.name: r for r in earlier.runs}
        else:
            self.run_id = new_run_id()
            started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            self._store.begin_run(self.run_id, started, versions())

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._rig is not None:
            self._rig.close()
        self._store.close()

    def run(self, variant: Variant) -> VariantRun:
        """The variant's run, made now or earlier. Raises RigErrors, for a variant that failed the same one again: several claims
        ask for one variant, and a board that is gone is not tried for each."""
        known = self._done.get(variant.name)
        if known is not None and known.variant.sha256 == variant.sha256:
            return known
        if variant.name in self._failed:
            raise self._failed[variant.name]
        try:
            outcome = self._run(variant)
        except RigError as error:
            self._failed[variant.name] = error
            raise
        self._store.add_variant(self.run_id, outcome)
        self._done[variant.name] = outcome
        return outcome

    def _run(self, variant: Variant) -> VariantRun:
        if self._rig is None:
            self._rig = Rig(self._target, self._config, self._clock)
        job = Job(variant, self._engine, self._limit, self._oracle)
        return run_variant(job, self._rig, self._config, lambda text: self._say(f"{variant.name}: {text}"))

    @property
    def finished(self) -> int:
        """Number of variants that are done."""
        return len(self._done)

    def result(self) -> Run:
        """All that this run holds so far, as stored."""
        return self._store.load(self.run_id)


def versions() -> dict[str, str]:
    """Package versions that a result depends on, with Python's."""
    found = {"python": platform.python_version()}
    for name in _VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def built_variants(config: Config, names: Sequence[str] = ()) -> list[Variant]:
    """The variants of the configured dataset, built first where they are missing or stale (in a process of its own: only
    that one imports TensorFlow). Raises UserError for an unknown name or a failed build."""
    command = [sys.executable, "-m", "variants", "--folder-only", "--dataset", config.dataset, "--seed", str(config.seed), *names]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        fault = UserError if done.returncode == EXIT_USER else HostError
        raise fault(
            "the variants could not be built",
            expected="a finished build",
            received=f"exit status {done.returncode}, for the reason above",
            remedy="mend the dataset or the names, then run again" if fault is UserError else "mend this machine, then run again",
        )
    built = read_built(Path(done.stdout.strip()))
    unknown = set(names) - {v.name for v in built}
    if unknown or not built:
        raise UserError(
            "no such variant",
            expected=", ".join(v.name for v in built) or "built variants",
            received=", ".join(sorted(unknown)) or "none",
            remedy="tinyrig variants builds them",
        )
    return [v for v in built if not names or v.name in names]


def model_variant(path: Path, windows: Path | None) -> Variant:
    """A .tflite that was trained elsewhere, as a Variant named after its file. Raises UserError."""
    import zlib

    data = read_model(path)
    name, packed = printable(path.stem, 100), len(zlib.compress(data, 9))
    return Variant(name, path, hashlib.sha256(data).hexdigest(), len(data), zip_bytes=packed, windows=windows)


def write_report(run_id: str, config: Config, *extra: str) -> int:
    """Tables, plots and the summary, through `python -m reports`; returns its exit status."""
    command = [sys.executable, "-m", "reports", run_id, "--store", config.results, *extra]
    return subprocess.run(command, check=False).returncode
