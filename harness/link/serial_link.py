"""A Link moves bytes: read(n, timeout), write, close. pyserial's URL handlers do the schemes, network_port.py the network's.

Whatever goes wrong below leaves as LinkError with a remedy.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import termios
import time
from collections.abc import Callable
from typing import TypeVar

import serial

from tinyrig.core.errors import LinkError
from tinyrig.link.network_port import AnyPort, RefusedError, is_remote, new_port
from tinyrig.mailbox.port import MailboxPort, is_mailbox

Port = TypeVar("Port")
WRITE_TIMEOUT_S = 30.0
"""A port that takes nothing for so long is stuck: 64 KiB at 115200 baud need 6 s."""
BUSY_S = 1.0
"""A server may take a moment to notice that the connection before, our own, has ended; and programs that look what a new port is,
such as ModemManager, hold it for a moment."""
BUSY_PAUSE_S = 0.1


PORT_ERRORS = (serial.SerialException, OSError, termios.error)
"""What pyserial raises when a port stops working: some of its calls let the error of termios through."""


class LinkGone(LinkError):
    """The port itself stopped working: unplugged, or its other end is gone."""


class Link:
    """One open serial port or URL. Raises LinkGone when the other end is gone."""

    def __init__(self, port: AnyPort | MailboxPort, url: str) -> None:
        self._port = port
        self.url = url

    def read(self, n: int, timeout: float) -> bytes:
        """Up to n bytes: fewer only when `timeout` seconds have passed."""
        try:
            # Setting the same value again would still ask the driver to reconfigure the port.
            if self._port.timeout != timeout:
                self._port.timeout = timeout
            return self._port.read(n)
        except PORT_ERRORS as e:
            raise _gone(self.url, e) from e

    def write(self, data: bytes) -> None:
        """Hands all bytes to the driver, in one call."""
        try:
            self._port.write(data)
        except PORT_ERRORS as e:
            raise _gone(self.url, e) from e

    def close(self) -> None:
        """Closes the port; closing twice is harmless."""
        with contextlib.suppress(*PORT_ERRORS):
            self._port.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_link(url: str, baud: int) -> Link:
    """Opens a port name (`/dev/ttyACM0`), pyserial URL (`socket://host:port`) or mailbox (mailbox/port.py) at `baud`. Raises
    LinkError; HostError where what a mailbox needs is not installed."""
    if is_mailbox(url):
        return Link(_open_mailbox(url), url)
    port = open_port(url, baud, 1.0, WRITE_TIMEOUT_S)
    _prepare(port)
    return Link(port, url)


def _open_mailbox(url: str) -> MailboxPort:
    port = MailboxPort(url, 1.0, WRITE_TIMEOUT_S)
    try:
        port.open()
        port.reset_input_buffer()
    except (*PORT_ERRORS, ValueError) as e:
        port.close()
        raise _cannot_open(url, e) from e
    return port


def open_port(url: str, baud: int, timeout: float, write_timeout: float) -> AnyPort:
    """pyserial's open port, for nobody else to open. Raises LinkError."""

    def attempt() -> AnyPort:
        port = new_port(url, baud, timeout, write_timeout)
        # Two programs on one port steal each other's replies; URL schemes know no lock.
        with contextlib.suppress(ValueError, AttributeError):
            port.exclusive = True
        port.open()
        return port

    try:
        return when_free(attempt)
    except RefusedError as e:
        raise _refused(url, e) from e
    except (*PORT_ERRORS, ValueError) as e:
        raise _cannot_open(url, e) from e


def when_free(attempt: Callable[[], Port]) -> Port:
    """The port that `attempt` opens, tried again for BUSY_S while another program holds it. Raises what `attempt` raised."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            return attempt()
        except Exception as e:
            held = isinstance(e, RefusedError) or _errno(e) in (errno.EAGAIN, errno.EBUSY)
            if not held or time.monotonic() > until:
                raise
        time.sleep(BUSY_PAUSE_S)


def _prepare(port: AnyPort) -> None:
    # USB converters hold received bytes back for up to 16 ms unless asked not to; ptys can't be asked, nor other systems' ports.
    if isinstance(port, serial.Serial):
        with contextlib.suppress(*PORT_ERRORS, ValueError, AttributeError, NotImplementedError):
            port.set_low_latency_mode(True)
    with contextlib.suppress(*PORT_ERRORS):
        port.reset_input_buffer()


_REMEDIES = {
    errno.ENOENT: "check the name and the cable; `tinyrig boards` lists what is attached",
    errno.EACCES: "allow your user to open it, usually `sudo usermod -aG dialout $USER`, then log in again",
    errno.EBUSY: "close the program that holds the port (a serial monitor, another tinyrig)",
    errno.EAGAIN: "close the program that holds the port (a serial monitor, another tinyrig)",
    errno.ECONNREFUSED: "start the server at the other end of the URL",
    errno.ETIMEDOUT: "check that the other machine is up and that no firewall stands between",
    errno.EHOSTUNREACH: "check that the other machine is up and reachable from here",
}


def _cannot_open(url: str, error: Exception) -> LinkError:
    remedy = _REMEDIES.get(_errno(error) or 0, "give a port such as /dev/ttyACM0 or a URL such as rfc2217://host:port")
    if any(isinstance(e, socket.gaierror) for e in (error, error.__context__)):
        remedy = "check the host's name in the URL"
    return LinkError(f"can't open {url}", expected="a serial port or URL that is free", received=str(error), remedy=remedy)


def _refused(url: str, error: RefusedError) -> LinkError:
    """The server is there and does not let us to its port."""
    if error.busy:
        return LinkError(
            f"can't open {url}: another program holds it",
            expected="nobody else connected to that port",
            received=str(error),
            remedy="end the other connection; it may come from another machine: `ss -tnp` on the server shows it",
        )
    remedy = "see whether the board is plugged in there and the server's configuration names its device; its log says more"
    return LinkError(
        f"{url} is served, but its device can't be used", expected="a connection that stays", received=str(error), remedy=remedy
    )


def _gone(url: str, error: Exception) -> LinkGone:
    remedy = "check the cable; see if the board was reset or unplugged"
    if is_remote(url):
        remedy += "; check the server and the network between"
    return LinkGone(f"{url} stopped working", received=str(error), remedy=remedy)


def _errno(error: Exception) -> int | None:
    """pyserial sometimes wraps the OSError, sometimes copies its errno, sometimes only mentions it."""
    for e in (error, error.__context__):
        if isinstance(e, OSError) and e.errno:
            return e.errno
    return None
