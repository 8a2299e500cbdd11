"""What a command says and returns for an error that nothing below has put into words."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import sys
import traceback

from tinyrig.core.errors import EXIT_GOOD, EXIT_RIG, HostError

log = logging.getLogger(__name__)


def unforeseen(error: Exception, name: str) -> int:
    """Says it on stderr after `name` and returns the exit status: never Python's own, which is 1, a claim about a model that
    nobody has made. What the system refused (a full disk, a file that may not be read, no process more) is no mistake of ours, so
    it gets no traceback, except in a log of everything. Where the reader of stdout has gone (`| head`), it has seen enough:
    nothing is said."""
    if isinstance(error, BrokenPipeError) and _nobody_reads():
        _let_go_of_stdout()
        return EXIT_GOOD
    if isinstance(error, OSError | MemoryError):
        log.debug("refused by the system", exc_info=error)
        say(f"{name}: {refused_by_system(error)}")
    else:
        say("".join(traceback.format_exception(error)))
        say(f"{name}: an error in tinyrig itself, see above; it says nothing about the model")
    _let_go_of_stdout()
    return EXIT_RIG


def say(text: str) -> None:
    """On stderr. Where that is full too, the exit status must still tell what it would have told."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def refused_by_system(error: OSError | MemoryError) -> HostError:
    """In the rig's words, with the file where the system names one."""
    if isinstance(error, MemoryError):
        return HostError("this process can get no more memory", received=str(error), remedy="free memory, then run again")
    return HostError(
        "the system refused what was asked of it",
        received=str(error) or type(error).__name__,
        remedy="see what it names: free space, permissions, limits of this user; then run again",
    )


def _nobody_reads() -> bool:
    """Whether stdout is a pipe whose reader has gone: another pipe that broke, to a child, is a failure."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (OSError, ValueError):
        return False


def _let_go_of_stdout() -> None:
    """What could not be written now can't be at the end either, where Python would return a status of its own for it."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
