"""Holds one labgrid place: the only module that imports labgrid. It runs by itself, under labgrid's own Python, never in the
rig's process: labgrid brings a pyserial of its own, which would replace ours.

`python labgrid_helper.py COORDINATOR PLACE WAIT_S TAKE NOTE`: one JSON object per line on stdout reports what happens (`event`:
waiting, acquired, released, error). The place is held until stdin closes or a signal ends this, so it is released also when the
rig is killed.
TAKE 1: release also what was acquired before, by a process of this host and user that has died. The file NOTE says so while
the place is held.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn

POLL_S = 1.0
"""A reservation that nobody asks for expires after a minute."""


def tell(event: str, **more: object) -> None:
    print(json.dumps({"event": event, **more}), flush=True)


def fail(kind: str, received: object = "", **more: object) -> NoReturn:
    tell("error", kind=kind, received=str(received), **more)
    sys.exit(3)


def connect(address: str, place: str, loop: asyncio.AbstractEventLoop) -> Any:
    from labgrid.remote.client import start_session

    args = argparse.Namespace(place=place, allow_unmatched=False, verbose=0)
    try:
        return start_session(address, extra={"args": args, "env": None, "role": None, "prog": "tinyrig"}, loop=loop)
    except Exception as error:  # of gRPC and of labgrid, whose classes differ between versions
        fail("coordinator", f"{type(error).__name__}: {error}")


def me(session: Any) -> str:
    return f"{session.gethostname()}/{session.getuser()}"


async def acquire(session: Any, name: str, wait_s: float) -> bool:
    """Whether it is ours by this call; False: this host and user had it already."""
    import grpc
    from labgrid.remote.generated import labgrid_coordinator_pb2 as messages

    token, until, told = "", time.monotonic() + wait_s, None
    try:
        while True:
            place = session.places[name]
            if place.acquired == me(session):
                return False
            if not place.acquired:
                try:
                    await take(session, name, messages)
                    return True
                except grpc.aio.AioRpcError as error:
                    if not session.places[name].reservation and not place.acquired:
                        fail("refused", error.details())
            holder = place.acquired or "a reservation of somebody else"
            if time.monotonic() >= until:
                fail("held", holder)
            if holder != told:
                tell("waiting", holder=holder)
                told = holder
            token = await reserve(session, name, token, messages)
            await asyncio.sleep(min(POLL_S, max(0.0, until - time.monotonic())))
    finally:
        if token:
            await session.stub.CancelReservation(messages.CancelReservationRequest(token=token))


async def take(session: Any, name: str, messages: Any) -> None:
    """Acquires it; whoever is asked to end meanwhile gives it back."""

    async def call() -> None:
        await session.stub.AcquirePlace(messages.AcquirePlaceRequest(placename=name))

    taking = asyncio.ensure_future(call())
    try:
        await asyncio.shield(taking)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):  # it was refused
            await taking
            await release(session, name)
        raise


async def reserve(session: Any, name: str, token: str, messages: Any) -> str:
    """Waits in the queue; asks again before the reservation expires."""
    if not token:
        wanted = {"main": messages.Reservation.Filter(filter={"name": name})}
        made = await session.stub.CreateReservation(messages.CreateReservationRequest(filters=wanted, prio=0.0))
        return str(made.reservation.token)
    await session.stub.PollReservation(messages.PollReservationRequest(token=token))
    return token


def serial_ports(session: Any, name: str) -> list[tuple[str, dict[str, Any]]]:
    """(resource name, params) of the serial ports that the place has acquired."""
    found = []
    for exporter, group, _, resource_name in session.places[name].acquired_resources:
        resource = session.resources.get(exporter, {}).get(group, {}).get(resource_name)
        if resource is not None and resource.cls in ("NetworkSerialPort", "RawNetworkSerialPort"):
            found.append((resource_name, {**resource.params, "cls": resource.cls}))
    return found


async def wait_for_port(session: Any, name: str) -> list[tuple[str, dict[str, Any]]]:
    """The exporter starts its server when the place is acquired and reports its TCP port a moment later."""
    until = time.monotonic() + 10
    while True:
        found = serial_ports(session, name)
        if (found and all(params.get("port") for _, params in found)) or time.monotonic() > until:
            return found
        if not found and time.monotonic() > until - 8:
            return found
        await asyncio.sleep(0.05)


async def to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Who is asked to end while it runs, as by a caller that has read the refusal, ends after it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def release(session: Any, name: str) -> None:
    from labgrid.remote.generated import labgrid_coordinator_pb2 as messages

    # `fromuser`: never a place that somebody else has got meanwhile.
    await session.stub.ReleasePlace(messages.ReleasePlaceRequest(placename=name, fromuser=me(session)))
    tell("released")


def write_note(note: Path) -> None:
    with contextlib.suppress(OSError):
        note.write_text(json.dumps({"pid": os.getppid(), "helper": os.getpid()}))


async def hold(session: Any, name: str, wait_s: float, again: bool, note: Path) -> None:
    if name not in session.places:
        fail("unknown", ", ".join(sorted(session.places)) or "no places at all")
    fresh = await acquire(session, name, wait_s)
    own = fresh or again
    if own:
        write_note(note)
    try:
        found = await wait_for_port(session, name)
        if len(found) != 1 or not found[0][1].get("port"):
            what = "several serial ports: " + ", ".join(n for n, _ in found) if len(found) > 1 else "no serial port"
            fail("no-serial", what, resources=["/".join(path) for path in session.places[name].acquired_resources])
        params = found[0][1]
        if params.get("extra", {}).get("proxy_required"):
            fail("proxy", params["extra"].get("proxy", ""))
        tell(
            "acquired",
            own=own,
            fresh=fresh,
            user=me(session),
            host=params["host"],
            port=params["port"],
            cls=params["cls"],
            protocol=params.get("protocol") or "rfc2217",
        )
        while not session.stopping.is_set():
            await asyncio.sleep(1.0)
        fail("lost", "the coordinator ended the connection")
    finally:
        if own and not session.stopping.is_set():
            await to_its_end(release(session, name))
            note.unlink(missing_ok=True)


def end_when_asked(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> list[int]:
    """Cancels `task`, once, when stdin closes or a signal comes; its number, 0 for none, is in the list then."""
    asked: list[int] = []

    def end(number: int) -> None:
        if not asked:
            asked.append(number)
            task.cancel()

    def read() -> None:
        while os.read(0, 4096):
            pass
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(end, 0)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    threading.Thread(target=read, daemon=True).start()
    return asked


def main(argv: list[str]) -> None:
    address, name, wait_s, again, note = argv
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    session = connect(address, name, loop)
    task = loop.create_task(hold(session, name, float(wait_s), again == "1", Path(note)))
    asked = end_when_asked(loop, task)
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        sys.exit(128 + asked[0] if asked[0] else 0)
    finally:
        loop.run_until_complete(session.stop())
        loop.run_until_complete(session.close())


if __name__ == "__main__":
    sys.path[:] = [p for p in sys.path if Path(p) != Path(__file__).parent]  # its labgrid.py is not the package
    main(sys.argv[1:])
