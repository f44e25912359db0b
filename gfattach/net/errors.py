"""Why a server was not reached: one set of kinds and sentences for every client, TLS's faults included."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

from gfattach.core.errors import ClusterError
from gfattach.core.quote import word
from gfattach.tls.fault import Fault, answered_in_plaintext, fault_of, words_of
from gfattach.tls.purpose import Purpose

if TYPE_CHECKING:
    from gfattach.tls.part import Part

#: Every code, without its prefix, with its meaning.
DIAL_CODES = {
    "dns": "the server's name has no address",
    "refused": "nothing listens on the server's port",
    "silent": "nothing answers in time",
    "unreachable": "there is no route to the server's network",
    "proxy-refused": "nothing listens on the proxy's port",
    "proxy-auth": "the proxy wants other credentials",
    "proxy-failed": "the proxy does not connect to the server, or is none",
    "tls-untrusted": "the certificate is signed by an authority that is not trusted",
    "tls-name": "the certificate is for another name",
    "tls-expired": "the certificate has expired",
    "tls-not-yet": "the certificate is not valid yet",
    "tls-client-certificate": "the server wants a client certificate, or another one",
    "tls-plain": "the server does not speak TLS",
    "tls-failed": "the TLS handshake failed in another way",
}

#: The kind of a DialError for each topic, or topic and word, of `gfattach.tls.explain`.
_KINDS = {
    "trust": "tls-untrusted",
    "name": "tls-name",
    "validity": "tls-expired",
    "validity.not-yet": "tls-not-yet",
    "client": "tls-client-certificate",
    "handshake": "tls-failed",
    "handshake.plaintext": "tls-plain",
}


class DialError(ClusterError):
    """A server was not reached. `kind` is a key of DIAL_CODES.

    `temporary` says of a name that no DNS server answered, so that the name itself may be right.
    """

    def __init__(self, kind: str, fact: str, *hints: str, temporary: bool = False) -> None:
        super().__init__(fact, *hints, code=f"cluster.dial.{kind}")
        self.kind = kind
        self.temporary = temporary


class TlsDialError(DialError):
    """A server whose TLS failed; `part` says how."""

    def __init__(self, part: Part, *hints: str) -> None:
        kind = _KINDS.get(f"{part.topic}.{part.word}", _KINDS[part.topic])
        super().__init__(kind, part.seen, *part.hints, *hints)
        self.part = part


def shown(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def of_name(host: str, error: Exception) -> DialError:
    """What it means that looking up `host` failed with `error` (of `socket.getaddrinfo`)."""
    look = f"look it up: getent hosts {host}"
    number = getattr(error, "errno", None)
    if number == socket.EAI_AGAIN:
        fact = f"DNS: temporary failure, no name server answers for {host}"
        return DialError("dns", fact, look, "see whether the network and the VPN are up", temporary=True)
    if number == socket.EAI_NONAME:
        fact = f"no such host: {host} (NXDOMAIN)"
    else:
        said = getattr(error, "strerror", None) or str(error)
        fact = f"no address for {host}: {said[:1].lower()}{said[1:]}"
    return DialError(
        "dns", fact, look, "it may be a name of a VPN's or an office's own: see whether the VPN is up"
    )


def of_port(host: str, port: int, error: OSError, seconds: float, *, proxy: bool = False) -> DialError:
    """What it means that connecting to `host`:`port` failed with `error` after at most `seconds`."""
    if isinstance(error, socket.gaierror):
        return of_name(host, error)
    where = f"{'the proxy ' if proxy else ''}{shown(host, port)}"
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return DialError(
            "proxy-refused" if proxy else "refused",
            f"{where} refused the connection: nothing listens there",
            "the server is down, or its port is another one",
        )
    if isinstance(error, TimeoutError):
        return DialError(
            "silent",
            f"no answer from {where} in {round(seconds, 1):g} s",
            "a VPN that is down looks like this, and a firewall that drops packets",
        )
    said = os.strerror(error.errno) if error.errno else str(error)
    return DialError(
        "unreachable",
        f"{where} cannot be reached: {said.lower()}",
        f"see whether the network is up, and the VPN: ip route get {host}",
    )


def tls_error(
    error: OSError | ValueError,
    authority: str,
    name: str,
    *,
    purpose: Purpose = Purpose.API_SERVER,
    names: tuple[str, ...] = (),
    identified: bool = False,
) -> DialError:
    """What a TLS failure with `authority` comes to; `names` are those of the certificate, where known."""
    where = f"the proxy {authority}" if purpose is Purpose.PROXY else authority
    # Explaining takes what a client that is well, as the agent for months, has no use for.
    from gfattach.tls.explain import cause
    from gfattach.tls.inspection import Inspection

    if not isinstance(error, OSError):
        return DialError(
            "tls-failed",
            f"{name!r} is no name for a TLS server: {error}",
            "see the name that it is asked by: tls-server-name, or the host of its URL",
        )
    fault = fault_of(error)
    if fault is None:
        fault = Fault.PLAINTEXT if answered_in_plaintext(error) else Fault.HANDSHAKE
    seen = Inspection(
        name,
        fault=fault,
        detail=words_of(error),
        verify_code=getattr(error, "verify_code", 0),
        named=names,
        identified=identified,
    )
    part = cause(seen, where, purpose)
    look = f"look at it: openssl s_client -connect {word(authority)} -servername {word(name)} </dev/null"
    return TlsDialError(part, look)
