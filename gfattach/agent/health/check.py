"""The health check of an upstream: a real request of a cache, through the forward's own route.

One connection is kept for it, so that a question costs a round trip, and a cache that ends is noticed
when the connection breaks and not only at the next question.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Protocol

from gfattach.agent.health.grpc import GrpcQuestion
from gfattach.agent.health.http import HttpQuestion
from gfattach.agent.model.spec import Health
from gfattach.agent.upstream.channel import Channel
from gfattach.agent.upstream.tls import TlsChannel, Trust, server_name
from gfattach.core.errors import GfattachError
from gfattach.tls.fault import Fault, fault_of, words_of

#: Seconds in which a question has to be answered.
ANSWER_SECONDS = 2.0

#: Seconds for a new connection: through a cluster far away that takes a dozen round trips.
CONNECT_SECONDS = 5.0

#: Seconds between questions: a substituter's have to be close, because a dead one is fatal to Nix builds.
INTERVAL_SECONDS = {"nix": 1.0, "grpc": 5.0, "http": 5.0}

#: Seconds between questions while the upstream is down.
DOWN_SECONDS = 0.5

#: What a certificate can lack that is not accepted here.
_NOT_ACCEPTED = (Fault.UNTRUSTED, Fault.NAME, Fault.TIME)

Dial = Callable[[], Awaitable[Channel]]


class Question(Protocol):
    """A protocol in which an upstream is asked. `verdict`: None not yet, "" well, else what is wrong."""

    verdict: str | None
    reusable: bool

    def begin(self) -> bytes:
        """What a new connection begins with."""
        ...

    def ask(self) -> bytes:
        """The bytes that ask once more."""
        ...

    def receive(self, data: bytes) -> bytes:
        """Take in what came; what has to be sent because of it."""
        ...


class HealthCheck:
    """Asks one upstream. `broken` is called when the kept connection breaks between questions.

    `clients_judge` takes a server whose TLS this process does not accept for a living one: the clients speak
    TLS to it themselves, have authorities of their own, and say better what is wrong.
    """

    def __init__(
        self,
        health: Health,
        authority: str,
        dial: Dial,
        broken: Callable[[], None],
        *,
        clients_judge: bool = False,
    ) -> None:
        self._health = health
        self._clients_judge = clients_judge
        self._authority = health.host or authority
        self._dial = dial
        self._broken = broken
        self._connection: _Connection | None = None
        self._trust = Trust(health)

    async def ask(self) -> str:
        """Ask now: "" when it is well, else what is wrong. Connecting, where that is needed, comes first."""
        try:
            kept = self._connection
            if kept is not None and kept.usable:
                with contextlib.suppress(OSError, ValueError, GfattachError):
                    return await self._judged(kept)
                self.drop()  # it had been idle: only a fresh one says what is so
            async with asyncio.timeout(CONNECT_SECONDS):
                self._connection = await self._connect()
            return await self._judged(self._connection)
        except _Silent:
            self.drop()
            return f"no answer within {ANSWER_SECONDS:g} s"
        except TimeoutError:
            self.drop()
            return f"no connection within {CONNECT_SECONDS:g} s"
        except GfattachError as error:
            self.drop()
            return error.fact
        except OSError as error:  # before ValueError: a certificate that is not trusted is both
            self.drop()
            return "" if self._lives(error) else words_of(error)
        except ValueError as error:
            self.drop()
            return str(error)

    def drop(self) -> None:
        """Ask over a new connection the next time."""
        if self._connection is not None:
            self._connection.end()
            self._connection = None

    def _lives(self, error: OSError) -> bool:
        """Whether `error` is what a server brings about that its clients may well get on with."""
        fault = fault_of(error)
        # One that wants a certificate of its clients lives; the agent has none.
        return fault is Fault.CLIENT_CERTIFICATE or (self._clients_judge and fault in _NOT_ACCEPTED)

    async def _judged(self, connection: _Connection) -> str:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                verdict = await connection.ask()
        except TimeoutError as error:
            raise _Silent from error
        if not connection.usable:
            self.drop()
        return verdict

    async def _connect(self) -> _Connection:
        channel = await self._dial()
        try:
            if self._health.tls:
                name = server_name(self._health, self._authority)
                over = TlsChannel(channel, self._trust.context(), name)
                await over.handshake()
                channel = over
            connection = _Connection(channel, self._question(), self._broken)
            await connection.begin()
            return connection
        except BaseException:
            channel.abort()
            raise

    def _question(self) -> Question:
        health = self._health
        if health.kind == "grpc":
            return GrpcQuestion(self._authority, tls=health.tls)
        if health.kind == "nix":
            return HttpQuestion(self._authority, f"{health.path.rstrip('/')}/nix-cache-info", store=True)
        return HttpQuestion(self._authority, health.path, store=False)


class _Silent(Exception):
    """A question was not answered in time."""


class _Connection:
    """A connection on which questions are asked; it is always read from, so that its end is noticed."""

    def __init__(self, channel: Channel, question: Question, broken: Callable[[], None]) -> None:
        self._channel = channel
        self._question = question
        self._broken = broken
        self._asked: asyncio.Future[str] | None = None
        self._reader: asyncio.Task[None] | None = None
        self.usable = True

    async def begin(self) -> None:
        opening = self._question.begin()
        if opening:
            await self._channel.write(opening)
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def ask(self) -> str:
        """Ask, and wait for the verdict. Raises OSError, ValueError and GfattachError when there is none."""
        self._asked = asyncio.get_running_loop().create_future()
        try:
            await self._channel.write(self._question.ask())
            return await self._asked
        except BaseException:
            self.end()
            raise
        finally:
            self._asked = None
            self.usable = self.usable and self._question.reusable

    def end(self) -> None:
        self.usable = False
        if self._reader is not None:
            self._reader.cancel()
        self._channel.abort()

    async def _read(self) -> None:
        error: Exception = ConnectionResetError("the connection was closed")
        try:
            while data := await self._channel.read():
                reply = self._question.receive(data)
                if reply:
                    await self._channel.write(reply)
                self._tell()
            self._question.receive(b"")
            self._tell()
        except (OSError, ValueError, GfattachError) as failure:
            error = failure
        self.usable = False
        if self._asked is None:
            self._broken()
        elif not self._asked.done():
            self._asked.set_exception(error)

    def _tell(self) -> None:
        verdict = self._question.verdict
        if verdict is not None and self._asked is not None and not self._asked.done():
            self._asked.set_result(verdict)
