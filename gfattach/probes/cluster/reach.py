"""The network path to the API server: name, proxy and port, then its certificate, then its clock."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec import Struct

from gfattach.cluster.api import reviews
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.kubeconfig.trust import end_of_validity
from gfattach.cluster.wire.dial import dial, reach
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.finding import Finding, Probe, fail, ok, skip, warn
from gfattach.core.quote import word
from gfattach.net.errors import DialError
from gfattach.probes.cluster.subject import ClusterInquiry, failure, until
from gfattach.tls.context import authorities_of
from gfattach.tls.explain_time import SOON_DAYS
from gfattach.tls.purpose import Purpose
from gfattach.tls.second_opinion import ORDER

#: Seconds that clocks may differ: tokens and certificates are given out with about this much to spare.
SKEW_SECONDS = 5.0

_REACH_CODES = {
    "cluster.reach.ok": "the API server's port accepts connections",
    "cluster.reach.dns": "the API server's name has no address",
    "cluster.reach.refused": "nothing listens on the API server's port",
    "cluster.reach.silent": "the API server, or the proxy before it, does not answer",
    "cluster.reach.unreachable": "there is no route to the API server's network",
    "cluster.reach.proxy-refused": "nothing listens on the proxy's port",
    "cluster.reach.proxy-auth": "the proxy wants other credentials",
    "cluster.reach.proxy-failed": "the proxy does not connect to the API server, or is none",
    "cluster.reach.proxy-tls": "the proxy is reached over TLS, and its certificate is not accepted",
}


def _reached(connection: ClusterConnection, deadline: Deadline) -> str:
    """Connect to the port and close; what vouched for a proxy that is spoken to in TLS. Raises DialError."""

    async def connect() -> str:
        stream = await reach(connection, deadline)
        anchors = [layer.chain("verified")[-1:] for layer in stream.layers]
        stream.close()
        if not anchors:
            return ""
        own = anchors[0][:1] and anchors[0][0] in authorities_of(connection.tls)
        return (
            ", whose certificate the cluster's authority signed" if own else ", whose certificate is trusted"
        )

    return run_sync(connect())


def _reach(inquiry: ClusterInquiry) -> Finding:
    connection = inquiry.subject.connection
    proxy = connection.proxy
    try:
        signed = _reached(connection, until(inquiry))
    except DialError as error:
        code = "proxy-tls" if error.kind.startswith("tls-") else error.kind
        why = "nothing of the cluster can be asked: neither the caches nor why they are not there"
        context = f" --context {word(connection.context)}" if connection.context else ""
        look = f"see where the kubeconfig says that it is: kubectl config view --minify{context}"
        return fail(f"cluster.reach.{code}", error.fact, why, *error.hints, look)
    by = f", by {proxy.name}{signed}" if proxy else ""
    return ok(
        "cluster.reach.ok", f"{connection.authority} accepts connections{by}", proxied=proxy is not None
    )


REACH = Probe(
    "cluster.reach",
    "does the API server's port answer",
    _reach,
    _REACH_CODES,
    ("cluster.credential",),
    seconds=4.0,
)

_TLS_CODES = {
    "cluster.tls.ok": "the API server's certificate is accepted",
    "cluster.tls.soon": "the API server's certificate expires in less than two weeks",
    "cluster.tls.lenient": "kubectl's rules accept the certificate, and OpenSSL's do not",
    "cluster.tls.unchecked": "the kubeconfig switches the check of certificates off",
    "cluster.tls.none": "the API server is spoken to without TLS",
    "cluster.tls.untrusted": "the certificate is signed by an authority that is not trusted",
    "cluster.tls.name": "the certificate is for another name",
    "cluster.tls.expired": "the certificate has expired",
    "cluster.tls.not-yet": "the certificate is not valid yet",
    "cluster.tls.client-certificate": "a client certificate is wanted, or another one",
    "cluster.tls.plain": "the port does not speak TLS",
    "cluster.tls.failed": "the TLS handshake fails in another way",
    "cluster.tls.lost": "the port that answered a moment ago does not any more",
}


class _Shown(Struct, frozen=True):
    """When the server's certificate ends, None where it was not verified, and why OpenSSL refused it."""

    end: datetime | None
    refusal: BaseException | None


def _shaken(connection: ClusterConnection, deadline: Deadline) -> _Shown:
    """Shake hands and close. Raises DialError."""

    async def connect() -> _Shown:
        stream = await dial(connection, deadline)
        sent = stream.layers[0].chain("unverified")
        stream.close()
        end = None if connection.insecure or not sent else end_of_validity(sent[0])
        return _Shown(end, stream.refusal)

    return run_sync(connect())


def _tls(inquiry: ClusterInquiry) -> Finding:
    connection = inquiry.subject.connection
    if connection.tls is None:
        return ok("cluster.tls.none", f"{connection.server} is spoken to without TLS")
    try:
        shown = _shaken(connection, until(inquiry))
    except DialError as error:
        kind = error.kind.removeprefix("tls-") if error.kind.startswith("tls-") else "lost"
        why = Purpose.API_SERVER.silence
        return failure(f"cluster.tls.{kind}", error, why, "ask again; if it stays: kubectl version")
    if shown.end is None:
        return ok(
            "cluster.tls.unchecked", f"{connection.authority} speaks TLS; its certificate is not verified"
        )
    days = (shown.end - datetime.now(UTC)).total_seconds() / 86400.0
    data = {"expires": shown.end.isoformat(), "days_left": round(days, 2)}
    if days < SOON_DAYS:
        left = f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
        return warn(
            "cluster.tls.soon",
            f"the certificate of {connection.authority} expires in {left}",
            "from then on nothing can be asked of the cluster, and every forward into it ends",
            "tell the operator; on a cluster of kubeadm: kubeadm certs check-expiration",
            **data,
        )
    if getattr(shown.refusal, "verify_code", ORDER) != ORDER:
        said = getattr(shown.refusal, "verify_message", "")
        return warn(
            "cluster.tls.lenient",
            f"the certificate of {connection.authority} is accepted as kubectl accepts it: {said}",
            "OpenSSL refuses it, and so do curl and what else goes by OpenSSL's rules",
            "tell the operator: a server's certificate has the key usage digitalSignature, and no other "
            "nsCertType than server",
            **data,
        )
    return ok("cluster.tls.ok", f"the certificate of {connection.authority} is accepted", **data)


TLS = Probe("cluster.tls", "is its certificate accepted", _tls, _TLS_CODES, ("cluster.reach",), seconds=4.0)

_CLOCK_CODES = {
    "cluster.clock.ok": "this machine's clock and the API server's agree",
    "cluster.clock.ahead": "this machine's clock is ahead of the API server's",
    "cluster.clock.behind": "this machine's clock is behind the API server's",
    "cluster.clock.unknown": "the API server's answer has no date, or there was none",
}


def _clock(inquiry: ClusterInquiry) -> Finding:
    subject = inquiry.subject
    try:
        found = run_sync(reviews.clock(subject.api, until(inquiry)))
    except ClusterError as error:
        return skip("cluster.clock.unknown", f"the clocks were not compared: {error.fact}")
    if found.ahead is None:
        return skip("cluster.clock.unknown", "the answer of the API server has no date")
    seconds = abs(found.ahead)
    data = {"ahead_seconds": round(found.ahead, 2), "uncertainty_seconds": round(found.uncertainty, 2)}
    if seconds <= SKEW_SECONDS + found.uncertainty:
        return ok("cluster.clock.ok", "the clocks agree, to a few seconds", **data)
    side = "behind" if found.ahead > 0 else "ahead"
    return warn(
        f"cluster.clock.{side}",
        f"this machine's clock is {seconds:.0f} s {side} of the API server's"
        if side == "ahead"
        else f"this machine's clock is {seconds:.0f} s behind the API server's",
        "tokens and certificates that are new, or about to end, are refused by one side and not the other",
        "see which is wrong, and set it: timedatectl status"
        if not _is_mac()
        else "set it: sudo sntp -sS time.apple.com",
        **data,
    )


def _is_mac() -> bool:
    import sys

    return sys.platform == "darwin"


CLOCK = Probe("cluster.clock", "do the clocks agree", _clock, _CLOCK_CODES, ("cluster.tls",), seconds=4.0)
