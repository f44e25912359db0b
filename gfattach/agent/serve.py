"""The life of the agent's process: take the directory, resume what was registered, serve, and end.

It ends when it is asked to, when nothing is registered any more, and when no client used a
forward for the time of its lease. The first line of its standard output is one JSON document, for the
parent: `{"ready": STATE}` or `{"error": {...}}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
from pathlib import Path

from msgspec import Struct

from gfattach.agent.clock import SuspendDetector
from gfattach.agent.control.holder import Holder
from gfattach.agent.control.operations import Operations
from gfattach.agent.control.server import ControlServer
from gfattach.agent.forward import listener
from gfattach.agent.launch.supervisor import discard
from gfattach.agent.model.log import LOG, log_to
from gfattach.agent.model.state import AGENT, AgentState, clear_sockets, make_socket_directory
from gfattach.cluster.connection import ClusterRef
from gfattach.core import files
from gfattach.core.daemon.daemon import this_process
from gfattach.core.daemon.readiness import tell_parent

#: Seconds between looks at the records, the lease and the clock.
TICK_SECONDS = 1.0

#: Why it ends when nothing is registered.
UNWANTED = "nothing is attached"

#: Seconds without any registration after which the agent ends: who has just started it gets to register.
UNWANTED_SECONDS = 5.0

#: Seconds that connections get to end by themselves.
DRAIN_SECONDS = 0.3

#: Files and sockets that may be open at once, where the system allows it.
_DESCRIPTORS = 8192


class ServeOptions(Struct, frozen=True):
    """`ref` is None for an agent that needs no cluster; `state` is the user's state directory, which who
    starts the agent has asked a library for that takes memory.
    """

    directory: Path
    state: Path
    ref: ClusterRef | None
    lease_seconds: float


def serve(options: ServeOptions) -> None:
    """Serve until it is time to end. Raises AgentError, StorageError and OSError."""
    with AGENT.serving(options.directory):
        log_to(options.directory)
        _raise_limit()
        reason = asyncio.run(run(options))
    if reason == UNWANTED:
        # No command will: a workspace that was removed takes no part in `gfattach down`.
        discard(options.directory)


async def run(options: ServeOptions) -> str:
    """Serve in a directory that is held; why it ended. Raises AgentError, StorageError and OSError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    sockets = make_socket_directory(options.directory)
    holder = Holder(options.directory, options.state, sockets, options.ref, options.lease_seconds)
    control: ControlServer | None = None
    reason = "it met a defect"
    try:
        path = sockets / "control.sock"
        control = ControlServer(listener.bind_unix(path), Operations(holder, stop).by_name)
        holder.resume()
        state = AgentState(this_process(), path, options.ref)
        AGENT.write_state(options.directory, state)
        tell_parent({"ready": AGENT.write(state)})
        LOG.info("serving as process %d", state.process.pid)
        reason = await _wait(holder, stop)
    finally:
        LOG.info("ending: %s", reason)
        holder.hide_all()
        if control is not None:
            await control.close()
        await holder.close(DRAIN_SECONDS)
        files.remove(AGENT.state_file(options.directory))
        clear_sockets(options.directory, sockets)
    return reason


async def _wait(holder: Holder, stop: asyncio.Event) -> str:
    """Serve until there is a reason to end; the reason."""
    detector = SuspendDetector()
    unwanted = 0.0
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TICK_SECONDS):
                await stop.wait()
                return "asked to"
        suspended = detector.suspended_for(TICK_SECONDS)
        if suspended:
            LOG.info("%.0f s are missing: this process or machine was asleep", suspended)
            holder.recheck()
        await holder.drop_missing_records()
        holder.guard_on()
        holder.follow_netrcs()
        unwanted = 0.0 if holder.wanted else unwanted + TICK_SECONDS
        if unwanted >= UNWANTED_SECONDS:
            return UNWANTED
        if holder.lease_left <= 0:
            return "no client used it for the time of its lease"


def _raise_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
