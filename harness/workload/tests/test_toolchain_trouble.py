"""Why an image was not built: a source was refused, a compiler crashed or was killed, a disk is full. No two are confused."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import HostError, RigError, UserError
from tinyrig.core.hardware.cores import ARM_CC as CC
from tinyrig.core.records import CompiledModel
from tinyrig.host.run_tool import ToolEnded
from tinyrig.tests import small_models
from tinyrig.workload import host_build
from tinyrig.workload.cross import find_compiler
from tinyrig.workload.image import build_image
from tinyrig.workload.toolchain import no_room
from tinyrig.workload.user_engine import user_engine

BOARD = BOARDS["virtual"]
ROOM = {"flash_bytes": BOARD.flash_bytes, "ram_bytes": BOARD.ram_bytes}
EXAMPLE = Path(__file__).resolve().parents[3] / "firmware" / "examples" / "own_engine"
BLAME = "generated C must always build"


def compiled() -> CompiledModel:
    return compile_model(small_models.dense_int8(), **ROOM)


def error_of(model: CompiledModel, folder: Path) -> RigError:
    with pytest.raises(RigError) as e:
        build_image(model, BOARD, folder)
    return e.value


def test_generated_c_that_is_refused_is_to_be_reported(tmp_path: Path) -> None:
    error = error_of(dataclasses.replace(compiled(), sources={"model.c": "this is no C\n"}), tmp_path)
    assert type(error) is HostError and BLAME in error.remedy and "model.c:1:" in error.received


def test_a_users_source_that_is_refused_is_the_users(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "own_engine"))
    source = folder / "own_engine.c"
    source.write_text(source.read_text() + "\nthis is no C\n")
    error = error_of(user_engine(small_models.dense_float(), folder, **ROOM), tmp_path / "build")
    assert type(error) is UserError and BLAME not in str(error) and "own_engine.c does not compile" in error.what


TROUBLE = {
    # what stands in for the compiler does: (kind, what must be said)
    "kill -9 $$": (ToolEnded, "SIGKILL"),
    "kill -11 $$": (ToolEnded, "SIGSEGV"),
    "echo 'x.c:1:1: internal compiler error: Segmentation fault' >&2; exit 4": (HostError, "crashed"),
    "echo 'gcc: fatal error: Killed signal terminated program cc1' >&2; exit 1": (HostError, "names no place"),
    "exit 1": (HostError, "it said nothing"),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_a_compiler_that_does_not_do_its_work_blames_nobodys_source(
    trouble: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fake = find_compiler()[0], tmp_path / "bin" / CC
    fake.parent.mkdir()
    script = f'#!/bin/sh\ncase "$*" in *-dumpfullversion*) exec {real} "$@";; *model.c*) {trouble};; esac\nexec {real} "$@"\n'
    fake.write_text(script)
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    find_compiler.cache_clear()
    try:
        error = error_of(compiled(), tmp_path / "build")
    finally:
        find_compiler.cache_clear()
    kind, said = TROUBLE[trouble]
    assert type(error) is kind and error.exit_code == 3 and said in str(error) and BLAME not in str(error)


def test_a_compiler_without_a_version_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / CC
    fake.write_text("#!/bin/sh\necho broken >&2; exit 127\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    find_compiler.cache_clear()
    try:
        with pytest.raises(HostError, match="does not say its version"):
            find_compiler()
    finally:
        find_compiler.cache_clear()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for the sources, and for no image."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_build_folder_is_told_as_such(disk: Path) -> None:
    error = error_of(compiled(), disk)
    assert type(error) is HostError and "No space left" in error.received and "free" in error.remedy and BLAME not in str(error)


def test_a_full_folder_for_temporary_files_is_told_as_such(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (disk / "filler").write_bytes(bytes(190 << 10))
    monkeypatch.setenv("TMPDIR", str(disk))
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    error = error_of(compiled(), tmp_path / "build")
    assert type(error) is HostError and str(disk) in str(error) and BLAME not in str(error)


def test_room_is_found_where_there_is_room(tmp_path: Path) -> None:
    assert no_room(tmp_path) is None


def test_a_home_that_can_not_be_used_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(HostError, match="no folder") as e:
        host_build.cache_dir()
    assert "XDG_CACHE_HOME" in e.value.remedy
