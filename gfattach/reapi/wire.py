"""What a port speaks, found out with bare sockets: gRPC, HTTP/1.1, TLS, or nothing.

Three short conversations at most, each on a connection of its own. An HTTP/2 server answers
the client preface with a SETTINGS frame (RFC 9113, 3.4); an HTTP/1 server answers it with a
status line, as a rule 400 or 505; a TLS server answers plain bytes with an alert record, whose
first byte is 21 (RFC 8446, 5.1), or closes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gfattach.deadline import Deadline

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_TLS_RECORDS = range(20, 24)
_HTTP2_SETTINGS_TYPE = 4

#: Seconds that a silent port gets for each conversation.
TALK_SECONDS = 2.0


class Speech(StrEnum):
    """What a port speaks."""

    HTTP2 = "http2"
    HTTP1 = "http1"
    TLS = "tls"
    SILENT = "silent"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Heard:
    """What was heard. `page` says that an HTTP answer was a page for people; `sample` is safe to show.

    For TLS: `alpn` is the protocol that was agreed upon, `distrust` why the certificate is not
    trusted for the name ("" when it is).
    """

    speech: Speech
    page: bool = False
    sample: str = ""
    alpn: str | None = None
    distrust: str = ""


def listen_to(address: tuple[str, int], host: str, ca_file: Path | None, deadline: Deadline) -> Heard:
    """What the port at `address` speaks; `host` is the name that a certificate has to be for.

    Raises OSError when the port cannot be connected to.
    """
    heard = classify(_say(address, _PREFACE + _SETTINGS, deadline))
    if heard.speech not in (Speech.HTTP2, Speech.TLS):
        # To a preface that it does not know an HTTP/1 server may say anything, or wait for its end: ask it
        # in its own words.
        plain = classify(_say(address, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(), deadline))
        heard = plain if plain.speech is Speech.HTTP1 else heard
    if heard.speech in (Speech.TLS, Speech.CLOSED, Speech.SILENT, Speech.UNKNOWN):
        return _try_tls(address, host, ca_file, deadline) or heard
    return heard


def classify(first: bytes | None) -> Heard:
    """What the first bytes of an answer say; None means that none came in time."""
    if first is None:
        return Heard(Speech.SILENT)
    if not first:
        return Heard(Speech.CLOSED)
    if first.startswith(b"HTTP/1."):
        head, _, body = first.partition(b"\r\n\r\n")
        page = b"text/html" in head.lower() or body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))
        return Heard(Speech.HTTP1, page=page, sample=_safe(head.split(b"\r\n")[0]))
    if len(first) >= 9 and first[3] == _HTTP2_SETTINGS_TYPE and first[5:9] == b"\0\0\0\0":
        return Heard(Speech.HTTP2)
    if first[0] in _TLS_RECORDS and first[1:2] == b"\x03":
        return Heard(Speech.TLS)
    return Heard(Speech.UNKNOWN, sample=_safe(first[:40]))


def _say(address: tuple[str, int], words: bytes, deadline: Deadline) -> bytes | None:
    talk = deadline.within(TALK_SECONDS)
    with socket.create_connection(address, timeout=max(0.01, talk.remaining())) as connection:
        try:
            connection.sendall(words)
            answer = b""
            while len(answer) < 512 and not talk.expired:
                connection.settimeout(max(0.01, talk.remaining() if not answer else 0.1))
                more = connection.recv(512)
                if not more:
                    break
                answer += more
        except TimeoutError:
            return answer or None
        except ConnectionError:
            return b""
        return answer


def _try_tls(address: tuple[str, int], host: str, ca_file: Path | None, deadline: Deadline) -> Heard | None:
    try:
        trusting = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError:  # the file is another probe's question
        trusting = ssl.create_default_context()
    distrust = ""
    for context in (trusting, _blind_context()):
        with contextlib.suppress(NotImplementedError):
            context.set_alpn_protocols(["h2", "http/1.1"])
        try:
            timeout = max(0.01, deadline.within(TALK_SECONDS).remaining())
            with (
                socket.create_connection(address, timeout=timeout) as connection,
                context.wrap_socket(connection, server_hostname=host) as session,
            ):
                return Heard(Speech.TLS, alpn=session.selected_alpn_protocol(), distrust=distrust)
        except ssl.SSLCertVerificationError as error:
            distrust = error.verify_message or str(error)
        except OSError:  # ssl.SSLError is one
            return None
    return None


def _blind_context() -> ssl.SSLContext:
    """A context that asks what a server speaks, and is never used to send or believe anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _safe(sample: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 else "." for byte in sample)[:80]
