"""The forwards of an attachment: opened, and the targets led through them.

What an attachment wants of its agent is a registration, made anew as a whole each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from gfattach.agent.model import state as agent_state
from gfattach.agent.model.spec import ForwardSpec, Registration
from gfattach.agent.model.status import AgentStatus, ForwardStatus
from gfattach.attach.model.record import Attachment
from gfattach.attach.route.agents import agent_for, register, release, settled
from gfattach.attach.route.route import Route
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Finding, fail, ok
from gfattach.core.paths import Home
from gfattach.reapi.target import TlsFiles


def open_forwards(route: Route, home: Home, lease_hours: float, run: Run) -> Route:
    """Have the forwards of `way` held, and lead its targets through them; the way itself without any.

    The attachment's record has to be there: a registration holds as long as it is. Raises AgentError
    and StorageError.
    """
    return _open(route, home, lease_hours, run, "forward", "open the forwards") if route.listens else route


def end_tls(route: Route, home: Home, lease_hours: float, run: Run) -> Route:
    """Lead the cache of `way` through its forward that ends TLS, in place of any other. Raises as
    `open_forwards` does.
    """
    ended = replace(route, cache_forward=route.plain_forward, plain_forward=None)
    return _open(ended, home, lease_hours, run, "plaintext", "open a forward that ends TLS")


def close_plaintext(route: Route, home: Home, lease_hours: float, earlier: Path | None) -> Route:
    """Have no forward that ends TLS; `earlier` is the agent of an earlier attach that may hold one.

    Raises AgentError and StorageError.
    """
    kept = replace(route, plain_forward=None)
    if route.listens and route.plain_forward is not None:
        register(agent_for(route, lease_hours), Registration(home.record, _wanted(kept)))
    elif not route.listens and earlier is not None:
        release(earlier, home.record)
    return kept


def _wanted(route: Route) -> tuple[ForwardSpec, ...]:
    return tuple(spec for spec in (route.cache_forward, route.nix_forward) if spec is not None)


def _open(route: Route, home: Home, lease_hours: float, run: Run, name: str, title: str) -> Route:
    wanted = _wanted(route)
    # One that an earlier attach has made, so that nobody's build is cut off before it is known which is used.
    held = () if route.plain_forward is None else (route.plain_forward,)
    opened: list[Route] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        client = agent_for(route, lease_hours)
        listening = register(client, Registration(home.record, (*wanted, *held)))
        statuses = {status.name: status for status in listening}
        progress("waiting for an answer from the far end")
        well = settled(client, [spec.name for spec in wanted])
        opened.append(_through(route, statuses))
        again = "once that is mended, attach again: gfattach up"
        return {
            f"forward.{spec.name}": _finding(statuses[spec.name], well.get(spec.name), again)
            for spec in wanted
        }

    run.step(name, title, work)
    return opened[0]


def findings(record: Attachment, status: AgentStatus | None) -> dict[str, Finding]:
    """What `status` (of `agents.ask`) says of the agent and of each forward."""
    if record.agent is None:
        return {}
    if status is None:
        state = agent_state.read_state(record.agent)
        if state is not None and state.process.alive():
            pid = state.process.pid
            why = "it is stopped or stuck, and its forwards with it: what goes through them waits"
            seen = f"process {pid} holds the forwards and does not answer"
            return {"agent": fail("agent.hung", seen, why, "replace it: gfattach up", pid=pid)}
        why = "nothing holds the forwards, and nothing keeps Nix from a cache that is down"
        again = ("start it again: gfattach up", "see why it ended: gfattach logs")
        return {"agent": fail("agent.ended", "the agent has ended", why, *again)}
    found = {"agent": ok("agent.running", f"process {status.pid} holds the forwards", pid=status.pid)}
    for forward in status.forwards:
        found[f"forward.{forward.name}"] = _finding(
            forward,
            forward,
            "see what the agent has met: gfattach logs",
            "it is tried again by itself: gfattach status --watch",
        )
    return found


def failed(spec: ForwardSpec, run: Run) -> bool:
    """Whether `open_forwards` has found the forward down: an answer of its own would say nothing further."""
    finding = run.findings.get(f"forward.{spec.name}")
    return finding is not None and finding.failed


def _through(route: Route, statuses: Mapping[str, ForwardStatus]) -> Route:
    """`way` with its targets where the forwards listen. A TLS cache keeps its name, and is reached by the
    socket, unless the forward ends TLS; everything else is spoken to at the TCP port.
    """
    listener = None
    cache, substituter = route.cache, route.substituter
    if cache is not None and route.cache_forward is not None:
        status = statuses[route.cache_forward.name]
        assert status.address is not None and status.port is not None
        listener = (status.address, status.port)
        if route.cache_forward.ends_tls:
            scheme = "grpc" if cache.endpoint.grpc else "http"
            local = _local(replace(cache.endpoint, scheme=scheme), status)
            host = cache.token_host
            cache = replace(cache, endpoint=local, socket=None, tls=TlsFiles(), real_host=host)
        elif cache.endpoint.tls:
            cache = replace(cache, socket=status.socket_path)
        else:
            cache = replace(cache, endpoint=_local(cache.endpoint, status))
    if substituter is not None and route.nix_forward is not None:
        status = statuses[route.nix_forward.name]
        substituter = replace(substituter, endpoint=_local(substituter.endpoint, status))
    return replace(route, cache=cache, substituter=substituter, cache_listener=listener)


def _local(endpoint: Endpoint, status: ForwardStatus) -> Endpoint:
    assert status.address is not None and status.port is not None
    return replace(endpoint, host=status.address, port=status.port)


def _finding(listening: ForwardStatus, status: ForwardStatus | None, *hints: str) -> Finding:
    watched = listening.port is None
    where = "" if watched else f" at {listening.address}:{listening.port}"
    if status is not None and status.state == "up":
        return ok("forward.up", f"{listening.name}{where or ' is watched'}", **status.as_json())
    said = "" if status is None else status.last_error
    return fail(
        "forward.down",
        f"{listening.name}{where} does not answer" + (f": {said}" if said else ""),
        "the Nix fragment names nothing until it answers again"
        if watched
        else "the forward is there, and what it leads to is not: connections are refused at once",
        *hints,
        **({} if status is None else status.as_json()),
    )
