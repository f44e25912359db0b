"""Requests and channels to pods through a real API server: every byte arrives, and a loss is never hidden."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire.forward_errors import ChannelError
from gfattach.cluster.wire.http import Client, Request, request
from gfattach.cluster.wire.portforward import PodChannel, open_channel
from gfattach.cluster.wire.relay import Counters, relay
from gfattach.core.deadline import Deadline
from gfattach.net.stream import Stream
from tests.harness.cluster.api import Api
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.manifests import KWOK_NODE, NAMESPACE, POD, RUNTIME_NODE
from tests.harness.machine.ports import free_port

HTTP, GRPC = 8080, 9092
MIB = 2**20
EITHER_NODE = pytest.mark.parametrize("node", [KWOK_NODE, RUNTIME_NODE])
Serve = Callable[[Callable[[socket.socket], None]], None]


def soon() -> Deadline:
    return Deadline.after(20)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(work, 90))


def as_user(api: Api) -> ClusterConnection:
    where = urlsplit(api.server)
    assert where.hostname is not None and where.port is not None
    return ClusterConnection(where.hostname, where.port, NAMESPACE, tls=api.ssl)


@pytest.fixture
def serve(cluster: Cluster) -> Iterator[Serve]:
    """Lets a function serve each connection to the gRPC port of a pod "here", on whichever node."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        cluster.forward_target(GRPC, "127.0.0.1", server.getsockname()[1], pod="here")
        opened: list[socket.socket] = []

        def begin(handle: Callable[[socket.socket], None]) -> None:
            def one(connection: socket.socket) -> None:
                with contextlib.suppress(OSError):
                    handle(connection)

            def accept() -> None:
                with contextlib.suppress(OSError):
                    while True:
                        connection, _ = server.accept()
                        opened.append(connection)
                        threading.Thread(target=one, args=(connection,), daemon=True).start()

            threading.Thread(target=accept, daemon=True).start()

        yield begin
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        for connection in opened:
            connection.close()


async def to_here(cluster: Cluster) -> PodChannel:
    return await open_channel(as_user(cluster.developer), NAMESPACE, "here", GRPC, soon())


async def end(channel: PodChannel) -> None:
    channel.close()
    await channel.stream.wait_closed()


@contextlib.asynccontextmanager
async def relayed(channel: PodChannel, counters: Counters, *, loss_is_end: bool = True) -> Any:
    """A client's socket, relayed to the channel, and the relay's task; an end for the client after a loss."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    stream = Stream(theirs)
    task = asyncio.create_task(relay(stream, channel, counters))
    task.add_done_callback(lambda done: loss_is_end and stream.abort())
    try:
        yield ours, task
    finally:
        ours.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stream.abort()


async def receive_all(sock: socket.socket) -> bytes:
    data = bytearray()
    while part := await asyncio.get_running_loop().sock_recv(sock, MIB):
        data += part
    return bytes(data)


# Requests.


def test_a_request_and_its_answer(cluster: Cluster) -> None:
    answer = run(
        request(as_user(cluster.developer), Request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods"), soon())
    )
    assert answer.status == 200
    assert POD.encode() in answer.body
    assert "date" in answer.headers


def test_a_kept_connection_survives_the_death_of_the_server(cluster: Cluster) -> None:
    async def ask() -> list[int]:
        client = Client(as_user(cluster.developer))
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        try:
            before = await client.request(Request("GET", path), soon())
            again = await client.request(Request("GET", path), soon())
            cluster.kill_apiserver()
            cluster.start_apiserver()
            after = await client.request(Request("GET", path), soon())
        finally:
            client.close()
        return [before.status, again.status, after.status]

    assert run(ask()) == [200, 200, 200]


# Bytes.


@EITHER_NODE
def test_32_mib_each_way_on_several_connections_arrive_as_they_were(
    cluster: Cluster, serve: Serve, node: str
) -> None:
    cluster.create_pod("here", node=node)
    size, blob = 32 * MIB, hashlib.shake_128(b"blob").digest(MIB)

    def swap(connection: socket.socket) -> None:
        sender = threading.Thread(target=connection.sendall, args=(blob * (size // MIB),))
        sender.start()
        left, digest = size, hashlib.sha256()
        while left and (part := connection.recv(MIB)):
            digest.update(part)
            left -= len(part)
        sender.join()
        connection.sendall(digest.digest())

    serve(swap)

    async def one() -> tuple[bytes, bytes, Counters]:
        counters = Counters()
        loop = asyncio.get_running_loop()
        async with relayed(await to_here(cluster), counters) as (client, _):

            async def send() -> None:
                for _ in range(size // MIB):
                    await loop.sock_sendall(client, blob[::-1])

            sending = asyncio.create_task(send())
            digest, left, tail = hashlib.sha256(), size, b""
            while left + 32 - len(tail) > 0:
                part = await loop.sock_recv(client, MIB)
                assert part, "the channel ended early"
                digest.update(part[:left])
                tail += part[left:] if left < len(part) else b""
                left -= min(left, len(part))
            await sending
        return digest.digest(), tail, counters

    async def several() -> list[tuple[bytes, bytes, Counters]]:
        return list(await asyncio.gather(*(one() for _ in range(3))))

    down, up = hashlib.sha256(), hashlib.sha256()
    for _ in range(size // MIB):
        down.update(blob)
        up.update(blob[::-1])
    for received, said, counters in run(several()):
        assert received == down.digest()
        assert said == up.digest()
        assert counters == Counters(to_pod=size, to_client=size + 32)


def test_the_end_of_the_pods_side_is_an_orderly_end_for_the_client(cluster: Cluster, serve: Serve) -> None:
    cluster.create_pod("here", node=RUNTIME_NODE)

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"x" * MIB)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)

    serve(answer)

    async def work() -> bytes:
        async with relayed(await to_here(cluster), Counters()) as (client, task):
            received = await receive_all(client)
            client.close()
            await task
            return received

    assert run(work()) == b"x" * MIB


def test_what_the_client_sent_before_it_closed_arrives(cluster: Cluster, serve: Serve) -> None:
    cluster.create_pod("here", node=RUNTIME_NODE)
    received: list[int] = []
    done = threading.Event()

    def count(connection: socket.socket) -> None:
        total = 0
        while part := connection.recv(MIB):
            total += len(part)
        received.append(total)
        done.set()

    serve(count)

    async def work() -> None:
        channel = await to_here(cluster)
        await channel.write(b"y" * 4 * MIB)
        await end(channel)

    run(work())
    assert done.wait(20)
    assert received == [4 * MIB]


def test_a_client_that_does_not_read_takes_no_memory(cluster: Cluster, serve: Serve) -> None:
    """The pod is made to wait instead; a ping meanwhile does not take the channel for dead."""
    cluster.create_pod("here", node=RUNTIME_NODE)
    sent = [0]

    def flood(connection: socket.socket) -> None:
        for _ in range(256):
            connection.sendall(b"z" * MIB)
            sent[0] += MIB

    serve(flood)

    async def work() -> tuple[int, int]:
        counters = Counters()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        channel = await to_here(cluster)
        async with relayed(channel, counters) as (client, task):
            settled = -1
            while settled != counters.to_client or not settled:
                settled = counters.to_client
                await asyncio.sleep(1)
            await channel.ping(Deadline.after(1))
            await channel.keepalive()
            assert not task.done()
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
            loop = asyncio.get_running_loop()
            left = 256 * MIB
            while left and (part := await loop.sock_recv(client, MIB)):
                left -= len(part)
        return grown, left

    grown, left = run(work())
    assert grown < 16 * MIB
    assert left == 0


# What goes wrong.


@EITHER_NODE
def test_nothing_listens_in_the_pod(cluster: Cluster, node: str) -> None:
    cluster.create_pod("here", node=node)
    cluster.forward_target(GRPC, "127.0.0.1", free_port(), pod="here")

    async def work() -> None:
        counters = Counters()
        async with relayed(await to_here(cluster), counters) as (_, task):
            try:
                await task
            finally:
                assert counters == Counters()

    with pytest.raises(ChannelError) as refused:
        run(work())
    assert refused.value.code == "cluster.forward.refused"
    assert refused.value.fact == f"nothing listens on port {GRPC} of pod {NAMESPACE}/here"


@pytest.mark.parametrize(("verbs", "missing"), [([], "get"), (["create"], "get"), (["get"], "create")])
def test_a_missing_verb_is_named(cluster: Cluster, verbs: list[str], missing: str) -> None:
    rules = [{"apiGroups": [""], "resources": ["pods/portforward"], "verbs": verbs}] if verbs else []
    name = "-".join(["wire", *verbs])
    cluster.user(name, rules)
    with pytest.raises(ChannelError) as refused:
        run(open_channel(as_user(cluster.api(name)), NAMESPACE, POD, HTTP, soon()))
    assert refused.value.code == "cluster.forward.forbidden"
    assert refused.value.fact == f"the user may not {missing} pods/portforward in namespace {NAMESPACE}"


def test_an_expired_client_certificate(cluster: Cluster) -> None:
    import datetime

    cluster.user("late", [], lifetime=-datetime.timedelta(hours=1))
    with pytest.raises(ChannelError) as refused:
        run(open_channel(as_user(cluster.api("late")), NAMESPACE, POD, HTTP, soon()))
    assert refused.value.code == "cluster.forward.unauthorized"


def test_a_pod_that_is_gone(cluster: Cluster) -> None:
    with pytest.raises(ChannelError) as gone:
        run(open_channel(as_user(cluster.developer), NAMESPACE, "gone", HTTP, soon()))
    assert gone.value.code == "cluster.forward.gone"


def test_a_kubelet_that_is_down(cluster: Cluster) -> None:
    cluster.kill_kwok()
    with pytest.raises(ChannelError) as down:
        run(open_channel(as_user(cluster.developer), NAMESPACE, POD, HTTP, soon()))
    assert down.value.code == "cluster.forward.kubelet"


@pytest.mark.parametrize("killed", ["kill_apiserver", "kill_kwok"])
def test_a_server_that_dies_in_the_middle_is_a_loss_and_no_end(
    cluster: Cluster, serve: Serve, killed: str
) -> None:
    """The relay says so, and the client has seen no end: whoever owns its socket resets it."""
    cluster.create_pod("here", node=KWOK_NODE)

    def trickle(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"z" * 4096)
            time.sleep(0.01)

    serve(trickle)

    async def work() -> None:
        counters = Counters()
        async with relayed(await to_here(cluster), counters, loss_is_end=False) as (client, task):
            while counters.to_client < 65536:
                assert not task.done(), task.exception()
                await asyncio.sleep(0.01)
            getattr(cluster, killed)()
            received = bytearray()
            loop = asyncio.get_running_loop()
            await asyncio.wait([task], timeout=20)
            assert task.done(), f"nothing noticed, {counters.to_client} bytes came"
            while len(received) < counters.to_client:
                received += await loop.sock_recv(client, MIB)
            with pytest.raises(BlockingIOError):  # no more bytes, and no end either
                client.recv(1)
            await task

    with pytest.raises(ChannelError) as lost:
        run(work())
    assert lost.value.code == "cluster.forward.lost"


def test_an_idle_channel_is_cut_and_one_that_is_kept_alive_is_not(cluster: Cluster, serve: Serve) -> None:
    cluster.create_pod("here", node=RUNTIME_NODE)
    idle = 2.0
    cluster.idle_timeout(idle)

    def echo(connection: socket.socket) -> None:
        while part := connection.recv(100):
            connection.sendall(part)

    serve(echo)

    async def work() -> bytes:
        loop = asyncio.get_running_loop()
        silent, kept = await to_here(cluster), await to_here(cluster)
        async with relayed(silent, Counters()) as (_, cut), relayed(kept, Counters()) as (client, _):
            ends = time.monotonic() + 2.5 * idle
            while time.monotonic() < ends:
                await kept.keepalive()
                await kept.ping(soon())
                await asyncio.sleep(0.2)
            with pytest.raises(ChannelError) as lost:
                await cut
            assert lost.value.code == "cluster.forward.lost"
            await loop.sock_sendall(client, b"still there")
            return await loop.sock_recv(client, 100)

    assert run(work()) == b"still there"
