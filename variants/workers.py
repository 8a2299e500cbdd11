"""Training processes beside this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from tinyrig.host.own_command import follow_parent


@contextmanager
def training_processes(count: int) -> Iterator[ProcessPoolExecutor]:
    """Up to `count` of them. They end when the block is left, at once where an exception leaves it, and with this process."""
    # Forked processes would share TensorFlow's threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, initializer=_begin, initargs=(os.getpid(),)) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()  # they write nothing that could be left half done
            raise


def _begin(parent: int) -> None:
    """First thing in each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's business
    follow_parent(parent)
