"""A cluster at the socket boundary: an API server with TLS and tokens, whose pods are caches.

It says what a real one says of the few things that the agent asks: a Service, its EndpointSlices, its pods,
and the websocket of a forward. That a real one says the same is what tests/cluster holds.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from tests.harness.certificates.pki import Pair
from tests.harness.year.cache import Conversation
from tests.harness.year.clock import Clock
from tests.harness.year.connections import Connections, say_nothing

NAMESPACE, SERVICE = "caches", "cache"

_PROTOCOL = Subprotocol("v4.channel.k8s.io")
_PORT = 8080


@dataclass
class Pod:
    """One pod. `reachable` False is one whose node says nothing; `listens` False one whose cache is down."""

    name: str
    ready: bool = True
    reachable: bool = True
    listens: bool = True
    connections: dict[asyncio.StreamWriter, ServerProtocol] = field(default_factory=dict)


class SimulatedCluster:
    """Serves on 127.0.0.1 between `start` and `stop`, which can be repeated on the same port."""

    def __init__(self, certificate: Pair, clock: Clock) -> None:
        self.pods: dict[str, Pod] = {}
        self.tokens: dict[str, float] = {}  # until when each holds
        self._clock = clock
        self.shown: set[str] = set()  # every token that was accepted
        self.throttled = False
        self.port = 0
        self.connections = Connections(self._serve)
        self._number = 0
        self._server: asyncio.Server | None = None
        self.use(certificate)

    def use(self, certificate: Pair) -> None:
        """Have new connections see this certificate."""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)

    async def start(self, port: int | None = None) -> None:
        """Listen, where it listened before."""
        where = self.port if port is None else port
        self._server = await asyncio.start_server(
            self.connections.accept, "127.0.0.1", where, ssl=self._context, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no more, and cut what is open."""
        assert self._server is not None
        self._server.close()
        self.connections.cut()
        await asyncio.sleep(0)

    # Pods.

    def add_pod(self, *, ready: bool = True) -> Pod:
        """One more."""
        self._number += 1
        pod = self.pods[f"cache-{self._number}"] = Pod(f"cache-{self._number}", ready)
        return pod

    def remove_pod(self, pod: Pod, *, politely: bool = False) -> None:
        """One less; its connections end with a close frame, or are cut."""
        del self.pods[pod.name]
        self.end_connections(pod, politely=politely)

    def end_connections(self, pod: Pod, *, politely: bool = False) -> None:
        """End those to the pod."""
        for writer, protocol in list(pod.connections.items()):
            if politely:
                protocol.send_close(1000)
                writer.writelines(protocol.data_to_send())
            writer.close() if politely else writer.transport.abort()

    def lose(self, pod: Pod) -> None:
        """Have the pod's node say nothing any more, without a word."""
        pod.reachable = False
        for writer in list(pod.connections):
            self.connections.silence(writer)

    # What it says.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].decode().partition("?")[0]
            status, document = self._answer(head, path)
            if document is None:
                return await self._forward(head, self.pods[path.split("/")[-2]], reader, writer)
            content = json.dumps(document).encode()
            retry = "Retry-After: 1\r\n" if status == 429 else ""
            said = f"HTTP/1.1 {status} .\r\nContent-Type: application/json\r\n{retry}"
            writer.write(f"{said}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            await writer.drain()

    def _answer(self, head: bytes, path: str) -> tuple[int, dict[str, Any] | None]:
        """The status and the object of an answer; None where a forward begins."""
        token = head.partition(b"uthorization: Bearer ")[2].partition(b"\r\n")[0].decode()
        if self.tokens.get(token, 0.0) <= self._clock.true:
            return 401, _status(401, "Unauthorized")
        self.shown.add(token)
        if self.throttled:
            return 429, _status(429, "TooManyRequests")
        place = f"/api/v1/namespaces/{NAMESPACE}"
        if path == f"{place}/services/{SERVICE}":
            return 200, _service()
        if path.endswith("/endpointslices"):
            return 200, {"kind": "EndpointSliceList", "items": [self._slice()]}
        if path == f"{place}/pods":
            return 200, {"kind": "PodList", "items": [_pod(pod) for pod in self.pods.values()]}
        if path.endswith("/portforward") and path.split("/")[-2] in self.pods:
            return 101, None
        return 404, _status(404, "NotFound")

    def _slice(self) -> dict[str, Any]:
        return {
            "kind": "EndpointSlice",
            "metadata": {"name": f"{SERVICE}-1", "namespace": NAMESPACE},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": _PORT, "protocol": "TCP"}],
            "endpoints": [
                {
                    "addresses": ["10.0.0.1"],
                    "conditions": {"ready": pod.ready, "serving": pod.ready, "terminating": False},
                    "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": pod.name},
                }
                for pod in self.pods.values()
            ],
        }

    async def _forward(
        self, head: bytes, pod: Pod, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if not pod.reachable:
            return await say_nothing(reader)
        protocol, cache = ServerProtocol(subprotocols=[_PROTOCOL], max_size=None), Conversation()
        protocol.receive_data(head)
        [request] = protocol.events_received()
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        for channel in (0, 1):
            protocol.send_binary(bytes([channel]) + _PORT.to_bytes(2, "little"))
        if not pod.listens:
            protocol.send_binary(b"\x01an error occurred forwarding: connection refused")
            protocol.send_close(1000)
        pod.connections[writer] = protocol
        try:
            while True:
                writer.writelines(protocol.data_to_send())
                await writer.drain()
                data = await reader.read(65536)
                if not data:
                    return
                protocol.receive_data(data)
                for event in protocol.events_received():
                    if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                        answer = cache.feed(bytes(event.data[1:]))
                        if answer and protocol.state is State.OPEN:
                            protocol.send_binary(b"\0" + answer)
                if protocol.close_code is not None:
                    writer.writelines(protocol.data_to_send())
                    return
        finally:
            pod.connections.pop(writer, None)


def _status(code: int, reason: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code}


def _service() -> dict[str, Any]:
    return {
        "kind": "Service",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {
            "clusterIP": "10.0.1.1",
            "selector": {"app": SERVICE},
            "ports": [{"name": "http", "port": 80, "targetPort": _PORT, "protocol": "TCP"}],
        },
    }


def _pod(pod: Pod) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True" if pod.ready else "False"}
    return {
        "kind": "Pod",
        "metadata": {"name": pod.name, "namespace": NAMESPACE, "labels": {"app": SERVICE}},
        "spec": {"containers": [{"name": SERVICE, "ports": [{"containerPort": _PORT}]}]},
        "status": {"phase": "Running", "conditions": [ready]},
    }
