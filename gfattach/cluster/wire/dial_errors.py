"""Why a server was not reached: the codes `cluster.dial.*`, and what TLS's faults come to."""

from __future__ import annotations

import ssl

from gfattach.core.errors import ClusterError
from gfattach.core.quote import word
from gfattach.tls.fault import (
    NOT_YET,
    Fault,
    answered_in_plaintext,
    client_refused,
    fault_of,
    for_others,
    reason_of,
    untrusted,
    words_of,
)

#: Every code, without its prefix, with its meaning.
DIAL_CODES = {
    "dns": "the server's name has no address",
    "refused": "nothing listens on the server's port",
    "silent": "nothing answers in time",
    "unreachable": "there is no way to the server's network",
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


class DialError(ClusterError):
    """A server was not reached. `kind` is a key of DIAL_CODES."""

    def __init__(self, kind: str, fact: str, *hints: str) -> None:
        super().__init__(fact, *hints, code=f"cluster.dial.{kind}")
        self.kind = kind


def tls_error(
    error: OSError | ValueError, authority: str, name: str, names: tuple[str, ...] = ()
) -> DialError:
    """What a TLS failure with `authority` comes to; `names` are those of the certificate, where known."""
    look = f"look at it: openssl s_client -connect {word(authority)} -servername {word(name)} </dev/null"
    fault = fault_of(error)
    if fault is Fault.TIME:
        return _of_another_time(error, authority, look)
    if fault is Fault.NAME:
        return DialError(
            "tls-name",
            for_others(authority, names, name),
            "set tls-server-name in the kubeconfig's cluster to a name that it is valid for",
        )
    if fault is Fault.UNTRUSTED:
        return DialError(
            "tls-untrusted",
            untrusted(authority, words_of(error)),
            "the kubeconfig's certificate-authority is another cluster's, "
            "or something on the way breaks TLS up",
            look,
        )
    if fault is Fault.CLIENT_CERTIFICATE:
        return DialError(
            "tls-client-certificate",
            client_refused(authority, None, words_of(error)),
            "see client-certificate in the kubeconfig; a certificate that has expired is refused too",
        )
    if answered_in_plaintext(error):
        return DialError(
            "tls-plain",
            f"{authority} does not speak TLS",
            "the kubeconfig says https:// and the port answers otherwise: is it the right one?",
        )
    hints = [look]
    if reason_of(error) == "SSLV3_ALERT_HANDSHAKE_FAILURE":
        hints.insert(0, "a server of TLS 1.2 that wants a client certificate says no more than this")
    return DialError("tls-failed", f"the TLS handshake with {authority} failed: {_said(error, name)}", *hints)


def _of_another_time(error: OSError | ValueError, authority: str, look: str) -> DialError:
    early = getattr(error, "verify_code", 0) == NOT_YET
    return DialError(
        "tls-not-yet" if early else "tls-expired",
        f"the certificate of {authority} is not valid yet"
        if early
        else f"the certificate of {authority}, or of who signed it, has expired",
        "is this machine's clock right? see: date",
        f"{look} | openssl x509 -noout -dates",
    )


def _said(error: OSError | ValueError, name: str) -> str:
    if not isinstance(error, OSError):
        return f"{name!r} is no name for a TLS server: {error}"
    if isinstance(error, ConnectionResetError):
        return "the connection was reset"
    if reason_of(error):
        return words_of(error)
    if isinstance(error, ssl.SSLError) and "EOF" not in str(error):
        return str(error.strerror or error)
    return "the connection was closed"
