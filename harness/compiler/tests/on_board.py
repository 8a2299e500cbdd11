"""One inference of a compiled model in real firmware on a virtual board."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinyrig.core.boards import BOARDS
from tinyrig.core.records import CompiledModel
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.measure.parity import split_outputs
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.workload.image import build_image

BOARD = BOARDS["virtual"]


def run_on_board(model: CompiledModel, inputs: list[np.ndarray], folder: Path) -> list[np.ndarray]:
    """Builds the image in `folder`, starts a board of its own with it and runs once; cycles are not counted."""
    image = build_image(model, BOARD, folder)
    with VirtualBoard(image=image.elf, clock="off") as board:
        session = Session(open_link(board.port, BOARD.baud))
        try:
            session.hello()
            sample = session.run([x.tobytes() for x in inputs])
        finally:
            session.close()
    return split_outputs(sample.outputs, model.outputs)
