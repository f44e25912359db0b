"""The agent's part of an attachment: forwards, the guard of the Nix fragment, and giving both up.

One agent serves every attachment that goes into the same cluster as the same user, and one the
attachments that need no forward. What an attachment wants of it is a registration, made anew as
a whole each time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gfattach.agent import guardian, supervisor
from gfattach.agent import state as agent_state
from gfattach.agent.client import AgentClient
from gfattach.agent.spec import DirectUpstream, ForwardSpec, GuardedFile, Health, Registration
from gfattach.agent.status import AgentStatus, ForwardStatus
from gfattach.attach.ways import Way
from gfattach.attachment import Attachment
from gfattach.contract.environment import WITHHELD
from gfattach.deadline import Deadline
from gfattach.endpoint import Endpoint
from gfattach.engine import Run
from gfattach.errors import AgentError, GfattachError
from gfattach.finding import Finding, fail, ok
from gfattach.fragments import nixconf
from gfattach.nixcache.proxy import proxy_for
from gfattach.nixcache.target import SubstituterTarget
from gfattach.paths import Home
from gfattach.process import ProcessId
from gfattach.reapi.target import TlsFiles

#: Seconds that an agent may take to be there, and a forward to be well once it listens.
AGENT_SECONDS = 10.0
WELL_SECONDS = 10.0

#: Seconds that a command waits for forwards that it had opened again, before it does without.
REVIVED_SECONDS = 2.0

#: Seconds for the agent to see that a substituter is well which has just passed its probes.
SEEN_SECONDS = 2.0

#: Seconds for one answer of an agent that runs.
ANSWER_SECONDS = 5.0

#: Seconds for which an agent that nobody needs any more may still be about.
END_SECONDS = 5.0


def directory_for(way: Way) -> Path:
    """Where the agent of `way` lives."""
    return agent_state.agent_directory(way.cluster)


def open_forwards(way: Way, home: Home, lease_hours: float, run: Run) -> Way:
    """Have the forwards of `way` held, and lead its targets through them; the way itself without any.

    The attachment's record has to be there: a registration holds as long as it is. Raises AgentError
    and StorageError.
    """
    return _open(way, home, lease_hours, run, "forward", "open the forwards") if way.listens else way


def end_tls(way: Way, home: Home, lease_hours: float, run: Run) -> Way:
    """Lead the cache of `way` through its forward that ends TLS, in place of any other. Raises as
    `open_forwards` does.
    """
    ended = replace(way, cache_forward=way.plain_forward, plain_forward=None)
    return _open(ended, home, lease_hours, run, "plaintext", "open a forward that ends TLS")


def close_plaintext(way: Way, home: Home, lease_hours: float, earlier: Path | None) -> Way:
    """Have no forward that ends TLS; `earlier` is the agent of an earlier attach that may hold one.

    Raises AgentError and StorageError.
    """
    kept = replace(way, plain_forward=None)
    if way.listens and way.plain_forward is not None:
        registration = Registration(home.record, _wanted(kept))
        _agent(way, lease_hours).register(registration, Deadline.after(AGENT_SECONDS))
    elif not way.listens and earlier is not None:
        release(earlier, home.record)
    return kept


def _wanted(way: Way) -> tuple[ForwardSpec, ...]:
    return tuple(spec for spec in (way.cache_forward, way.nix_forward) if spec is not None)


def _open(way: Way, home: Home, lease_hours: float, run: Run, name: str, title: str) -> Way:
    wanted = _wanted(way)
    # One that an earlier attach has made, so that nobody's build is cut off before it is known which is used.
    held = () if way.plain_forward is None else (way.plain_forward,)
    opened: list[Way] = []

    def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        client = _agent(way, lease_hours)
        statuses = {
            status.name: status
            for status in client.register(
                Registration(home.record, (*wanted, *held)), Deadline.after(AGENT_SECONDS)
            )
        }
        progress("waiting for an answer from the far end")
        well = _wait(client, [spec.name for spec in wanted])
        opened.append(_through(way, statuses))
        again = "once that is mended, attach again: gfattach up"
        return {
            f"forward.{spec.name}": _finding(statuses[spec.name], well.get(spec.name), again)
            for spec in wanted
        }

    run.step(name, title, work)
    return opened[0]


def guard(way: Way, home: Home, fragment: Path, full: str, lease_hours: float) -> None:
    """Have the Nix fragment emptied whenever the substituter of `way` is down. Raises AgentError.

    One that is reached by a proxy of the environment is not watched: the agent dials what it watches, and
    would find it down.
    """
    assert way.substituter is not None
    endpoint = way.substituter.endpoint
    watched = way.nix_forward
    if watched is None and proxy_for(endpoint.scheme, endpoint.host, os.environ) is None:
        watched = watch(way.substituter)
    forwards = tuple(spec for spec in (way.cache_forward, watched) if spec is not None)
    guarded = () if watched is None else (GuardedFile(fragment, watched.name, full, nixconf.emptied()),)
    client = _agent(way, lease_hours)
    client.register(Registration(home.record, forwards, guarded), Deadline.after(AGENT_SECONDS))
    # The agent may have seen the substituter down a moment ago: the fragment is full once it sees it up.
    for file in guarded:
        _await_up(client, file.forward)


def unguard(way: Way, home: Home, lease_hours: float) -> None:
    """Guard nothing any more: keep the forward of the Bazel cache, or give all up. Raises AgentError."""
    if way.cache_forward is None:
        release(directory_for(way), home.record)
        return
    _agent(way, lease_hours).register(
        Registration(home.record, (way.cache_forward,)), Deadline.after(AGENT_SECONDS)
    )


def watch(target: SubstituterTarget) -> ForwardSpec:
    """A substituter that is dialled directly, asked for its health and not forwarded."""
    endpoint = target.endpoint
    health = nix_health(target, endpoint.authority)
    return ForwardSpec(endpoint.url, DirectUpstream(endpoint.host, endpoint.port), health, listen=False)


def nix_health(target: SubstituterTarget, host: str = "") -> Health:
    """How the substituter is asked for its health; `host` is the Host header."""
    endpoint = target.endpoint
    return Health("nix", endpoint.path, endpoint.tls, endpoint.host, target.ca_file, host)


def revive(record: Attachment) -> None:
    """Have the agent of an attachment run again, if it has ended. Raises AgentError and StorageError."""
    if record.agent is None or _runs(record.agent):
        return
    supervisor.ensure(
        record.agent,
        record.cluster,
        withheld=WITHHELD,
        deadline=Deadline.after(AGENT_SECONDS),
    )


def keep_watched(record: Attachment) -> None:
    """Have an agent that has ended run again before a build, and never let the build fail for want of one.

    Until it is known to be well what it guards is empty, and stays so where no agent can be had.
    """
    if record.agent is None or _runs(record.agent):
        return
    guardian.hide_all(record.agent)
    with contextlib.suppress(GfattachError):
        revive(record)
        client = supervisor.find(record.agent)
        if client is not None:
            status = client.status(Deadline.after(ANSWER_SECONDS))
            _wait(client, [forward.name for forward in status.forwards], REVIVED_SECONDS)


def release(directory: Path, record: Path) -> bool:
    """Give up what the attachment of `record` has there; whether an agent ran.

    The last one takes the agent with it, and all that the agent kept. Raises AgentError and StorageError.
    """
    client = supervisor.find(directory)
    if client is not None:
        deadline = Deadline.after(ANSWER_SECONDS)
        state = agent_state.read_state(directory)
        client.unregister(record, deadline)
        if not client.status(deadline).records:
            client.stop(deadline)
            if state is not None:
                _await_end(state.process)
    supervisor.discard(directory, record)
    return client is not None


def ask(record: Attachment) -> AgentStatus | None:
    """How the agent of an attachment is; None where it has none, or it has ended."""
    if record.agent is None:
        return None
    client = supervisor.find(record.agent)
    if client is None:
        return None
    try:
        return client.status(Deadline.after(ANSWER_SECONDS))
    except AgentError:
        return None


def findings(record: Attachment, status: AgentStatus | None) -> dict[str, Finding]:
    """What `status` says of the agent and of each forward of this attachment."""
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
        return {"agent": fail("agent.ended", "the agent has ended", why, "start it again: gfattach up")}
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


def _runs(directory: Path) -> bool:
    state = agent_state.read_state(directory)
    return state is not None and state.process.alive()


def _agent(way: Way, lease_hours: float) -> AgentClient:
    return supervisor.ensure(
        directory_for(way),
        way.cluster,
        lease_seconds=lease_hours * 3600.0,
        withheld=WITHHELD,
        deadline=Deadline.after(AGENT_SECONDS),
    )


def _await_up(client: AgentClient, name: str) -> None:
    deadline = Deadline.after(SEEN_SECONDS)
    while not deadline.expired:
        forward = client.status(Deadline.after(ANSWER_SECONDS)).forward(name)
        if forward is None or forward.state == "up":
            return
        time.sleep(0.01)


def _wait(
    client: AgentClient, names: Sequence[str], seconds: float = WELL_SECONDS
) -> dict[str, ForwardStatus]:
    """The forwards once each is up or down; as they are when that takes longer than `seconds`."""
    deadline = Deadline.after(seconds)
    while True:
        status = client.status(Deadline.after(ANSWER_SECONDS))
        found = {forward.name: forward for forward in status.forwards if forward.name in names}
        if all(forward.state == "up" for forward in found.values()) or deadline.expired:
            return found
        if all(forward.state != "starting" for forward in found.values()):
            return found
        time.sleep(0.01)


def _through(way: Way, statuses: Mapping[str, ForwardStatus]) -> Way:
    """`way` with its targets where the forwards listen. A TLS cache keeps its name, and is reached by the
    socket, unless the forward ends TLS; everything else is spoken to at the TCP port.
    """
    listener = None
    cache, substituter = way.cache, way.substituter
    if cache is not None and way.cache_forward is not None:
        status = statuses[way.cache_forward.name]
        assert status.address is not None and status.port is not None
        listener = (status.address, status.port)
        if way.cache_forward.ends_tls:
            scheme = "grpc" if cache.endpoint.grpc else "http"
            local = _local(replace(cache.endpoint, scheme=scheme), status)
            host = cache.token_host
            cache = replace(cache, endpoint=local, socket=None, tls=TlsFiles(), real_host=host)
        elif cache.endpoint.tls:
            cache = replace(cache, socket=status.socket_path)
        else:
            cache = replace(cache, endpoint=_local(cache.endpoint, status))
    if substituter is not None and way.nix_forward is not None:
        status = statuses[way.nix_forward.name]
        substituter = replace(substituter, endpoint=_local(substituter.endpoint, status))
    return replace(way, cache=cache, substituter=substituter, cache_listener=listener)


def _local(endpoint: Endpoint, status: ForwardStatus) -> Endpoint:
    assert status.address is not None and status.port is not None
    return replace(endpoint, host=status.address, port=status.port)


def _finding(listening: ForwardStatus, status: ForwardStatus | None, *hints: str) -> Finding:
    where = (
        f"{listening.address}:{listening.port}" if listening.port is not None else "watched, not forwarded"
    )
    if status is not None and status.state == "up":
        return ok("forward.up", f"{listening.name} at {where}", **status.as_json())
    said = "" if status is None else status.last_error
    return fail(
        "forward.down",
        f"{listening.name} at {where} does not answer" + (f": {said}" if said else ""),
        "the forward is there, and what it leads to is not: connections are refused at once",
        *hints,
        **({} if status is None else status.as_json()),
    )


def _await_end(process: ProcessId) -> None:
    deadline = Deadline.after(END_SECONDS)
    while process.alive() and not deadline.expired:
        time.sleep(0.01)
