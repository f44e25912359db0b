"""Why a server was not reached: the codes `cluster.dial.*`, and what OpenSSL's errors come to."""

from __future__ import annotations

import ssl

from gfattach.errors import ClusterError

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
    look = f"look at it: openssl s_client -connect {authority} -servername {name} </dev/null"
    if isinstance(error, ssl.SSLCertVerificationError):
        return _verification_error(error, authority, name, names, look)
    reason = str(getattr(error, "reason", None) or "")
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        return DialError(
            "tls-plain",
            f"{authority} does not speak TLS",
            "the kubeconfig says https:// and the port answers otherwise: is it the right one?",
        )
    if any(word in reason for word in ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA")) or (
        "ALERT" in reason and "CERTIFICATE" in reason
    ):
        return DialError(
            "tls-client-certificate",
            f"{authority} does not accept the client certificate, or wants one: {_words(reason)}",
            "see client-certificate in the kubeconfig; a certificate that has expired is refused too",
        )
    said = _words(reason) if reason else "the connection was closed"
    if isinstance(error, ConnectionResetError):
        said = "the connection was reset"
    elif not reason and isinstance(error, ssl.SSLError) and "EOF" not in str(error):
        said = str(error.strerror or error)
    elif isinstance(error, ValueError):
        said = f"{name!r} is no name for a TLS server: {error}"
    hints = [look]
    if reason == "SSLV3_ALERT_HANDSHAKE_FAILURE":
        hints.insert(0, "a server of TLS 1.2 that wants a client certificate says no more than this")
    return DialError("tls-failed", f"the TLS handshake with {authority} failed: {said}", *hints)


def _verification_error(
    error: ssl.SSLCertVerificationError, authority: str, name: str, names: tuple[str, ...], look: str
) -> DialError:
    said = str(error.verify_message or error).rstrip(".")
    # X509_V_ERR_*: 9 not yet valid, 10 expired, 62 and 64 another host name or address.
    if error.verify_code == 9:
        return DialError(
            "tls-not-yet",
            f"the certificate of {authority} is not valid yet",
            "is this machine's clock right? see: date",
            f"{look} | openssl x509 -noout -dates",
        )
    if error.verify_code == 10:
        return DialError(
            "tls-expired",
            f"the certificate of {authority}, or of who signed it, has expired",
            "is this machine's clock right? see: date",
            f"{look} | openssl x509 -noout -dates",
        )
    if error.verify_code in (62, 64):
        valid = f"valid for {', '.join(names)}, not for {name}" if names else f"not valid for {name}"
        return DialError(
            "tls-name",
            f"the certificate of {authority} is {valid}",
            "set tls-server-name in the kubeconfig's cluster to a name that it is valid for",
        )
    return DialError(
        "tls-untrusted",
        f"the certificate of {authority} is not trusted: {said}",
        "the kubeconfig's certificate-authority is another cluster's, or something on the way breaks TLS up",
        look,
    )


def _words(reason: str) -> str:
    return reason.replace("_", " ").lower()
