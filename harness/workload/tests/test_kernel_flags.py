"""Flags of single kernels: they belong to files that exist, and reach whichever compiler builds them."""

from __future__ import annotations

from dataclasses import replace

from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.tests import small_models
from tinyrig.workload import arduino_sketch, image, kernel_flags
from tinyrig.workload.kernel_flags import KERNELS, OPTIONS

BOARD = BOARDS["virtual"]
ADD = KERNELS / "m4" / "f32_add.c"


def test_options_belong_to_kernels_and_no_kernel_sets_its_own():
    assert all((KERNELS / name).is_file() for name in OPTIONS)
    sources = [p for p in image.FIRMWARE.rglob("*") if p.suffix in (".c", ".h", ".inc", ".cpp")]
    assert len(sources) > 50 and not [p.name for p in sources if "#pragma GCC optimize" in p.read_text()]


def test_what_lies_elsewhere_has_none(tmp_path):
    assert kernel_flags.options(tmp_path / "m4" / "f32_add.c") == ()
    assert kernel_flags.flags(ADD) == ("-O2",)
    assert kernel_flags.flags(KERNELS / "m4" / "f32_wide.c") == ("-O2", "-funswitch-loops")


def test_they_stand_behind_the_models_own_flags_and_are_part_of_the_build_id(tmp_path, monkeypatch):
    commands: list[list[str]] = []
    monkeypatch.setattr(image, "_call", lambda command, *_, **__: commands.append(command))
    image._compile([ADD, KERNELS / "portable" / "mean.c"], BOARD, image.MODEL_FLAGS, 512, tmp_path, 60)
    assert sorted([word for word in command if word.startswith("-O")] for command in commands) == [["-O3"], ["-O3", "-O2"]]
    model = compile_model(small_models.dense_float(), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    model = replace(model, kernels=("m4/f32_add.c",))
    before = image._build_id(model, BOARD, 512, "gcc")
    monkeypatch.setitem(OPTIONS, "m4/f32_add.c", ("O1",))
    assert image._build_id(model, BOARD, 512, "gcc") != before


def test_a_sketch_says_them_in_each_copy(tmp_path):
    """Its flags are the core's."""
    wide, mean = KERNELS / "m4" / "f32_wide.c", KERNELS / "portable" / "mean.c"
    sketch = arduino_sketch.write_sketch(tmp_path / "s", [], [wide, mean], (tmp_path, KERNELS), 512)
    first = [(sketch / "src" / "nn" / p.relative_to(KERNELS)).read_text().splitlines()[0] for p in (wide, mean)]
    assert first == [
        '#pragma GCC optimize ("O2", "unswitch-loops", "fp-contract=off")',
        '#pragma GCC optimize ("O3", "fp-contract=off")',
    ]
