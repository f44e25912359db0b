"""What a request to a substituter can run into, as findings: the same for whatever was asked."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from gfattach.core.finding import Finding, fail, skip
from gfattach.core.quote import command, word
from gfattach.credential.scope import login_name
from gfattach.nixcache.attic import bad_host
from gfattach.nixcache.errors import Kind, NixCacheError
from gfattach.nixcache.target import SubstituterTarget

#: What every request may run into, by the end of the code.
FAULTS: Mapping[str, str] = {
    "unauthorised": "the cache wants a credential, or another one (401)",
    "forbidden": "the cache forbids it to this credential, or to anyone without one (403)",
    "bad-host": "the server does not answer to the name that it is asked by (Attic's allowed-hosts)",
    "error": "the cache, or what stands before it, has an error of its own (5xx)",
    "status": "the cache answers with an HTTP status that none of this accounts for",
    "in-cluster": "a redirect leads to a name or an address that only the cluster can reach",
    "redirect": "a redirect leads nowhere, in a circle, or to what does not serve it",
    "silent": "the cache did not finish its answer in time",
    "broken": "the connection was refused, cut, or spoke no HTTP",
    "tls": "TLS failed before the answer",
    "unusable": "what this machine would ask with (a proxy, an authority file, a header) cannot be used",
}

#: What a document may be instead of itself.
DOCUMENT_FAULTS: Mapping[str, str] = {
    "login": "a web page came instead: most often that of a login proxy",
    "malformed": "what came is not what the format asks for",
    "large": "what came is larger than any such document",
    "encoding": "what came is in an encoding that cannot be undone here",
}

_BY_KIND = {
    Kind.TIMEOUT: "silent",
    Kind.TLS: "tls",
    Kind.CA_FILE: "unusable",
    Kind.PROXY: "unusable",
    Kind.REQUEST: "unusable",
    Kind.HTML: "login",
    Kind.MALFORMED: "malformed",
    Kind.CORRUPT: "malformed",
    Kind.TRUNCATED: "malformed",
    Kind.COMPRESSION: "encoding",
    Kind.TOO_LARGE: "large",
    Kind.REDIRECT: "redirect",
}

#: What Nix does about a failure, by what it asked for (docs/nix-failures.md).
_CONSEQUENCE = {
    "substituter.info": "Nix warns and goes on without it; where it served before, builds end with an "
    "error, from 2.34 on unless another cache answers",
    "substituter.narinfo": "Nix ends the build with an error, even where it could build the path itself",
    "substituter.nar": "Nix has chosen the cache by then, and ends the build with an error",
}

_CAUSE = {
    "bad-host": "the server refuses every request that names it so, whatever is asked",
    "in-cluster": "the cache keeps its files in a store that only the cluster can reach",
    "redirect": "Nix follows the same redirect, and ends in the same place",
    "silent": "Nix waits for it too, for minutes unless it is told not to",
}


def _why(probe: str, end: str) -> str:
    if end == "unusable":
        return "nothing can be asked until that is put right"
    if probe == "substituter.narinfo" and end in ("unauthorised", "forbidden"):
        return "Nix takes it for a cache that has nothing, says nothing of it, and builds all of it here"
    if probe == "substituter.info" and end in DOCUMENT_FAULTS:
        return (
            "Nix takes it for a cache that says nothing of itself, and what it serves next for corrupt files"
        )
    return "; ".join(filter(None, (_CAUSE.get(end), _CONSEQUENCE[probe])))


def fault_codes(probe: str, *more: Mapping[str, str]) -> dict[str, str]:
    """The codes that `fault` may give for `probe`; `more` is DOCUMENT_FAULTS, for documents."""
    return {f"{probe}.{end}": meaning for group in (FAULTS, *more) for end, meaning in group.items()}


def fault(probe: str, error: NixCacheError, target: SubstituterTarget) -> Finding:
    """The finding that `error` of `target` amounts to."""
    end = _end(error)
    seen = error.fact
    if error.redirected:
        seen = f"{error.hops[0]} is redirected to {error.hops[-1]}, and there: {error.fact}"
    data = {"hops": list(error.hops), "status": error.status, "kind": error.kind.value}
    if end == "encoding":
        # Whether Nix undoes it, its own proof shows.
        return skip(
            f"{probe}.{end}", f"not looked at: {seen}", f"look at it: curl -i {error.hops[0]}", **data
        )
    return fail(f"{probe}.{end}", seen, _why(probe, end), *_hints(end, error, target), **data)


def _end(error: NixCacheError) -> str:
    if error.kind is Kind.HTML:
        return "login"
    if error.redirected and (error.kind in (Kind.DNS, Kind.UNREACHABLE) or _unreached_inside(error)):
        return "in-cluster"
    if error.redirected and _BY_KIND.get(error.kind) not in (
        "malformed",
        "large",
        "unusable",
        "encoding",
    ):
        return "redirect"
    if bad_host(error.status, error.body):
        return "bad-host"
    if error.kind is Kind.STATUS:
        status = error.status or 0
        return {401: "unauthorised", 403: "forbidden"}.get(status, "error" if status >= 500 else "status")
    return _BY_KIND.get(error.kind, "broken")


def _unreached_inside(error: NixCacheError) -> bool:
    """Whether what did not answer has a name or an address that only its own network knows."""
    if error.kind not in (Kind.TIMEOUT, Kind.REFUSED):
        return False
    try:
        address = ipaddress.ip_address(error.host)
    except ValueError:
        return error.host.rstrip(".").endswith((".svc", ".cluster.local", ".internal"))
    return address.is_private and not address.is_loopback


def _hints(end: str, error: NixCacheError, target: SubstituterTarget) -> tuple[str, ...]:
    endpoint = target.endpoint
    address = error.hops[0] if error.hops else f"{endpoint.url}/nix-cache-info"
    look = f"look at it: curl -i {address}"
    forward = ("see whether the forward is healthy: gfattach status",) if target.behind_forward else ()
    # Attic ignores a token that it cannot verify, and refuses the anonymous request that is left.
    asked = "put its token into the netrc-file of your nix.conf, or ask for a cache that anybody may read"
    if target.token:
        asked = "the token that was sent counts for nothing there: ask the operator for one that pulls"
    elif target.real_host or not endpoint.localhost:
        name = login_name(endpoint.url, target.real_host)
        asked = f"store its token: {command('gfattach', 'credential', 'login', name)}"
    return {
        "unauthorised": (asked, look),
        "bad-host": (
            f'operator: add "{endpoint.authority}" to allowed-hosts of Attic, which compares all of it, '
            "the port too; an empty list allows any name",
            "or ask for the cache by a name that is in that list: gfattach site show",
        ),
        "forbidden": ("ask the operator for the right to pull from this cache", look),
        "error": (*forward, f"{look}; if it stays, the operator's logs say why"),
        "status": (look,),
        "in-cluster": (
            f"operator: give the object store an address that can be reached from outside, not {error.host}",
            "Attic: that is the endpoint under [storage]; until then nothing can be fetched from here",
        ),
        "redirect": (f"look at each step: curl -iL {address}",),
        "silent": (*forward, look),
        "broken": (*forward, look),
        "tls": (f"look at the certificate: openssl s_client -connect {word(endpoint.authority)} -showcerts",),
        "unusable": tuple(error.hints) or ("see what the site says: gfattach site show",),
        "login": (
            "ask the operator for an address of the cache that has no login page before it",
            f"look at it: curl -iL {address}",
        ),
        "malformed": (look, *error.hints),
        "large": (look,),
    }[end]
