"""Builds the fuzz targets and the false-accept job from the firmware's own sources.

With clang they are libFuzzer programs; with the host's compiler the same targets run files that exist already.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

FIRMWARE = Path(__file__).resolve().parents[1]
ROOT = FIRMWARE.parent
CORPUS = FIRMWARE / "fuzz/corpus"

WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-g")
SANITIZERS = ("-O1", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-fsanitize=address,undefined")
# The least payload, so that few bytes reach every limit; the sanitizers' own frames are larger than an ARM function's.
SMALL = ("-DWIRE_MAX_PAYLOAD=512", "-DMEASURE_STACK_MARGIN=256")


@dataclass(frozen=True)
class Program:
    """What one program is made of. Sources lie below firmware/; of `board` every variable is reset with the board."""

    name: str
    sources: tuple[str, ...]
    board: tuple[str, ...] = ()


def app_sources(*without: str) -> tuple[str, ...]:
    """The firmware's own files, new ones included."""
    return tuple(f"app/{p.name}" for p in sorted(FIRMWARE.glob("app/*.c")) if p.name not in without)


def loop(engine: str) -> Program:
    """The command loop around `engine`, a file below firmware/."""
    sources = ("fuzz/fuzz_loop.c", "fuzz/line.c", "fuzz/guarded.c", "fuzz/input.c")
    board = (*app_sources("null_engine.c"), "fuzz/port.c", engine)
    return Program(f"loop-{Path(engine).stem}", sources, board)


WIRE = Program("wire", ("fuzz/fuzz_wire.c", "app/wire.c"))
LOOP = loop("fuzz/toy_guarded.c")
OTHER_LOOPS = (loop("tests/toy_int8.c"), loop("tests/toy_multi.c"))
FALSE_ACCEPT = Program(
    "false_accept",
    ("fuzz/false_accept.c", "fuzz/corrupt.c", "fuzz/line.c"),
    (*app_sources("null_engine.c", "commands.c", "measure.c"), "fuzz/port.c"),
)


def fuzzer(program: Program, folder: Path) -> Path:
    """A libFuzzer program. Needs clang: harness/bootstrap.py fuzz."""
    mutator = ("fuzz/mutator.c",) if program.board else ()
    flags = (*WARNINGS, *SANITIZERS, *SMALL)
    whole = Program(program.name, program.sources + mutator, program.board)
    return _build("clang", whole, folder, (*flags, "-fsanitize=fuzzer-no-link"), "-fsanitize=fuzzer")


def replayer(program: Program, folder: Path, *flags: str) -> Path:
    """The same target for the host's compiler: its arguments are the files to run."""
    whole = Program(program.name, (*program.sources, "fuzz/replay.c"), program.board)
    return _build("cc", whole, folder, (*WARNINGS, *SANITIZERS, *SMALL, *flags))


def false_accept(folder: Path, *flags: str) -> Path:
    """The job, optimised; payloads of the size that boards have."""
    return _build("cc", FALSE_ACCEPT, folder, (*WARNINGS, *(flags or ("-O2",))))


def _build(compiler: str, program: Program, folder: Path, flags: tuple[str, ...], *link_flags: str) -> Path:
    work = folder / f"{program.name}-{compiler}"
    work.mkdir(parents=True, exist_ok=True)
    objects = [_compile(compiler, FIRMWARE / s, work, flags) for s in program.sources]
    for source in program.board:
        objects.append(_compile(compiler, FIRMWARE / source, work, flags))
        # The linker defines where a section with a C name begins and ends: that is the memory that a reset clears.
        _run("objcopy", "--rename-section", ".bss=board_bss", "--rename-section", ".data=board_data", objects[-1])
    out = work / program.name
    _run(compiler, *flags, *link_flags, *objects, "-o", out)
    return out


def _compile(compiler: str, source: Path, work: Path, flags: tuple[str, ...]) -> Path:
    out = work / f"{source.parent.name}-{source.stem}.o"
    _run(compiler, *flags, "-c", source, "-o", out)
    return out


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
