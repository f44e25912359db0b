"""What port-forward over a websocket does on the wire, against a real API server.

These are the facts that gfattach's forwarder is built on. RUNTIME_NODE ends connections as
containerd and CRI-O do; KWOK_NODE differs in what is said here.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.manifests import KWOK_NODE, NAMESPACE, POD, RUNTIME_NODE
from tests.harness.cluster.wire.portforward import DATA, ERROR, PodConnection, to_pod
from tests.harness.machine.ports import free_port

HTTP, GRPC = 8080, 9092
EITHER_NODE = pytest.mark.parametrize("node", [KWOK_NODE, RUNTIME_NODE])
Accept = Callable[[], socket.socket]


@pytest.fixture
def accept(cluster: Cluster) -> Iterator[Accept]:
    """A pod "here" on either node whose gRPC port leads to this listener; accepts one connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        cluster.forward_target(GRPC, "127.0.0.1", server.getsockname()[1], pod="here")
        opened: list[socket.socket] = []

        def accept_one() -> socket.socket:
            connection, _ = server.accept()
            connection.settimeout(30)
            opened.append(connection)
            return connection

        yield accept_one
        for connection in opened:
            connection.close()


def _open(cluster: Cluster, pod: str, port: int) -> PodConnection:
    """A connection whose two port frames have been read."""
    connection = to_pod(cluster.developer, NAMESPACE, pod, port)
    connection.receive(), connection.receive()
    return connection


def test_each_channel_starts_with_the_port_in_little_endian(cluster: Cluster) -> None:
    with to_pod(cluster.developer, NAMESPACE, POD, GRPC) as connection:
        assert connection.receive() == (DATA, GRPC.to_bytes(2, "little"))
        assert connection.receive() == (ERROR, GRPC.to_bytes(2, "little"))


def test_the_second_port_of_one_websocket_has_channels_2_and_3(cluster: Cluster) -> None:
    with to_pod(cluster.developer, NAMESPACE, POD, GRPC, HTTP) as connection:
        first = {connection.receive() for _ in range(4)}
        ports = [port.to_bytes(2, "little") for port in (GRPC, GRPC, HTTP, HTTP)]
        assert first == set(enumerate(ports))
        connection.send(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n", channel=2)
        received = dict([connection.receive(), connection.receive()])
        assert received[2].startswith(b"HTTP/1.1 200 OK")
        assert DATA in received  # the gRPC server speaks first: its HTTP/2 settings


@EITHER_NODE
def test_a_pod_without_a_listener_is_an_error_frame_and_then_a_normal_close(
    cluster: Cluster, node: str
) -> None:
    """The handshake succeeds; the close code is 1000, so only the error channel tells."""
    cluster.create_pod("here", node=node)
    cluster.forward_target(GRPC, "127.0.0.1", free_port(), pod="here")
    with _open(cluster, "here", GRPC) as connection:
        received = connection.drain()
        assert set(received) == {ERROR}
        assert received[ERROR].startswith(b"error forwarding port 9092 to pod ")
        assert received[ERROR].endswith(b"connect: connection refused")
        assert connection.close_code == 1000


@EITHER_NODE
def test_a_port_that_the_pod_does_not_have_is_an_error_frame_too(cluster: Cluster, node: str) -> None:
    cluster.create_pod("here", node=node)
    with _open(cluster, "here", 1234) as connection:
        received = connection.drain()
        assert received[ERROR].startswith(b"error forwarding port 1234 to pod ")


def test_a_pod_that_is_not_ready_is_forwarded_to_all_the_same(cluster: Cluster) -> None:
    """The API server asks the node only: choosing a ready pod is the client's work."""
    cluster.create_pod("waiting", unready=("CrashLoopBackOff", "back-off 5m0s"))
    with _open(cluster, "waiting", HTTP) as connection:
        connection.send(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.receive()[1].startswith(b"HTTP/1.1 200 OK")


def test_a_pod_that_is_gone_is_404(cluster: Cluster) -> None:
    with pytest.raises(InvalidStatus) as refused:
        to_pod(cluster.developer, NAMESPACE, "gone", GRPC)
    assert refused.value.response.status_code == 404
    assert b'pods \\"gone\\" not found' in refused.value.response.body


@pytest.mark.parametrize(
    ("verbs", "says"),
    [
        ([], b'cannot get resource \\"pods/portforward\\"'),
        (["create"], b'cannot get resource \\"pods/portforward\\"'),
        # The check for "create" gives no reason: the message ends after the colon.
        (["get"], b'"message":"pods \\"' + POD.encode() + b'\\" is forbidden: "'),
        (["get", "create"], None),
    ],
)
def test_a_websocket_port_forward_needs_get_and_create(
    cluster: Cluster, verbs: list[str], says: bytes | None
) -> None:
    """Both since Kubernetes 1.35; only the missing "get" is named by the API server."""
    rules = [{"apiGroups": [""], "resources": ["pods/portforward"], "verbs": verbs}] if verbs else []
    name = "forwarder-" + "-".join(verbs)
    cluster.user(name.rstrip("-"), rules)
    api = cluster.api(name.rstrip("-"))
    if says is None:
        with to_pod(api, NAMESPACE, POD, HTTP) as connection:
            assert connection.receive()[0] == DATA
        return
    with pytest.raises(InvalidStatus) as refused:
        to_pod(api, NAMESPACE, POD, HTTP)
    assert refused.value.response.status_code == 403
    assert says in refused.value.response.body


def test_only_messages_keep_an_idle_connection_open_and_an_empty_one_does(cluster: Cluster) -> None:
    """Pings are answered but do not count; the cut is without a close frame."""
    cluster.create_pod("here", node=RUNTIME_NODE)
    idle = 3.0
    cluster.idle_timeout(idle)
    silent, pinging, sending = (_open(cluster, "here", HTTP) for _ in range(3))
    with silent, pinging, sending:
        end = time.monotonic() + 2.5 * idle

        def again_and_again(tell: Callable[[], None]) -> None:
            while time.monotonic() < end:
                tell()
                time.sleep(0.2)

        # Each in its own thread: from Python 3.13 on, a write that fails because the server has cut the
        # connection leaves its error to the next read of the same thread, of whichever connection
        # (https://github.com/python/cpython/issues/148594).
        pings = threading.Thread(target=again_and_again, args=(pinging.ping,))
        pings.start()
        again_and_again(lambda: sending.send_message(b""))
        pings.join()
        # At once: it is idle itself while the others are looked at.
        sending.send(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sending.receive()[1].startswith(b"HTTP/1.1 200 OK")
        for cut in (silent, pinging):
            with pytest.raises(ConnectionClosed) as closed:
                cut.receive()
            assert closed.value.rcvd is None
            assert cut.close_code == 1006


def test_frames_for_channels_that_are_not_there_are_ignored(cluster: Cluster) -> None:
    """Also the close signal of v5: v4 has no way to end one direction."""
    with _open(cluster, POD, HTTP) as connection:
        for frame in (b"\x07junk", b"\xff\x00", b"\x01error?"):
            connection.send_message(frame)
        connection.send(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.receive()[1].startswith(b"HTTP/1.1 200 OK")


@EITHER_NODE
def test_there_is_no_half_close_a_client_that_closes_hears_no_more(
    cluster: Cluster, accept: Accept, node: str
) -> None:
    """The server ends the websocket at once, though the pod has not answered and can still write."""
    cluster.create_pod("here", node=node)
    with _open(cluster, "here", GRPC) as connection:
        upstream = accept()
        connection.send(b"request")
        assert upstream.recv(100) == b"request"
        connection.close_politely()
        assert connection.drain() == {}
        upstream.sendall(b"the answer")


def test_a_client_that_closes_is_the_end_of_the_pods_connection_too(cluster: Cluster, accept: Accept) -> None:
    cluster.create_pod("here", node=RUNTIME_NODE)
    with _open(cluster, "here", GRPC):
        upstream = accept()
    assert upstream.recv(100) == b""


def test_the_end_of_the_pods_side_is_the_websockets_end_a_second_later(
    cluster: Cluster, accept: Accept
) -> None:
    """Until then the client's data still arrives; what the pod sent is not lost."""
    cluster.create_pod("here", node=RUNTIME_NODE)
    with _open(cluster, "here", GRPC) as connection:
        upstream = accept()
        upstream.sendall(b"last words")
        upstream.shutdown(socket.SHUT_WR)
        connection.send(b"more")
        assert upstream.recv(100) == b"more"
        assert connection.drain() == {DATA: b"last words"}
        assert connection.close_code == 1000


def test_kwok_tells_neither_side_that_the_other_closed(cluster: Cluster, accept: Accept) -> None:
    """The difference from container runtimes for which RUNTIME_NODE is there."""
    cluster.create_pod("here", node=KWOK_NODE)
    with _open(cluster, "here", GRPC) as connection:
        accept().close()
        with pytest.raises(TimeoutError):
            connection.receive(3)
    with _open(cluster, "here", GRPC):
        upstream = accept()
    upstream.settimeout(3)
    with pytest.raises(TimeoutError):
        upstream.recv(100)
