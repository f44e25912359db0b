"""A TCP connection to a name: its addresses, the first that answers, and why none does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from gfattach.cluster.wire.dial_errors import DialError
from gfattach.core.deadline import Deadline

#: Seconds after which the next address of a name is tried beside the one that has not answered
#: (RFC 8305, "happy eyeballs").
_NEXT_ADDRESS = 0.25

_Address = tuple[int, int, int, str, Any]
_T = TypeVar("_T")


async def connect(host: str, port: int, deadline: Deadline, what: str = "") -> socket.socket:
    """A connected socket that does not block; `what` names the thing in errors. Raises DialError."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    thing = f"{what}{shown}"
    seconds = deadline.remaining()
    try:
        addresses = await _resolve(host, port, deadline)
    except TimeoutError:
        raise DialError(
            "dns", f"no answer to the name {host} in {seconds:.3g} s", f"ask for it: getent hosts {host}"
        ) from None
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise DialError(
            "dns",
            f"no address for {host}: {said[:1].lower()}{said[1:]}",
            f"ask for it: getent hosts {host}",
            "it may be a name of a VPN's or an office's own: see whether the VPN is up",
        ) from None
    try:
        return await _first(addresses, deadline)
    except ConnectionRefusedError:
        raise DialError(
            "refused" if not what else "proxy-refused",
            f"{thing} refused the connection: nothing listens there",
            "the server is down, or its port is another one",
        ) from None
    except TimeoutError:
        raise DialError(
            "silent",
            f"no answer from {thing} in {seconds:.3g} s",
            "a VPN that is down looks like this, and a firewall that drops packets",
        ) from None
    except OSError as error:
        raise DialError(
            "unreachable",
            f"{thing} cannot be reached: {(error.strerror or str(error)).lower()}",
            "see whether the network is up, and the VPN: ip route",
        ) from None


async def _resolve(host: str, port: int, deadline: Deadline) -> list[_Address]:
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            where = (host, port) if family == socket.AF_INET else (host, port, 0, 0)
            return [(family, socket.SOCK_STREAM, 0, "", where)]
    return await _in_thread(
        lambda: list[_Address](socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)), deadline
    )


async def _in_thread(work: Callable[[], _T], deadline: Deadline) -> _T:
    """Run `work` in a thread that nobody waits for afterwards: a resolver can hang for a minute."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def settle(result: _T | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: _T | None = None
        failed: Exception | None = None
        try:
            result = work()
        except Exception as error:
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, failed)

    threading.Thread(target=run, name="resolve", daemon=True).start()
    return await asyncio.wait_for(future, deadline.remaining())


async def _first(addresses: list[_Address], deadline: Deadline) -> socket.socket:
    """The first address that answers, each tried a little after the one before. Raises OSError."""
    waiting = list(addresses)
    tasks: set[asyncio.Task[socket.socket]] = set()
    failure: OSError = TimeoutError()
    try:
        while waiting or tasks:
            if waiting:
                tasks.add(asyncio.ensure_future(_attempt(waiting.pop(0))))
            patience = min(_NEXT_ADDRESS, deadline.remaining()) if waiting else deadline.remaining()
            done, _ = await asyncio.wait(tasks, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    tasks.discard(task)
                    return task.result()
                tasks.discard(task)
                if not isinstance(error, OSError):
                    raise error
                failure = error
            if deadline.expired:
                raise TimeoutError
        raise failure
    finally:
        for task in tasks:
            task.cancel()
            task.add_done_callback(_close_late)


async def _attempt(address: _Address) -> socket.socket:
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    """Close what an attempt that was given up has connected after all."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
