"""What can be wrong with a TLS connection, told from OpenSSL's errors (in words: `gfattach.tls.explain`)."""

from __future__ import annotations

import re
import ssl
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
    ALPN = "alpn"
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

#: The alert `no_application_protocol` (RFC 7301, 3.2).
_NO_PROTOCOL = "NO_APPLICATION_PROTOCOL"

#: What Python puts around OpenSSL's words: the library before them, its own source's line behind.
_WORDS = re.compile(r"(?:\[[^\]]*\]\s*)?(?P<said>.*?)\s*(?:\(_ssl\.c:\d+\))?", re.DOTALL)

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
        if _NO_PROTOCOL in reason_of(error):
            return Fault.ALPN
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
    """OpenSSL's name for what failed, as in SSLV3_ALERT_HANDSHAKE_FAILURE; "" where there is none.

    Python (up to 3.13) knows no name for TLSV1_ALERT_NO_APPLICATION_PROTOCOL: it is made of OpenSSL's words.
    """
    if reason := getattr(error, "reason", None):
        return str(reason)
    if isinstance(error, ssl.SSLError) and "alert" in str(error):
        return _said(error).upper().replace(" ", "_")
    return ""


def words_of(error: OSError | ValueError) -> str:
    """OpenSSL's or the system's words for what failed, on one line."""
    if isinstance(error, ssl.SSLError):
        said = getattr(error, "verify_message", None) or getattr(error, "reason", None) or _said(error)
    else:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = "".join(c if c.isprintable() else "." for c in str(said).rstrip(".").replace("_", " "))
    return text[:160].lower()


def _said(error: ssl.SSLError) -> str:
    found = _WORDS.fullmatch(str(error.args[1] if len(error.args) > 1 else error))
    return found["said"] if found else str(error)
