"""Which protocol a substituter speaks: TLS or not, as the site says or the reverse."""

from __future__ import annotations

import ssl

from gfattach.core.endpoint import Endpoint
from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok
from gfattach.core.quote import word
from gfattach.nixcache import wire
from gfattach.nixcache.errors import NixCacheError
from gfattach.nixcache.target import SubstituterTarget
from gfattach.nixcache.wire import WireProtocol
from gfattach.probes.substituter.reach import SITE_HINT, dialled, route_hint
from gfattach.tls.fault import Fault, fault_of, words_of

#: Seconds that a listener has to show that it speaks TLS, after it spoke no HTTP.
HANDSHAKE_SECONDS = 2.0

_CERTIFICATE = {
    "name": "the certificate is made for another name",
    "expired": "the certificate is not valid today",
    "untrusted": "the authority that signed the certificate is not known here",
}

_ENDS = {Fault.NAME: "name", Fault.TIME: "expired"}


def _protocol(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    endpoint = inquiry.subject.endpoint
    if inquiry.known("substituter.proxy", "proxied"):
        return ok(
            "substituter.protocol.proxied",
            f"a proxy speaks to {endpoint.authority}: what it meets shows in the answers",
        )
    try:
        return _over_tls(inquiry) if endpoint.tls else _in_plain(inquiry)
    except NixCacheError as error:
        return fail(
            "substituter.protocol.unusable", error.fact, "nothing can be checked against it", *error.hints
        )
    except TimeoutError:
        return _finding_for(WireProtocol.SILENT, inquiry.subject)
    except OSError:
        return _finding_for(WireProtocol.CLOSED, inquiry.subject)


def _in_plain(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    endpoint = inquiry.subject.endpoint
    heard = _plain_sniff(inquiry)
    if heard is WireProtocol.TLS or (
        heard in (WireProtocol.CLOSED, WireProtocol.OTHER) and _shakes_hands(inquiry)
    ):
        return fail(
            "substituter.protocol.tls",
            f"{endpoint.authority} speaks TLS, and the site says http://",
            "Nix takes what it hears for a broken connection",
            f"write https:// in nix.substituter: https://{endpoint.authority}{endpoint.path}",
            SITE_HINT,
        )
    if heard is WireProtocol.HTTP:
        return ok(
            "substituter.protocol.ok",
            f"{endpoint.authority} speaks plain HTTP, as the site says",
        )
    return _finding_for(heard, inquiry.subject)


def _over_tls(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    endpoint = inquiry.subject.endpoint
    context = wire.tls_context(inquiry.subject.ca_file)
    # A plaintext server may wait for the end of the line that it takes the greeting for: leave time to ask.
    deadline = inquiry.deadline.within(inquiry.deadline.remaining() / 2)
    try:
        with wire.connect(dialled(inquiry)[1], deadline) as connection:
            session = wire.shake_hands(connection, endpoint, context, deadline)
    except ssl.SSLCertVerificationError as error:
        return _bad_certificate(endpoint, error)
    except (ssl.SSLError, ConnectionError, TimeoutError) as error:
        # The library's words for a plaintext answer differ from version to version: ask plainly.
        if _plain_sniff(inquiry) is WireProtocol.HTTP:
            return fail(
                "substituter.protocol.plaintext",
                f"{endpoint.authority} speaks plain HTTP, and the site says https://",
                "Nix takes what it hears for a broken connection",
                f"write http:// in nix.substituter: http://{endpoint.authority}{endpoint.path}",
                SITE_HINT,
            )
        if not isinstance(error, ssl.SSLError):
            heard = WireProtocol.SILENT if isinstance(error, TimeoutError) else WireProtocol.CLOSED
            return _finding_for(heard, inquiry.subject)
        return fail(
            "substituter.protocol.handshake",
            f"TLS with {endpoint.authority} fails: {words_of(error)}",
            "the two sides do not agree, or the server wants a client's certificate, which Nix cannot give",
            f"look at it: openssl s_client -connect {word(endpoint.authority)} "
            f"-servername {word(endpoint.host)}",
        )
    if session.protocol is not WireProtocol.HTTP:
        return _finding_for(session.protocol, inquiry.subject)
    return ok(
        "substituter.protocol.ok",
        f"{endpoint.authority} speaks {session.version}, with a certificate that this machine trusts",
        version=session.version,
    )


def _plain_sniff(inquiry: Inquiry[SubstituterTarget]) -> WireProtocol:
    with wire.connect(dialled(inquiry)[1], inquiry.deadline) as connection:
        return wire.sniff(connection, inquiry.subject.endpoint, inquiry.deadline)


def _shakes_hands(inquiry: Inquiry[SubstituterTarget]) -> bool:
    """Whether TLS can be spoken there at all; nothing is sent under it, so nothing is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with wire.connect(dialled(inquiry)[1], inquiry.deadline) as connection:
            connection.settimeout(max(0.001, inquiry.deadline.within(HANDSHAKE_SECONDS).remaining()))
            context.wrap_socket(connection, server_hostname=inquiry.subject.endpoint.host).close()
    except OSError:
        return False
    return True


def _bad_certificate(endpoint: Endpoint, error: ssl.SSLCertVerificationError) -> Finding:
    end = _ENDS.get(fault_of(error) or Fault.UNTRUSTED, "untrusted")
    hint = {
        "name": "use the name that the certificate is made for, in nix.substituter",
        "expired": "operator: renew it; or set this machine's clock: date",
        "untrusted": "name a PEM file with the authority: nix.ca_file in gfattach.toml",
    }[end]
    return fail(
        f"substituter.protocol.{end}",
        f"{_CERTIFICATE[end]}: {endpoint.authority}, {words_of(error)}",
        "Nix refuses the connection for the same reason; a daemon that fetches has to trust it too",
        hint,
        f"look at it: openssl s_client -connect {word(endpoint.authority)} "
        f"-servername {word(endpoint.host)} -showcerts",
    )


def _finding_for(heard: WireProtocol, target: SubstituterTarget) -> Finding:
    """The finding for a listener that speaks no HTTP."""
    endpoint = target.endpoint
    after = "TLS" if endpoint.tls else "a connection"
    end, seen = {
        WireProtocol.SILENT: ("silent", f"{endpoint.authority} accepts {after} and says nothing"),
        WireProtocol.CLOSED: ("closed", f"{endpoint.authority} accepts a connection and hangs up"),
        WireProtocol.OTHER: ("other", f"{endpoint.authority} speaks something that is not HTTP"),
        WireProtocol.TLS: ("other", f"{endpoint.authority} speaks something that is not HTTP"),
    }[heard]
    return fail(
        f"substituter.protocol.{end}",
        seen,
        "what listens there is not the cache, or does not reach it; Nix tries for seconds, then gives up",
        route_hint(target),
        f"look at it: curl -v {endpoint.url}/nix-cache-info",
    )


PROTOCOL = Probe(
    name="substituter.protocol",
    question="does it speak the protocol that the site says",
    ask=_protocol,
    codes={
        "substituter.protocol.ok": "it speaks HTTP, or TLS with a trusted certificate, as the site says",
        "substituter.protocol.proxied": "a proxy speaks to it",
        "substituter.protocol.tls": "it speaks TLS, and the site says http://",
        "substituter.protocol.plaintext": "it speaks plain HTTP, and the site says https://",
        **{f"substituter.protocol.{end}": meaning for end, meaning in _CERTIFICATE.items()},
        "substituter.protocol.handshake": "TLS fails for a reason other than the server's certificate",
        "substituter.protocol.closed": "it accepts a connection and hangs up",
        "substituter.protocol.silent": "it accepts a connection and says nothing",
        "substituter.protocol.other": "it speaks something that is not HTTP",
        "substituter.protocol.unusable": "the authority file of the site cannot be used",
    },
    needs=("substituter.port",),
)
