"""A signal that arrives while a process is forked ends the command, as at any other moment."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import os, signal
from tinyrig.host.forked import Forked

signal.signal(signal.SIGINT, signal.default_int_handler)
os.register_at_fork(after_in_parent=lambda: [os.kill(os.getpid(), signal.SIGINT), sum(range(1000))])
try:
    Forked(lambda: 0)
    print("lost")
except KeyboardInterrupt:
    print("raised")
"""


def test_a_signal_during_a_fork_is_not_lost() -> None:
    """Python drops what a handler raises within the functions that others have registered for a fork, such as logging's."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("raised\n", "")
