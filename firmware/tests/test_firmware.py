"""The C side: unit tests under ASan and UBSan, the command loop byte by byte, and an ARM build without a warning."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyrig.core.boards import BOARDS
from tinyrig.link import wire
from tinyrig.link.wire import Frame, RunFlag, Status, Type
from tinyrig.tests.host_board import APP, BUILD_ID, FIRMWARE, HostBoard, ask, build, build_folder, replies
from tinyrig.tests.port_build import port_flags, port_sources

VECTORS = json.loads((FIRMWARE / "vectors.json").read_text())["vectors"]
TOY = "tests/toy_int8.c"
TWICE_PLUS_ONE = bytes([1, 3, 5, 7, 9, 11, 13, 15])
CRC = wire.tensors_crc([bytes(range(8))])


def invoke(flags: RunFlag = RunFlag.INVOKE, data: bytes = b"", crc: int = CRC) -> bytes:
    """RUN payload that runs on bytes 0 to 7, in place already or sent along."""
    return wire.run_payload(0, 0, data, flags, crc)


def vectors_as_c() -> str:
    """vectors.json -> the table that test_wire.c includes."""
    rows, frames = [], []
    for i, v in enumerate(VECTORS):
        data, f = bytes.fromhex(v["hex"]), v["frame"]
        frames.append(f"static const uint8_t frame{i}[] = {{{', '.join(str(b) for b in data)}}};")
        header = f"{{{f['version']}, {f['type']}, {f['sequence']}, {f['status']}, {len(f['payload']) // 2}}}"
        rows.append(f'    {{"{v["name"]}", sizeof frame{i}, frame{i}, {header}}},')
    return "\n".join([*frames, "static const golden vectors[] = {", *rows, "};\n"])


def test_codec_on_golden_frames():
    (build_folder() / "vectors.inc").write_text(vectors_as_c())
    done = subprocess.run([build("test_wire", "tests/test_wire.c", "app/wire.c")], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_commands():
    program = build("test_commands", "tests/test_commands.c", "tests/toy_multi.c", *APP)
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def running():
    with HostBoard(TOY) as board, board.link() as link:
        yield link


@pytest.fixture
def line(running):
    """A link to a running toy board, greeted again: any sequence number may follow."""
    assert ask(running, Frame(Type.HELLO, 1)).status == Status.OK
    return running


def test_nothing_but_hello_before_hello():
    with HostBoard(TOY) as board, board.link() as link:
        assert ask(link, Frame(Type.ECHO, 1, b"x")).status == Status.NO_HELLO
        assert ask(link, Frame(Type.HELLO, 2)).status == Status.OK
        assert ask(link, Frame(Type.ECHO, 3, b"x")).payload == b"x"


def test_a_board_that_a_busy_machine_holds_up_is_waited_for():
    """For three times as long as replies() waits for a silent line: what the other tests rely on under load."""
    with HostBoard(TOY) as board, board.link() as link:
        board.process.send_signal(signal.SIGSTOP)
        threading.Timer(9 * wire.BOARD_SILENCE_S, board.process.send_signal, [signal.SIGCONT]).start()
        assert ask(link, Frame(Type.HELLO, 1)).status == Status.OK


def test_hello_tells_the_build_id(line):
    assert wire.decode_hello(ask(line, Frame(Type.HELLO, 2)).payload).build_id == BUILD_ID.hex()


def test_hello_is_answered_in_any_version(line):
    reply = ask(line, Frame(Type.HELLO, 3, version=77))
    assert (reply.status, reply.version) == (Status.OK, wire.VERSION)
    assert ask(line, Frame(Type.ECHO, 4, b"x", version=77)).status == Status.BAD_VERSION


def test_request_byte_by_byte(line):
    for byte in wire.encode(Frame(Type.ECHO, 5, b"TRT")):
        line.write(bytes([byte]))
        time.sleep(0.001)
    (reply,) = replies(line)
    assert reply.payload == b"TRT"


REQUESTS = [v for v in VECTORS if v["frame"]["type"] in (Type.HELLO, Type.RUN, Type.READ, Type.ECHO)]


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda v: v["name"])
def test_golden_requests_reach_the_loop_in_any_pieces(line, vector):
    """Whole, byte by byte, and with the next request right behind: one reply, always of the same form."""
    data, seen = bytes.fromhex(vector["hex"]), set()
    behind = wire.encode(Frame(Type.ECHO, (vector["frame"]["sequence"] + 1) & 0xFFFF, b"behind"))
    for pieces in ([data], [bytes([b]) for b in data], [data + behind]):
        ask(line, Frame(Type.HELLO, 0))  # takes the kept reply's place and any number follows: each is executed again
        for piece in pieces:
            line.write(piece)
        reply, *more = replies(line, 2 if pieces[0].endswith(behind) else 1)
        seen.add((reply.type, reply.sequence, reply.status, len(reply.payload)))
        assert [f.payload for f in more] == ([b"behind"] if pieces[0].endswith(behind) else [])
    ((type_, sequence, status, _),) = seen
    assert (type_, sequence) == (vector["frame"]["type"] | wire.REPLY_BIT, vector["frame"]["sequence"])
    assert status in (Status.OK, Status.BAD_ARGUMENT, Status.BAD_INPUT)  # some mean tensors and inputs that the toy lacks


def test_golden_request_with_any_byte_damaged_is_not_executed(line):
    data = bytes.fromhex(next(v["hex"] for v in VECTORS if v["name"] == "echo of the magic"))
    for at in range(len(data)):
        line.write(data[:at] + bytes([data[at] ^ 0x20]) + data[at + 1 :])
        assert all(f.status == Status.BAD_CRC for f in replies(line, 0))


def test_requests_without_a_pause_are_all_answered(line):
    line.write(b"".join(wire.encode(Frame(Type.ECHO, n, bytes([n] * n))) for n in range(20, 30)))
    assert [(f.sequence, f.payload) for f in replies(line, 10)] == [(n, bytes([n] * n)) for n in range(20, 30)]


def test_silence_ends_half_a_frame(line):
    for cut in (1, 5, wire.HEADER_BYTES, wire.HEADER_BYTES + 3):
        line.write(wire.encode(Frame(Type.ECHO, 40, b"dropped"))[:cut])
        told = [(40, Status.CUT)] if cut >= wire.HEADER_BYTES else []  # without a header there is nobody to report to
        assert [(f.sequence, f.status) for f in replies(line, len(told))] == told
        assert ask(line, Frame(Type.ECHO, 41 + cut, b"taken")).payload == b"taken"


def test_repetition_is_answered_but_not_executed(line):
    """The toy works in place: an INVOKE without data that ran twice would double twice."""
    ask(line, Frame(Type.RUN, 50, wire.run_payload(0, 0, bytes(range(8)))))
    request = Frame(Type.RUN, 51, invoke())
    first, second = ask(line, request), ask(line, request)
    assert first == second
    assert first.payload.endswith(TWICE_PLUS_ONE)


def test_damaged_repetition_keeps_the_answer(line):
    ask(line, Frame(Type.RUN, 60, wire.run_payload(0, 0, bytes(range(8)))))
    request = wire.encode(Frame(Type.RUN, 61, invoke()))
    line.write(request)
    (first,) = replies(line)
    line.write(request[:-1] + bytes([request[-1] ^ 1]))
    (refusal,) = replies(line)
    line.write(request)
    (again,) = replies(line)
    assert refusal.status == Status.BAD_CRC
    assert again == first


def test_same_number_with_other_content_is_a_new_request(line):
    assert ask(line, Frame(Type.ECHO, 70, b"one")).payload == b"one"
    assert ask(line, Frame(Type.ECHO, 70, b"two")).payload == b"two"


def test_damaged_data_never_reaches_the_input(line):
    ask(line, Frame(Type.RUN, 80, wire.run_payload(0, 0, bytes(range(8)))))
    bad = bytearray(wire.encode(Frame(Type.RUN, 81, wire.run_payload(0, 0, bytes([9] * 8)))))
    bad[wire.HEADER_BYTES + wire.RUN_BYTES] ^= 0x80
    line.write(bytes(bad))
    (refusal,) = replies(line)
    assert refusal.status == Status.BAD_CRC
    assert ask(line, Frame(Type.RUN, 82, invoke())).payload.endswith(TWICE_PLUS_ONE)


def test_late_request_of_earlier_is_not_executed(line):
    """A chunk that was held up would overwrite part of the next window's input."""
    late = Frame(Type.RUN, 83, wire.run_payload(0, 2, bytes([99] * 3)))
    ask(line, late)
    ask(line, Frame(Type.RUN, 84, wire.run_payload(0, 0, bytes(range(8)))))
    refusal = ask(line, late)
    assert (refusal.sequence, refusal.status, refusal.payload) == (83, Status.STALE, b"")
    assert ask(line, Frame(Type.RUN, 85, invoke())).payload.endswith(TWICE_PLUS_ONE)


@pytest.mark.parametrize(
    ("newest", "number", "status"),
    [
        (5, 4, Status.STALE),
        (5, 5, Status.OK),
        (5, 6, Status.OK),
        (0, 0xFFFF, Status.STALE),
        (0xFFFF, 0, Status.OK),
        (0, 0x8001, Status.STALE),
        (0, 0x8000, Status.OK),
        (0, 0x7FFF, Status.OK),
    ],
)
def test_older_is_half_the_range(line, newest, number, status):
    ask(line, Frame(Type.HELLO, 9))
    ask(line, Frame(Type.ECHO, newest, b"newest"))
    assert ask(line, Frame(Type.ECHO, number, b"then")).status == status
    assert ask(line, Frame(Type.ECHO, newest, b"goes on")).status in (Status.OK, Status.STALE)


def test_any_number_follows_a_hello(line):
    ask(line, Frame(Type.ECHO, 200, b""))
    ask(line, Frame(Type.HELLO, 7))
    assert ask(line, Frame(Type.ECHO, 100, b"")).status == Status.OK


def test_invoke_repeated_after_a_late_hello_refuses_its_own_leavings(line):
    """The hello took the kept reply's place, and the inference had overwritten its input: it must not run on that."""
    ask(line, Frame(Type.HELLO, 0))
    ask(line, Frame(Type.RUN, 86, wire.run_payload(0, 0, bytes(range(8)))))
    request = Frame(Type.RUN, 87, invoke())
    assert ask(line, request).payload.endswith(TWICE_PLUS_ONE)
    ask(line, Frame(Type.HELLO, 88))
    assert ask(line, request).status == Status.BAD_INPUT
    assert ask(line, Frame(Type.RUN, 89, invoke(data=bytes(range(8))))).payload.endswith(TWICE_PLUS_ONE)


def test_too_long_a_frame_is_swallowed_whole(line):
    """Its payload is full of headers, none of which may be taken for one."""
    inner = wire.encode(Frame(Type.ECHO, 91, b"not this"))
    line.write(wire.encode(Frame(Type.ECHO, 90, inner * 300)) + wire.encode(Frame(Type.ECHO, 92, b"this")))
    assert [(f.sequence, f.status) for f in replies(line, 2)] == [(90, Status.BAD_LENGTH), (92, Status.OK)]


def test_too_long_a_frame_that_stops_is_told(line):
    """More than the board's buffer came before the silence."""
    line.write(wire.encode(Frame(Type.ECHO, 93, bytes(9000)))[:7000])
    assert [(f.sequence, f.status) for f in replies(line)] == [(93, Status.CUT)]
    assert ask(line, Frame(Type.ECHO, 94, b"next")).payload == b"next"


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_in_step_after_any_corruption(line, data):
    """Noise or a damaged frame, then the host's silence, then a request: it is answered, whatever was said of the noise."""
    frame = wire.encode(Frame(Type.ECHO, 100, data.draw(st.binary(max_size=40), "payload")))
    noise = st.binary(max_size=60) | st.sampled_from([b"T", b"TR", b"TTRTR", frame[:20]])
    cut = data.draw(st.integers(0, len(frame)), "cut")
    line.write(data.draw(noise, "before") + frame[:cut] + data.draw(noise, "between") + frame[cut + 1 :])
    while line.read(65536, wire.HOST_SILENCE_S):
        pass
    marker = data.draw(st.binary(min_size=1, max_size=9), "marker")
    line.write(wire.encode(Frame(Type.ECHO, 101, marker)))
    said = [f for f in replies(line) if f.sequence == 101]
    assert [f.payload for f in said or replies(line)] == [marker]  # a busy machine may send what it said of the noise only now


def test_frame_behind_noise_is_found_without_silence(line):
    """Dropping byte by byte, not frame by frame."""
    line.write(b"TRTR\x01\x02T" + wire.encode(Frame(Type.ECHO, 110, b"found")) + bytes(16))
    assert [f.payload for f in replies(line)] == [b"found"]


def test_stack_and_profile_are_plausible(line):
    flags = RunFlag.INVOKE | RunFlag.STACK | RunFlag.PROFILE
    reply = ask(line, Frame(Type.RUN, 120, invoke(flags, bytes(range(8)))))
    run = wire.decode_run_reply(reply.payload, 8)
    assert 1024 <= run.stack_bytes < 64 * 1024  # the toy's scratch array, and not the whole painted range
    assert run.cycles == sum(run.op_cycles) and len(run.op_cycles) == 2
    assert run.outputs == TWICE_PLUS_ONE


def test_reboot_forgets_the_session():
    with HostBoard(TOY) as board, board.link() as link:
        ask(link, Frame(Type.HELLO, 1))
        assert ask(link, Frame(Type.REBOOT, 2, wire.reboot_payload(bootloader=False))).status == Status.OK
        assert ask(link, Frame(Type.ECHO, 3, b"x")).status == Status.NO_HELLO


ARM_FLAGS = [
    "-std=c11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wshadow",
    "-Os",
    "-ffunction-sections",
    "-fdata-sections",
    "-nostartfiles",
    "--specs=nano.specs",
]


@pytest.mark.parametrize("engine", ["app/null_engine.c", TOY, "tests/toy_multi.c"])
@pytest.mark.parametrize("payload", [512, 65536])
def test_arm_image_builds_without_a_warning(tmp_path, engine, payload):
    elf, board = tmp_path / "image.elf", BOARDS["nano33ble-uart"]
    sources = [*sorted(FIRMWARE.glob("app/*.c")), *port_sources(board), build_folder() / "build_id.c"]
    sources = [s for s in sources if s.name != "null_engine.c"]
    script = port_flags(board, tmp_path)
    command = [
        "arm-none-eabi-gcc",
        *board.cpu_flags,
        *ARM_FLAGS,
        f"-DWIRE_MAX_PAYLOAD={payload}",
        *script,
        "-Wl,--gc-sections",
        *sources,
        FIRMWARE / engine,
        "-o",
        elf,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr
    symbols = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True).stdout
    at = {name: int(address, 16) for address, _, name in (row.split() for row in symbols.splitlines())}
    assert at["vectors"] == board.flash_base and at["_stack_limit"] == board.ram_base
    order = ["_stack_limit", "_stack_top", "_data_start", "_data_end", "_bss_start", "_bss_end"]
    assert all(at[low] <= at[high] for low, high in pairwise(order))
    assert board.ram_base + board.ram_bytes - at["_bss_end"] <= 64  # the stack has all that is left, but for alignment
