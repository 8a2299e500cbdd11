"""The image builder: sizes, payload limits, caching, and what does not fit."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import HostError, ModelError
from tinyrig.core.records import CompiledModel, OpInfo, TensorSpec
from tinyrig.link.wire import HELLO_BYTES, HELLO_TENSOR_BYTES, RUN_BYTES, RUN_REPLY_BYTES
from tinyrig.tests import small_models
from tinyrig.workload import image
from tinyrig.workload.image import _finished, build_image, max_payload

BOARD = BOARDS["virtual"]


def compiled(data: bytes = b"", engine: str = "tinyrig") -> CompiledModel:
    data = data or small_models.dense_int8()
    return compile_model(data, flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes, engine=engine)


def of_shape(inputs: int, ops: int, input_bytes: int = 4, arena_bytes: int = 100) -> CompiledModel:
    tensor = TensorSpec("t", (1, input_bytes), "int8", 1.0)
    steps = tuple(OpInfo(i, "ADD", "") for i in range(ops))
    output = TensorSpec("y", (1, 4), "int8", 1.0)
    return CompiledModel("e", "0" * 64, {}, (), (tensor,) * inputs, (output,), steps, arena_bytes, 0)


@pytest.mark.parametrize(("inputs", "ops"), [(1, 1), (30, 1), (1, 500), (60, 900)])
def test_a_payload_holds_a_hello_and_a_profile_even_where_ram_is_short(inputs, ops):
    payload = max_payload(of_shape(inputs, ops, arena_bytes=BOARD.ram_bytes), BOARD)
    assert payload % 4 == 0 and payload >= 512
    assert payload >= HELLO_BYTES + HELLO_TENSOR_BYTES * (inputs + 1)
    assert payload >= RUN_REPLY_BYTES + 4 * ops


def test_a_window_goes_in_one_frame_up_to_the_limit():
    assert max_payload(of_shape(1, 1, input_bytes=8260), BOARD) == 8260 + RUN_BYTES
    assert max_payload(of_shape(1, 1, input_bytes=100_000), BOARD) == 16_384


def test_sizes_add_up_and_the_empty_engine_is_the_rigs(tmp_path):
    built = build_image(compiled(), BOARD, tmp_path)
    f = built.footprint
    assert built.bin.stat().st_size == f.flash_total == f.flash_model + f.flash_rig
    weights = small_models.FEATURES * small_models.HIDDEN + small_models.HIDDEN * small_models.CLASSES
    assert f.flash_weights >= weights and f.flash_engine > 0 and f.flash_rig > 1000
    assert f.ram_arena == compiled().arena_bytes and f.ram_static >= 0 and f.ram_rig > 2 * 512


def test_an_image_is_built_once_and_a_torn_one_again(tmp_path):
    built = build_image(compiled(), BOARD, tmp_path)
    stamp = built.elf.stat().st_mtime_ns
    assert build_image(compiled(), BOARD, tmp_path).elf.stat().st_mtime_ns == stamp
    (built.elf.parent / "image.json").unlink()
    again = build_image(compiled(), BOARD, tmp_path)
    assert again.elf.stat().st_mtime_ns > stamp and again.build_id == built.build_id
    assert not list(tmp_path.glob(".building-*"))


@pytest.mark.parametrize("name", ["firmware.bin", "firmware.elf", "image.json"])
def test_an_image_that_a_power_cut_left_short_is_built_again(tmp_path, name):
    image = build_image(compiled(), BOARD, tmp_path)
    file = image.elf.parent / name
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert build_image(compiled(), BOARD, tmp_path) == image
    assert file.read_bytes() == whole


def test_a_digit_or_bit_of_image_json_that_changed_is_never_a_number(tmp_path):
    image = build_image(compiled(), BOARD, tmp_path)
    file, rng = image.elf.parent / "image.json", np.random.default_rng(0)
    whole = file.read_bytes()
    places = [(i, bytes([0x30 + (byte - 0x2F) % 10])) for i, byte in enumerate(whole) if chr(byte).isdigit()]
    places += [(int(i), bytes([whole[i] ^ 1 << int(rng.integers(8))])) for i in rng.integers(len(whole), size=60)]
    for at, byte in places:
        file.write_bytes(whole[:at] + byte + whole[at + 1 :])
        assert _finished(file.parent) in (None, image.footprint)
    file.write_bytes(whole.replace(b'"flash_weights": ', b'"flash_weights": 1'))
    assert _finished(file.parent) is None
    assert build_image(compiled(), BOARD, tmp_path) == image and file.read_bytes() == whole


def test_two_builds_give_the_same_bytes(tmp_path):
    first, second = (build_image(compiled(), BOARD, tmp_path / name).bin.read_bytes() for name in ("a", "b"))
    assert first == second


def test_the_engine_and_the_model_are_part_of_the_build_id(tmp_path):
    ids = {build_image(compiled(engine=e), BOARD, tmp_path).build_id for e in ("tinyrig", "portable")}
    ids.add(build_image(compiled(small_models.dense_int8(7)), BOARD, tmp_path).build_id)
    assert len(ids) == 3


def test_every_file_that_the_sources_include_is_part_of_the_build_id():
    """One left out and edited would leave the old image standing: its figures would be taken for the new code's."""
    hashed = {p.name for p in (*image._engine_files(compiled()), *image._rig_files(BOARD))}
    sources = [p for part in ("nn", "app", f"port/{BOARD.port}") for p in (image.FIRMWARE / part).rglob("*.[chi]*")]
    included = {Path(name).name for p in sources for name in re.findall(r'#include "([^"]+)"', p.read_text())}
    generated = {"model_data.h"}
    assert "conv2d.inc" in included and included - hashed <= generated


def test_a_users_include_of_any_ending_is_part_of_the_build_id(tmp_path):
    (tmp_path / "engine.h").write_text('#include "weights.def"\n')
    model = dataclasses.replace(compiled(), include_dirs=(tmp_path,))
    ids = []
    for text in ("1", "2"):
        (tmp_path / "weights.def").write_text(text)
        ids.append(image._build_id(model, BOARD, 512, "gcc"))
    assert ids[0] != ids[1]


@pytest.mark.parametrize("whose", ["engine", "port"])
def test_an_include_from_a_folder_without_headers_is_part_of_the_build_id(tmp_path, whose):
    (tmp_path / "tables").mkdir()
    (tmp_path / ".git").mkdir()
    model = dataclasses.replace(compiled(), include_dirs=(tmp_path,) if whose == "engine" else ())
    board = dataclasses.replace(BOARD, port=str(tmp_path)) if whose == "port" else BOARD
    ids = []
    for text in ("1", "2", "2"):
        (tmp_path / "tables" / "weights.inc").write_text(text)
        (tmp_path / ".git" / "index").write_text(str(len(ids)))
        ids.append(image._build_id(model, board, 512, "gcc"))
    assert ids[0] != ids[1] == ids[2]


def test_files_of_one_name_do_not_overwrite_each_other(tmp_path):
    """A user's runtime may have a wire.c of its own."""
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "wire.c").write_text("int users_own_wire = 1;\n")
    model = dataclasses.replace(compiled(), extra_sources=(folder / "wire.c",))
    assert build_image(model, BOARD, tmp_path / "build").footprint.flash_rig > 1000


def test_an_image_that_overflows_the_board_is_the_models_fault_and_tells_how_much(tmp_path):
    model = compiled()
    # A section that the linker always keeps; it stands behind the vectors of the port, which is linked first.
    filler = '\nconst unsigned char filler[983040] __attribute__((section(".vectors"))) = {1};\n'
    model = dataclasses.replace(model, sources={"model.c": model.sources["model.c"] + filler})
    with pytest.raises(ModelError, match="FLASH exceeded by"):
        build_image(model, BOARD, tmp_path)
    assert not list(tmp_path.iterdir())


def test_c_that_does_not_build_is_the_hosts_fault_and_leaves_nothing(tmp_path):
    model = dataclasses.replace(compiled(), sources={"model.c": "this is no C\n"})
    with pytest.raises(HostError, match=r"model\.c"):
        build_image(model, BOARD, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_compiler_is_named_with_its_package(tmp_path, monkeypatch):
    from tinyrig.workload.cross import find_compiler

    find_compiler.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        with pytest.raises(HostError, match="gcc-arm-none-eabi"):
            build_image(compiled(), BOARD, tmp_path)
    finally:
        find_compiler.cache_clear()
