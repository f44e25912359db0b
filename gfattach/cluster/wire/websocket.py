"""WebSocket frames as a client has them (RFC 6455), without any I/O.

Data is handed on piece by piece as it comes, as views into the caller's buffer: a frame of any
length takes no memory, and nothing is copied but control frames, which have 125 bytes at most.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from typing import NamedTuple

CONTINUATION, TEXT, BINARY = 0x0, 0x1, 0x2
CLOSE, PING, PONG = 0x8, 0x9, 0xA

#: Bytes that a client's frame header takes at most: two, a length of eight, a mask of four.
HEADER = 14

#: Close codes: all is done; and what stands for a close frame without a code.
NORMAL, NO_CODE = 1000, 1005

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTROL_LIMIT = 125


class WebSocketError(Exception):
    """What came is not what RFC 6455 allows a server to send."""


class Piece(NamedTuple):
    """Bytes of a message: the opcode of the message, and whether they are its first and its last.

    A control frame is one piece. `data` of a message is a view that holds until the caller's buffer changes.
    """

    opcode: int
    data: memoryview
    first: bool
    last: bool


class Decoder:
    """Turns bytes of any cut into pieces. Once `closed`, all further bytes are ignored."""

    def __init__(self) -> None:
        self.closed = False
        self._head = bytearray()  # of a frame whose header has not come whole
        self._control: bytearray | None = None  # the payload of a control frame under way
        self._opcode = 0  # of the frame under way
        self._left = 0  # bytes that it still has to come
        self._final = False
        self._message = 0  # opcode of the message under way, 0 for none
        self._first = False  # nothing of the message has been handed on

    def feed(self, data: memoryview) -> list[Piece]:
        """The pieces that `data` brings. Raises WebSocketError."""
        pieces: list[Piece] = []
        at, end = 0, len(data)
        while at < end and not self.closed:
            if not self._left:
                at = self._header(data, at, pieces)
                continue
            take = min(self._left, end - at)
            self._left -= take
            view = data[at : at + take]
            at += take
            if self._control is None:
                last = self._final and not self._left
                pieces.append(Piece(self._message, view, self._first, last))
                self._first = False
                if last:
                    self._message = 0
            else:
                self._control += view
                if not self._left:
                    self._end_control(pieces)
        return pieces

    def _header(self, data: memoryview, at: int, pieces: list[Piece]) -> int:
        """Read a frame's header from `at`, or as much of it as there is; where it ends."""
        head = self._head
        if not head and len(data) - at >= 10:  # the usual case: all of it is there
            second = data[at + 1]
            length = second & 0x7F
            size = 2 if length < 126 else 4 if length == 126 else 10
            self._begin(data[at], second, data[at + 2 : at + size], pieces)
            return at + size
        while at < len(data):
            head.append(data[at])
            at += 1
            length = head[1] & 0x7F if len(head) > 1 else 127
            if len(head) == (2 if length < 126 else 4 if length == 126 else 10):
                self._head = bytearray()
                self._begin(head[0], head[1], memoryview(head)[2:], pieces)
                break
        return at

    def _begin(self, first: int, second: int, extended: memoryview, pieces: list[Piece]) -> None:
        opcode, final = first & 0x0F, bool(first & 0x80)
        length = int.from_bytes(extended, "big") if extended else second & 0x7F
        if first & 0x70:
            raise WebSocketError("a frame uses an extension that was not agreed upon")
        if second & 0x80:
            raise WebSocketError("a frame from the server is masked")
        if length < (0, 0, 126, 0, 0, 0, 0, 0, 65536)[len(extended)] or length >> 63:
            raise WebSocketError("a frame's length is not written as it has to be")
        if opcode >= CLOSE:
            if opcode > PONG or not final or length > _CONTROL_LIMIT:
                raise WebSocketError(f"a control frame is malformed (opcode {opcode}, {length} bytes)")
            self._control = bytearray()
        elif opcode > BINARY:
            raise WebSocketError(f"a frame has the unknown opcode {opcode}")
        elif (opcode == CONTINUATION) != bool(self._message):
            raise WebSocketError("a message begins or goes on where it cannot")
        else:
            self._control = None
            self._final = final
            if opcode != CONTINUATION:
                self._message, self._first = opcode, True
        self._opcode, self._left = opcode, length
        if not length:
            self._empty(pieces)

    def _empty(self, pieces: list[Piece]) -> None:
        if self._control is not None:
            self._end_control(pieces)
            return
        if self._first or self._final:
            pieces.append(Piece(self._message, memoryview(b""), self._first, self._final))
        if self._final:
            self._message = 0
        else:
            self._first = False

    def _end_control(self, pieces: list[Piece]) -> None:
        assert self._control is not None
        payload, self._control = bytes(self._control), None
        if self._opcode == CLOSE:
            self.closed = True
            if len(payload) == 1:
                raise WebSocketError("a close frame has half a code")
        pieces.append(Piece(self._opcode, memoryview(payload), True, True))


def close_reason(payload: bytes | memoryview) -> tuple[int, str]:
    """What a close frame says: its code (1005 for none) and its reason."""
    if len(payload) < 2:
        return NO_CODE, ""
    return int.from_bytes(payload[:2], "big"), bytes(payload[2:]).decode("utf-8", "replace")


def close_payload() -> bytes:
    """What a close frame holds when all is well."""
    return NORMAL.to_bytes(2, "big")


# What a client sends.

_TRANSLATE: dict[int, bytes] = {}


#: The key that changes nothing. Masking keeps a program from writing bytes of its choice onto a wire
#: that somebody between reads as something else (RFC 6455, 10.3). Inside TLS nobody between reads, and
#: masking costs more than all the rest of an upload (0.85 of 2.0 CPU seconds per GiB).
NO_MASK = bytes(4)


def new_mask() -> bytes:
    """A key for one frame that travels in the open."""
    return os.urandom(4)


def mask(data: bytearray, start: int, end: int, key: bytes) -> None:
    """Mask data[start:end] in place.

    Every fourth byte is translated, four times: 1 GB/s where XOR of big integers has 0.7 and a view
    instead of the bytearray 0.2.
    """
    if key == NO_MASK:
        return
    for place in range(4):
        every_fourth = slice(start + place, end, 4)
        data[every_fourth] = data[every_fourth].translate(_table(key[place]))


def _table(value: int) -> bytes:
    table = _TRANSLATE.get(value)
    if table is None:
        table = _TRANSLATE[value] = bytes(byte ^ value for byte in range(256))
    return table


def header(opcode: int, length: int, key: bytes) -> bytes:
    """The header of a client's frame that is a whole message."""
    first = bytes([0x80 | opcode])
    if length < 126:
        return first + bytes([0x80 | length]) + key
    if length < 65536:
        return first + b"\xfe" + length.to_bytes(2, "big") + key
    return first + b"\xff" + length.to_bytes(8, "big") + key


def frame(opcode: int, payload: bytes, key: bytes) -> bytes:
    """A client's frame that is a whole message."""
    masked = bytearray(payload)
    mask(masked, 0, len(masked), key)
    return header(opcode, len(payload), key) + masked


def frame_in_place(opcode: int, buffer: bytearray, start: int, end: int, key: bytes) -> memoryview:
    """Make buffer[start:end] a frame: masked where it lies, its header before it. Needs start >= HEADER.

    Returns the frame, a view of `buffer`.
    """
    mask(buffer, start, end, key)
    head = header(opcode, end - start, key)
    buffer[start - len(head) : start] = head
    return memoryview(buffer)[start - len(head) : end]


# The upgrade.


def upgrade_headers(key: str, protocol: str) -> tuple[tuple[str, str], ...]:
    """What asks for a WebSocket, `key` being 16 random bytes in base64 (`new_key`)."""
    return (
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Protocol", protocol),
    )


def new_key() -> str:
    """A key for one upgrade."""
    return base64.b64encode(os.urandom(16)).decode()


def check_upgrade(headers: Mapping[str, str], key: str, protocol: str) -> None:
    """Whether an answer 101 with these headers (lower case) is for this upgrade. Raises WebSocketError."""
    expected = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    if headers.get("upgrade", "").lower() != "websocket":
        raise WebSocketError(f"the protocol is now {headers.get('upgrade', 'none')!r}")
    if headers.get("sec-websocket-accept", "").strip() != expected:
        raise WebSocketError("the answer is not for this request (Sec-WebSocket-Accept)")
    if headers.get("sec-websocket-extensions"):
        raise WebSocketError("an extension was chosen that was not offered")
    chosen = headers.get("sec-websocket-protocol", "")
    if chosen != protocol:
        raise WebSocketError(f"the server does not choose {protocol} but {chosen!r}")
