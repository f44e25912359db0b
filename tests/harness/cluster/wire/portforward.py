"""One connection to a pod's port over a websocket, in the v4 channel protocol, frame by frame.

For tests that look at the wire, and for the bed itself. Not a forwarder: nothing is
buffered, retried or hidden.

The websocket is the `websockets` library's protocol without its I/O: its threaded client
reads and writes one TLS socket from two threads, which OpenSSL does not allow before
Python 3.13. Against the API server every tenth handshake or so then hung.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from types import TracebackType

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from tests.harness.cluster.api import Api

PROTOCOL = Subprotocol("v4.channel.k8s.io")
DATA, ERROR = 0, 1
_DEADLINE = 30.0  # seconds for each step


class PodConnection:
    """A websocket to one pod for one or more ports; entry i of `ports` has channels 2i and 2i+1.

    Made open; raises InvalidStatus when the handshake is refused. Not for several threads.
    """

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        where = parse_uri(url)
        self._messages: deque[bytes] = deque()
        self._protocol = ClientProtocol(where, subprotocols=[PROTOCOL], max_size=None)
        plain = socket.create_connection((where.host, where.port), _DEADLINE)
        self._socket = context.wrap_socket(plain, server_hostname=where.host) if context else plain
        try:
            self._protocol.send_request(self._protocol.connect())
            self._flush()
            end = time.monotonic() + _DEADLINE
            while self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is None:
                self._take(end)
            if self._protocol.handshake_exc is not None:
                raise self._protocol.handshake_exc
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> PodConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def subprotocol(self) -> str | None:
        """What the server chose."""
        return self._protocol.subprotocol

    @property
    def close_code(self) -> int | None:
        """The close code; 1006 when the connection was cut, None while it is open."""
        return self._protocol.close_code

    def send(self, payload: bytes, channel: int = DATA) -> None:
        """One binary message on a channel."""
        self.send_message(bytes([channel]) + payload)

    def send_message(self, message: bytes) -> None:
        """One binary message as it is, without a channel byte."""
        self._protocol.send_binary(message)
        self._flush()

    def ping(self) -> None:
        """One ping frame; the answer is swallowed. Nothing happens once the connection is closed."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._flush()

    def receive(self, deadline: float = _DEADLINE) -> tuple[int, bytes]:
        """The next message: channel and payload. Raises TimeoutError, ConnectionClosed."""
        end = time.monotonic() + deadline
        while not self._messages:
            if self._protocol.state is State.CLOSED:
                raise self._protocol.close_exc
            self._take(end)
        message = self._messages.popleft()
        return message[0], message[1:]

    def drain(self, deadline: float = _DEADLINE) -> dict[int, bytes]:
        """All that comes until the server closes, by channel. Raises TimeoutError when it does not."""
        received: dict[int, bytes] = {}
        end = time.monotonic() + deadline
        while self._protocol.state is not State.CLOSED:
            self._take(end)
        for message in self._messages:
            received[message[0]] = received.get(message[0], b"") + message[1:]
        self._messages.clear()
        return received

    def close(self) -> None:
        """Send a close frame and end."""
        try:
            if self._protocol.state is State.OPEN:
                self.close_politely()
        finally:
            self._socket.close()

    def close_politely(self) -> None:
        """Send a close frame and nothing more: what the server still has to say can be drained."""
        self._protocol.send_close(1000)
        self._flush()

    def _take(self, end: float) -> None:
        """Read once, and keep what messages came. Raises TimeoutError when `end` has passed."""
        self._socket.settimeout(max(end - time.monotonic(), 0.001))
        try:
            data = self._socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, BrokenPipeError):
            data = b""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                self._messages.append(bytes(event.data))
        self._flush()

    def _flush(self) -> None:
        self._socket.settimeout(_DEADLINE)
        for data in self._protocol.data_to_send():
            try:
                if data:
                    self._socket.sendall(data)
                elif not isinstance(self._socket, ssl.SSLSocket):
                    self._socket.shutdown(socket.SHUT_WR)
            except OSError:
                return  # reading tells how it ended


def to_pod(api: Api, namespace: str, pod: str, *ports: int) -> PodConnection:
    """A connection through the API server, as the user of `api`. Raises InvalidStatus when refused."""
    base = api.server.replace("https://", "wss://")
    query = "&".join(f"ports={port}" for port in ports)
    return PodConnection(f"{base}/api/v1/namespaces/{namespace}/pods/{pod}/portforward?{query}", api.ssl)


def kubelet_answers(kubelet_port: int, namespace: str, pod: str, port: int) -> str:
    """What KWOK says on the error channel of a forward that fails, asked directly over plain HTTP."""
    url = f"ws://127.0.0.1:{kubelet_port}/portForward/{namespace}/{pod}?port={port}"
    with PodConnection(url, None) as connection:
        return connection.drain().get(ERROR, b"")[2:].decode()
