"""Calls are recognised as the assemblers write them."""

from __future__ import annotations

import pytest

from tinyrig.core.hardware.calls import Call, riscv_call, thumb_call


@pytest.mark.parametrize(
    ("decode", "code", "call"),
    [
        # assembled and disassembled with binutils 2.40; the distance counts from behind the call
        (thumb_call, "00f002f8", Call(4)),  # bl .+8
        (thumb_call, "fff7feff", Call(-4)),  # bl .
        (thumb_call, "00bf9847", Call(None)),  # nop; blx r3
        (thumb_call, "00bf00bf", None),
        (riscv_call, "ef008000", Call(4)),  # jal ra, .+8
        (riscv_call, "eff09fff", Call(-12)),  # jal ra, .-8
        (riscv_call, "ef028000", Call(4)),  # jal t0, .+8: millicode
        (riscv_call, "6f008000", None),  # j .+8
        (riscv_call, "e7800700", Call(None)),  # jalr ra, a5
        (riscv_call, "01002120", Call(6)),  # c.nop; c.jal .+8
        (riscv_call, "0100e53f", Call(-10)),  # c.nop; c.jal .-8
        (riscv_call, "01008297", Call(None)),  # c.nop; c.jalr a5
        (riscv_call, "01000290", None),  # c.nop; c.ebreak
        (riscv_call, "01000100", None),
    ],
)
def test_a_call_before_an_address(decode, code, call):
    assert decode(bytes.fromhex(code)) == call
