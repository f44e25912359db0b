"""One inspection of a TLS server: a handshake that verifies, and a second look when it fails.

The second look verifies nothing. It reads the certificates, whether a client's is asked for, and the
server's clock, so that the user can be told why; nothing secret is sent by it and nothing of it believed.
"""

from __future__ import annotations

import contextlib
import email.utils
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.net.errors import DialError
from gfattach.net.route import Route
from gfattach.net.sniff import PREFACE, is_http2
from gfattach.tls.certificate import Certificate, missing_issuer, read_der
from gfattach.tls.context import blind, chain_of
from gfattach.tls.fault import Fault, NotConnectedError, fault_of, words_of
from gfattach.tls.inspection import Inspection

#: Seconds that a handshake, and each question after it, may take.
TALK_SECONDS = 4.0

#: Seconds that a server gets to say that it wants a client's certificate, once the handshake is over:
#: with TLS 1.3 it says so only then.
WORD_SECONDS = 1.0

#: The handshake message with which a server asks for a client's certificate (RFC 8446, 4.3.2).
_CERTIFICATE_REQUEST = 13


def inspect(
    route: Route,
    name: str,
    context: ssl.SSLContext,
    deadline: Deadline,
    *,
    alpn: tuple[str, ...] = (),
    identified: bool = False,
) -> Inspection:
    """Shake hands with the server that `route` leads to, as `context` verifies it for `name`.

    `context` is used as it is and not changed: it holds whom to trust, the client's certificate
    (`identified` says that there is one) and the protocols on offer, which `alpn` repeats for the second
    look. Never raises for what a server does.
    """
    unchecked = context.verify_mode is ssl.CERT_NONE
    seen = Inspection(name, offered=alpn, identified=identified, unchecked=unchecked)
    try:
        return _try_out(route, seen, context, PREFACE if alpn[:1] == ("h2",) else _head(name), deadline)
    except OSError as error:  # ssl.SSLError is one
        fault = fault_of(error)
        seen = replace(
            seen,
            fault=fault or Fault.CLOSED,
            detail=words_of(error),
            verify_code=getattr(error, "verify_code", 0),
        )
    if fault is Fault.UNREACHABLE:
        return seen
    looked = look(route, seen, deadline, alpn)
    if fault is None and not looked.encrypted:
        return _listen(route, looked, deadline)
    if fault is Fault.TIME and looked.alpn == "h2":
        looked = replace(looked, clock=look(route, seen, deadline, ("http/1.1",)).clock)
    if fault is Fault.HANDSHAKE and looked.asked:
        fault = Fault.CLIENT_CERTIFICATE
    if fault is Fault.UNTRUSTED:
        looked = replace(looked, namesake=_namesake(looked.chain, context))
    return replace(looked, fault=fault or Fault.HANDSHAKE, detail=seen.detail)


def look(route: Route, seen: Inspection, deadline: Deadline, alpn: tuple[str, ...] = ()) -> Inspection:
    """The second look: what the server of `seen` shows to one who believes anything.

    Where no TLS is spoken, the fault is SILENT or CLOSED, and there is no version.
    """
    trial = blind(alpn)
    asked: list[bool] = []

    def watch(_c: object, direction: str, _v: object, _t: object, message: object, _d: object) -> None:
        if direction == "read" and message == _CERTIFICATE_REQUEST:
            asked.append(True)

    # Not public, and the only way to see a request that a server does not insist on; without it, that
    # is not known.
    watched = hasattr(ssl.SSLContext, "_msg_callback")
    if watched:
        trial._msg_callback = watch  # type: ignore[attr-defined]
    try:
        with _session(route, seen.name, trial, deadline.within(TALK_SECONDS)) as session:
            seen = replace(_shown(seen, session), clock=_clock(session, seen.name, deadline))
    except NotConnectedError:  # it was the only connection that there is, or the server has just gone
        return seen
    except OSError as error:
        if fault_of(error) is None and not asked:  # no TLS
            silent = isinstance(error, TimeoutError)
            return replace(seen, fault=Fault.SILENT if silent else Fault.CLOSED, detail=words_of(error))
    return replace(seen, asked=bool(asked) if watched else None)


@contextlib.contextmanager
def _session(route: Route, name: str, context: ssl.SSLContext, talk: Deadline) -> Iterator[ssl.SSLSocket]:
    try:
        connection = route(talk)
    except DialError as error:
        raise NotConnectedError(0, error.fact) from error
    except OSError as error:
        raise NotConnectedError(error.errno or 0, words_of(error)) from error
    with connection:
        connection.settimeout(max(0.01, talk.remaining()))
        with context.wrap_socket(connection, server_hostname=name) as session:
            yield session


def _try_out(
    route: Route, seen: Inspection, context: ssl.SSLContext, words: bytes, deadline: Deadline
) -> Inspection:
    """A verified handshake and a word after it: with TLS 1.3 a client is refused only then.

    Raises OSError.
    """
    shown, heard = _verified(route, seen, context, words, deadline)
    if heard == b"":
        # Bytes of ours that are in flight make the reason of a refusal be lost: listen without one.
        with contextlib.suppress(NotConnectedError):
            shown, heard = _verified(route, seen, context, b"", deadline)
    if heard != b"":
        return shown
    asked = look(route, seen, deadline).asked
    detail = "it closes the connection after the handshake"
    return replace(
        shown, fault=Fault.CLIENT_CERTIFICATE if asked else Fault.CLOSED, detail=detail, asked=asked
    )


def _verified(
    route: Route, seen: Inspection, context: ssl.SSLContext, words: bytes, deadline: Deadline
) -> tuple[Inspection, bytes | None]:
    """What a verified handshake shows, and the answer to `words`: None for none, b"" for a closed door."""
    with _session(route, seen.name, context, deadline.within(TALK_SECONDS)) as session:
        return _shown(seen, session), _answer(session, words, deadline)


def _answer(session: ssl.SSLSocket, words: bytes, deadline: Deadline) -> bytes | None:
    try:
        session.settimeout(max(0.01, deadline.within(WORD_SECONDS).remaining()))
        if words:
            session.sendall(words)
        return session.recv(4096)
    except TimeoutError:
        return None
    except ssl.SSLEOFError:
        return b""
    except ssl.SSLError:
        raise  # an alert: it says why
    except OSError:
        return b""


def _shown(seen: Inspection, session: ssl.SSLSocket) -> Inspection:
    sent, verified = _certificates(session, "unverified"), _certificates(session, "verified")
    return replace(
        seen,
        version=session.version() or "",
        alpn=session.selected_alpn_protocol(),
        chain=sent,
        anchor=verified[-1] if verified and session.context.verify_mode is ssl.CERT_REQUIRED else None,
    )


def _certificates(session: ssl.SSLSocket, kind: str) -> tuple[Certificate, ...]:
    chain = []
    for der in chain_of(session, kind):
        with contextlib.suppress(ValueError):
            chain.append(read_der(der))
    return tuple(chain)


def _namesake(chain: tuple[Certificate, ...], context: ssl.SSLContext) -> bool:
    """Whether an authority is trusted that has the missing one's name, and so must have another key."""
    from cryptography import x509

    with contextlib.suppress(ValueError):
        missing = {str(part.value) for part in x509.Name.from_rfc4514_string(missing_issuer(chain))}
        for trusted in context.get_ca_certs():
            # OpenSSL's reading: pairs within tuples within a tuple.
            subject: Any = trusted.get("subject", ())
            if missing and {value for part in subject for _, value in part} == missing:
                return True
    return False


def _head(name: str) -> bytes:
    host = f"[{name}]" if ":" in name else name
    return f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1", "replace")


def _clock(session: ssl.SSLSocket, name: str, deadline: Deadline) -> datetime | None:
    """The server's clock, if it speaks HTTP/1.1 and says the time."""
    if session.selected_alpn_protocol() == "h2":
        return None
    with contextlib.suppress(OSError, ValueError, TypeError):
        answer = _answer(session, _head(name), deadline) or b""
        if (match := re.search(rb"(?im)^date:[ \t]*([ -~]+?)\r?$", answer)) is not None:
            said = email.utils.parsedate_to_datetime(match[1].decode("latin-1"))
            return said if said.tzinfo is not None else said.replace(tzinfo=UTC)
    return None


def _listen(route: Route, seen: Inspection, deadline: Deadline) -> Inspection:
    """What is spoken where no TLS is: asked in plain HTTP, in both its forms."""
    silent = seen.fault is Fault.SILENT
    for words in (_head(seen.name), PREFACE):
        try:
            with contextlib.closing(route(deadline.within(TALK_SECONDS))) as connection:
                first = _first_bytes(connection, words, deadline)
        except (OSError, DialError) as error:
            return replace(seen, fault=Fault.CLOSED, detail=words_of(OSError(str(error))))
        if first:
            line = first.partition(b"\r\n")[0][:80].decode("latin-1")
            shown = "".join(c if c.isprintable() else "." for c in line)
            return replace(seen, fault=Fault.PLAINTEXT, sample="HTTP/2" if is_http2(first) else shown)
        silent = silent or first is None
    if silent:
        return replace(seen, fault=Fault.SILENT, detail="it accepts connections but sends no response")
    return replace(seen, fault=Fault.CLOSED, detail="it accepts connections and closes them")


def _first_bytes(connection: socket.socket, words: bytes, deadline: Deadline) -> bytes | None:
    try:
        connection.settimeout(max(0.01, deadline.within(WORD_SECONDS).remaining()))
        connection.sendall(words)
        return connection.recv(4096)
    except TimeoutError:
        return None
    except OSError:
        return b""
