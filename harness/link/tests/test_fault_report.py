"""Fault records over the wire and in words."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyrig.compiler.compile import compile_model
from tinyrig.core.boards import BOARDS
from tinyrig.core.records import FaultRecord
from tinyrig.link import wire
from tinyrig.link.fault_report import _Symbols, fault_error, reasons
from tinyrig.tests import small_models
from tinyrig.workload import image as image_module
from tinyrig.workload.image import build_image

BOARD = BOARDS["virtual"]
WORD = st.integers(0, 0xFFFFFFFF)
RECORDS = st.builds(FaultRecord, st.integers(1, 3), WORD, st.tuples(*[WORD] * 9), WORD, WORD, WORD, WORD, st.tuples(*[WORD] * 8))
NOTHING = FaultRecord(1, 1, (0,) * 9, 0, 0, 0, 0, (0,) * 8)


@given(RECORDS | st.none())
def test_a_record_survives_the_wire(record):
    assert wire.decode_fault(wire.encode_fault(record)) == record


@given(st.binary(max_size=200).filter(lambda data: len(data) != 92))
def test_a_record_of_another_length_is_refused(data):
    with pytest.raises(wire.WireError):
        wire.decode_fault(data)


@given(RECORDS)
def test_any_record_can_be_told(record):
    """Whatever a board sends: an error with exit code 3 that says something, with or without an image."""
    error = fault_error(record, None)
    assert error.exit_code == 3 and error.what and error.received and error.remedy


STATUS = {
    # (CFSR, HFSR): what it says
    (0x00000001, 1 << 30): ["instruction access violation"],
    (0x00000082, 1 << 30): ["data access violation", "at address 0x0000abcd"],
    (0x00008200, 1 << 30): ["bus fault (precise)", "at address 0x00001234"],
    (0x00000400, 1 << 30): ["bus fault (imprecise: pc is a little late)"],
    (0x00009200, 1 << 30): ["bus fault (precise)", "bus fault on exception entry", "at address 0x00001234"],
    (0x00010000, 1 << 30): ["undefined instruction"],
    (0x00020000, 1 << 30): ["invalid state: a jump to an even address"],
    (0x00080000, 1 << 30): ["no coprocessor: the FPU is off"],
    (0x02000000, 1 << 30): ["division by zero"],
    (0x00000000, 1 << 31): ["debug event: a breakpoint"],
    (0x00000000, 1 << 1): ["bus fault on a vector read"],
}


@pytest.mark.parametrize("status", STATUS, ids=lambda s: f"CFSR {s[0]:08x} HFSR {s[1]:08x}")
def test_status_bits_in_words(status):
    record = dataclasses.replace(NOTHING, cfsr=status[0], hfsr=status[1], bfar=0x1234, mmfar=0xABCD)
    assert reasons(record) == STATUS[status]


def test_without_an_image_the_address_is_told():
    record = dataclasses.replace(NOTHING, registers=(0,) * 6 + (0x10ABC, 0, 0))
    assert fault_error(record, None).what == "the board faulted at 0x00010abc"
    assert fault_error(record, Path("/nowhere.elf")).what == "the board faulted at 0x00010abc"


@pytest.fixture(scope="module")
def elf():
    model = compile_model(small_models.dense_float(), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    return build_image(model, BOARD).elf


def test_every_call_in_the_image_is_one_and_goes_where_the_disassembler_says(elf):
    lines = subprocess.run(["arm-none-eabi-objdump", "-d", elf], capture_output=True, text=True, check=True).stdout.splitlines()
    calls = [row.split("\t") for row in lines if "\tbl\t" in row]
    symbols = _Symbols(elf)
    assert len(calls) > 20
    for address, _, _, operands, *_ in calls:
        behind = int(address.strip(" :"), 16) + 4
        assert symbols.follows_call(behind)
        assert symbols.call_target(behind) == int(operands.split()[0], 16)


def test_hardly_another_instruction_is_taken_for_a_call(elf):
    """Halves of two neighbours can look like a BL: rare enough for a word of the stack that lies in the code as well."""
    lines = subprocess.run(["arm-none-eabi-objdump", "-d", elf], capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [row.split("\t") for row in lines if row.count("\t") > 1 and ".word" not in row and ".short" not in row]
    symbols, wrong = _Symbols(elf), []
    for address, code, mnemonic, *_ in rows:
        behind = int(address.strip(" :"), 16) + len(code.replace(" ", "")) // 2
        if symbols.follows_call(behind) != (mnemonic in ("bl", "blx")):
            wrong.append((address, mnemonic))
    assert not [mnemonic for _, mnemonic in wrong if mnemonic in ("bl", "blx")]
    assert len(wrong) < len(rows) / 200


def test_lines_are_those_of_addr2line(elf):
    symbols = _Symbols(elf)
    addresses = [start for start, size, _ in symbols._functions if size][:60]
    command = ["arm-none-eabi-addr2line", "-e", elf, *map(hex, addresses)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    places = [symbols.place(address) for address in addresses]
    for place, line in zip(places, told, strict=True):
        expected = line.split(" ")[0].rpartition("/")[2]
        assert "?" in expected or place.source.rpartition("/")[2] == expected
    assert sum("?" not in line for line in told) > 20


def test_the_image_is_the_same_without_its_debug_information(tmp_path, monkeypatch):
    model = compile_model(small_models.dense_int8(), flash_bytes=BOARD.flash_bytes, ram_bytes=BOARD.ram_bytes)
    with_lines = build_image(model, BOARD, tmp_path / "a")
    monkeypatch.setattr(image_module, "DEBUG_FLAGS", ())
    without = build_image(model, BOARD, tmp_path / "b")
    assert with_lines.bin.read_bytes() == without.bin.read_bytes()
    assert (with_lines.build_id, with_lines.footprint) == (without.build_id, without.footprint)
