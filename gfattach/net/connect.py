"""A TCP connection to a name, straight or by a proxy: its addresses, and the first that answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from gfattach.core.deadline import Deadline
from gfattach.net.errors import DialError, of_name, of_port, shown, tls_error
from gfattach.net.proxy import Proxy, negotiate
from gfattach.net.stream import Stream
from gfattach.tls.context import trusting
from gfattach.tls.purpose import Purpose

#: Seconds after which the next address of a name is tried beside the one that has not answered
#: (RFC 8305, "happy eyeballs").
_NEXT_ADDRESS = 0.25

_Address = tuple[int, int, int, str, Any]
_T = TypeVar("_T")


async def connect(host: str, port: int, deadline: Deadline, *, proxy: bool = False) -> socket.socket:
    """A connected socket that does not block; `proxy` says what is dialled. Raises DialError."""
    seconds = deadline.remaining()
    try:
        addresses = await _resolve(host, port, deadline)
    except TimeoutError:
        raise DialError(
            "dns",
            f"no answer to the name {host} in {round(seconds, 1):g} s",
            f"look it up: getent hosts {host}",
        ) from None
    except (OSError, UnicodeError) as error:
        raise of_name(host, error) from None
    try:
        return await _first(addresses, deadline)
    except OSError as error:
        raise of_port(host, port, error, seconds, proxy=proxy) from None


async def through_proxy(
    proxy: Proxy, host: str, port: int, deadline: Deadline, authorities: Iterable[bytes] = ()
) -> Stream:
    """A connection to `host`:`port` by `proxy`, ready for its first byte. Raises DialError.

    A proxy that is spoken to in TLS may be signed by one of `authorities` (DER) as well as by one of the
    platform's, as with kubectl (kubernetes/kubernetes#104779).
    """
    stream = Stream(await connect(proxy.host, proxy.port, deadline, proxy=True))
    try:
        if proxy.scheme == "https":
            await stream.start_tls(_either(authorities), proxy.host, deadline)
        await asyncio.wait_for(_drive(stream, proxy, host, port), deadline.remaining())
        return stream
    except BaseException as error:
        stream.shut()
        if isinstance(error, TimeoutError):
            raise DialError(
                "silent",
                f"no answer from {proxy.name} to the request for {shown(host, port)} in time",
                "the proxy is there; what is behind it does not answer: is it the right proxy?",
            ) from None
        if isinstance(error, EOFError):
            raise DialError("proxy-failed", f"{proxy.name} closed the connection without an answer") from None
        if isinstance(error, ssl.SSLError):
            where = shown(proxy.host, proxy.port)
            raise tls_error(error, where, proxy.host, purpose=Purpose.PROXY) from error
        if isinstance(error, OSError):
            said = (error.strerror or str(error)).lower()
            raise DialError("proxy-failed", f"{proxy.name} failed: {said}") from None
        raise


async def _drive(stream: Stream, proxy: Proxy, host: str, port: int) -> None:
    negotiation = negotiate(proxy, host, port)
    answer = b""
    with contextlib.suppress(StopIteration):
        step = next(negotiation)
        while True:
            if isinstance(step, int):
                answer = await stream.read_exactly(step)
            else:
                await stream.write(step)
            step = negotiation.send(answer)


def _either(authorities: Iterable[bytes]) -> ssl.SSLContext:
    context = trusting()
    for authority in authorities:
        with contextlib.suppress(ssl.SSLError):
            context.load_verify_locations(cadata=authority)
    return context


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
    """Run `work` in a thread that is not waited for afterwards: a resolver can hang for a minute."""
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
    """Close what an abandoned attempt has connected after all."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
