"""The control server: one JSON object a line each way, for this user and root alone.

A request is `{"version": 1, "op": NAME, ...}`; the answer `{"version": 1, "ok": true, "result": {...}}`
or `{"version": 1, "ok": false, "error": {"code": ..., "fact": ..., "hints": [...]}}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gfattach.agent.forward import listener
from gfattach.agent.forward.listener import Listener
from gfattach.agent.model.log import LOG
from gfattach.core.daemon.readiness import error_document
from gfattach.core.errors import AgentError, GfattachError

VERSION = 1

#: Bytes of one request: a registration holds what two fragments say.
REQUEST_BYTES = 256 * 1024

#: Seconds without a complete request after which a client is turned away.
IDLE_SECONDS = 5.0

#: Clients at once. One more is let in for the one that has said nothing for the longest time.
_MAX_CLIENTS = 64

Operation = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class ControlServer:
    """Serves `operations`, by name, on a socket that listens already."""

    def __init__(self, listening: Any, operations: Mapping[str, Operation]) -> None:
        self._operations = operations
        self._clients: set[asyncio.Task[None]] = set()
        self._idle: dict[asyncio.Task[None], None] = {}  # those that have asked nothing, the oldest first
        self._listener = Listener(listening, self._accepted)

    async def close(self) -> None:
        """Stop listening, and let the answers that are being written out."""
        self._listener.close()
        if self._clients:
            _, late = await asyncio.wait(self._clients, timeout=0.2)
            for task in late:
                task.cancel()

    def _accepted(self, connection: Any) -> None:
        if len(self._clients) >= _MAX_CLIENTS:
            oldest = next(iter(self._idle), None)
            if oldest is None:
                listener.reset(connection)
                return
            self._forget(oldest)
            oldest.cancel()
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._clients.add(task)
        self._idle[task] = None
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._clients.discard(task)
        self._idle.pop(task, None)

    async def _serve(self, connection: Any) -> None:
        own = asyncio.current_task()
        assert own is not None
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=REQUEST_BYTES)
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    line = await reader.readline()
                if not line:
                    return
                self._idle.pop(own, None)
                answer = await self._answer(line)
                writer.write(json.dumps({"version": VERSION, **answer}).encode() + b"\n")
                async with asyncio.timeout(IDLE_SECONDS):
                    await writer.drain()
                self._idle[own] = None
        except (OSError, ValueError, TimeoutError):
            pass  # too long a line, or a client that is gone or says nothing
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            return {"ok": True, "result": await self._perform(line)}
        except GfattachError as error:
            return {"ok": False, "error": error_document(error)}
        except Exception as error:
            LOG.exception("a request ended with a defect")
            failure = AgentError(f"the agent met a defect: {type(error).__name__}", code="agent.defect")
            return {"ok": False, "error": error_document(failure)}

    async def _perform(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or request.get("version") != VERSION:
            raise AgentError(f"the request is none of version {VERSION}", code="agent.request")
        operation = self._operations.get(str(request.get("op")))
        if operation is None:
            raise AgentError(
                f"the agent has no operation {str(request.get('op'))[:40]!r}", code="agent.request"
            )
        try:
            return await operation(request)
        except (KeyError, TypeError, ValueError) as error:
            raise AgentError(f"the request cannot be read: {error}", code="agent.request") from error
