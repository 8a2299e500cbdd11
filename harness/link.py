"""A Link moves bytes: read(n, timeout), write, close. pyserial's URL handlers do the schemes.

Whatever goes wrong below leaves as LinkError with a remedy.
"""

from __future__ import annotations

import contextlib
import errno

import serial

from harness.errors import LinkError

WRITE_TIMEOUT_S = 30.0
"""A port that takes nothing for so long is stuck: 64 KiB at 115200 baud need 6 s."""


class LinkGone(LinkError):
    """The port itself stopped working: unplugged, or its other end is gone."""


class Link:
    """One open serial port or URL. Raises LinkGone when the other end is gone."""

    def __init__(self, port: serial.SerialBase, url: str) -> None:
        self._port = port
        self.url = url

    def read(self, n: int, timeout: float) -> bytes:
        """Up to n bytes: fewer only when `timeout` seconds have passed."""
        try:
            # Setting the same value again would still ask the driver to reconfigure the port.
            if self._port.timeout != timeout:
                self._port.timeout = timeout
            return self._port.read(n)
        except (serial.SerialException, OSError) as e:
            raise _gone(self.url, e) from e

    def write(self, data: bytes) -> None:
        """Hands all bytes to the driver, in one call."""
        try:
            self._port.write(data)
        except (serial.SerialException, OSError) as e:
            raise _gone(self.url, e) from e

    def close(self) -> None:
        """Closes the port; closing twice is harmless."""
        with contextlib.suppress(serial.SerialException, OSError):
            self._port.close()

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_link(url: str, baud: int) -> Link:
    """Opens a port name (`/dev/ttyACM0`) or pyserial URL (`socket://host:port`) at `baud`. Raises LinkError."""
    try:
        port = serial.serial_for_url(url, baudrate=baud, do_not_open=True, timeout=1.0, write_timeout=WRITE_TIMEOUT_S)
        # Two programs on one port steal each other's replies; URL schemes know no lock.
        with contextlib.suppress(ValueError, AttributeError):
            port.exclusive = True
        port.open()
    except (serial.SerialException, OSError, ValueError) as e:
        raise _cannot_open(url, e) from e
    _prepare(port)
    return Link(port, url)


def _prepare(port: serial.SerialBase) -> None:
    # USB converters hold received bytes back for up to 16 ms unless asked not to; ptys and sockets can't be asked.
    with contextlib.suppress(OSError, ValueError, AttributeError, NotImplementedError, serial.SerialException):
        port.set_low_latency_mode(True)
    with contextlib.suppress(OSError, serial.SerialException):
        port.reset_input_buffer()


_REMEDIES = {
    errno.ENOENT: "check the name and the cable; `tinyrig boards` lists what is attached",
    errno.EACCES: "allow your user to open it, usually `sudo usermod -aG dialout $USER`, then log in again",
    errno.EBUSY: "close the program that holds the port (a serial monitor, another tinyrig)",
    errno.EAGAIN: "close the program that holds the port (a serial monitor, another tinyrig)",
    errno.ECONNREFUSED: "start the server at the other end of the URL",
}


def _cannot_open(url: str, error: Exception) -> LinkError:
    remedy = _REMEDIES.get(_errno(error), "give a port such as /dev/ttyACM0 or a URL such as socket://host:port")
    return LinkError(f"can't open {url}", expected="a serial port or URL that is free", received=str(error), remedy=remedy)


def _gone(url: str, error: Exception) -> LinkGone:
    remedy = "check the cable; see if the board was reset or unplugged"
    return LinkGone(f"{url} stopped working", received=str(error), remedy=remedy)


def _errno(error: Exception) -> int | None:
    """pyserial sometimes wraps the OSError, sometimes copies its errno, sometimes only mentions it."""
    for e in (error, error.__context__):
        if isinstance(e, OSError) and e.errno:
            return e.errno
    return None
