"""`python -m tinyrig.virtual`: the virtual board as a process. Its first line on stdout is `port PATH`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinyrig.core.errors import RigError, UserError
from tinyrig.host.forked import CRASH_STATUS
from tinyrig.host.helper import Lines
from tinyrig.host.own_command import run_module
from tinyrig.virtual.faults import FAULTS, Fault, parse_fault
from tinyrig.virtual.image import load_image
from tinyrig.virtual.line_faults import HELP, LineFault

if TYPE_CHECKING:
    from tinyrig.virtual.board import Board, BoardOptions  # imported late: --help needs no emulator

TICK_S = 0.02
RECORDING_S = 60.0
"""To make a recording of --sensors."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TELL = signal.SIGUSR1
"""Asks for the line `injected {...}` on stderr, which comes at the end too."""
TELL_SPANS = signal.SIGUSR2
"""Asks for a line on stdout: what Spans.all() has, as JSON."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    faults = "\n".join(f"  {name}:N  {text} (N {default} if left out)" for name, (default, text) in FAULTS.items())
    p = argparse.ArgumentParser(
        prog="python -m tinyrig.virtual",
        description=__doc__,
        epilog=f"faults:\n{faults}\n{HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--link", type=Path, help="make a symbolic link with this name to the port")
    p.add_argument("--image", type=Path, help="ELF or .bin to preload and start (default: blank flash)")
    p.add_argument(
        "--line-rate", type=int, default=0, metavar="BAUD", help="baud rate of a real 8N1 line to imitate; 0: unthrottled"
    )
    p.add_argument("--clock", choices=("cycles", "instructions", "off"), default="cycles", help="what DWT CYCCNT counts")
    p.add_argument(
        "--hook", choices=("auto", "c", "python"), default="auto", help="which implementation of the timing model counts"
    )
    p.add_argument(
        "--memory",
        metavar="NAME|FILE",
        default="none",
        help="whose flash and cache the cycles include: none (default; a run that did not start this board takes it for that), "
        "nrf52840, or a file of tinyrig calibrate --json",
    )
    p.add_argument("--fault", action="append", default=[], metavar="NAME[:N]", help="inject a fault; see below")
    p.add_argument("--fault-seed", type=int, default=0, metavar="N", help="seed of the random line faults")
    p.add_argument("--number", type=int, default=0, metavar="0-255", help="last byte of the board's id")
    p.add_argument("--sensors", metavar="glove|watch|FILE.npz", help="what virtual sensors read: x, rate_hz and sensor")
    p.add_argument(
        "--sensor-speed", type=float, default=1.0, metavar="N", help="seconds of the board with sensors in one of the host's"
    )
    p.add_argument("--sensor-log", type=Path, metavar="FILE", help="write each I2C transfer and converter scan there, one a line")
    p.add_argument("--until-eof", action="store_true", help="end when stdin closes")
    return p


def make_link(link: Path, port: str) -> None:
    """Points `link` to `port`, replacing an older link whole; never replaces a real file."""
    if link.exists() and not link.is_symlink():
        raise RigError(f"{link} exists and is not a symbolic link", remedy="choose another --link")
    part = link.with_name(f"{link.name}.{os.getpid()}")
    part.symlink_to(port)
    part.replace(link)


def drop_link(link: Path | None, port: str) -> None:
    """Removes the link if it is still ours."""
    with contextlib.suppress(OSError):
        if link and os.readlink(link) == port:
            link.unlink()


def tell_injected(board: Board) -> None:
    """One line on stderr: the faults of the line injected so far, by direction and kind."""
    print(f"injected {json.dumps(dict(sorted(board.line.injected.items())))}", file=sys.stderr, flush=True)


def leave(link: Path | None, board: Board) -> None:
    """Ends the process at once, emulator and all; takes the link along."""
    drop_link(link, board.line.path)
    with contextlib.suppress(OSError):  # nobody may be left to read it
        if board.line.injected:
            tell_injected(board)
        sys.stdout.flush()
    os._exit(0)


def beside(work: Callable[..., None], link: Path | None, board: Board, *args: Any) -> None:
    """Runs `work` in a thread beside the emulator. Without it the board would hear of no end: so the process ends with it. An
    answer that nobody is left to read is an end like any other."""

    def life() -> None:
        try:
            work(link, board, *args)
        except BrokenPipeError:
            leave(link, board)
        except BaseException:
            traceback.print_exc()
        drop_link(link, board.line.path)
        os._exit(CRASH_STATUS)

    threading.Thread(target=life, daemon=True).start()


class Requests:
    """Standard input, on which whoever started us asks for other layouts: `{"lay_out": ELF}`, answered by how many count."""

    def __init__(self, board: Board) -> None:
        self._board, self._lines = board, Lines()

    def closed(self) -> bool:
        """Whether whoever started us has gone; answers what was asked meanwhile."""
        if not select.select([0], [], [], 0)[0]:
            return False
        data = os.read(0, 4096)
        for line in self._lines.feed(data):
            print(json.dumps({"layouts": self._board.lay_out(Path(json.loads(line)["lay_out"]))}), flush=True)
        return data == b""


def hear(link: Path | None, board: Board) -> None:
    """Beside the emulator: signals, which are blocked in every thread. Not by sigtimedwait: once stopped and continued, Python's
    gives a siginfo that nobody has filled in once its time is up (CPython 3.11 to 3.13)."""
    while True:
        heard = signal.sigwait((*SIGNALS, TELL, TELL_SPANS))
        if heard == TELL:
            tell_injected(board)
        elif heard == TELL_SPANS:
            print(json.dumps(board.dwt.spans.all()), flush=True)
        else:
            leave(link, board)


def watch(link: Path | None, board: Board, until_eof: bool) -> None:
    """Beside the emulator: the end of stdin, the 1200-baud touch."""
    requests = Requests(board)
    while True:
        time.sleep(TICK_S)
        if until_eof and requests.closed():
            leave(link, board)
        board.tick()


def recorded(word: str) -> Path:
    """The recording that --sensors names. Raises UserError."""
    if word not in ("glove", "watch"):
        return Path(word)
    path = Path(tempfile.mkdtemp(prefix="tinyrig-sensors-")) / "recording.npz"
    status, _ = run_module(["tinyrig.variants.data.recording", word, str(path)], RECORDING_S)
    if status:
        raise UserError(f"the recording {word} could not be made", received=f"exit status {status}, for the reason above")
    return path


def _options(args: argparse.Namespace, image: Sequence[tuple[int, bytes]], faults: Sequence[Fault | LineFault]) -> BoardOptions:
    from tinyrig.virtual.board import BoardOptions

    return BoardOptions(
        tuple(image),
        args.line_rate,
        args.clock,
        args.hook,
        tuple(faults),
        args.number,
        args.fault_seed,
        args.memory,
        recorded(args.sensors) if args.sensors else None,
        args.sensor_speed,
        args.sensor_log,
    )


def main(argv: list[str] | None = None) -> int:
    args = parser().parse_args(argv)
    signal.pthread_sigmask(
        signal.SIG_BLOCK, (*SIGNALS, TELL, TELL_SPANS)
    )  # before a library starts a thread that would hear them
    try:
        faults = tuple(parse_fault(text) for text in args.fault)
        image = load_image(args.image) if args.image else ()
        from tinyrig.virtual.board import Board

        board = Board(_options(args, image, faults))
        if args.link:
            make_link(args.link, board.line.path)
            board.line.moved = lambda path: make_link(args.link, path) if path else drop_link(args.link, board.line.path)
    except RigError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    beside(hear, args.link, board)
    beside(watch, args.link, board, args.until_eof)
    print(f"port {board.line.path}", flush=True)
    board.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
