"""The forwards of an attachment: how they are, and the targets led through them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from gfattach.agent.model import state as agent_state
from gfattach.agent.model.spec import ForwardSpec
from gfattach.agent.model.status import AgentStatus, ForwardStatus
from gfattach.attach.model.record import Attachment
from gfattach.attach.route.route import Route
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Finding, fail, ok
from gfattach.reapi.target import TlsFiles


def opened(
    route: Route, listening: Mapping[str, ForwardStatus], well: Mapping[str, ForwardStatus]
) -> dict[str, Finding]:
    """What is said of the forwards of `route` that have been opened: where each listens, and how it is."""
    again = "once that is mended, attach again: gfattach up"
    return {
        f"forward.{spec.name}": _finding(listening[spec.name], well.get(spec.name), again)
        for spec in route.forwards
    }


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
    does = "holds the forwards" if status.forwards else "keeps the netrc as the user's is"
    found = {"agent": ok("agent.running", f"process {status.pid} {does}", pid=status.pid)}
    for forward in status.forwards:
        found[f"forward.{forward.name}"] = _finding(
            forward,
            forward,
            "see what the agent has met: gfattach logs",
            "it is tried again by itself: gfattach status --watch",
        )
    return found


def failed(spec: ForwardSpec, run: Run) -> bool:
    """Whether the forward was found down: an answer of its own would say nothing further."""
    finding = run.findings.get(f"forward.{spec.name}")
    return finding is not None and finding.failed


def lead_through(route: Route, statuses: Mapping[str, ForwardStatus]) -> Route:
    """`route` with its targets where the forwards listen. A TLS cache keeps its name, and is reached by the
    socket, unless the forward ends TLS; everything else is spoken to at the TCP port. A Bazel that can goes
    by the socket in plaintext too (`cache_socket`), to gRPC alone: a proxy that was said for HTTP no option
    takes back.
    """
    listener, socket = None, None
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
            socket = status.socket_path if cache.endpoint.grpc else None
    if substituter is not None and route.nix_forward is not None:
        status = statuses[route.nix_forward.name]
        substituter = replace(substituter, endpoint=_local(substituter.endpoint, status))
    return replace(route, cache=cache, substituter=substituter, cache_listener=listener, cache_socket=socket)


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
