"""What can be wrong with a TLS connection: told from OpenSSL's errors, and said in words.

Whoever speaks TLS has the same few faults to explain, so that the sentences that name them are here; why
it matters and what to do next differ by who is asked, and stand there.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from enum import StrEnum


class Fault(StrEnum):
    """Why a TLS connection cannot be used; TIME, NAME and UNTRUSTED in the order in which OpenSSL looks."""

    UNREACHABLE = "unreachable"
    SILENT = "silent"
    CLOSED = "closed"
    PLAINTEXT = "plaintext"
    UNTRUSTED = "untrusted"
    NAME = "name"
    TIME = "time"
    CLIENT_CERTIFICATE = "client-certificate"
    HANDSHAKE = "handshake"


class NotConnectedError(OSError):
    """There was no connection to speak on."""


#: X509_V_ERR_*, OpenSSL's numbers for what a certificate lacks: not valid yet, and expired.
NOT_YET, EXPIRED = 9, 10

#: X509_V_ERR_*: another host name, mail address or IP address.
_NAMES = (62, 63, 64)

#: Alerts about the certificate that a client shows, or does not (RFC 8446, 6.2).
_CLIENT_REFUSALS = (
    "CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_ACCESS_DENIED",
)

#: What OpenSSL says when the other end speaks TLS and the two do not come together.
_BREAKS = (
    "ALERT",
    "UNRECOGNIZED_NAME",
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "DH_KEY_TOO_SMALL",
)

#: What OpenSSL makes of an answer that is no TLS.
_PLAINTEXT = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")


def fault_of(error: BaseException) -> Fault | None:
    """What is wrong with a TLS connection that failed with `error`; None when no TLS was spoken at all."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (NOT_YET, EXPIRED):
            return Fault.TIME
        return Fault.NAME if error.verify_code in _NAMES else Fault.UNTRUSTED
    if isinstance(error, ssl.SSLError):
        if any(word in reason_of(error) for word in _CLIENT_REFUSALS):
            return Fault.CLIENT_CERTIFICATE
        return Fault.HANDSHAKE if any(word in reason_of(error) for word in _BREAKS) else None
    if isinstance(error, NotConnectedError):
        return Fault.UNREACHABLE
    return None


def answered_in_plaintext(error: BaseException) -> bool:
    """Whether `error` is what OpenSSL makes of an answer that is no TLS, where it says so."""
    return reason_of(error) in _PLAINTEXT


def reason_of(error: BaseException) -> str:
    """OpenSSL's name for what failed, as in SSLV3_ALERT_HANDSHAKE_FAILURE; "" where there is none."""
    return str(getattr(error, "reason", None) or "")


def words_of(error: OSError | ValueError) -> str:
    """OpenSSL's or the system's word for what failed, on one line."""
    if isinstance(error, ssl.SSLError):
        said = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error)
    else:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = "".join(c if c.isprintable() else "." for c in str(said).rstrip(".").replace("_", " "))
    return text[:160].lower()


def untrusted(where: str, detail: str) -> str:
    """Nobody who is trusted vouches for the server `where`."""
    return f"the certificate of {where} is not trusted: {detail}"


def for_others(where: str, names: Sequence[str], wanted: str) -> str:
    """The certificate is for `names`, as far as they are known, and not for the one that is `wanted`."""
    theirs = f"for {', '.join(names[:5])}, and " if names else ""
    return f"the certificate of {where} is {theirs}not for {wanted}"


def not_valid_now(where: str, detail: str) -> str:
    """A certificate on the way to `where` is of another time than now."""
    return f"a certificate on the way to {where} is not valid now: {detail}"


def client_refused(where: str, shown: bool | None, detail: str) -> str:
    """The server wants a client certificate, or another than was `shown`; None where that is not known."""
    does = {
        True: "does not take the client certificate",
        False: "wants a client certificate",
        None: "does not accept the client certificate, or wants one",
    }
    return f"{where} {does[shown]}: {detail}"


def broken_off(where: str, detail: str) -> str:
    """The server ends the handshake."""
    return f"{where} breaks the TLS handshake off: {detail}"
