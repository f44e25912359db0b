"""A channel and a relay over real sockets; the peer says what a test wants, also what no server should."""

import asyncio
import contextlib
import os
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from gfattach.cluster.wire import portforward
from gfattach.cluster.wire import relay as relays
from gfattach.cluster.wire.forward_errors import ChannelError
from gfattach.cluster.wire.portforward import PodChannel
from gfattach.cluster.wire.relay import Counters, Direct, relay
from gfattach.core.deadline import Deadline
from gfattach.net.stream import Stream
from tests.harness.machine.budget import budget

PORT = 9092
RESET = struct.pack("ii", 1, 0)


def frame(payload, opcode=Opcode.BINARY, fin=True):
    return Frame(opcode, payload, fin).serialize(mask=False)


BEGIN = frame(b"\x00" + PORT.to_bytes(2, "little")) + frame(b"\x01" + PORT.to_bytes(2, "little"))
CLOSE = frame(b"\x03\xe8", Opcode.CLOSE)


def run(work, seconds=20):
    return asyncio.run(asyncio.wait_for(work, seconds))


def tcp_pair():
    """Two ends of a TCP connection, the second one not blocking."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    far.setblocking(False)
    return near, far


async def read_all(channel):
    data = b""
    while part := await channel.read():
        data += part
    return data


async def said(*words, end=True):
    """What a channel reads when its peer says `words`, one by one, and then ends (or goes on being there)."""
    near, far = socket.socketpair()
    with near:
        channel = PodChannel(Stream(far), "n/p", PORT)
        for word in words:
            near.sendall(word)
            await asyncio.sleep(0)
        if end:
            near.shutdown(socket.SHUT_WR)
        try:
            return await read_all(channel)
        finally:
            channel.abort()


def test_data_comes_without_channel_and_port():
    assert run(said(BEGIN, frame(b"\x00one"), frame(b"\x00two"), CLOSE)) == b"onetwo"


def test_data_may_come_byte_by_byte_and_in_fragments_with_pings_between():
    words = (
        BEGIN
        + frame(b"", fin=False)
        + frame(b"\x00", Opcode.CONT, fin=False)
        + frame(b"?", Opcode.PING)
        + frame(b"on", Opcode.CONT, fin=False)
        + frame(b"e", Opcode.CONT)
        + CLOSE
    )
    assert run(said(*(words[n : n + 1] for n in range(len(words))))) == b"one"


def test_messages_on_channels_that_are_not_there_and_empty_ones_are_nothing():
    assert run(said(BEGIN, frame(b"\x07junk"), frame(b""), frame(b"\x00"), frame(b"\x00x"), CLOSE)) == b"x"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([BEGIN], "lost"),  # cut without a close frame
        ([BEGIN, frame(b"\x00data")[:-1]], "lost"),
        ([BEGIN, frame(b"\x03\xf3", Opcode.CLOSE)], "lost"),  # 1011
        ([BEGIN, frame(b"\x00text", Opcode.TEXT)], "lost"),
        ([BEGIN, b"\xff\xff"], "lost"),
        ([frame(b"\x00\x01\x00")], "lost"),  # another port
        ([BEGIN, frame(b"\x01connection refused"), CLOSE], "refused"),
        ([BEGIN, frame(b"\x01connection refused")], "refused"),
    ],
)
def test_every_other_end_is_the_typed_error(words, code):
    with pytest.raises(ChannelError) as failed:
        run(said(*words))
    assert failed.value.code == f"cluster.forward.{code}"


def test_data_after_an_errors_text_is_still_handed_on():
    async def work():
        near, far = socket.socketpair()
        with near:
            channel = PodChannel(Stream(far), "n/p", PORT)
            near.sendall(BEGIN + frame(b"\x01broken pipe") + frame(b"\x00last words") + CLOSE)
            assert await channel.read() == b"last words"
            with pytest.raises(ChannelError, match="broken pipe"):
                await channel.read()
            channel.abort()

    run(work())


def test_an_errors_text_without_an_end_is_waited_for_a_while_only(monkeypatch):
    monkeypatch.setattr(portforward, "_ERROR_LINGER", 0.2)
    with pytest.raises(ChannelError) as failed:
        run(said(BEGIN, frame(b"\x01connection refused"), end=False))
    assert failed.value.code == "cluster.forward.refused"


@settings(max_examples=200, deadline=None)
@given(garbage=st.binary(max_size=200))
def test_any_bytes_are_data_or_the_typed_error(garbage):
    with contextlib.suppress(ChannelError):
        assert len(run(said(BEGIN, garbage))) <= len(garbage)


def test_a_peer_understands_all_that_a_channel_sends():
    """In the open every frame is masked, each with another key; pings are answered; a close is a close."""

    async def work():
        near, far = socket.socketpair()
        with near:
            channel = PodChannel(Stream(far), "n/p", PORT)
            near.sendall(BEGIN + frame(b"are you there", Opcode.PING) + frame(b"\x00x"))
            assert await channel.read() == b"x"
            await channel.write(b"payload")
            await channel.write(b"payload")
            await channel.keepalive()
            channel.close()
            raw = b""
            while part := await asyncio.to_thread(near.recv, 65536):
                raw += part
            near.close()
            await channel.stream.wait_closed()
            return raw

    raw = run(work())
    assert b"payload" not in raw
    peer = ServerProtocol(max_size=None, state=OPEN)
    peer.receive_data(raw)
    assert peer.parser_exc is None
    assert [(frame.opcode, bytes(frame.data)) for frame in peer.events_received()] == [
        (Opcode.PONG, b"are you there"),
        (Opcode.BINARY, b"\x00payload"),
        (Opcode.BINARY, b"\x00payload"),
        (Opcode.BINARY, b"\x00"),
        (Opcode.CLOSE, b"\x03\xe8"),
    ]


def test_a_ping_that_is_not_answered_is_a_loss():
    async def work():
        near, far = socket.socketpair()
        with near:
            channel = PodChannel(Stream(far), "n/p", PORT)
            near.sendall(BEGIN)
            reading = asyncio.create_task(channel.read())
            await asyncio.sleep(0.05)
            try:
                await channel.ping(Deadline.after(0.2))
            finally:
                reading.cancel()
                channel.abort()

    with pytest.raises(ChannelError) as lost:
        run(work())
    assert lost.value.code == "cluster.forward.lost"


# Relays, to a server without a pod: every end is told apart.


@contextlib.asynccontextmanager
async def relayed(make=tcp_pair):
    """A client, a server, the relay's task between them, and its counters."""
    client, client_end = make()
    server, server_end = tcp_pair()
    counters, stream = Counters(), Stream(client_end)
    task = asyncio.create_task(relay(stream, Direct(Stream(server_end), "it"), counters))
    await asyncio.sleep(0.01)
    try:
        yield client, server, task, counters
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stream.abort()
        client.close()
        server.close()


def receive_all(sock):
    data = bytearray()
    while part := sock.recv(2**20):
        data += part
    return bytes(data)


@pytest.mark.parametrize("make", [tcp_pair, socket.socketpair])
def test_a_client_that_ends_its_half_gets_the_whole_answer(make):
    async def work():
        async with relayed(make) as (client, server, task, counters):
            client.sendall(b"question")
            client.shutdown(socket.SHUT_WR)
            assert await asyncio.to_thread(receive_all, server) == b"question"
            answer = os.urandom(3 * 2**20)

            def reply():
                server.sendall(answer)
                server.close()

            _, received = await asyncio.gather(
                asyncio.to_thread(reply), asyncio.to_thread(receive_all, client)
            )
            client.close()
            await task
            assert received == answer
            assert counters == Counters(len(b"question"), len(answer))

    run(work())


def test_a_server_that_resets_is_a_loss_and_the_client_has_seen_no_end():
    async def work():
        async with relayed() as (client, server, task, counters):
            server.sendall(b"half of it")
            while not counters.to_client:
                await asyncio.sleep(0.01)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            server.close()
            with pytest.raises(ChannelError):
                await task
            assert client.recv(100) == b"half of it"
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)

    run(work())


def test_a_client_that_resets_ends_the_relay_and_the_servers_connection():
    async def work():
        async with relayed() as (client, server, task, _):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
            assert await asyncio.to_thread(server.recv, 1) == b""
            server.close()
            await task

    run(work())


def test_a_client_that_is_slow_gets_everything_all_the_same():
    async def work():
        async with relayed() as (client, server, task, counters):
            sent = os.urandom(2**20) * 16

            def send():
                server.sendall(sent)
                server.close()

            sending = asyncio.create_task(asyncio.to_thread(send))
            await asyncio.sleep(0.3)
            assert counters.to_client < len(sent), "the kernel's buffers took it all: nothing was held back"
            received = await asyncio.to_thread(receive_all, client)
            client.close()
            await asyncio.gather(sending, task)
            assert received == sent

    run(work())


async def with_pod(make, act):
    """What becomes of a client whose channel leads to a pod that says nothing; seconds that it took."""
    client, client_end = make()
    near, far = socket.socketpair()
    near.sendall(BEGIN)
    stream = Stream(client_end)
    task = asyncio.create_task(relay(stream, PodChannel(Stream(far), "n/p", PORT), Counters()))
    await asyncio.sleep(0.05)
    start = asyncio.get_running_loop().time()
    act(client)
    raw = await asyncio.to_thread(receive_all, near)
    near.close()
    await task
    return client, raw, asyncio.get_running_loop().time() - start


def test_a_unix_client_that_closes_ends_the_channel_at_once():
    _, raw, seconds = run(with_pod(socket.socketpair, lambda client: client.close()))
    assert raw  # a close frame
    assert seconds < budget(1)


def test_a_tcp_client_that_ended_is_given_up_after_a_while_and_reset(monkeypatch):
    """Whether it is gone or waits for an answer cannot be seen; it must not see an orderly end."""
    monkeypatch.setattr(relays, "LINGER", 0.3)
    client, raw, seconds = run(with_pod(tcp_pair, lambda client: client.shutdown(socket.SHUT_WR)))
    assert raw
    assert 0.25 < seconds < budget(2)
    with client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_defect_ends_the_relay_instead_of_hanging_it(monkeypatch):
    def broken(self, buffer):
        raise ZeroDivisionError

    async def work():
        async with relayed() as (_, server, task, _):
            monkeypatch.setattr(Direct, "receive", broken)
            server.sendall(b"x")
            with pytest.raises(ZeroDivisionError):
                await task

    run(work())


def test_a_relay_that_is_cancelled_leaves_the_client_to_its_owner():
    async def work():
        async with relayed() as (client, server, task, _):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(ConnectionResetError):
                server.recv(1)
            client.setblocking(False)
            with pytest.raises(BlockingIOError):
                client.recv(1)

    run(work())
