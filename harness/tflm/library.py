"""A tree's sources as an archive, object by object: what was compiled once is taken again."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tinyrig.core.boards import Board
from tinyrig.core.errors import HostError, UserError
from tinyrig.host.locks import alone
from tinyrig.host.run_tool import Running, end_all, run_tool
from tinyrig.places.installed import FIRMWARE
from tinyrig.places.project import made
from tinyrig.tflm.tree import CMSIS, LITE, Tree
from tinyrig.workload.cross import find_compiler

log = logging.getLogger(__name__)
COMMON = ("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-ffunction-sections", "-fdata-sections", "-w")
DEFINES = ("-DTF_LITE_STATIC_MEMORY", "-DTF_LITE_DISABLE_X86_NEON", "-DNDEBUG", "-DTF_LITE_STRIP_ERROR_STRINGS")
CXX = ("-std=c++17", "-fno-rtti", "-fno-exceptions", "-fno-threadsafe-statics", "-fno-use-cxa-atexit")
"""As tflite-micro's makefile has them for BUILD_TYPE=release, with -Os for its core and -O2 for kernels and third parties."""


@dataclass(frozen=True)
class Library:
    """Compiles for one board, into `folder` below the builds."""

    tree: Tree
    board: Board
    folder: Path
    build_s: float

    @staticmethod
    def of(tree: Tree, board: Board, build: Path, build_s: float) -> Library:
        key = repr((tree.digest, board.cpu_flags, find_compiler()[1], COMMON, DEFINES, CXX))
        folder = made(build / f"tflm-{hashlib.sha256(key.encode()).hexdigest()[:16]}")
        return Library(tree, board, folder, build_s)

    def archive(self, sources: Sequence[Path]) -> Path:
        """All of `sources` in one archive. Raises HostError, UserError."""
        check_cxx(self.build_s)
        with alone(self.folder / ".lock"):
            missing = [source for source in sources if not self._object(source).exists()]
            if missing:
                log.info("compiling %d files of tflite-micro, once", len(missing))
            self._compile_all(missing)
            objects = [self._object(source) for source in sources]
            name = hashlib.sha256("".join(p.name for p in objects).encode()).hexdigest()[:16]
            target = self.folder / f"{name}.a"
            if not target.exists():
                work = target.with_suffix(".part")
                tool = find_compiler()[0].replace("gcc", "ar")
                done = run_tool([tool, "rcsD", str(work), *map(str, objects)], self.build_s)
                if done.returncode:
                    raise HostError("tflite-micro's objects can't be archived", received=done.stderr.strip()[-500:])
                work.replace(target)
        return target

    def glue(self, text: str, folders: Sequence[Path]) -> Path:
        """Our side of the engine border, compiled: C++, which includes engine.h, model_data.h and TFLM's headers."""
        name = hashlib.sha256(
            text.encode() + b"".join(p.read_bytes() for f in folders for p in sorted(f.glob("*.h")))
        ).hexdigest()
        target = self.folder / f"glue-{name[:16]}.o"
        with alone(self.folder / ".lock"):
            if not target.exists():
                source = target.with_suffix(".cc")
                source.write_text(text)
                self.compile(source, target, [*folders, FIRMWARE / "nn"])
        return target

    def _object(self, source: Path) -> Path:
        place = hashlib.sha256(str(source).encode()).hexdigest()[:8]
        return self.folder / f"{source.stem}-{place}.o"

    def _compile_all(self, sources: Sequence[Path]) -> None:
        running: Running = set()
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            try:
                list(pool.map(lambda source: self.compile(source, self._object(source), running=running), sources))
            except BaseException:  # leaving the pool waits for its threads
                pool.shutdown(wait=False, cancel_futures=True)
                end_all(running)
                raise

    def compile(self, source: Path, target: Path, folders: Sequence[Path] = (), running: Running | None = None) -> None:
        """One file, into `target`. Raises UserError where it does not compile."""
        language = CXX if source.suffix == ".cc" else ("-std=gnu11",)
        root = self.tree.root
        speed = "-O2" if "kernels" in source.parts or source.suffix == ".c" else "-Os"
        cmsis = (self.tree.third[-1] / "Include",) if self.tree.engine == CMSIS else ()
        includes = [f"-I{p}" for p in (*folders, root, *self.tree.third, *cmsis)]
        work = target.with_suffix(".part")
        flags = (*self.board.cpu_flags, *language, *COMMON, *DEFINES, *(("-DCMSIS_NN",) if cmsis else ()), speed)
        command = [find_compiler()[0], *flags, *includes, f"-ffile-prefix-map={root}=tflm", "-c", str(source), "-o", str(work)]
        done = run_tool(command, self.build_s, running)
        if done.returncode:
            raise UserError(
                f"{source.name} of tflite-micro does not compile",
                expected="a tree whose third parties have the versions that its own makefile fetches",
                received=done.stderr.strip()[-1500:],
                remedy=f"check {root / LITE}, and docs/engine.md",
            )
        work.replace(target)


def check_cxx(build_s: float) -> None:
    """Raises HostError where the Arm compiler has no C++ library: nothing of it is linked, but its headers are used."""
    with tempfile.TemporaryDirectory(prefix="tinyrig-cxx-") as folder:
        source = Path(folder) / "cxx.cc"
        source.write_text("#include <cmath>\n#include <algorithm>\n")
        done = run_tool([find_compiler()[0], "-fsyntax-only", str(source)], build_s)
    if done.returncode:
        raise HostError(
            "the Arm compiler has no C++ library",
            expected="its headers, like <cmath>",
            received=done.stderr.strip()[:300],
            remedy="install libstdc++-arm-none-eabi-newlib, or Arm's own toolchain",
        )
