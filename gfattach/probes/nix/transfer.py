"""How what the substituter sends comes to Nix: the encodings that it undoes, the proxy that its daemon
has.
"""

from __future__ import annotations

from gfattach.core.finding import Finding, Inquiry, Probe, ok, warn
from gfattach.core.quote import word
from gfattach.net.proxy_environment import proxy_for, proxy_towards
from gfattach.nix.encodings import undone
from gfattach.probes.nix.subject import NixSubject, found_nix, through_daemon


def _ask_encodings(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    nix = found_nix(inquiry)
    for what, names, nar in (
        ("documents", subject.encodings, False),
        ("NARs", subject.nar_encodings, True),
    ):
        for name in names:
            if not undone(nix.minor, name, nar=nar):
                return warn(
                    "nix.encodings.unknown",
                    f"the cache sends {what} with Content-Encoding: {name}, which {nix.label} does not undo",
                    "it takes what comes for damaged: builds that need a path of the cache end with an error",
                    "operator: have the server, or the proxy before it, send what it holds as it is: "
                    "no Content-Encoding",
                    f"look at it: curl -sI {word(f'{subject.url}/nix-cache-info')}",
                    encoding=name,
                )
    return ok("nix.encodings.ok", "Nix undoes the encodings that the cache sends")


def _ask_proxy(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    if subject.target is None:
        return ok("nix.proxy.ok", "no substituter was named")
    endpoint = subject.target.endpoint
    asked = (endpoint.scheme, endpoint.host, subject.environment)
    if proxy_for(*asked) is None or not through_daemon(inquiry):
        return ok("nix.proxy.ok", "Nix asks by the route that was asked here")
    try:
        proxy = proxy_towards(*asked)
    except ValueError:
        proxy = None
    name = "a proxy" if proxy is None else proxy.name
    return warn(
        "nix.proxy.daemon",
        f"here requests to {endpoint.authority} go by {name}, and it is a daemon that asks the cache",
        "a daemon has variables of its own, and none of this shell's: without the proxy it may not get there",
        "see what it has: systemctl show nix-daemon --property=Environment",
        "the administrator gives it the proxy, with sudo systemctl edit nix-daemon: [Service] "
        f"Environment={endpoint.scheme}_proxy=URL",
    )


ENCODINGS: Probe[NixSubject] = Probe(
    "nix.encodings",
    "does it undo the encodings that the cache sends?",
    _ask_encodings,
    codes={
        "nix.encodings.ok": "Nix undoes the encodings that the cache sends",
        "nix.encodings.unknown": "the cache sends an encoding that this Nix does not undo",
    },
    needs=("nix.program",),
)

PROXY: Probe[NixSubject] = Probe(
    "nix.proxy",
    "does its daemon take the same route?",
    _ask_proxy,
    codes={
        "nix.proxy.ok": "Nix asks the cache by the route that was asked here",
        "nix.proxy.daemon": "this shell has a proxy for the cache, which the daemon may not have",
    },
    needs=("nix.mode",),
)
