"""Calibration: hidden parameters are found again, from noisy cycles and through the whole rig."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tinyrig.calibrate.board import START, document
from tinyrig.calibrate.fit import SIZES, WAYS, Fitted, fit
from tinyrig.calibrate.image import calibration_image, predict
from tinyrig.cli import main
from tinyrig.core.boards import BOARDS
from tinyrig.core.config import Config
from tinyrig.core.errors import UserError
from tinyrig.core.records import ESTIMATED, BoardInfo
from tinyrig.virtual.launch import VirtualBoard
from tinyrig.virtual.timing.calibrated import chip_of
from tinyrig.virtual.timing.memory import MemorySystem
from tinyrig.virtual.timing.systems import CHIPS


@pytest.fixture(scope="module")
def elf() -> Path:
    return calibration_image(BOARDS["virtual"], Config()).elf


def hidden(rng: random.Random) -> tuple[MemorySystem, bool]:
    miss, line = rng.randrange(1, 8), rng.randrange(7)
    drawn = {
        "cache_bytes": rng.choice(SIZES),
        "ways": rng.choice(WAYS),
        "miss": miss,
        "miss_next": rng.choice((0, miss)),
        "data_line": line,
        "data_again": rng.randrange(min(line, 4) + 1),
    }
    return replace(START, **drawn), rng.random() < 0.5


@pytest.mark.parametrize("seed", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in range(10, 20))])
def test_hidden_parameters_are_found_from_noisy_cycles(seed: int, elf: Path) -> None:
    rng = random.Random(seed)
    system, rules = hidden(rng)
    exact = [loop[0] for loop in predict(elf, [system], rules)]
    found = fit([cycles * (1 + rng.gauss(0, 0.001)) for cycles in exact], partial(predict, elf), START)
    assert (found.system, found.rules) == (system, rules)
    assert 0 < found.worst < 0.01


def test_the_virtual_board_is_what_it_is_configured_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--json", str(tmp_path / "found.json")]) == 0
    found = json.loads((tmp_path / "found.json").read_text())
    assert MemorySystem(0, 1 << 20, **found["system"]) == CHIPS["nrf52840"].default
    assert found["wide_rule"] is True and found["worst_error"] < 0.02
    assert "2,048 B" in capsys.readouterr().out


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "found.json"
    board = BoardInfo("virtual", "00", 64_000_000, ESTIMATED)
    path.write_text(json.dumps(document(board, [0.0, 100.0], Fitted(replace(START, cache_bytes=1024, miss=5), False, (0.01,)))))
    return path


def test_estimates_can_be_behind_what_was_found(file: Path) -> None:
    chip = chip_of(str(file))
    assert chip.systems == (replace(START, cache_bytes=1024, miss=5),) and chip.rules is False
    assert chip_of("nrf52840") is CHIPS["nrf52840"]
    with VirtualBoard(memory=str(file)) as board:
        assert board.spans() == ()


@pytest.mark.parametrize(
    "change", [{"ways": 3}, {"cache_bytes": 1000}, {"miss": -1}, {"miss": 2.5}, {"queue": 9}, {"colour": 1}, {"data_lines": 0}]
)
def test_a_file_that_can_not_be_is_the_users(change: dict[str, object], file: Path) -> None:
    found = json.loads(file.read_text())
    file.write_text(json.dumps(found | {"system": found["system"] | change}))
    with pytest.raises(UserError, match="can't be used"):
        chip_of(str(file))


def test_a_board_without_cycles_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "--board", "qemu"]) == 2
    assert "instructions" in capsys.readouterr().err
