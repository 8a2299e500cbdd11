"""Engines that fault, hang and overflow the stack, on the virtual board: what is kept, reported, and left alone."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

import pytest

from tinyrig.core.boards import BOARDS
from tinyrig.core.errors import DeviceError, LinkError
from tinyrig.link import connection, pacing
from tinyrig.link.serial_link import open_link
from tinyrig.link.session import Session
from tinyrig.link.wire import Type, read_payload
from tinyrig.tests.host_board import FIRMWARE, HostBoard, build_folder
from tinyrig.tests.port_build import port_flags, port_sources
from tinyrig.virtual.launch import VirtualBoard

BOARD = BOARDS["virtual"]
FLAGS = [
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-infinite-recursion",
    "-O2",
    "-gdwarf-4",
    "-nostartfiles",
    "--specs=nano.specs",
    f"-ffile-prefix-map={FIRMWARE}=firmware",
]
BAD_ADDRESS, BAD_INSTRUCTION, USE_ALL_STACK, HANG, RECURSE, HUGE_FRAME, JUMP_NOWHERE, HANG_MASKED, WRITE_FLASH = range(1, 10)
ARENA_BYTES = 256
SHORT_WATCHDOG = "-DMEASURE_LONGEST_US=300000"


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """images(*more flags) -> ELF of the firmware around toy_fault.c."""
    folder = tmp_path_factory.mktemp("images")

    def build(*flags: str) -> Path:
        elf = folder / f"toy{''.join(flags)}.elf"
        sources = [*FIRMWARE.glob("app/*.c"), *port_sources(BOARD), build_folder() / "build_id.c"]
        files = [*(s for s in sources if s.name != "null_engine.c"), FIRMWARE / "tests" / "toy_fault.c"]
        script = port_flags(BOARD, folder)
        if not elf.exists():
            subprocess.run(["arm-none-eabi-gcc", *BOARD.cpu_flags, *FLAGS, *flags, *script, *files, "-o", elf], check=True)
        return elf

    return build


@pytest.fixture
def impatient(monkeypatch):
    """Shorter deadlines, for boards that reset at once."""
    monkeypatch.setattr(connection, "BASE_DEADLINE_S", 0.2)
    monkeypatch.setattr(pacing, "MIN_INVOKE_DEADLINE_S", 0.1)
    monkeypatch.setattr(connection, "BYTE_DEADLINE_S", 1e-5)


@pytest.fixture
def start(images):
    """start(*flags, **options of the virtual board) -> Session that knows its image."""
    opened: list = []

    def started(*flags: str, **options) -> Session:
        board = VirtualBoard(image=images(*flags), **options)
        opened.append(board)
        session = Session(open_link(board.port, BOARD.baud), invoke_deadline_s=5.0)
        opened.append(session)
        session.elf = images(*flags)
        return session

    yield started
    for thing in reversed(opened):
        thing.close()


def arena(seed: int) -> bytes:
    return bytes(i ^ seed for i in range(ARENA_BYTES))


def misbehave(session: Session, how: int, **options) -> DeviceError:
    """Runs a good inference, then a bad one; returns the error it ends with. Good ones work again afterwards."""
    assert session.run(bytes(4)).outputs == arena(0)
    with pytest.raises(DeviceError) as caught:
        session.run(bytes([how, 0x5A, 0, 0]), **options)
    return caught.value


@pytest.mark.parametrize(
    ("how", "function", "reason"),
    [
        (BAD_ADDRESS, "toy_read (tests/toy_fault.c:", "bus fault (precise), at address 0x60000000"),
        (BAD_INSTRUCTION, "(tests/toy_fault.c:", "undefined instruction"),
        (JUMP_NOWHERE, "(tests/toy_fault.c:", "bus fault on an instruction fetch"),
        (WRITE_FLASH, "(tests/toy_fault.c:", "bus fault (precise), at address 0x00010000"),
    ],
)
def test_processor_fault_is_told_with_function_line_and_reason(impatient, start, how, function, reason):
    session = start()
    error = misbehave(session, how)
    assert error.what.startswith("the board faulted in ") and function in error.what, error.what
    assert reason in error.received and "CFSR 0x" in error.received and error.exit_code == 3
    assert session.run(bytes(4)).outputs == arena(0)


def test_caller_of_the_faulting_function_is_named(impatient, start):
    assert ", called from " in misbehave(start(), BAD_ADDRESS).what


def test_registers_are_those_of_the_fault(impatient, start):
    session = start()
    misbehave(session, BAD_ADDRESS)
    record = session.fault()
    assert record.complete and not record.at_start and record.kind == 1
    assert record.registers[0] == record.bfar == 0x60000000  # toy_read's argument
    assert 0x20000000 < record.registers[8] < 0x20040000 and record.hfsr == 1 << 30


def test_fault_is_told_once(impatient, start):
    session = start()
    misbehave(session, BAD_ADDRESS)
    session.reboot(bootloader=False)
    assert session.hello().fault is None and session.fault() is None


def test_line_is_right_to_the_number(impatient, start, images):
    """pyelftools' reading of the line table against addr2line's."""
    session = start()
    error = misbehave(session, BAD_ADDRESS)
    pc = f"0x{session.fault().pc:x}"
    told = subprocess.run(["arm-none-eabi-addr2line", "-e", images(), pc], capture_output=True, text=True, check=True).stdout
    assert f"{told.strip().split('/')[-1].split(' ')[0]})" in error.what


@pytest.mark.parametrize("clock", ["cycles", "off"])
def test_hang_is_ended_by_the_board_and_named(start, clock):
    session = start(SHORT_WATCHDOG, clock=clock)
    error = misbehave(session, HANG)
    assert "the board hung in toy_spin (tests/toy_fault.c:" in error.what and "pc 0x" in error.received
    assert session.run(bytes(4)).outputs == arena(0)


def test_watchdog_follows_the_longest_inference(start):
    """Without the short limit: a second and twenty times the longest one, instead of a minute."""
    session = start()
    assert "the board hung in toy_spin" in misbehave(session, HANG).what


def test_hang_right_after_a_fault_is_ended_too(start):
    """Both sides have forgotten by then how long an inference takes: the host waits as long as for a first one."""
    session = start(SHORT_WATCHDOG)
    misbehave(session, BAD_ADDRESS)
    with pytest.raises(DeviceError, match="the board hung in toy_spin"):
        session.run(bytes([HANG, 0, 0, 0]))


def test_hang_in_a_profile_and_with_stack_is_ended_too(start):
    assert "the board hung" in misbehave(start(SHORT_WATCHDOG), HANG, profile=True, stack=True).what


@pytest.mark.slow
def test_hang_in_the_very_first_inference_is_ended_before_the_host_gives_up(start):
    """A minute of the board's time, with the deadlines of every day: the host sends its request four times, 30 s apart."""
    session = start()
    session.connection.invoke_deadlines.first_s = pacing.FIRST_INVOKE_DEADLINE_S
    with pytest.raises(DeviceError, match="the board hung in toy_spin"):
        session.run(bytes([HANG, 0, 0, 0]))


def test_long_but_good_inferences_are_left_alone(start):
    """The watchdog counts one inference, not the time between, and stops behind it."""
    session = start(SHORT_WATCHDOG, clock="off")
    for _ in range(4):
        assert session.run(bytes(4)).outputs == arena(0)
        time.sleep(0.1)
    assert session.hello().fault is None


@pytest.mark.slow
def test_hang_with_interrupts_masked_is_left_to_the_host(impatient, start):
    session = start(SHORT_WATCHDOG)
    session.run(bytes(4))
    with pytest.raises(LinkError, match="no answer"):
        session.run(bytes([HANG_MASKED, 0, 0, 0]))


@pytest.mark.parametrize(
    ("how", "function"), [(RECURSE, "toy_recurse (tests/toy_fault.c:"), (HUGE_FRAME, "engine_invoke or what it calls")]
)
def test_stack_overflow_is_named_and_touches_no_data(impatient, start, how, function):
    session = start()
    error = misbehave(session, how)
    assert error.what.startswith(f"stack overflow in {function}"), error.what
    assert "all RAM that nothing else uses" in error.expected and error.exit_code == 3
    assert session.fault().kind == 3
    read = session.connection.ask(Type.READ, read_payload(0, 0, ARENA_BYTES), bytes, expect=ARENA_BYTES)
    assert read == arena(0x5A)  # as the inference had left it when its stack ran over


def test_a_data_section_of_any_alignment_leaves_the_stack_what_is_left(tmp_path):
    """The linker script works the sizes out before it places anything."""
    for alignment in (4, 64, 1024):
        source, elf = tmp_path / f"b{alignment}.c", tmp_path / f"b{alignment}.elf"
        source.write_text(
            f"_Alignas({alignment}) char odd[1001] = {{1}}; _Alignas({alignment}) char zero[{alignment} + 3];\n"
            "void app_main(void);\nvoid app_main(void) { odd[1] += zero[1]; }\n"
        )
        port, script = port_sources(BOARD), port_flags(BOARD, tmp_path)
        subprocess.run(["arm-none-eabi-gcc", *BOARD.cpu_flags, *FLAGS, *script, *port, source, "-o", elf], check=True)
        symbols = subprocess.run(["arm-none-eabi-nm", elf], capture_output=True, text=True, check=True).stdout
        at = {name: int(address, 16) for address, _, name in (row.split() for row in symbols.splitlines())}
        assert at["odd"] % alignment == at["zero"] % alignment == 0
        assert at["_stack_top"] % 8 == 0 and at["_bss_end"] <= 0x20040000
        assert 0x20040000 - at["_bss_end"] <= 2 * alignment + 32


def test_used_up_stack_is_an_error(impatient, start):
    session = start()
    with pytest.raises(DeviceError, match="stack reached its limit"):
        session.run(bytes([USE_ALL_STACK, 0, 0, 0]), stack=True)


def test_fault_in_the_engines_preparation_is_told_and_the_board_still_listens(start):
    session = start("-DTOY_FAULT_AT_START")
    assert session.hello().fault
    error = session.fault_error()
    assert "the board faulted in engine_init (tests/toy_fault.c:" in error.what and "while the board started" in error.what
    with pytest.raises(DeviceError, match="engine_init failed"):
        session.run(bytes(4))


@pytest.mark.parametrize(("how", "told"), [(BAD_ADDRESS, "faulted"), (HANG, "hung"), (RECURSE, "stack overflow")])
def test_kind_is_told_where_the_bootloader_overwrites_the_record(start, how, told):
    """The retained register survives what the RAM does not."""
    session = start(SHORT_WATCHDOG, faults=["boot-ram"])
    error = misbehave(session, how)
    assert told in error.what and "did not survive the reset" in error.received


def test_half_a_record_is_not_believed(impatient, start, images):
    """The bootloader reaches eight bytes into it: the kind is reported, the registers are not."""
    symbols = subprocess.run(["arm-none-eabi-nm", images()], capture_output=True, text=True, check=True).stdout
    kept = next(int(row.split()[0], 16) for row in symbols.splitlines() if row.endswith(" kept"))
    error = misbehave(start(faults=[f"boot-ram:{kept + 8 - BOARD.ram_base}"]), BAD_ADDRESS)
    assert error.what == "the board faulted" and "did not survive the reset" in error.received


def test_hang_on_the_host_port_is_told():
    with HostBoard("tests/toy_hang.c", SHORT_WATCHDOG) as board, Session(board.link(), invoke_deadline_s=5.0) as session:
        assert session.run(bytes(4)).outputs == bytes(4)
        with pytest.raises(DeviceError, match="the board hung"):
            session.run(bytes([1, 0, 0, 0]))
        assert session.run(bytes(4)).outputs == bytes(4)


@pytest.mark.slow
def test_many_faults_in_a_row_are_all_survived(start, capsys):
    """Twelve of each kind on one board. Recovery: from sending the bad window to the outputs of the next good one."""
    session = start()
    session.run(bytes(4))
    for kind, how in (("processor fault", BAD_ADDRESS), ("hang", HANG), ("stack overflow", RECURSE)):
        times = []
        for _ in range(12):
            began = time.monotonic()
            with pytest.raises(DeviceError):
                session.run(bytes([how, 0, 0, 0]))
            assert session.run(bytes(4)).outputs == arena(0)
            times.append(time.monotonic() - began)
        with capsys.disabled():
            print(f"\n{kind}: {len(times)} survived, recovery {statistics.median(times):.2f} s median, {max(times):.2f} s worst")
