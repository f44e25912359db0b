"""One connection to a pod's port over a websocket, in the v4 channel protocol, frame by frame.

For tests that look at the wire, and for the bed itself. Not a forwarder: nothing is
buffered, retried or hidden.
"""

from __future__ import annotations

import ssl
from contextlib import ExitStack
from types import TracebackType

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from .api import Api

PROTOCOL = Subprotocol("v4.channel.k8s.io")
DATA, ERROR = 0, 1
_DEADLINE = 30.0  # seconds for each step


class PodConnection:
    """A websocket to one pod for one or more ports; entry i of `ports` has channels 2i and 2i+1."""

    def __init__(self, url: str, context: ssl.SSLContext | None) -> None:
        self._opened = ExitStack()
        self.socket = self._opened.enter_context(connect(
            url, ssl=context, subprotocols=[PROTOCOL], compression=None, proxy=None,
            open_timeout=_DEADLINE, close_timeout=_DEADLINE, ping_interval=None,
        ))  # fmt: skip

    def __enter__(self) -> PodConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Send a close frame and wait for the server's."""
        self._opened.close()

    def send(self, payload: bytes, channel: int = DATA) -> None:
        """One binary message."""
        self.socket.send(bytes([channel]) + payload)

    def receive(self, deadline: float = _DEADLINE) -> tuple[int, bytes]:
        """The next message: channel and payload. Raises TimeoutError, ConnectionClosed."""
        message = self.socket.recv(deadline)
        assert isinstance(message, bytes), message
        return message[0], message[1:]

    def drain(self, deadline: float = _DEADLINE) -> dict[int, bytes]:
        """All that comes until the server closes, by channel. Raises TimeoutError when it does not."""
        received: dict[int, bytes] = {}
        while True:
            try:
                channel, payload = self.receive(deadline)
            except ConnectionClosed:
                return received
            received[channel] = received.get(channel, b"") + payload


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
