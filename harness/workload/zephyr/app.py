"""The firmware as a Zephyr application: a CMakeLists.txt that names our sources where they lie, and prj.conf.

West builds in one folder twice: first around an empty engine, which is the rig, then around the model; the kernel is compiled
once. What must not depend on Zephyr's flags (-Os, contraction allowed) is asked for file by file, behind them.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from tinyrig.core.boards import Board
from tinyrig.core.errors import HostError, ModelError, RigError
from tinyrig.core.records import CompiledModel
from tinyrig.host.run_tool import run_tool
from tinyrig.places.installed import FIRMWARE
from tinyrig.workload import kernel_flags
from tinyrig.workload.toolchain import failure
from tinyrig.workload.zephyr.facts import LISTS, PRJ_CONF
from tinyrig.workload.zephyr.west import WEST, West, build_command, check_board

PORT = FIRMWARE / "port" / "zephyr"
FLAGS = ("-O3", "-ffp-contract=off")
"""Of the model and its kernels; the rest is compiled as Zephyr does it."""
STACK = 12 * 1024
"""Bytes of the main thread's stack, on which the engine runs: what image.py keeps free for it on bare metal."""
UPLOAD = "upload"
"""The folder beside an image with what `west flash` reads."""
HERE = "@TINYRIG_BUILD@"
"""Stands in UPLOAD's texts for the folder that was built in, which is gone by then."""
FIRST_BUILD_S = 1200.0
"""Where build_s is left at its default: Zephyr itself is compiled, too."""
LARGEST_TEXT = 1 << 22
TOO_LARGE = re.compile(r"region [`'](\w+)' overflowed by (\d+) bytes")


def flags_of(board: Board) -> str:
    """For the record of the toolchain."""
    return f"{' '.join((*board.cpu_flags, *FLAGS))}, Zephyr's own for the rest"


def identity(board: Board) -> tuple[str, ...]:
    """What decides the image's bytes beside its sources."""
    return (flags_of(board), board.zephyr, *board.zephyr_snippets, LISTS, str(STACK), PRJ_CONF.read_text())


def rig_files() -> list[Path]:
    """Whatever of the rig goes into an application, and the empty engine."""
    return sorted([*FIRMWARE.glob("app/*.[ch]"), FIRMWARE / "port" / "port.h", *PORT.glob("*.[ch]")])


def build(
    model: CompiledModel,
    model_sources: Iterable[Path],
    id_source: Path,
    payload: int,
    board: Board,
    work: Path,
    west: West,
    limit_s: float,
) -> None:
    """Leaves firmware.elf, firmware.bin, rig.elf (the same around an empty engine) and UPLOAD in `work`. Raises HostError, or
    ModelError where the board is too small."""
    app, out = work / "zephyr-app", work / "zephyr-build"
    app.mkdir()
    (app / "prj.conf").write_text(f"{PRJ_CONF.read_text()}\nCONFIG_MAIN_STACK_SIZE={STACK}\n")
    rig = [p for p in rig_files() if p.suffix == ".c" and p.name != "null_engine.c"] + [id_source]
    kernels = [*model_sources, *(FIRMWARE / "nn" / k for k in model.kernels), *model.extra_sources]
    folders = [work, FIRMWARE / "app", FIRMWARE / "nn", FIRMWARE / "port", *model.include_dirs]
    first = build_command(west, board.zephyr, board.zephyr_snippets, out, app)
    again = [west.path, "build", "-d", str(out)]
    engines = (("rig", [FIRMWARE / "app" / "null_engine.c"], first), ("firmware", kernels, again))
    for name, engine, command in engines:
        (app / "CMakeLists.txt").write_text(lists(rig, engine, folders, payload, work))
        _call(command, out, model, (west, board), limit_s)
        _take(out / "zephyr" / "zephyr.elf", work / f"{name}.elf", west)
    _keep(out, work)
    shutil.rmtree(out)


def lists(rig: Sequence[Path], engine: Sequence[Path], folders: Sequence[Path], payload: int, work: Path) -> str:
    """CMakeLists.txt."""
    fast = [p for p in engine if p.name != "null_engine.c"]
    lines = [LISTS, f"target_compile_definitions(app PRIVATE PORT_CLOCK_FOUND=1 WIRE_MAX_PAYLOAD={payload})"]
    lines.append(f"target_compile_options(app PRIVATE {_quoted(f'-ffile-prefix-map={FIRMWARE}=./firmware')})")
    lines.append(f"target_compile_options(app PRIVATE {_quoted(f'-ffile-prefix-map={work}=generated')})")
    lines += [f"target_include_directories(app PRIVATE {_quoted(folder)})" for folder in folders]
    lines += [f"target_sources(app PRIVATE {_quoted(file)})" for file in (*rig, *engine)]
    for file in fast:
        options = ";".join((*FLAGS, *kernel_flags.flags(file)))
        lines.append(f'set_source_files_properties({_quoted(file)} PROPERTIES COMPILE_OPTIONS "{options}")')
    return "\n".join(lines) + "\n"


def _quoted(word: object) -> str:
    """As CMake takes any character."""
    return '"' + re.sub(r'([\\"$;])', r"\\\1", str(word)) + '"'


def _call(command: list[str], out: Path, model: CompiledModel, target: tuple[West, Board], limit_s: float) -> None:
    done = run_tool(command, limit_s)
    if not done.returncode:
        return
    west, board = target
    said = "\n".join(part.strip() for part in (done.stdout, done.stderr) if part.strip())
    if too_large := _too_large(said, model, board):
        raise too_large
    check_board(west, board.zephyr, limit_s)
    done.stderr = said  # ninja says on stdout what the compiler said
    raise failure("the Zephyr application does not build", done, out.parent, theirs=model.extra_sources)


def _too_large(said: str, model: CompiledModel, board: Board) -> RigError | None:
    found = TOO_LARGE.search(said)
    if found is None:
        return None
    return ModelError(
        f"the model does not fit {board.name} beside Zephyr",
        expected="all sections within flash and RAM",
        received=f"{model.weight_bytes} B of weights, {model.arena_bytes} B of arena: {found[0]}",
        remedy="quantise, prune or shrink the model, or take a board with more memory",
    )


def _take(elf: Path, to: Path, west: West) -> None:
    if not elf.is_file():
        raise HostError(
            f"{WEST} left no image",
            expected=str(elf.name),
            received=", ".join(sorted(p.name for p in elf.parent.glob("zephyr.*"))) or "nothing",
            remedy=f"update {WEST} and Zephyr ({west.name})",
        )
    shutil.copyfile(elf, to)


def _keep(out: Path, work: Path) -> None:
    """firmware.bin, and what `west flash` reads: which of the images, only the board's runner knows."""
    kept = work / UPLOAD
    (kept / "zephyr").mkdir(parents=True)
    images = [p for p in (out / "zephyr").iterdir() if p.suffix in (".elf", ".hex", ".bin", ".uf2")]
    for file in (p for p in images if not p.name.startswith("zephyr_pre")):  # of the linker's earlier passes
        shutil.copyfile(file, kept / "zephyr" / file.name)
    for name in ("CMakeCache.txt", "build_info.yml", "zephyr/runners.yaml", "zephyr/.config"):
        if (out / name).is_file() and (out / name).stat().st_size <= LARGEST_TEXT:
            (kept / name).write_text((out / name).read_text(errors="replace").replace(str(out), HERE))
    image = out / "zephyr" / "zephyr.bin"
    (work / "firmware.bin").write_bytes(image.read_bytes() if image.is_file() else _loaded(work / "firmware.elf"))


def unpack(kept: Path, to: Path) -> None:
    """UPLOAD as the build folder `to`, in which `west flash` can work."""
    shutil.copytree(kept, to)
    for file in (p for p in to.rglob("*") if p.suffix in (".txt", ".yml", ".yaml")):
        file.write_text(file.read_text().replace(HERE, str(to)))


def _loaded(elf: Path) -> bytes:
    """Contents of its segments, one after another."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as stream:
        return b"".join(s.data() for s in ELFFile(stream).iter_segments() if s["p_type"] == "PT_LOAD")
