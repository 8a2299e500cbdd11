"""An nRF52840 behind a debug port, served over TCP in the protocol of pyOCD's `remote` probe: the real pyOCD connects, finds the
core, loads its flash algorithm into RAM and has it run, here on unicorn, against a model of the NVMC.

Sources: Arm Debug Interface v5.2 (IHI 0031) for DP and AP registers, Armv7-M (DDI 0403) C1.6 for the debug registers of the
core, nRF52840 Product Specification v1.7 4.3 for the NVMC and 4.8.2 for the CTRL-AP.
"""

from __future__ import annotations

import json
import socketserver
import struct
import threading

from unicorn import UC_ARCH_ARM, UC_MODE_MCLASS, UC_MODE_THUMB, UC_PROT_ALL, UC_PROT_READ, Uc, UcError
from unicorn import arm_const as arm

from tinyrig.virtual import chip

AHB_AP_IDR, CTRL_AP_IDR = 0x24770011, 0x02880000
NVMC_CONFIG, NVMC_ERASEPAGE, NVMC_ERASEALL = 0x4001E504, 0x4001E508, 0x4001E50C
DHCSR, DCRSR, DCRDR, DEMCR, AIRCR, DFSR = 0xE000EDF0, 0xE000EDF4, 0xE000EDF8, 0xE000EDFC, 0xE000ED0C, 0xE000ED30
HALT, REGRDY, S_HALT, RESET_ST = 1 << 1, 1 << 16, 1 << 17, 1 << 25
ROM_TABLE = 0xE00FF000
CORE_REGISTERS = (
    *(getattr(arm, f"UC_ARM_REG_R{n}") for n in range(13)),
    arm.UC_ARM_REG_SP,
    arm.UC_ARM_REG_LR,
    arm.UC_ARM_REG_PC,
    arm.UC_ARM_REG_XPSR,
    arm.UC_ARM_REG_MSP,
    arm.UC_ARM_REG_PSP,
)


def _ids(base: int, cidr: int, pidr: tuple[int, int, int, int, int]) -> dict[int, int]:
    """IHI 0031 D1.2: what a debug component says of itself."""
    component = {0xFF0: 0x0D, 0xFF4: cidr, 0xFF8: 0x05, 0xFFC: 0xB1, 0xFD0: pidr[4]}
    return {base + offset: value for offset, value in (component | {0xFE0 + 4 * i: pidr[i] for i in range(4)}).items()}


FIXED = {
    ROM_TABLE: 0xFFF0F003,
    ROM_TABLE + 4: 0xFFF02003,
    ROM_TABLE + 8: 0xFFF03003,  # SCS, DWT, FPB
    **_ids(ROM_TABLE, 0x10, (0x08, 0x40, 0x04, 0x00, 0x02)),
    **_ids(0xE000E000, 0xE0, (0x0C, 0xB0, 0x0B, 0x00, 0x04)),
    **_ids(0xE0001000, 0xE0, (0x02, 0xB0, 0x3B, 0x00, 0x04)),
    **_ids(0xE0002000, 0xE0, (0x03, 0xB0, 0x2B, 0x00, 0x04)),
    0xE000ED00: 0x410FC241,
    0xE0001000: 0x40000000,
    0xE0002000: 0x260,
    0x4001E400: 1,
    0x4001E408: 1,
}


class Target:
    """The chip. `erased` lists pages, `resets` how often it was started; `locked`: APPROTECT; `bad`: an address that can't be
    written; `part`: FICR.INFO.PART; `silent`: no memory access gets through, or from the
    moment on that `dies_at` is written."""

    def __init__(
        self, locked: bool = False, bad: int | None = None, part: int = 0x52840, silent: bool = False, dies_at: int | None = None
    ) -> None:
        self.flash = bytearray(b"\xff" * chip.FLASH_BYTES)
        self.erased: list[int] = []
        self.mass_erases = self.resets = 0
        self.locked, self._bad, self._silent, self._dies_at = locked, bad, silent, dies_at
        self.registers: dict[int, int] = {}
        self._halted, self._reset_seen = False, False
        self._uc = Uc(UC_ARCH_ARM, UC_MODE_THUMB | UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        self._uc.mem_map(chip.RAM_BASE, chip.RAM_BYTES, UC_PROT_ALL)
        self._uc.mem_map(chip.FICR_BASE, 0x2000, UC_PROT_READ)
        self._uc.mem_write(chip.FICR_BASE, chip.ficr_page(1) + b"\xff" * 0x1000)
        self._uc.mem_write(chip.FICR_BASE + 0x100, struct.pack("<I", part))
        for base, size in ((0, chip.FLASH_BYTES), (0x40000000, 0x50000), (0xE0000000, 0x100000)):
            self._uc.mmio_map(
                base,
                size,
                lambda _u, at, n, b: self._load(b + at, n),
                base,
                lambda _u, at, n, v, b: self._store(b + at, n, v),
                base,
            )

    def _load(self, address: int, count: int) -> int:
        if address < chip.FLASH_BYTES:
            return int.from_bytes(self.flash[address : address + count], "little")
        if address == DHCSR:
            status = self.registers.get(DHCSR, 0) & 0xFFFF | REGRDY | S_HALT * self._halted | RESET_ST * self._reset_seen
            self._reset_seen = False
            return status
        return FIXED.get(address, self.registers.get(address, 0)) >> 8 * (address & 3)

    def _store(self, address: int, count: int, value: int) -> None:
        if address < chip.FLASH_BYTES:
            self._program(address, value.to_bytes(8, "little")[:count])
            return
        self.registers[address] = value
        if address == NVMC_ERASEPAGE and self.registers.get(NVMC_CONFIG) == 2:
            self.erased.append(value)
            self.flash[value : value + 4096] = b"\xff" * 4096
        elif address == NVMC_ERASEALL and value & 1:
            self._erase_all()
        elif address == DCRSR:
            self._register(value)
        elif address == DHCSR and value >> 16 == 0xA05F:
            self._run(bool(value & HALT))
        elif address == AIRCR and value >> 16 == 0x05FA and value & 4:
            self.reset()

    def _program(self, address: int, data: bytes) -> None:
        """4.3.2: only while CONFIG allows it, and only from 1 to 0."""
        self._silent |= address == self._dies_at
        if self.registers.get(NVMC_CONFIG) == 1 and not (self._bad is not None and address <= self._bad < address + len(data)):
            old = self.flash[address : address + len(data)]
            self.flash[address : address + len(data)] = bytes(a & b for a, b in zip(old, data, strict=True))

    def _erase_all(self) -> None:
        self.mass_erases += 1
        self.flash[:] = b"\xff" * len(self.flash)
        self.locked = False

    def _register(self, value: int) -> None:
        number = value & 0x7F
        if number >= len(CORE_REGISTERS):
            self.registers[DCRDR] = self.registers.get(DCRDR, 0) if value >> 16 & 1 else 0
        elif value >> 16 & 1:
            self._uc.reg_write(CORE_REGISTERS[number], self.registers.get(DCRDR, 0))
        else:
            self.registers[DCRDR] = self._uc.reg_read(CORE_REGISTERS[number])

    def _run(self, halt: bool) -> None:
        """Code in RAM is pyOCD's and runs to its breakpoint; whatever runs from flash just runs."""
        self._halted = halt
        if halt or not chip.RAM_BASE <= self._uc.reg_read(arm.UC_ARM_REG_PC) < chip.RAM_BASE + chip.RAM_BYTES:
            return
        try:
            self._uc.emu_start(self._uc.reg_read(arm.UC_ARM_REG_PC) | 1, 0xFFFFFFFE)
        except UcError:
            self._halted = True
            self.registers[DFSR] = 2  # BKPT

    def reset(self) -> None:
        self.resets += 1
        self._reset_seen = True
        self._halted = bool(self.registers.get(DEMCR, 0) & 1 and self.registers.get(DHCSR, 0) & 1)
        stack, entry = struct.unpack_from("<II", self.flash, 0)
        self._uc.reg_write(arm.UC_ARM_REG_SP, stack & ~3)
        self._uc.reg_write(arm.UC_ARM_REG_PC, entry & ~1)
        self._uc.reg_write(arm.UC_ARM_REG_XPSR, 1 << 24)

    def read(self, address: int, count: int) -> bytes:
        """Through the AHB-AP. Raises LookupError where nothing answers."""
        if self._silent or self.locked:
            raise LookupError("no access")
        if chip.FICR_BASE <= address < chip.FICR_BASE + 0x2000 or chip.RAM_BASE <= address < chip.RAM_BASE + chip.RAM_BYTES:
            return bytes(self._uc.mem_read(address, count))
        if address < chip.FLASH_BYTES:
            return bytes(self.flash[address : address + count])
        return b"".join(struct.pack("<I", self._load(at, 4) & 0xFFFFFFFF) for at in range(address, address + count, 4))[:count]

    def write(self, address: int, data: bytes) -> None:
        if self._silent or self.locked:
            raise LookupError("no access")
        if chip.RAM_BASE <= address < chip.RAM_BASE + chip.RAM_BYTES:
            self._uc.mem_write(address, data)
            return
        for at in range(0, len(data), 4):
            self._store(address + at, 4, int.from_bytes(data[at : at + 4], "little"))

    def ap(self, address: int) -> int:
        """An AP's register: 0 the AHB-AP, 1 the CTRL-AP, no others."""
        known = {
            0x000000FC: AHB_AP_IDR,
            0x000000F8: ROM_TABLE | 3,
            0x00000000: 0x23000042 if not self.locked else 0x23000002,
            0x010000FC: CTRL_AP_IDR,
            0x0100000C: 0 if self.locked else 1,
        }
        return known.get(address, 0)

    def write_ap(self, address: int, value: int) -> None:
        if address == 0x01000004 and value & 1:
            self._erase_all()


class Server(socketserver.ThreadingTCPServer):
    """`probe` is what pyOCD takes as unique id."""

    allow_reuse_address, daemon_threads = True, True

    def __init__(self, target: Target) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.asked = target, []
        self.probe = f"remote:127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(socketserver.StreamRequestHandler):
    """One JSON object a line, each answered by one."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        self.dp = {0x0: 0x2BA01477, 0x4: 0}  # DPIDR of a Cortex-M4's SW-DP
        for line in self.rfile:
            request = json.loads(line)
            answer = {"id": request["id"], "status": 0}
            self.server.asked.append(request["request"])
            try:
                result = self.answer(request["request"], *request.get("arguments", []))
                answer |= {} if result is None else {"result": result}
            except LookupError as error:
                answer |= {"status": 12, "error": str(error)}  # TRANSFER_FAULT
            self.wfile.write(json.dumps(answer).encode() + b"\n")

    def answer(self, name: str, *arguments):
        method = getattr(self, f"do_{name}", None)
        return method(*arguments) if method else None

    def do_readprop(self, name: str):
        return {
            "capabilities": ["MANAGED_AP_SELECTION"],
            "supported_wire_protocols": ["DEFAULT", "SWD"],
            "wire_protocol": "SWD",
            "vendor_name": "tinyrig",
            "product_name": "model",
        }.get(name)

    def do_reset(self) -> None:
        self.server.target.reset()

    def do_is_reset_asserted(self) -> bool:
        return False

    def do_read_dp(self, address: int) -> int:
        value = self.dp.get(address, 0)
        return value | (value & 0x50000000) << 1 if address == 4 else value  # CDBGPWRUPACK, CSYSPWRUPACK

    def do_write_dp(self, address: int, value: int) -> None:
        self.dp[address] = value if address else self.dp[0]

    def do_read_ap(self, address: int) -> int:
        return self.server.target.ap(address)

    def do_write_ap(self, address: int, value: int) -> None:
        self.server.target.write_ap(address, value)

    def do_get_memory_interface_for_ap(self, _version: int, number: int) -> int | None:
        return 1 if number == 0 else None

    def do_read_mem(self, _handle: int, address: int, bits: int) -> int:
        return int.from_bytes(self.server.target.read(address, bits // 8), "little")

    def do_write_mem(self, _handle: int, address: int, value: int, bits: int) -> None:
        self.server.target.write(address, value.to_bytes(bits // 8, "little"))

    def do_read_block32(self, _handle: int, address: int, count: int) -> list[int]:
        return list(struct.unpack(f"<{count}I", self.server.target.read(address, 4 * count)))

    def do_write_block32(self, _handle: int, address: int, words: list[int]) -> None:
        self.server.target.write(address, struct.pack(f"<{len(words)}I", *words))

    def do_read_block8(self, _handle: int, address: int, count: int) -> list[int]:
        return list(self.server.target.read(address, count))

    def do_write_block8(self, _handle: int, address: int, data: list[int]) -> None:
        self.server.target.write(address, bytes(data))
