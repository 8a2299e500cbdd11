"""The timing model: costs by document, and the C hook against the Python model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyrig.core.errors import HostError
from tinyrig.virtual.cpu import HostMemory
from tinyrig.virtual.timing.clock import CompiledCounter, NoCounter, PythonCounter, compile_hook, make_counter
from tinyrig.virtual.timing.memory import MemorySystem
from tinyrig.virtual.timing.model import block_cost, decode, match
from tinyrig.virtual.timing.systems import CHIPS
from tinyrig.virtual.timing.table import PENALTY_DIRECT, PENALTY_INDIRECT, Kind

TRM = "ARM 100166 table 3-1"
PAIRS = "ARM 100166 section 3.3, load/store timings"
FPU = "ARM 100166 table 7-1"
DF1 = "CMSIS-DSP's biquad df1 on an LPC4370, whose error falls from 14.8 to 2.7 % with it: docs/timing.md"
NIST = "fit to NIST's lightweight-cryptography benchmark: docs/timing.md"
GUESS = "estimate within the range of ARM 100166 table 3-1"

SEQUENCES = (
    # assembly, cycles, where the figure comes from
    ("adds r0, r1, r2", 1, TRM),
    ("movw r0, #1234", 1, TRM),
    ("mul r0, r1, r2", 1, TRM),
    ("mla r0, r1, r2, r3", 1, TRM),
    ("smlad r0, r1, r2, r3", 1, TRM),
    ("umull r0, r1, r2, r3", 1, TRM),
    ("smlal r0, r1, r2, r3", 1, TRM),
    ("sxtb16 r0, r1, ror #8", 1, TRM),
    ("ssat r0, #8, r1", 1, TRM),
    ("sdiv r0, r1, r2", 7, GUESS),
    ("udiv r0, r1, r2", 7, GUESS),
    ("msr basepri, r0", 2, TRM),
    ("nop", 1, TRM),
    ("ldr r0, [r1]", 2, TRM),
    ("ldr.w r0, [r1, #256]", 2, TRM),
    ("ldr r0, [r1, r2]", 2, TRM),
    ("ldrsh r0, [r1, r2]", 2, TRM),
    ("ldr r0, [r1]\nldr r2, [r3]", 3, PAIRS),
    ("ldr r0, [r1]\nldr r2, [r3]\nldr r4, [r5]", 4, PAIRS),
    ("ldr r0, [r1], #4\nldr r2, [r3], #4", 3, PAIRS),
    ("ldr r0, [r1], #4\nldr r2, [r1], #4", 4, PAIRS),
    ("ldr r0, [r1]\nldr r2, [r0]", 5, PAIRS),
    ("adds r1, #4\nldr r0, [r1]", 4, PAIRS),
    ("adds r2, #4\nldr r0, [r1]", 3, PAIRS),
    ("adds r1, #4\nstr r0, [r1]", 3, PAIRS),
    ("str r0, [r1]", 1, PAIRS),
    ("strb r0, [r1, #3]", 1, PAIRS),
    ("str r0, [r1, r2]", 2, PAIRS),
    ("str r0, [r1], #4", 1, PAIRS),
    ("str r0, [r1]\nldr r2, [r3]", 4, PAIRS),
    ("ldr r0, [r1]\nstr r2, [r3]", 2, PAIRS),
    ("ldr r0, [r1]\nstr r2, [r3, r4]", 3, PAIRS),
    ("ldr r0, [r1]\nnop", 2, PAIRS),
    ("ldrd r0, r1, [r2]", 3, TRM),
    ("strd r0, r1, [r2]", 3, TRM),
    ("ldm r0, {r1-r4}", 5, TRM),
    ("stm r0!, {r1-r4}", 5, TRM),
    ("ldm.w r0, {r1-r4, r8}", 6, TRM),
    ("push {r4-r7, lr}", 6, TRM),
    ("pop {r4-r7}", 5, TRM),
    ("ldm r0!, {r1, r2}\nldr r3, [r4]", 5, TRM),
    ("cmp r0, #0\nit ne\nmovne r0, #1", 2, TRM),
    ("vadd.f32 s0, s1, s2", 1, FPU),
    ("vmul.f32 s0, s1, s2", 1, FPU),
    ("vcvt.f32.s32 s0, s0", 1, FPU),
    ("vcmp.f32 s0, s1", 1, FPU),
    ("vmrs APSR_nzcv, fpscr", 1, FPU),
    ("vmla.f32 s0, s1, s2", 3, FPU),
    ("vfma.f32 s0, s1, s2", 3, FPU),
    ("vfnms.f32 s0, s1, s2", 3, FPU),
    ("vdiv.f32 s0, s1, s2", 14, FPU),
    ("vsqrt.f32 s0, s1", 14, FPU),
    ("vmov r0, s0", 1, FPU),
    ("vmov r0, r1, s0, s1", 2, FPU),
    ("vldr s0, [r0]", 2, FPU),
    ("vldr s0, [r0]\nvldr s1, [r0, #4]", 3, PAIRS),
    ("vldr d0, [r0]", 3, FPU),
    ("vldmia r0!, {s0-s7}", 9, FPU),
    ("vpush {s16-s19}", 5, FPU),
    ("vstr s0, [r0]", 1, PAIRS),
    ("vmul.f32 s0, s1, s2\nvadd.f32 s3, s3, s4", 2, FPU),
    ("vmul.f32 s0, s1, s2\nvadd.f32 s3, s3, s0", 3, FPU),
    ("vfma.f32 s0, s1, s2\nvfma.f32 s0, s3, s4", 6, DF1),
    ("vfma.f32 s0, s1, s2\nvstr s0, [r0]", 4, DF1),
    ("vfma.f32 s0, s1, s2\nvfma.f32 s3, s0, s4", 7, FPU),
    ("vfma.f32 s0, s1, s2\nvadd.f32 s3, s0, s4", 5, FPU),
    ("vmul.f32 s0, s1, s2\nvstr s0, [r0]", 3, FPU),
    ("nop\nadd.w r0, r1, r2\nadd.w r0, r1, r2", 3, TRM),
    ("nop\nadd.w r0, r1, r2\nadd.w r0, r1, r2\nadd.w r0, r1, r2", 5, NIST),
    ("nop\nadd.w r0, r1, r2\nadd.w r0, r1, r2\nadd.w r0, r1, r2\nadd.w r0, r1, r2", 6, NIST),
    ("add.w r0, r1, r2\nadd.w r0, r1, r2\nadd.w r0, r1, r2\nadd.w r0, r1, r2", 4, TRM),
    ("vmov.f32 s0, #5.0\nvadd.f32 s1, s0, s0", 3, FPU),
)

BRANCHES = (
    # assembly, cycles when taken
    ("b .", 1 + PENALTY_DIRECT),
    ("b.w .", 1 + PENALTY_DIRECT),
    ("beq .", 1 + PENALTY_DIRECT),
    ("bl .", 1 + PENALTY_DIRECT),
    ("cbz r0, .+8", 1 + PENALTY_DIRECT),
    ("bx lr", 1 + PENALTY_INDIRECT),
    ("blx r3", 1 + PENALTY_INDIRECT),
    ("mov pc, r1", 1 + PENALTY_INDIRECT),
    ("pop {r4, pc}", 3 + PENALTY_INDIRECT),
    ("ldm.w sp!, {r4-r8, pc}", 7 + PENALTY_INDIRECT),
    ("ldr pc, [r0]", 3 + PENALTY_INDIRECT),
    ("tbb [pc, r0]", 4 + PENALTY_INDIRECT),
)


@pytest.fixture(scope="module")
def assemble(tmp_path_factory: pytest.TempPathFactory):
    """assembly text -> machine code."""
    folder = tmp_path_factory.mktemp("asm")

    def go(text: str) -> bytes:
        source, obj, out = (folder / name for name in ("a.s", "a.o", "a.bin"))
        source.write_text(f".syntax unified\n.thumb\n.text\n{text}\n")
        subprocess.run(["arm-none-eabi-as", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", source, "-o", obj], check=True)
        subprocess.run(["arm-none-eabi-objcopy", "-O", "binary", "-j", ".text", obj, out], check=True)
        return out.read_bytes()

    return go


NO_WAIT = MemorySystem(0, 1 << 20)


def both(code: bytes, library: Path, *systems: MemorySystem) -> tuple[PythonCounter, CompiledCounter]:
    """Both models over memory that holds `code` at 0x10000; without `systems` it never waits."""
    memory = HostMemory(0x10000, memoryview(bytearray(code or b"\0")))
    return PythonCounter([memory], systems or [NO_WAIT]), CompiledCounter([memory], systems or [NO_WAIT], library)


@pytest.mark.parametrize(("text", "cycles", "source"), SEQUENCES, ids=[s[0].replace("\n", "; ") for s in SEQUENCES])
def test_sequence_costs_what_the_document_says(text: str, cycles: int, source: str, assemble, library: Path) -> None:
    code = assemble(text)
    assert source
    for counter in both(code, library):
        counter.block(0x10000, len(code))
        assert (counter.cycles, counter.instructions) == (cycles, text.count("\n") + 1)


@pytest.mark.parametrize("text", [s[0] for s in SEQUENCES if "\n" in s[0]], ids=lambda text: text.replace("\n", "; "))
def test_a_page_border_costs_nothing(text: str, assemble, library: Path) -> None:
    """Where the emulator cuts straight-line code in two, it costs what it does in one piece."""
    code, first = assemble(text), len(assemble(text.partition("\n")[0]))
    for whole, cut in zip(both(code, library), both(code, library), strict=True):
        whole.block(0x10000, len(code))
        cut.block(0x10000, first)
        cut.block(0x10000 + first, len(code) - first)
        assert (cut.cycles, cut.instructions) == (whole.cycles, whole.instructions)


@pytest.mark.parametrize(("text", "cycles"), BRANCHES, ids=[b[0] for b in BRANCHES])
def test_branch_costs_its_refill_only_when_taken(text: str, cycles: int, assemble, library: Path) -> None:
    code = assemble(text)
    target = assemble("nop\nnop\nnop\nnop")
    for counter in both(code + target, library):
        counter.block(0x10000, len(code))
        untaken = counter.cycles
        counter.block(0x10000 + len(code) + 4, 2)  # not where the code falls through to
        assert counter.cycles - 1 == cycles
        counter.block(0x10000, len(code))
        before = counter.cycles
        counter.block(0x10000 + len(code), 2)
        assert counter.cycles - before == 1
        assert untaken < cycles


def test_wide_target_off_a_word_border_costs_one_more(assemble, library: Path) -> None:
    code = assemble("nop\nmovw r0, #1\nb .-4\nnop")
    for counter in both(code, library):
        counter.block(0x10006, 2)
        before = counter.cycles
        counter.block(0x10002, 6)
        assert counter.cycles - before == 2 + PENALTY_DIRECT + 1


def test_every_narrow_instruction_has_a_row() -> None:
    assert all(match(code, wide=False) for code in range(0xE800))


@given(st.integers(0xE8000000, 0xFFFFFFFF))
def test_every_wide_instruction_has_a_row(code: int) -> None:
    assert decode(code, wide=True).cycles >= 0


def test_rows_name_their_source() -> None:
    assert decode(0xEEB40A60, wide=True).kind is Kind.FLOAT
    assert all(decode(code, wide=False).source.startswith("[") for code in range(0, 0xE800, 7))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=64), st.lists(st.tuples(st.integers(0, 31), st.integers(1, 32)), max_size=8))
def test_c_and_python_agree_on_any_bytes(code: bytes, blocks: list[tuple[int, int]]) -> None:
    library = compile_hook()
    assert library
    python, compiled = both(code, library)
    for start, length in blocks:
        for counter in (python, compiled):
            counter.block(0x10000 + 2 * start, 2 * length)
    assert (python.cycles, python.instructions) == (compiled.cycles, compiled.instructions)


def test_c_and_python_agree_on_a_real_program(image_bin: bytes, library: Path) -> None:
    python, compiled = both(image_bin, library)
    for start in range(64, len(image_bin) - 64, 2):
        for counter in (python, compiled):
            counter.block(0x10000 + start, 2 + start % 62 // 2 * 2)
    assert python.instructions == compiled.instructions > 0
    assert python.cycles == compiled.cycles


def test_a_new_program_is_costed_again(library: Path) -> None:
    memory = HostMemory(0x10000, memoryview(bytearray(b"\x00\xbf\x00\xbf")))
    for counter in (PythonCounter([memory], [NO_WAIT]), CompiledCounter([memory], [NO_WAIT], library)):
        memory.bytes[0:2] = b"\x00\xbf"  # nop
        counter.block(0x10000, 2)
        memory.bytes[0:2] = b"\x08\x68"  # ldr r0, [r1]
        counter.forget()
        counter.block(0x10000, 2)
        assert counter.cycles == 1 + 2


def test_code_outside_flash_and_ram_counts_nothing(library: Path) -> None:
    for counter in both(b"\x00\xbf", library):
        counter.block(0x30000000, 2)
        assert counter.instructions == 0


def test_block_knows_where_it_ends() -> None:
    assert block_cost(b"\x00\xbf\x00\xbf", 0x100).end == 0x104


def test_python_counts_where_no_compiler_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compile_hook() is None
    assert isinstance(make_counter("cycles", "auto", [], CHIPS["none"]), PythonCounter)
    with pytest.raises(HostError):
        make_counter("cycles", "c", [], CHIPS["none"])


def test_python_counts_where_the_compiler_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cc = tmp_path / "cc"
    cc.write_text("#!/bin/sh\nexit 1\n")
    cc.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert compile_hook() is None


def test_compiled_hook_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = compile_hook()
    assert first and first.parent == tmp_path / "tinyrig"
    stamp = first.stat().st_mtime_ns
    assert compile_hook() == first and first.stat().st_mtime_ns == stamp
    assert [path.name for path in first.parent.iterdir()] == [first.name]  # no half-written file stays


def test_clock_off_has_no_hook() -> None:
    assert isinstance(make_counter("off", "auto", [], CHIPS["none"]), NoCounter)
