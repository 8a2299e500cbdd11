"""The wire protocol as a pure codec: bytes <-> frames and payloads, no I/O. Normative text: firmware/WIRE.md.

`decode` takes whatever has arrived and returns a Frame, None (more bytes needed) or raises WireError.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from tinyrig.core.errors import LinkError
from tinyrig.core.records import FaultRecord, Hello, TensorSpec
from tinyrig.core.text import printable
from tinyrig.link import bounds

VERSION = 2
MAGIC = b"TR"
HEADER_BYTES = 16
CRC_BYTES = 4
REPLY_BIT = 0x80
MAX_PAYLOAD_LIMIT = 65536
"""No board may announce more; a longer length in a header with a good CRC is a foreign protocol."""

BOARD_SILENCE_S = 0.020
"""Silence after which the board drops an unfinished frame."""
HOST_SILENCE_S = 0.050
"""Silence after which the host takes an unfinished reply for damaged: longer than the board's silence, so that the board is in
step too, and than a USB converter's 16 ms."""
RETRIES = 20
"""Maximum consecutive failures without a good reply between them."""


class Type(IntEnum):
    """Request types; a reply carries the same with REPLY_BIT."""

    HELLO = 0x01
    RUN = 0x02
    READ = 0x03
    ECHO = 0x04
    REBOOT = 0x05
    FAULT = 0x06
    CLOCK = 0x07
    SENSOR = 0x08
    START = 0x09
    FETCH = 0x0A
    STOP = 0x0B


class Status(IntEnum):
    """Reply status."""

    OK = 0
    BAD_CRC = 1
    BAD_VERSION = 2
    BAD_TYPE = 3
    BAD_LENGTH = 4
    BAD_ARGUMENT = 5
    ENGINE = 6
    NO_HELLO = 7
    BAD_INPUT = 8
    CUT = 9
    STALE = 10
    STATE = 11


class RunFlag(IntFlag):
    """Flags of a RUN request."""

    NONE = 0
    INVOKE = 1
    STACK = 2
    PROFILE = 4
    NO_OUTPUTS = 8
    TRIGGER = 16
    KEEP = 32


DTYPES = {0: "float32", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8"}
"""Number of the TFLite schema's TensorType -> numpy name."""

_HEADER = struct.Struct("<2sBBHHI")
_CRC = struct.Struct("<I")
_RUN = struct.Struct("<BBHII")
_READ = struct.Struct("<BBHII")
_RUN_REPLY = struct.Struct("<IIHBBII")
_HELLO = struct.Struct("<HH16s32s8sIIIIIHBB16s16s")
_TENSOR = struct.Struct("<BBH6Ifi")
FAULT_WORDS = 23
CLOCK_BYTES = 4
_FAULT = struct.Struct(f"<{FAULT_WORDS}I")
RUN_BYTES = _RUN.size
RUN_REPLY_BYTES = _RUN_REPLY.size
HELLO_BYTES = _HELLO.size
HELLO_TENSOR_BYTES = _TENSOR.size
_FLAG_FAULT, _FLAG_SENSOR = 1, 2
_INTERNAL_CLOCK = b"-hsi"
"""How the name ends of a board whose external oscillator did not start (firmware/port/port.h)."""
_CUT_NAMES = {b"nucleo-f401": b"nucleo-f401re", b"nano33-uart": b"nano33ble-uart"}
"""Names that do not fit the field's 16 bytes beside that end."""


class WireError(LinkError):
    """Bytes that are no valid frame or payload."""


@dataclass(frozen=True)
class Header:
    """A frame's header; `length` in bytes, of the payload."""

    type: int
    sequence: int
    status: int
    length: int
    version: int = VERSION

    @property
    def rest_bytes(self) -> int:
        """Bytes that follow the header: payload and its CRC."""
        return self.length + CRC_BYTES


@dataclass(frozen=True)
class Frame:
    """One request or reply."""

    type: int
    sequence: int
    payload: bytes = b""
    status: int = 0
    version: int = VERSION

    @property
    def wire_bytes(self) -> int:
        """Length on the wire, so also how much of its input `decode` consumed."""
        return HEADER_BYTES + len(self.payload) + CRC_BYTES


@dataclass(frozen=True)
class RunReply:
    """What an INVOKE cost and gave. `stack_bytes` None: not asked for. `outputs` None: not in the frame, READ them.
    `inputs_crc` and `flags` say what the reply is of, `outputs_crc` what the outputs are, wherever they travel."""

    cycles: int
    stack_bytes: int | None
    op_cycles: tuple[int, ...]
    outputs: bytes | None
    flags: RunFlag = RunFlag.INVOKE
    inputs_crc: int = 0
    outputs_crc: int = 0


def encode(frame: Frame) -> bytes:
    """Frame -> bytes for the line."""
    head = _HEADER.pack(MAGIC, frame.version, frame.type, frame.sequence, frame.status, len(frame.payload))
    crc = zlib.crc32(head)
    return b"".join((head, _CRC.pack(crc), frame.payload, _CRC.pack(zlib.crc32(frame.payload, crc))))


def decode_header(data: bytes) -> Header:
    """16 bytes -> Header. Raises WireError when they are no header of this protocol."""
    magic, version, type_, sequence, status, length = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise WireError("no frame begins here", expected=f"magic {MAGIC.hex(' ')}", received=magic.hex(" "))
    if zlib.crc32(data[: _HEADER.size]) != _CRC.unpack_from(data, _HEADER.size)[0]:
        raise WireError("damaged frame header", expected="matching CRC-32", received=bytes(data[:HEADER_BYTES]).hex(" "))
    if length > MAX_PAYLOAD_LIMIT:
        raise WireError("impossible frame length", expected=f"at most {MAX_PAYLOAD_LIMIT} bytes", received=f"{length} bytes")
    return Header(type_, sequence, status, length, version)


def decode_rest(header: Header, rest: bytes) -> Frame:
    """Header and the `rest_bytes` after it -> Frame. Raises WireError when the payload is damaged
    or belongs to another header."""
    payload = bytes(rest[: header.length])
    head = _HEADER.pack(MAGIC, header.version, header.type, header.sequence, header.status, header.length)
    if zlib.crc32(payload, zlib.crc32(head)) != _CRC.unpack_from(rest, header.length)[0]:
        raise WireError("damaged payload", expected="matching CRC-32", received=f"{header.length} bytes that differ")
    return Frame(header.type, header.sequence, payload, header.status, header.version)


def decode(data: bytes) -> Frame | None:
    """Bytes from the beginning of a frame -> Frame, or None while more are needed. Bytes after it are left alone.

    Raises WireError as soon as the bytes can't become a frame.
    """
    if not MAGIC.startswith(bytes(data[:2])):
        raise WireError("no frame begins here", expected=f"magic {MAGIC.hex(' ')}", received=bytes(data[:2]).hex(" "))
    if len(data) < HEADER_BYTES:
        return None
    header = decode_header(data)
    rest = data[HEADER_BYTES : HEADER_BYTES + header.rest_bytes]
    return decode_rest(header, rest) if len(rest) == header.rest_bytes else None


def tensors_crc(tensors: Sequence[bytes]) -> int:
    """CRC-32 of the tensors' bytes, one after another."""
    crc = 0
    for data in tensors:
        crc = zlib.crc32(data, crc)
    return crc


def run_payload(
    tensor: int, offset: int, data: bytes, flags: RunFlag = RunFlag.NONE, inputs_crc: int = 0, after: int = 0
) -> bytes:
    """RUN request: `data` to input `tensor` at byte `offset`; INVOKE then runs on inputs of that `inputs_crc` only, with KEEP on
    the state after so many inferences as `after` (state_count) says."""
    return _RUN.pack(tensor, flags, after, offset, inputs_crc) + data


def state_count(windows: int) -> int:
    """As the board counts the inferences of a sequence: 0 is none, then from 1 to 65535 and from 1 again."""
    return (windows - 1) % 0xFFFF + 1 if windows else 0


def decode_run_payload(payload: bytes) -> tuple[int, int, bytes, RunFlag, int]:
    """RUN request -> tensor, offset, data, flags, inputs_crc. Raises WireError when too short."""
    if len(payload) < RUN_BYTES:
        raise WireError("short RUN request", expected=f"at least {RUN_BYTES} bytes", received=f"{len(payload)} bytes")
    tensor, flags, _, offset, inputs_crc = _RUN.unpack_from(payload)
    return tensor, offset, payload[RUN_BYTES:], RunFlag(flags), inputs_crc


def read_payload(tensor: int, offset: int, length: int) -> bytes:
    """READ request: `length` bytes of output `tensor` from byte `offset`."""
    return _READ.pack(tensor, 0, 0, offset, length)


def reboot_payload(bootloader: bool) -> bytes:
    """REBOOT request."""
    return bytes([1 if bootloader else 0])


def decode_run_reply(payload: bytes, output_bytes: int) -> RunReply:
    """Reply to an INVOKE -> RunReply. `output_bytes`: of all output tensors together. Raises WireError on a wrong length and on
    outputs that are not those of its CRC."""
    if len(payload) < _RUN_REPLY.size:
        raise WireError("short RUN reply", expected=f"at least {_RUN_REPLY.size} bytes", received=f"{len(payload)} bytes")
    cycles, stack, ops, flags, _, inputs_crc, outputs_crc = _RUN_REPLY.unpack_from(payload)
    end = _RUN_REPLY.size + 4 * ops
    if len(payload) not in (end, end + output_bytes):
        expected = f"{end} or {end + output_bytes} bytes"
        raise WireError("RUN reply of a wrong length", expected=expected, received=f"{len(payload)} bytes")
    op_cycles = struct.unpack_from(f"<{ops}I", payload, _RUN_REPLY.size)
    outputs = payload[end:] if len(payload) == end + output_bytes and not (flags & RunFlag.NO_OUTPUTS and output_bytes) else None
    if outputs is not None:
        check_outputs(outputs, outputs_crc)
    return RunReply(cycles, stack if flags & RunFlag.STACK else None, op_cycles, outputs, RunFlag(flags), inputs_crc, outputs_crc)


def check_outputs(outputs: bytes, crc: int) -> None:
    """Raises WireError when these are not the bytes that the inference left."""
    if zlib.crc32(outputs) != crc:
        raise WireError("outputs of another inference", expected=f"CRC-32 {crc:08x}", received=f"{zlib.crc32(outputs):08x}")


def encode_run_reply(reply: RunReply) -> bytes:
    """The inverse of decode_run_reply."""
    ops, crcs = len(reply.op_cycles), (reply.inputs_crc, reply.outputs_crc)
    head = _RUN_REPLY.pack(reply.cycles, reply.stack_bytes or 0, ops, reply.flags, 0, *crcs)
    return head + struct.pack(f"<{len(reply.op_cycles)}I", *reply.op_cycles) + (reply.outputs or b"")


def decode_hello(payload: bytes) -> Hello:
    """HELLO reply -> Hello; tensors are named input0, output0, ... Raises WireError, Impossible for numbers that no board has (of
    another wire version they may mean something else)."""
    if len(payload) < _HELLO.size:
        raise WireError("short HELLO reply", expected=f"at least {_HELLO.size} bytes", received=f"{len(payload)} bytes")
    (version, flags, build, sha, board, clock, max_payload, arena, overhead, fault_pc, ops, ins, outs, engine, name) = (
        _HELLO.unpack_from(payload)
    )
    expected = _HELLO.size + (ins + outs) * _TENSOR.size
    if len(payload) != expected:
        raise WireError("HELLO reply of a wrong length", expected=f"{expected} bytes", received=f"{len(payload)} bytes")
    tensors = [_decode_tensor(payload, i, ins) for i in range(ins + outs)]
    board_name, internal_clock = _decode_name(name)
    hello = Hello(
        wire_version=version,
        build_id=build.hex(),
        model_sha256=sha.hex(),
        engine=_text(engine),
        board_name=board_name,
        board_id=board.hex(),
        clock_hz=clock,
        max_payload=max_payload,
        arena_bytes=arena,
        timer_overhead_cycles=overhead,
        op_count=ops,
        inputs=tuple(tensors[:ins]),
        outputs=tuple(tensors[ins:]),
        fault=_fault_text(fault_pc) if flags & _FLAG_FAULT else None,
        internal_clock=internal_clock,
        sensor=bool(flags & _FLAG_SENSOR),
    )
    if version == VERSION:
        bounds.check_hello(hello)
    return hello


def encode_hello(hello: Hello) -> bytes:
    """The inverse of decode_hello (names of tensors do not travel)."""
    head = _HELLO.pack(
        hello.wire_version,
        (_FLAG_FAULT if hello.fault else 0) | (_FLAG_SENSOR if hello.sensor else 0),
        bytes.fromhex(hello.build_id),
        bytes.fromhex(hello.model_sha256),
        bytes.fromhex(hello.board_id),
        hello.clock_hz,
        hello.max_payload,
        hello.arena_bytes,
        hello.timer_overhead_cycles,
        _fault_pc(hello.fault),
        hello.op_count,
        len(hello.inputs),
        len(hello.outputs),
        hello.engine.encode("ascii"),
        _encode_name(hello),
    )
    return head + b"".join(_encode_tensor(t) for t in (*hello.inputs, *hello.outputs))


def decode_fault(payload: bytes) -> FaultRecord | None:
    """FAULT reply -> FaultRecord, None where no fault caused the last reset. Raises WireError, Impossible."""
    if len(payload) != _FAULT.size:
        raise WireError("FAULT reply of a wrong length", expected=f"{_FAULT.size} bytes", received=f"{len(payload)} bytes")
    kind, flags, *rest = _FAULT.unpack(payload)
    bounds.check("kind of fault", kind)
    if not kind:
        return None
    cfsr, hfsr, mmfar, bfar = rest[9:13]
    return FaultRecord(kind, flags, tuple(rest[:9]), cfsr, hfsr, mmfar, bfar, tuple(rest[13:]))


def decode_clock(payload: bytes) -> int:
    """CLOCK reply -> the board's counter. Raises WireError."""
    if len(payload) != CLOCK_BYTES:
        raise WireError("CLOCK reply of a wrong length", expected=f"{CLOCK_BYTES} bytes", received=f"{len(payload)} bytes")
    return int.from_bytes(payload, "little")


def encode_fault(fault: FaultRecord | None) -> bytes:
    """The inverse of decode_fault."""
    if fault is None:
        return bytes(_FAULT.size)
    return _FAULT.pack(fault.kind, fault.flags, *fault.registers, fault.cfsr, fault.hfsr, fault.mmfar, fault.bfar, *fault.trace)


def _decode_tensor(payload: bytes, index: int, inputs: int) -> TensorSpec:
    dtype, rank, _, *rest = _TENSOR.unpack_from(payload, _HELLO.size + index * _TENSOR.size)
    dims, (scale, zero_point) = rest[:6], rest[6:]
    if dtype not in DTYPES or rank > len(dims):
        raise WireError(
            f"tensor {index} of the HELLO reply",
            expected=f"dtype of {sorted(DTYPES)}, rank to 6",
            received=f"dtype {dtype}, rank {rank}",
        )
    name = f"input{index}" if index < inputs else f"output{index - inputs}"
    return TensorSpec(name, tuple(dims[:rank]), DTYPES[dtype], scale, zero_point)


def _encode_tensor(tensor: TensorSpec) -> bytes:
    dtype = next(number for number, name in DTYPES.items() if name == tensor.dtype)
    dims: Sequence[int] = (*tensor.shape, *[0] * (6 - len(tensor.shape)))
    return _TENSOR.pack(dtype, len(tensor.shape), 0, *dims, tensor.scale, tensor.zero_point)


def _decode_name(field: bytes) -> tuple[str, bool]:
    """(the board's name, whether it runs from its internal oscillator)."""
    name = field.rstrip(b"\0")
    if not name.endswith(_INTERNAL_CLOCK):
        return _text(name), False
    name = name.removesuffix(_INTERNAL_CLOCK)
    return _text(_CUT_NAMES.get(name, name)), True


def _encode_name(hello: Hello) -> bytes:
    name = hello.board_name.encode("ascii")
    if not hello.internal_clock:
        return name
    return next((cut for cut, whole in _CUT_NAMES.items() if whole == name), name) + _INTERNAL_CLOCK


def _fault_text(pc: int) -> str:
    return f"pc 0x{pc:08x}" if pc else "pc unknown"


def _fault_pc(fault: str | None) -> int:
    return 0 if fault in (None, _fault_text(0)) else int(fault.removeprefix("pc "), 16)


def _text(field: bytes) -> str:
    """For people: a board's text may hold what moves a terminal's cursor."""
    return printable(field.rstrip(b"\0").decode("ascii", "backslashreplace"))
