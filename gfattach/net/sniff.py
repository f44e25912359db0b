"""What a port speaks, as the first bytes of its answer say. Pure.

An HTTP/2 server answers the client preface with a SETTINGS frame (RFC 9113, 3.4); an HTTP/1
server answers it with a status line, as a rule 400 or 505; a TLS server answers plain bytes with
an alert record, whose first byte is 21 (RFC 8446, 5.1), or with an HTTP 400 of its own, or closes.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from gfattach.tls.inspection import Inspection


#: What an HTTP/2 client says first: the preface, and an empty SETTINGS frame (RFC 9113, 3.4).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"

#: How servers that speak TLS refuse a plain request in plain HTTP (Go, nginx, Apache).
_TLS_WANTED = re.compile(
    rb"(?i)http request (was )?(sent )?to (an )?https (server|port)|speaking plain HTTP to an SSL"
)

_FRAME_HEADER = 9
_SETTINGS_TYPE = 4
_TLS_RECORDS = range(20, 24)


class WireProtocol(StrEnum):
    """What a port speaks, inside of TLS where there is TLS."""

    HTTP2 = "HTTP/2"
    HTTP1 = "HTTP/1.1"
    TLS = "TLS"
    SILENT = "silent"
    CLOSED = "closed"
    UNKNOWN = "unknown"


class SniffResult(Struct, frozen=True):
    """What was heard. `sample` is its beginning, safe to show.

    `tls` is the handshake within which it was, or would be, heard. For HTTP/1.1: `status` and `location`
    (where it redirects to, without query), and whether it `is_page`, for people.
    """

    protocol: WireProtocol
    sample: str = ""
    status: int = 0
    location: str = ""
    is_page: bool = False
    tls: Inspection | None = None

    @property
    def encrypted(self) -> bool:
        """Whether the port speaks TLS."""
        return self.tls is not None or self.protocol is WireProtocol.TLS


def classify(first: bytes | None) -> SniffResult:
    """What the first bytes of an answer say; None means that none came in time."""
    if first is None:
        return SniffResult(WireProtocol.SILENT)
    if not first:
        return SniffResult(WireProtocol.CLOSED)
    if first.startswith(b"HTTP/1."):
        if wants_tls(first):
            return SniffResult(WireProtocol.TLS, sample=printable(first.partition(b"\r\n")[0]))
        return _classify_http(first)
    if is_http2(first):
        return SniffResult(WireProtocol.HTTP2)
    if first[0] in _TLS_RECORDS and first[1:2] == b"\x03":
        return SniffResult(WireProtocol.TLS, sample=printable(first[:40]))
    return SniffResult(WireProtocol.UNKNOWN, sample=printable(first[:40]))


def wants_tls(answer: bytes) -> bool:
    """Whether a plain HTTP answer says that the port wants TLS."""
    return _TLS_WANTED.search(answer) is not None


def is_http2(first: bytes) -> bool:
    """Whether an answer begins with a SETTINGS frame, as every HTTP/2 server's does."""
    return len(first) >= _FRAME_HEADER and first[3] == _SETTINGS_TYPE and first[5:9] == b"\0\0\0\0"


def printable(said: str | bytes, limit: int = 120) -> str:
    """What another program said, at most `limit` characters of it, harmless to a terminal."""
    text = said.decode("latin-1") if isinstance(said, bytes) else said
    shown = "".join(character if character.isprintable() else "." for character in text)
    return shown if len(shown) <= limit else f"{shown[: limit - 3]}..."


def _classify_http(first: bytes) -> SniffResult:
    head, _, body = first.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)
    }
    word = [*line.split(), b"", b""][1]
    html = headers.get(b"content-type", b"").lower().startswith(b"text/html") or (
        body.lstrip()[:9].lower().startswith((b"<!doctype", b"<html"))
    )
    status = int(word) if word.isdigit() and len(word) == 3 else 0
    return SniffResult(
        WireProtocol.HTTP1,
        sample=printable(line),
        status=status,
        location=printable(headers.get(b"location", b"").partition(b"?")[0]),
        # A server's error page is a page too, and says only that there is no such key, or no token.
        is_page=html and 200 <= status < 300,
    )


def is_enough(answer: bytes) -> bool:
    """Whether `answer` can be classified for good, or more of it should be waited for."""
    if answer.startswith(b"HTTP/1."):
        head, gap, body = answer.partition(b"\r\n\r\n")
        told = b"\ncontent-type:" in head.lower() or b"\ncontent-length: 0" in head.lower()
        if b" 400" in head[:12]:  # which may say that TLS is wanted
            return bool(gap) and (len(body) >= 80 or b"\ncontent-length: 0" in head.lower())
        return bool(gap) and (told or len(body) >= 16)
    return len(answer) >= _FRAME_HEADER
