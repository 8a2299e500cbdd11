"""Real servers of serial ports for tests, on free ports of the loopback: ser2net, labgrid's coordinator and exporter."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

START_S = 60.0
SER2NET = shutil.which("ser2net", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
NO_SER2NET = "no ser2net here: apt-get install --no-install-recommends ser2net"
NO_LABGRID = "no labgrid here: .venv/bin/python -m venv .venv-labgrid && .venv-labgrid/bin/pip install labgrid"
ROOT = Path(__file__).resolve().parents[2]


def need_ser2net() -> str:
    if SER2NET is None:
        assert os.environ.get("TINYRIG_TEST_SER2NET") != "required", NO_SER2NET
        pytest.skip(NO_SER2NET)
    return SER2NET


def need_labgrid() -> Path:
    """The folder of labgrid's programs: of the checkout's .venv-labgrid, else the PATH's."""
    beside = shutil.which("labgrid-coordinator")
    for folder in (ROOT / ".venv-labgrid" / "bin", Path(beside).resolve().parent if beside else None):
        if folder and (folder / "labgrid-coordinator").exists():
            return folder
    assert os.environ.get("TINYRIG_TEST_LABGRID") != "required", NO_LABGRID
    pytest.skip(NO_LABGRID)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def wait_for(what: Callable[[], object], process: subprocess.Popen | None = None, log: Path | None = None) -> None:
    until = time.monotonic() + START_S
    while not what():
        ended = process is not None and process.poll() is not None
        assert not ended and time.monotonic() < until, log.read_text() if log else "it does not come up"
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Without a connection, which would open the device behind it."""
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


class Program:
    """A server as a process of its own, gone with its children when the context ends."""

    def __init__(self, command: list[str], log: Path, cwd: Path, **environment: str) -> None:
        self.log = log
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env={**os.environ, **environment},
            )

    def wait_for(self, what: Callable[[], object]) -> None:
        wait_for(what, self._process, self.log)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, sign)
                self._process.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue
        self._process.wait()


class Ser2net(Program):
    """Serves `device` twice: `rfc2217` and `socket` are the URLs."""

    def __init__(self, device: str, folder: Path, options: str = "{chardelay: false, mdns: false}") -> None:
        ports = free_port(), free_port()
        self.rfc2217, self.socket = f"rfc2217://127.0.0.1:{ports[0]}", f"socket://127.0.0.1:{ports[1]}"
        connector = f"  connector: serialdev,{device},1000000n81,local\n  options: {options}\n"
        accepters = ("telnet(rfc2217),tcp(nodelay)", "tcp(nodelay)")
        (folder / "ser2net.yaml").write_text(
            "".join(
                f"connection: &board{n}\n  accepter: {kind},127.0.0.1,{ports[n]}\n{connector}" for n, kind in enumerate(accepters)
            )
        )
        super().__init__([need_ser2net(), "-n", "-d", "-c", "ser2net.yaml"], folder / "ser2net.log", folder)
        try:
            self.wait_for(lambda: all(map(listens, ports)))
        except BaseException:
            self.__exit__()
            raise


class Labgrid:
    """A coordinator and an exporter of `device` as place `bench`; another place, `bare`, has no resource."""

    def __init__(self, device: str, folder: Path) -> None:
        self.bin, self.folder = need_labgrid(), folder
        need_ser2net()
        self.address = f"127.0.0.1:{free_port()}"
        command = [str(self.bin / "labgrid-coordinator"), "-l", self.address]
        self._coordinator = Program(command, folder / "coordinator.log", folder)
        self._exporter: Program | None = None
        try:
            self._coordinator.wait_for(lambda: listens(int(self.address.rpartition(":")[2])))
            (folder / "exporter.yaml").write_text(f"group:\n  RawSerialPort:\n    port: {device}\n    speed: 1000000\n")
            command = [str(self.bin / "labgrid-exporter"), "-c", self.address, "-n", "shelf", "--hostname", "127.0.0.1"]
            self._exporter = Program([*command, "exporter.yaml"], folder / "exporter.log", folder)
            self._exporter.wait_for(lambda: "shelf/group/NetworkSerialPort" in self.client("resources"))
            for name in ("bench", "bare"):
                self.client("-p", name, "create")
            self.client("-p", "bench", "add-match", "shelf/group/*")
        except BaseException:
            self.__exit__()
            raise

    def client(self, *words: str, user: str = "") -> str:
        """What labgrid-client prints. `user`: in the name of somebody else."""
        other = {"LG_USERNAME": user, "LG_HOSTNAME": "elsewhere"} if user else {}
        command = [str(self.bin / "labgrid-client"), "-x", self.address, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **other})
        return done.stdout + done.stderr

    @property
    def python(self) -> str:
        return str(self.bin / "python3")

    def __enter__(self) -> Labgrid:
        return self

    def __exit__(self, *_: object) -> None:
        for program in (self._exporter, self._coordinator):
            if program:
                program.__exit__()


def cli(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tinyrig.cli", *words]
    return subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
