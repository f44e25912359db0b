"""What every call to the embedded cache goes through: typed refusals, and who is active.

A handler raises; here it becomes the status that the protocol has for it. Calls that move
nothing for a while are cancelled, because each holds one of a few threads.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from gfattach.trial.blob_store import BlobStoreError
from gfattach.trial.blobs import DigestError
from gfattach.trial.resource_names import ResourceNameError

LOG = logging.getLogger(__name__)

#: Seconds after which a call that moves no data is cancelled: Bazel's own --remote_timeout.
STALL_SECONDS = 60.0

Message = Any
Handler = Callable[[Any, "Call"], Any]


class Refusal(Exception):
    """A call that ends with a status other than OK."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Call:
    """One call while it runs. `progressed` is told whenever a message came or went."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context
        self.last_progress = time.monotonic()

    def progressed(self) -> None:
        """Note that data moved just now."""
        self.last_progress = time.monotonic()

    def cancel(self) -> None:
        """End the call; its client sees CANCELLED."""
        self._context.cancel()


class Activity:
    """The calls that run, and when the last one ended. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Call] = set()
        self._last_use = time.monotonic()

    @contextlib.contextmanager
    def during(self, call: Call) -> Iterator[None]:
        """Count `call` as running."""
        with self._lock:
            self._running.add(call)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(call)
                self._last_use = time.monotonic()

    @property
    def last_use(self) -> float:
        """When the cache was last in use, on `time.monotonic()`: now, while a call runs."""
        with self._lock:
            return time.monotonic() if self._running else self._last_use

    def cancel_stalled(self, seconds: float = STALL_SECONDS) -> int:
        """Cancel the calls that moved nothing for `seconds`; how many there were."""
        limit = time.monotonic() - seconds
        with self._lock:
            stalled = [call for call in self._running if call.last_progress < limit]
        for call in stalled:
            call.cancel()
        return len(stalled)


def answer(handler: Handler, activity: Activity | None) -> Callable[[Any, grpc.ServicerContext], Message]:
    """`handler`, which returns one message, as gRPC calls it. Without `activity` the call is no use."""

    def behave(request: Any, context: grpc.ServicerContext) -> Message:
        call = Call(context)
        with _statuses(context), activity.during(call) if activity else contextlib.nullcontext():
            return handler(request, call)

    return behave


def answer_stream(
    handler: Handler, activity: Activity
) -> Callable[[Any, grpc.ServicerContext], Iterator[Message]]:
    """`handler`, which yields messages, as gRPC calls it."""

    def behave(request: Any, context: grpc.ServicerContext) -> Iterator[Message]:
        call = Call(context)
        with _statuses(context), activity.during(call):
            for message in handler(request, call):
                yield message
                call.progressed()

    return behave


@contextlib.contextmanager
def _statuses(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except Refusal as error:
        context.abort(error.code, str(error))
    except (DigestError, ResourceNameError) as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except BlobStoreError as error:
        LOG.warning("refused for want of space: %s", error)
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
    except OSError as error:
        LOG.error("the store cannot be used: %s", error)
        context.abort(grpc.StatusCode.UNAVAILABLE, f"the store cannot be used: {error.strerror}")
