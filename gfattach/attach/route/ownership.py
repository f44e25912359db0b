"""The owner of each listener that an attachment goes to: the kernel is asked before anything goes there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from gfattach.attach.model.record import Attachment
from gfattach.core.errors import AgentError
from gfattach.core.finding import Finding, fail, ok, skip
from gfattach.core.peer.listening import Ownership, listening
from gfattach.core.quote import command
from gfattach.core.trust import ownership

_WHY = "what goes there would be read by that user, and what comes back would end up in builds"


class Place(Struct, frozen=True):
    """Where a client of the attachment goes: `target` is "cache" or "substituter", `socket` a unix socket."""

    target: str
    address: str
    port: int
    socket: Path | None = None


def places(record: Attachment) -> Iterator[Place]:
    """The listeners of this machine that belong to the attachment: those of its forwards or of its trial."""
    trial = record.kind == "trial"
    cache, substituter = record.cache, record.substituter
    if cache is not None and (trial or record.cache_by_agent or cache.socket is not None):
        yield Place("cache", cache.endpoint.host, cache.endpoint.port, cache.socket)
    if substituter is not None and (trial or substituter.behind_forward) and substituter.endpoint.localhost:
        yield Place("substituter", substituter.endpoint.host, substituter.endpoint.port)


def findings(record: Attachment) -> dict[str, Finding]:
    """Whose each listener is, by target. Only what is not this user's own fails."""
    return {f"listener.{place.target}": _finding(place, record) for place in places(record)}


def demand(record: Attachment) -> None:
    """Raise AgentError (`forward.foreign`, `forward.absent`) where a client would not meet a listener of this
    user's own.
    """
    for finding in findings(record).values():
        if finding.failed:
            foreign = finding.code == "forward.foreign"
            raise AgentError(
                f"{finding.seen}: nothing is sent there",
                *finding.hints,
                code="forward.foreign" if foreign else "forward.absent",
            )


def _finding(place: Place, record: Attachment) -> Finding:
    up = "gfattach up --trial" if record.kind == "trial" else "gfattach up"
    if place.socket is not None:
        return _socket_finding(place.target, place.socket, up)
    where = f"{place.address}:{place.port}"
    found = listening(place.address, place.port)
    if found.ownership is Ownership.OWN:
        return ok("forward.up", f"{where} is this user's own", uid=found.uid)
    if found.ownership is Ownership.FOREIGN and found.uid is not None:
        return fail(
            "forward.foreign",
            f"{where}, where the {place.target} of this attachment should be, is the user "
            f"{ownership.name_of(found.uid)}'s",
            _WHY,
            f"have it at another port: {up}",
            f"see the process: {command('ss', '-ltnp', f'sport = :{place.port}')}",
            uid=found.uid,
        )
    if found.ownership is Ownership.FREE:
        return fail(
            "forward.absent",
            f"nothing listens at {where}, where the {place.target} of this attachment should be",
            "every user of this machine could listen there, and would be taken for the cache",
            f"have it listen again: {up}",
        )
    return skip("forward.unproved", f"whose {where} is, this system does not say")


def _socket_finding(target: str, socket: Path, up: str) -> Finding:
    if reason := ownership.private(socket.parent):
        return fail(
            "forward.foreign",
            f"{socket.parent}, where the socket of the {target} should be, {reason}",
            _WHY,
            f"have it in another place: {up}",
        )
    if not socket.is_socket():
        return fail(
            "forward.absent",
            f"there is no socket {socket}, where the {target} of this attachment should be",
            "nothing leads to the cache",
            f"have it listen again: {up}",
        )
    return ok("forward.up", f"{socket} is in a directory of this user alone")


def failed(found: Mapping[str, Finding], target: str) -> bool:
    """Whether the listener of `target` is not this user's own, by `findings`."""
    finding = found.get(f"listener.{target}")
    return finding is not None and finding.failed
