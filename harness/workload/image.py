"""Generated C + firmware + port -> ELF and bin with a cross compiler (cross.py); sections -> Footprint.

What the model costs is found by linking twice: the image, and the same firmware around an empty engine. The empty one
is the rig; everything more is the model's, down to the libc helpers that only it pulls in.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tinyrig.arduino import cli as arduino_cli
from tinyrig.arduino.cli import Tools as ArduinoTools
from tinyrig.core.boards import Board
from tinyrig.core.config import Folders
from tinyrig.core.deadlines import Limits
from tinyrig.core.errors import HostError, ModelError, UserError
from tinyrig.core.records import CompiledModel, Footprint, Image, Toolchain
from tinyrig.host.locks import alone
from tinyrig.host.run_tool import Running, end_all, run_tool
from tinyrig.link.wire import HELLO_BYTES, HELLO_TENSOR_BYTES, RUN_BYTES, RUN_REPLY_BYTES
from tinyrig.places.installed import FIRMWARE
from tinyrig.places.project import made
from tinyrig.workload import arduino_sketch, kernel_flags
from tinyrig.workload.cross import compile_flags, find_compiler, link_flags, mailbox_flags, memory_script, port_files, port_folder
from tinyrig.workload.toolchain import TOOL_FLAGS, dependencies, failure
from tinyrig.workload.zephyr import app as zephyr_app
from tinyrig.workload.zephyr.west import West, find_west

Tools = ArduinoTools | West
"""Of a build system that is not ours."""

RIG_FLAGS = ("-std=gnu11", "-Os", "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Werror")
MODEL_FLAGS = ("-std=gnu11", "-O3", "-ffp-contract=off", "-ffunction-sections", "-fdata-sections", "-Wall")
OWN_FLAGS = ("-Wextra", "-Wcast-qual", "-Werror")
"""For what the compiler writes and for our kernels, not for a user's engine or another runtime: a store into a constant, or a
pointer that would allow one, is no image."""
STACK_RESERVE = 12 * 1024
"""Bytes of RAM kept free of protocol buffers, for the stack."""
PAYLOAD_RANGE = (512, 16_384)
HEAP_AND_STACK = (".heap", ".stack", "._user_heap_stack")
"""Sections of Arduino cores' linker scripts that are all RAM left over: no part of what an image needs."""
PADDING = 64
"""Bytes by which the image without a model may have more between its variables, where sections end at a coarse alignment."""
DEBUG_FLAGS = ("-gdwarf-4",)
"""Source lines for faults (harness/link/fault_report.py). They stay in the ELF: not a byte of the image changes."""


def build_image(
    model: CompiledModel, board: Board, build_dir: Path = Path(Folders.build), build_s: float = Limits.build_s
) -> Image:
    """Compiles and links the firmware around `model`; an image built before is taken again. No call of a compiler takes longer
    than `build_s` seconds.

    Raises HostError (no compiler, or it rejects the sources, hangs, or its results can't be written) and ModelError (the image
    does not fit the board).
    """
    try:
        return _build_image(model, board, build_dir, build_s)
    except OSError as error:
        raise HostError(
            "the firmware image can't be built",
            expected=f"sources below {FIRMWARE}, and room for results in {build_dir}",
            received=str(error),
            remedy="check free space and permissions there",
        ) from error


def _build_image(model: CompiledModel, board: Board, build_dir: Path, build_s: float) -> Image:
    payload = max_payload(model, board)
    tools = _tools(board, build_s)
    build_id = _build_id(model, board, payload, tools.name if tools else find_compiler(board.core)[1])
    folder = build_dir / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', board.name)}-{model.engine}-{build_id[:16]}"
    footprint = _finished(folder)
    if footprint is None:
        build = lambda work: _build(model, board, payload, build_id, work, build_s, tools)  # noqa: E731
        made(build_dir)
        with alone(build_dir / f".{folder.name}.lock"):
            footprint = _finished(folder) or _build_in(folder, build)
    return _image(model, board, build_id, folder, footprint, _toolchain(board, folder, tools))


def _tools(board: Board, build_s: float) -> Tools | None:
    """None for a bare-metal image. Raises HostError."""
    if board.builder == "zephyr":
        return find_west(build_s)
    return None if board.builder == "gcc" else arduino_cli.find_tools(build_s, arduino_sketch.fqbn_of(board))


def _build_in(folder: Path, build: Callable[[Path], Footprint]) -> Footprint:
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".building-"))
    try:
        footprint = build(work)
        _publish(work, folder)
        return footprint
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _finished(folder: Path) -> Footprint | None:
    """What an earlier build found, None where there was none or its files, image.json included, are no longer what it wrote:
    after a power cut they may be cut short, and bits rot. Then it is built again."""
    try:
        done = json.loads((folder / "image.json").read_text())
        same = done.pop("digest") == _digest(done) and done["sha256"] == _hashes(folder)
        return Footprint(**done["footprint"]) if same else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _publish(work: Path, folder: Path) -> None:
    """Another process may build the same image at the same time: whichever comes first, the files are the same."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        work.rename(folder)
    except OSError:
        if _finished(folder) is None:
            raise


def _digest(done: dict[str, Any]) -> str:
    """Of all that image.json says beside it."""
    return hashlib.sha256(json.dumps(done, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("firmware.elf", "firmware.bin")}


def max_payload(model: CompiledModel, board: Board) -> int:
    """Bytes of the largest wire payload: a whole input or reply where RAM allows, and always a hello and a profile."""
    low, high = PAYLOAD_RANGE
    hello = HELLO_BYTES + HELLO_TENSOR_BYTES * (len(model.inputs) + len(model.outputs))
    profile = RUN_REPLY_BYTES + 4 * len(model.ops)
    request = max((t.nbytes for t in model.inputs), default=0) + RUN_BYTES
    reply = profile + sum(t.nbytes for t in model.outputs)
    room = (board.ram_room - model.arena_bytes - STACK_RESERVE) // 2
    return -(-max(low, model.least_payload, hello, profile, min(high, max(request, reply), room)) // 4) * 4


_WRITERS = {
    "arduino": (Path(arduino_sketch.__file__),),
    "sketch": (Path(arduino_sketch.__file__),),
    "zephyr": tuple(Path(zephyr_app.__file__).parent.glob("*.py")),
}
"""What writes the project around the sources, by builder: an image that another version of it made is not taken again."""


def _build_id(model: CompiledModel, board: Board, payload: int, compiler: str) -> str:
    """16 bytes as hex over everything that decides the image's bytes."""
    digest = hashlib.sha256()
    for file in sorted(_engine_files(model) + _rig_files(board)):
        digest.update(file.name.encode() + file.read_bytes())
    for name, content in dependencies([*model.include_dirs, port_folder(board)]):
        digest.update(name.encode() + b"\0" + content)
    for name in sorted(model.sources):
        digest.update(name.encode() + model.sources[name].encode())
    for writer in sorted(_WRITERS.get(board.builder, ())):
        digest.update(writer.read_bytes())
    options = [kernel_flags.options(FIRMWARE / "nn" / k) for k in model.kernels]
    digest.update(repr((model.sha256, model.engine, payload, _flags(board), options, compiler, board.name)).encode())
    return digest.hexdigest()[:32]


def _flags(board: Board) -> tuple[str, ...]:
    if board.builder == "zephyr":
        return zephyr_app.identity(board)
    bare = (*RIG_FLAGS, *MODEL_FLAGS, *OWN_FLAGS, *link_flags(board.core), *board.cpu_flags, memory_script(board))
    return bare if board.builder == "gcc" else (arduino_sketch.flags_of(board), arduino_sketch.PRAGMA, board.fqbn)


def _engine_files(model: CompiledModel) -> list[Path]:
    """Without what they include (dependencies)."""
    return [FIRMWARE / "nn" / k for k in model.kernels] + list(model.extra_sources) + list(model.objects)


def _rig_files(board: Board) -> list[Path]:
    if board.builder != "gcc":
        zephyr = board.builder == "zephyr"
        rig = zephyr_app.rig_files() if zephyr else arduino_sketch.rig_files(arduino_sketch.kind_of(board))
        return [*rig, *FIRMWARE.glob("nn/**/*.h"), *FIRMWARE.glob("nn/**/*.inc")]
    return [*_rig_sources(board), *_headers(board), _linker_script(board), FIRMWARE / "app" / "null_engine.c"]


def _rig_sources(board: Board) -> list[Path]:
    app = [p for p in (FIRMWARE / "app").glob("*.c") if p.name != "null_engine.c"]
    return sorted(app) + [p for name, p in sorted(port_files(board).items()) if name.endswith(".c")]


def _headers(board: Board) -> list[Path]:
    shared = (
        p
        for pattern in ("app/*.h", "live/*.h", "sensors/*.h", "port/*.h", "nn/**/*.h", "nn/**/*.inc")
        for p in FIRMWARE.glob(pattern)
    )
    return sorted([*shared, *(p for p in port_files(board).values() if p.suffix == ".h")])


def _linker_script(board: Board) -> Path:
    return port_files(board)["link.ld"]


def _build(
    model: CompiledModel, board: Board, payload: int, build_id: str, work: Path, build_s: float, tools: Tools | None
) -> Footprint:
    """Everything below `work`; image.json is written last and marks the folder as finished."""
    model_sources = _write_sources(model, work)
    id_source = work / "build_id.c"
    id_bytes = ", ".join(f"0x{b:02x}" for b in bytes.fromhex(build_id))
    id_source.write_text(
        f"#include <stdint.h>\nextern const uint8_t app_build_id[16];\nconst uint8_t app_build_id[16] = {{{id_bytes}}};\n"
    )
    if isinstance(tools, West):
        limit_s = zephyr_app.FIRST_BUILD_S if build_s == Limits.build_s else build_s
        zephyr_app.build(model, model_sources, id_source, payload, board, work, tools, limit_s)
    elif tools:
        arduino_sketch.build(model, model_sources, id_source, payload, board, work, tools, build_s)
    else:
        (work / "memory.ld").write_text(memory_script(board))
        _build_bare(model, board, payload, [model_sources, [id_source]], work, build_s)
    footprint = _footprint(model, work)
    done = {"build_id": build_id, "footprint": dataclasses.asdict(footprint), "sha256": _hashes(work)}
    (work / "image.json").write_text(json.dumps(done | {"digest": _digest(done)}, indent=1, allow_nan=False))
    return footprint


def _build_bare(
    model: CompiledModel, board: Board, payload: int, generated: list[list[Path]], work: Path, build_s: float
) -> None:
    model_sources, id_sources = generated
    own = [*model_sources, *(FIRMWARE / "nn" / k for k in model.kernels)]
    rig = _compile([*_rig_sources(board), *id_sources], board, RIG_FLAGS, payload, work, build_s)
    engine = _compile(own, board, (*MODEL_FLAGS, *OWN_FLAGS), payload, work, build_s, model.include_dirs)
    engine += _compile(model.extra_sources, board, MODEL_FLAGS, payload, work, build_s, model.include_dirs)
    empty = _compile([FIRMWARE / "app" / "null_engine.c"], board, RIG_FLAGS, payload, work, build_s)
    _link([*rig, *engine, *model.objects], board, work / "firmware.elf", model, build_s)
    _link([*rig, *empty], board, work / "rig.elf", model, build_s)
    _objcopy(work / "firmware.elf", work / "firmware.bin", board, build_s)


def _write_sources(model: CompiledModel, work: Path) -> list[Path]:
    for name, text in model.sources.items():
        (work / name).write_text(text)
    return [work / name for name in model.sources if name.endswith(".c")]


def _compile(
    sources: Iterable[Path],
    board: Board,
    flags: tuple[str, ...],
    payload: int,
    work: Path,
    build_s: float,
    include_dirs: tuple[Path, ...] = (),
) -> list[Path]:
    includes = [f"-I{p}" for p in (work, FIRMWARE / "app", FIRMWARE / "nn", FIRMWARE / "port", *include_dirs)]
    base = [
        find_compiler(board.core)[0],
        *TOOL_FLAGS,
        *board.cpu_flags,
        *compile_flags(board.core),
        *flags,
        *DEBUG_FLAGS,
        *includes,
        f"-DWIRE_MAX_PAYLOAD={payload}",
        f"-ffile-prefix-map={FIRMWARE}=./firmware",
        f"-ffile-prefix-map={work}=generated",
    ]

    running: Running = set()

    def one(source: Path) -> Path:
        place = hashlib.sha256(str(source.parent).encode()).hexdigest()[:8]  # two folders may hold files of one name
        target = work / f"{source.stem}-{place}.o"
        command = [*base, *kernel_flags.flags(source), *mailbox_flags(board, source), "-c", str(source), "-o", str(target)]
        theirs = _not_ours([source], work)
        _call(command, f"{source.name} does not compile", build_s, running, result=target, theirs=theirs, places=True)
        return target

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            return list(pool.map(one, sources))
        except BaseException:  # leaving the pool waits for its threads
            pool.shutdown(wait=False, cancel_futures=True)
            end_all(running)
            raise


def _link(objects: list[Path], board: Board, elf: Path, model: CompiledModel, build_s: float) -> None:
    command = [
        find_compiler(board.core)[0],
        *TOOL_FLAGS,
        *board.cpu_flags,
        *link_flags(board.core),
        f"-L{elf.parent}",
        f"-T{_linker_script(board)}",
        f"-Wl,-Map={elf.with_suffix('.map')}",
    ]
    try:
        theirs = _not_ours([*_rig_sources(board), *model.extra_sources], elf.parent)
        words = [*command, *map(str, objects), "-lm", "-o", str(elf)]
        _call(words, "the firmware does not link", build_s, result=elf, theirs=theirs)
    except (HostError, UserError) as error:
        missing = re.findall(r"region [`'](\w+)' overflowed by (\d+) bytes", error.received)
        if not missing:
            raise
        received = ", ".join(f"{region} exceeded by {count} bytes" for region, count in missing)
        raise ModelError(
            f"the model does not fit {board.title}",
            expected=f"at most {board.flash_bytes} B of flash and {board.ram_bytes} B of RAM, firmware and stack included",
            received=f"{model.weight_bytes} B of weights, {model.arena_bytes} B of arena: {received}",
            remedy="quantise, prune or shrink the model",
        ) from error


def _objcopy(elf: Path, target: Path, board: Board, build_s: float) -> None:
    command = [find_compiler(board.core)[0].replace("gcc", "objcopy"), "-O", "binary", str(elf), str(target)]
    _call(command, "objcopy failed", build_s, result=target)


def _call(
    command: list[str],
    what: str,
    build_s: float,
    running: Running | None = None,
    *,
    result: Path,
    theirs: Sequence[Path] = (),
    places: bool = False,
) -> None:
    """`result`: what it writes; for the others see failure()."""
    done = run_tool(command, build_s, running)
    if done.returncode:
        raise failure(what, done, result.parent, theirs=theirs, places=places)


def _not_ours(sources: Iterable[Path], work: Path) -> list[Path]:
    """Those of the user's own: an engine's, or a port's."""
    return [s for s in sources if not s.is_relative_to(FIRMWARE) and not s.is_relative_to(work)]


def _sizes(elf: Path) -> tuple[int, int]:
    """(flash, ram) in bytes: what the image occupies in flash, .data included, and its static RAM without the stack."""
    from elftools.elf.elffile import ELFFile

    flash = ram = 0
    with elf.open("rb") as stream:
        for section in ELFFile(stream).iter_sections():
            allocated, writable = section["sh_flags"] & 2, section["sh_flags"] & 1
            if allocated and not section.name.startswith(HEAP_AND_STACK):
                flash += section["sh_size"] if section["sh_type"] != "SHT_NOBITS" else 0
                ram += section["sh_size"] if writable else 0
    return flash, ram


def _footprint(model: CompiledModel, work: Path) -> Footprint:
    flash, ram = _sizes(work / "firmware.elf")
    rig_flash, rig_ram = _sizes(work / "rig.elf")
    static = ram - rig_ram - model.arena_bytes
    return Footprint(
        flash_weights=model.weight_bytes,
        flash_engine=flash - rig_flash - model.weight_bytes,
        flash_rig=rig_flash,
        ram_arena=model.arena_bytes,
        ram_static=0 if -PADDING <= static < 0 else static,
        ram_rig=rig_ram,
    )


def _toolchain(board: Board, folder: Path, tools: Tools | None) -> Toolchain:
    if tools:
        flags = zephyr_app.flags_of(board) if isinstance(tools, West) else arduino_sketch.flags_of(board)
        return Toolchain(f"{tools.name}, {arduino_sketch.compiler_of(folder / 'firmware.elf')}", flags)
    return Toolchain(find_compiler(board.core)[1], " ".join((*board.cpu_flags, *MODEL_FLAGS)))


def _image(model: CompiledModel, board: Board, build_id: str, folder: Path, footprint: Footprint, toolchain: Toolchain) -> Image:
    return Image(
        elf=folder / "firmware.elf",
        bin=folder / "firmware.bin",
        base_address=board.flash_base,
        model_sha256=model.sha256,
        build_id=build_id,
        engine=model.engine,
        toolchain=toolchain,
        footprint=footprint,
        inputs=model.inputs,
        outputs=model.outputs,
        ops=model.ops,
        arena=model.arena,
    )
