"""One question to a gRPC cache, over and over on one connection: GetCapabilities, written by hand.

HTTP/2 with prior knowledge (RFC 9113), just enough of it to send an empty message and to see whether a
message comes back. No header of an answer is decoded but `grpc-status`, which is found by its bytes.
This module does no input or output: bytes go in and out.
"""

from __future__ import annotations

import re
import struct

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: Frame types and flags (RFC 9113, section 6).
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = (
    0,
    1,
    3,
    4,
    6,
    7,
    8,
    9,
)
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20

#: Bytes of a frame's payload unless a peer asks for more, which is not done here.
_MAX_FRAME = 16384

#: Asking with new streams ends well before stream numbers do (2^31).
_LAST_STREAM = 1 << 30

_PATH = "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities"

#: "grpc-status" as HPACK has it: plain, and in Huffman's code (RFC 7541, appendix B).
_STATUS_NAMES = (b"\x0bgrpc-status", b"\x88\x9a\xca\xc8\xb2\x12\x34\xda\x8f")

#: Digits in Huffman's code: their bits.
_DIGITS = ("00000", "00001", "00010", "011001", "011010", "011011", "011100", "011101", "011110", "011111")

_STATUS_WORDS = {
    2: "unknown",
    4: "deadline exceeded",
    5: "not found",
    8: "resource exhausted",
    12: "unimplemented",
}
_STATUS_WORDS |= {13: "internal", 14: "unavailable"}

#: Who asks for a token answers, and more cannot be asked without one: unauthenticated, permission denied.
_STATUS_OF_THE_LIVING = (7, 16)


class GrpcQuestion:
    """The client's side of one HTTP/2 connection on which one question at a time is asked.

    `verdict` is None until the question is answered, then "" for well, or what is wrong.
    """

    def __init__(self, authority: str, *, tls: bool) -> None:
        self._headers = _header_block(authority, tls)
        self._stream = -1
        self._received = bytearray()
        self._block = b""
        self.verdict: str | None = None
        self.reusable = True

    def begin(self) -> bytes:
        """What a new connection begins with."""
        # No server push; ours is the smallest header table, so that every field of a header is spelt out.
        settings = struct.pack(">HIHI", 0x2, 0, 0x1, 0)
        return _PREFACE + _frame(_SETTINGS, 0, 0, settings)

    def ask(self) -> bytes:
        """The bytes that ask once more."""
        self._stream += 2
        self.verdict = None
        self._block = b""
        self.reusable = self.reusable and self._stream < _LAST_STREAM
        message = struct.pack(">BI", 0, 0)
        return _frame(_HEADERS, _END_HEADERS, self._stream, self._headers) + _frame(
            _DATA, _END_STREAM, self._stream, message
        )

    def receive(self, data: bytes) -> bytes:
        """Take in what came; what has to be sent because of it. Raises ValueError for what is no HTTP/2."""
        self._received += data
        out = b""
        while len(self._received) >= 9:
            length = int.from_bytes(self._received[:3], "big")
            kind, flags = self._received[3], self._received[4]
            if length > _MAX_FRAME:
                raise ValueError("the answer is not HTTP/2")
            if len(self._received) < 9 + length:
                break
            stream = int.from_bytes(self._received[5:9], "big") & 0x7FFFFFFF
            payload = bytes(self._received[9 : 9 + length])
            del self._received[: 9 + length]
            out += self._take(kind, flags, stream, payload)
        return out

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        if kind == _SETTINGS and not flags & _ACK:
            return _frame(_SETTINGS, _ACK, 0, b"")
        if kind == _PING and not flags & _ACK:
            return _frame(_PING, _ACK, 0, payload)
        if kind == _GOAWAY:
            self.reusable = False
            if self.verdict is None and int.from_bytes(payload[:4], "big") < self._stream:
                self.verdict = "the server ends the connection before it answers"
        elif stream == self._stream and self.verdict is None:
            return self._answer(kind, flags, payload)
        elif kind == _DATA and payload:
            return _window_update(0, len(payload))
        return b""

    def _answer(self, kind: int, flags: int, payload: bytes) -> bytes:
        if kind == _RST_STREAM:
            self.verdict = f"the call was reset with HTTP/2 error {int.from_bytes(payload[:4], 'big')}"
        elif kind == _DATA:
            if _unpadded(payload, flags):
                self.verdict = ""
            elif flags & _END_STREAM:
                self.verdict = "the call was answered without a message"
            return _window_update(0, len(payload)) if payload else b""
        elif kind in (_HEADERS, _CONTINUATION):
            self._block += payload if kind == _CONTINUATION else _fragment(payload, flags)
            if len(self._block) > _MAX_FRAME:
                raise ValueError("the answer has too many headers")
            if flags & _END_STREAM and kind == _HEADERS:
                self.verdict = _trailers_only(self._block)
                # The next answer may name the header by a number.
                self.reusable = False
        return b""


def _trailers_only(block: bytes) -> str:
    status = grpc_status(block)
    if status in _STATUS_OF_THE_LIVING:
        return ""
    if status is None:
        return "the call was refused"
    return f"the call was refused with gRPC status {status} ({_STATUS_WORDS.get(status, 'an error')})"


def grpc_status(block: bytes) -> int | None:
    """The value of `grpc-status` where the header block spells its name out; else None."""
    for name in _STATUS_NAMES:
        place = block.find(name)
        if place < 0:
            continue
        value = block[place + len(name) :]
        size = value[0] & 0x7F if value else 0
        text = value[1 : 1 + size]
        if value[:1] and value[0] & 0x80:
            bits = "".join(f"{byte:08b}" for byte in text)
            return next((n for n in range(17) if re.fullmatch(_huffman(n) + "1{0,7}", bits)), None)
        return int(text) if text.isdigit() else None
    return None


def _huffman(number: int) -> str:
    return "".join(_DIGITS[int(digit)] for digit in str(number))


def _header_block(authority: str, tls: bool) -> bytes:
    """Literal fields that no table keeps (RFC 7541, section 6.2.2), names spelt out."""
    fields = (
        (":method", "POST"),
        (":scheme", "https" if tls else "http"),
        (":path", _PATH),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "gfattach"),
    )
    return b"".join(b"\x00" + _literal(name) + _literal(value) for name, value in fields)


def _literal(text: str) -> bytes:
    raw = text.encode("ascii", "replace")
    if len(raw) < 127:
        return bytes([len(raw)]) + raw
    rest, size = len(raw) - 127, bytearray([127])
    while rest >= 128:
        size.append(rest % 128 + 128)
        rest //= 128
    return bytes([*size, rest]) + raw


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _window_update(stream: int, size: int) -> bytes:
    return _frame(_WINDOW_UPDATE, 0, stream, struct.pack(">I", size))


def _unpadded(payload: bytes, flags: int) -> bytes:
    return payload[1 : max(1, len(payload) - payload[0])] if flags & _PADDED and payload else payload


def _fragment(payload: bytes, flags: int) -> bytes:
    """The header block of a HEADERS frame, without padding and priority."""
    return _unpadded(payload, flags)[5 if flags & _PRIORITY else 0 :]
