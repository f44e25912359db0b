"""What a call to the cache that did not succeed means, the same for every probe that calls."""

from __future__ import annotations

from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.finding import Finding, Inquiry, fail
from gfattach.core.quote import word
from gfattach.credential.scope import login_name
from gfattach.probes.cache.protocol import CLIENT, page_of
from gfattach.probes.endpoint.protocol import sniff
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.target import CacheTarget

CacheInquiry = Inquiry[CacheTarget]

CALL_CODES = {
    "cache.call.unavailable": "the connection broke, or was never made",
    "cache.call.deadline": "a call was not answered in time",
    "cache.call.unauthenticated": "the cache wants a token that was not given, or has expired",
    "cache.call.permission": "the token is known and may not do this",
    "cache.call.unimplemented": "the server does not know the call: another service, or another path",
    "cache.call.page": "a web page or a redirect answers instead of the cache",
    "cache.call.corrupt": "a blob came back changed",
    "cache.call.failed": "the cache answered a call with an error",
}

#: HOST is the cache's own, which is not that of a forward's listener.
_LOGIN = "store a token for its host: gfattach credential login HOST"

#: For each kind of failure: its code, why it matters, what to do next.
_MEANING: dict[Kind, tuple[str, str, tuple[str, ...]]] = {
    Kind.UNAVAILABLE: (
        "unavailable",
        "the port is open and the conversation breaks off: the far end restarts, or a proxy cuts it",
        ("run it again in a few seconds", "if it stays so, ask the operator whether the server is up"),
    ),
    Kind.DEADLINE: (
        "deadline",
        "Bazel would wait 60 s for each such call",
        ("ask the operator whether the server is overloaded",),
    ),
    Kind.UNAUTHENTICATED: (
        "unauthenticated",
        "it wants a token (or a client certificate), and none came or it has expired: Bazel would end here",
        (_LOGIN, "ask the site's operator for a token"),
    ),
    Kind.PERMISSION: (
        "permission",
        "who you are is known, and is not allowed to do this",
        ("ask the site's operator for this permission", f"or use another token; {_LOGIN}"),
    ),
    Kind.UNIMPLEMENTED: (
        "unimplemented",
        "something answers there and is no Bazel cache",
        ("check port and path with the operator (bazel-remote: gRPC 9092, HTTP 8080)",),
    ),
    Kind.CORRUPT: (
        "corrupt",
        "Bazel would refuse the blob and build again; what changes content in transit breaks builds",
        ("ask the operator to check the cache's storage, and what stands between here and there",),
    ),
}


def call_finding(error: ReapiError, target: CacheTarget, deadline: Deadline) -> Finding:
    """The finding for a call that did not succeed.

    An answer that a cache does not give is looked at once more, as HTTP: gRPC says nothing of a
    login page but that it is not gRPC.
    """
    if error.kind in (Kind.OTHER, Kind.UNIMPLEMENTED, Kind.INVALID) and (page := _page(target, deadline)):
        return page
    if error.kind not in _MEANING:
        why = "a cache for Bazel answers this call"
        return fail("cache.call.failed", error.fact, why, "ask the operator what the server's log says of it")
    name, why, hints = _MEANING[error.kind]
    host = word(login_name(target.endpoint.url, target.real_host))
    told = (hint.replace("login HOST", f"login {host}") for hint in hints)
    return fail(f"cache.call.{name}", error.fact, why, *told)


def _page(target: CacheTarget, deadline: Deadline) -> Finding | None:
    endpoint = target.endpoint
    web = replace(endpoint, scheme="https" if endpoint.tls else "http")
    found = page_of(sniff(CLIENT, replace(target, endpoint=web), deadline), endpoint.authority)
    if found is None:
        return None
    why = "a login page, a proxy or another service stands where the cache should"
    return fail("cache.call.page", found[0], why, found[1], f"look at it: curl -si {web.url} | head")
