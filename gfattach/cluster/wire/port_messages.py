"""What a server says on the websocket of one port: the protocol v4.channel.k8s.io, without I/O.

The first byte of each message is its channel: 0 carries data, 1 (from the server only) an error's
text. On each the server first sends the port, two bytes, little-endian. Every fact here is held by
tests/cluster against a real API server.
"""

from __future__ import annotations

from gfattach.cluster.wire import websocket
from gfattach.cluster.wire.websocket import BINARY, CLOSE, PING, PONG, Decoder, Piece, WebSocketError

PROTOCOL = "v4.channel.k8s.io"

DATA, ERROR = 0, 1

#: Bytes of an error's text that are kept.
_ERROR_LIMIT = 4096


class Incoming:
    """Takes bytes in as they come: `feed`; then `error`, `answers` and `closed` say what there was."""

    def __init__(self, port: int) -> None:
        #: The error's text so far.
        self.error = bytearray()
        #: Frames that have to be sent because of what came: opcode and payload.
        self.answers: list[tuple[int, bytes]] = []
        #: Code and reason of the close frame, after which nothing more comes.
        self.closed: tuple[int, str] | None = None
        self._port = port
        self._decoder = Decoder()
        self._channel: int | None = None  # of the message under way
        self._announced = {DATA: bytearray(), ERROR: bytearray()}

    def feed(self, data: memoryview, payloads: list[memoryview]) -> None:
        """Add what `data` brings the client to `payloads`, as views of it. Raises WebSocketError, after what
        came before was added.
        """
        for piece in self._decoder.feed(data):
            if piece.opcode == BINARY:
                self._message(piece, payloads)
            elif piece.opcode == PING:
                self.answers.append((PONG, bytes(piece.data)))
            elif piece.opcode == CLOSE:
                self.closed = websocket.close_reason(piece.data)
                self.answers.append((CLOSE, websocket.close_payload()))
            elif piece.opcode != PONG:
                raise WebSocketError("a message is text")

    def _message(self, piece: Piece, payloads: list[memoryview]) -> None:
        data = piece.data
        if piece.first:
            self._channel = None
        if self._channel is None:
            if not data:
                return
            self._channel = data[0]
            data = data[1:]
        if self._channel not in self._announced or not data:
            return  # Channels that are not there are nobody's.
        announced = self._announced[self._channel]
        if len(announced) < 2:
            wanted = 2 - len(announced)
            announced += data[:wanted]
            data = data[wanted:]
            if len(announced) == 2 and int.from_bytes(announced, "little") != self._port:
                raise WebSocketError(
                    f"it is for port {int.from_bytes(announced, 'little')}, not {self._port}"
                )
        if not data:
            return
        if self._channel == DATA:
            payloads.append(data)
        else:
            self.error += data[: _ERROR_LIMIT - len(self.error)]
