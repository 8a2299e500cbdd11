"""One inference of a compiled model in real firmware on a virtual board."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.boards import BOARDS
from harness.image import build_image
from harness.link import open_link
from harness.records import CompiledModel
from harness.runner import split_outputs
from harness.session import Session
from harness.virtual.launch import VirtualBoard

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
