"""The forward to a pod: does it open, and do bytes come back through it?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gfattach.agent.model.spec import PodUpstream
from gfattach.cluster.api.endpoint_selection import ReadyPod, shown
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire.forward_errors import ChannelError
from gfattach.cluster.wire.portforward import open_channel
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.finding import Finding, Probe, fail, ok, warn
from gfattach.core.quote import word
from gfattach.net.sniff import PREFACE, SniffResult, WireProtocol, classify, is_enough
from gfattach.probes.cluster.subject import ClusterInquiry, failure, until
from gfattach.tls.context import client_hello

Answer = TypeVar("Answer")

#: Seconds that a server gets for its first word. One of HTTP/2 speaks at once.
TALK_SECONDS = 2.0

#: Pods of one Service that are tried before the forward counts as closed.
PODS_TRIED = 3

#: Bytes of an answer that are read.
_ANSWER_BYTES = 4096

_GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nConnection: close\r\n\r\n"

_UPGRADE_CODES = {
    "cluster.upgrade.ok": "a forward to a pod of every Service opens",
    "cluster.upgrade.refused": "nothing listens on the port in the pod",
    "cluster.upgrade.upgrade": "a proxy on the path does not let a websocket through",
    "cluster.upgrade.unauthorized": "the credential is not accepted any more",
    "cluster.upgrade.forbidden": "the user may not forward to pods",
    "cluster.upgrade.gone": "the pod is not there any more",
    "cluster.upgrade.kubelet": "the API server cannot reach the pod's node, or its kubelet refuses",
    "cluster.upgrade.lost": "the forward is cut as soon as it is open",
    "cluster.upgrade.unanswered": "the API server does not answer when a forward is asked for",
}


async def _converse(
    connection: ClusterConnection, pod: ReadyPod, words: bytes, deadline: Deadline
) -> SniffResult:
    """Open a forward, say `words`, and classify what comes back. Raises ClusterError."""
    import asyncio

    channel = await open_channel(connection, pod.namespace, pod.name, pod.port, deadline)
    talk = deadline.within(TALK_SECONDS)
    answer = b""
    try:
        await channel.write(words)
        while len(answer) < _ANSWER_BYTES and not is_enough(answer):
            more = await asyncio.wait_for(channel.read(), talk.remaining())
            if not more:
                break
            answer += more
    except TimeoutError:
        return classify(answer or None)
    except ChannelError:
        if not answer:
            raise
    finally:
        channel.close()
    return classify(answer)


async def _open(
    connection: ClusterConnection, pods: Sequence[ReadyPod], words: bytes, deadline: Deadline
) -> SniffResult:
    """What the first pod of `pods` to which a forward opens says to `words`."""
    for pod in pods[1:PODS_TRIED]:
        try:
            return await _converse(connection, pods[0], words, deadline)
        except ChannelError as error:
            if error.kind not in ("gone", "kubelet", "refused", "lost"):
                raise
        pods = [pod, *pods[2:]]
    return await _converse(connection, pods[0], words, deadline)


async def _each(
    routes: Sequence[PodUpstream], ask: Callable[[PodUpstream], Awaitable[Answer]]
) -> dict[str, Answer | BaseException]:
    """What `ask` says of every route, all asked at once."""
    import asyncio

    answers = await asyncio.gather(*(ask(route) for route in routes), return_exceptions=True)
    return {shown(route): answer for route, answer in zip(routes, answers, strict=True)}


def _readiness(inquiry: ClusterInquiry, route: PodUpstream) -> bytes:
    """What a client of that port says first: HTTP/2's, or that of TLS. Not every server of the one answers
    the other.
    """
    name = inquiry.subject.names.get(shown(route))
    return PREFACE if name is None else client_hello(name, ("h2", "http/1.1"))


def _pods(inquiry: ClusterInquiry, route: PodUpstream) -> list[ReadyPod]:
    """The ready pods behind `route`, as `cluster.service` found them."""
    found = inquiry.known("cluster.service", "pods", {}).get(shown(route), [])
    return [ReadyPod(namespace, name, port) for namespace, name, port in found]


def _ask_upgrade(inquiry: ClusterInquiry) -> Finding:
    connection, services = inquiry.subject.connection, inquiry.subject.services
    deadline = until(inquiry, "services")
    heard: dict[str, str] = {}
    answers = run_sync(
        _each(
            services,
            lambda route: _open(connection, _pods(inquiry, route), _readiness(inquiry, route), deadline),
        )
    )
    for name, answer in answers.items():
        if isinstance(answer, ClusterError):
            kind = answer.kind if isinstance(answer, ChannelError) else "unanswered"
            why = f"every connection to {name} would end so"
            return failure(f"cluster.upgrade.{kind}", answer, why, *_by_hand(inquiry, services, kind))
        if isinstance(answer, BaseException):
            raise answer
        heard[name] = answer.protocol.value
    return ok("cluster.upgrade.ok", f"a forward opens to {' and '.join(heard)}", heard=heard)


def _by_hand(inquiry: ClusterInquiry, services: Sequence[PodUpstream], kind: str = "") -> tuple[str, ...]:
    pod = next(pod for route in services for pod in _pods(inquiry, route))
    if kind == "gone":
        return (f"see which pods there are, and run it again: kubectl -n {word(pod.namespace)} get pods",)
    if kind == "unauthorized":
        return ("log in again, as you did first, then: kubectl auth whoami",)
    return (f"try it: kubectl -n {word(pod.namespace)} port-forward pod/{word(pod.name)} {pod.port}",)


UPGRADE = Probe(
    "cluster.upgrade",
    "does a forward to a pod open",
    _ask_upgrade,
    _UPGRADE_CODES,
    ("cluster.service",),
    seconds=6.0,
)

_CACHE_CODES = {
    "cluster.cache.ok": "something answers through every forward",
    "cluster.cache.unknown": "what answers through a forward speaks neither HTTP nor TLS",
    "cluster.cache.silent": "nothing comes back through a forward that is open",
    "cluster.cache.closed": "the other end of a forward closes without a word",
}


def _ask_cache(inquiry: ClusterInquiry) -> Finding:
    connection, services = inquiry.subject.connection, inquiry.subject.services
    heard: dict[str, str] = dict(inquiry.known("cluster.upgrade", "heard", {}))
    # What makes nothing of HTTP/2, or answers it in words of its own, may still answer HTTP/1.1.
    odd = (WireProtocol.SILENT, WireProtocol.CLOSED, WireProtocol.UNKNOWN)
    quiet = [route for route in services if heard.get(shown(route)) in odd]
    deadline = until(inquiry, "services")
    answers = run_sync(
        _each(quiet, lambda route: _converse(connection, _pods(inquiry, route)[0], _GET, deadline))
    )
    for name, answer in answers.items():
        if isinstance(answer, ClusterError):
            return _closed(name, f"{name}: {answer.fact}")
        if isinstance(answer, BaseException):
            raise answer
        heard[name] = answer.protocol.value
    for name, protocol in heard.items():
        if protocol == WireProtocol.SILENT:
            return fail(
                "cluster.cache.silent",
                f"{name} accepts connections but sends no response (timeout), to HTTP/2 and to HTTP/1.1",
                "a client of it would wait for minutes",
                *_by_hand(inquiry, services),
                "see whether the cache hangs: kubectl logs of its pod",
            )
        if protocol == WireProtocol.CLOSED:
            return _closed(name, f"{name} accepts connections and closes them without a word")
    said = ", ".join(f"{name} answers in {protocol}" for name, protocol in heard.items())
    if WireProtocol.UNKNOWN in heard.values():
        return warn(
            "cluster.cache.unknown",
            said.replace(f"in {WireProtocol.UNKNOWN}", "in no protocol that is known here"),
            "caches speak gRPC or HTTP: this may be another service",
            "see which port the cache has: gfattach site show",
            heard=heard,
        )
    return ok("cluster.cache.ok", said, heard=heard)


def _closed(name: str, seen: str) -> Finding:
    namespace, _, service = name.partition("/")
    return fail(
        "cluster.cache.closed",
        seen,
        "the process behind it may be starting, or want another protocol",
        f"see what it says: kubectl -n {word(namespace)} logs service/{word(service.partition(':')[0])}",
    )


CACHE = Probe(
    "cluster.cache",
    "do bytes come back",
    _ask_cache,
    _CACHE_CODES,
    ("cluster.upgrade",),
    seconds=4.0,
)
