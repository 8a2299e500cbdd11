"""`tinyrig run` on the NUCLEO-F401RE's image: the chip's model (virtual/tests/stm32f401.py) behind a pty."""

from __future__ import annotations

import json
import os
import select
import threading
import tty

import pytest

from tinyrig.cli import main
from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.tests import small_models
from tinyrig.virtual.tests.stm32f401 import Chip
from tinyrig.workload.image import build_image

BOARD = BOARDS["nucleo-f401re"]
QUIET_S = 0.02
"""What comes closer together than this is one frame; the firmware drops one that is cut."""


@pytest.fixture
def serve():
    """serve(chip) -> the port at whose other end it runs."""
    ends: list[tuple[int, int, threading.Thread]] = []

    def served(chip: Chip) -> str:
        master, slave = os.openpty()
        tty.setraw(slave)
        chip.run()  # it listens before anybody asks
        thread = threading.Thread(target=bridge, args=(chip, master), daemon=True)
        thread.start()
        ends.append((master, slave, thread))
        return os.ttyname(slave)

    yield served
    for master, slave, thread in ends:
        os.close(slave)
        thread.join(5)
        os.close(master)


def bridge(chip: Chip, master: int) -> None:
    """Until the pty is closed."""
    data = b""
    while True:
        if select.select([master], [], [], QUIET_S if data else 1.0)[0]:
            try:
                data += os.read(master, 65536)
            except OSError:
                return
        elif data:
            answer, data = chip.exchange(data), b""
            while answer:
                answer = answer[os.write(master, answer) :]


@pytest.mark.parametrize("hse", [True, False])
def test_a_whole_run(serve, tmp_path, monkeypatch, capfd, hse):
    monkeypatch.setenv("TINYRIG_RESULTS", f"sqlite:///{tmp_path / 'results.sqlite'}")
    (tmp_path / "net.tflite").write_bytes(small_models.dense_int8())
    model = compile_model(small_models.dense_int8(), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    chip = Chip(build_image(model, BOARD).elf, hse=hse)
    words = ["--model", str(tmp_path / "net.tflite"), "--limit", "4", "--json", str(tmp_path / "out.json"), "--no-report"]
    code = main(["run", "--board", f"nucleo-f401re@{serve(chip)}", *words])
    told = "".join(capfd.readouterr())
    assert code == 0, told
    result = json.loads((tmp_path / "out.json").read_text())
    assert (result["board"]["name"], result["board"]["clock_hz"]) == ("nucleo-f401re", 84_000_000)
    parity = result["runs"][0]["parity"]
    assert parity["compared"] == 4 and parity["mismatched_windows"] == 0 and result["runs"][0]["latency"]["cycles_median"] > 0
    assert ("internal oscillator" in told) is not hse
    assert chip.complaints == [] and chip.resets == 0
