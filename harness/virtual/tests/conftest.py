"""Fixtures: the bare-metal test program, and an open port to a board that runs it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import serial

from tinyrig.core.boards import BOARDS
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.virtual.timing.clock import compile_hook

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """image.c as an ELF."""
    path = tmp_path_factory.mktemp("image") / "image.elf"
    subprocess.run(
        [
            "arm-none-eabi-gcc",
            "-std=c11",
            "-O2",
            "-Wall",
            "-Wextra",
            "-Werror",
            *BOARDS["virtual"].cpu_flags,
            "-ffreestanding",
            "-nostdlib",
            "-T",
            HERE / "image.ld",
            HERE / "image.c",
            "-o",
            path,
        ],
        check=True,
    )
    return path


@pytest.fixture(scope="session")
def image_bin(elf: Path) -> bytes:
    """image.c as the bytes to flash."""
    path = elf.with_suffix(".bin")
    subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", elf, path], check=True)
    return path.read_bytes()


@pytest.fixture(scope="session")
def library() -> Path:
    """The compiled hook: a host compiler is a requirement of the tests, though not of the rig."""
    path = compile_hook()
    assert path, "no working host compiler"
    return path


@pytest.fixture
def start(elf: Path) -> Iterator[Callable[..., tuple[VirtualBoard, serial.Serial]]]:
    """start(**options) -> a board that runs image.c, and its open port."""
    with ExitStack() as stack:

        def go(**options) -> tuple[VirtualBoard, serial.Serial]:
            board = stack.enter_context(VirtualBoard(**{"image": elf, **options}))
            return board, stack.enter_context(serial.Serial(board.port, 1_000_000, timeout=10))

        yield go
