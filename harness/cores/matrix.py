"""Networks on cores: each runs in real firmware inside QEMU, its outputs are compared with the oracle's, and only what is right
gets a number. Instructions are counted, which is no time: cores take different numbers of cycles for one."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinyrig.board.rig import Rig
from tinyrig.core.boards import BOARDS, Board, BoardTarget
from tinyrig.core.config import Config
from tinyrig.core.errors import ModelError
from tinyrig.measure.parity import allowed, difference, split_outputs
from tinyrig.measure.variant import compile_for
from tinyrig.workload.oracle import TflmOracle

CORES = ("qemu-m0", "qemu-m3", "qemu-m4", "qemu-m7", "qemu-m33", "qemu-m55", "qemu-rv32")
AT_ONCE = 2
"""Emulators at a time: each takes a processor of its own."""
TOLERANCE = 1e-5
"""Of floats, absolute or relative to a tensor's largest value: a core without an FPU has another libm path than one with it."""

Window = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Network:
    """data: a .tflite's bytes. windows: each a tuple of the inputs in their dtypes."""

    name: str
    data: bytes
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class Cell:
    """What one network does on one core. instructions: the median over all windows; None where any output was wrong, or where
    `refused` says why the network does not run there. Memory in bytes, the model's alone, without the stack."""

    network: str
    core: str
    instructions: int | None = None
    flash: int | None = None
    ram: int | None = None
    wrong: int = 0
    refused: str = ""
    outputs: tuple[bytes, ...] = ()
    """Of every window, all output tensors."""


def measure(networks: Sequence[Network], cores: Sequence[str], config: Config, tell: Callable[[Cell], None]) -> list[Cell]:
    """Every network on every core; `tell` hears each as it is done. Raises RigErrors, but no ModelError."""
    cells: list[Cell] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for network in networks:
            expected = oracle_outputs(network)
            for cell in pool.map(lambda core, n=network, e=expected: measured(n, BOARDS[core], e, config), cores):
                cells.append(cell)
                tell(cell)
    return cells


def oracle_outputs(network: Network) -> list[list[np.ndarray]]:
    with TflmOracle(network.data) as oracle:
        return [oracle.run(list(window)) for window in network.windows]


def measured(network: Network, board: Board, expected: Sequence[list[np.ndarray]], config: Config) -> Cell:
    """One cell. Raises RigErrors; a network that the board has no room for is a cell, too."""
    try:
        image = compile_for(network.data, board, config, build_dir=Path(config.folders.build))
    except ModelError as error:
        return Cell(network.name, board.name, refused=error.what)
    with Rig(BoardTarget(board, None), config) as rig:
        session, _ = rig.prepare(image)
        samples = list(session.stream([tuple(x.tobytes() for x in window) for window in network.windows]))
    received = [split_outputs(sample.outputs, image.outputs) for sample in samples]
    wrong = sum(not _right(e, r) for e, r in zip(expected, received, strict=True))
    cycles = [sample.cycles for sample in samples]
    size = image.footprint
    return Cell(
        network.name,
        board.name,
        None if wrong else int(statistics.median(cycles)),
        size.flash_model if size else None,
        size.ram_arena + size.ram_static if size else None,
        wrong,
        outputs=tuple(b"".join(x.tobytes() for x in window) for window in received),
    )


def _right(expected: Sequence[np.ndarray], received: Sequence[np.ndarray]) -> bool:
    """Integers to the byte."""
    return all(difference(e, r) <= allowed(e, TOLERANCE) for e, r in zip(expected, received, strict=True))
