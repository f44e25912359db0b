"""A channel that is held before anybody reads it, and the one connection that is kept for the next client."""

import asyncio
import contextlib
import socket

import pytest
from websockets.frames import Frame, Opcode

from gfattach.agent.upstream import prewarm as ahead
from gfattach.agent.upstream.prewarm import Opened, PrewarmedConnection
from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire import portforward
from gfattach.cluster.wire.forward_errors import ChannelError
from gfattach.cluster.wire.portforward import PodChannel
from gfattach.core.deadline import Deadline
from gfattach.net.stream import Stream
from tests.harness.machine.budget import budget

PORT = 9092
WHERE = ClusterConnection("127.0.0.1", 6443, "nix-cache")


def frame(payload, opcode=Opcode.BINARY):
    return Frame(opcode, payload).serialize(mask=False)


BEGIN = frame(b"\x00" + PORT.to_bytes(2, "little")) + frame(b"\x01" + PORT.to_bytes(2, "little"))
CLOSE = frame(b"\x03\xe8", Opcode.CLOSE)


def run(work):
    return asyncio.run(asyncio.wait_for(work, 20))


@contextlib.asynccontextmanager
async def channel_and_peer():
    near, far = socket.socketpair()
    near.setblocking(False)
    channel = PodChannel(Stream(far), "n/p", PORT)
    near.send(BEGIN)
    try:
        yield channel, near
    finally:
        channel.abort()
        near.close()


async def turn(seconds=0.01):
    await asyncio.sleep(seconds)


class TestAChannelThatIsHeld:
    def test_what_the_server_says_of_itself_comes_first_and_whole(self):
        async def work():
            async with channel_and_peer() as (channel, peer):
                channel.hold()
                for word in (b"one ", b"two "):
                    peer.send(frame(b"\x00" + word))
                    await turn()
                first = await channel.read()
                peer.send(frame(b"\x00three") + CLOSE)
                return first, await channel.read(), await channel.read()

        assert run(work()) == (b"one two ", b"three", b"")

    def test_a_reader_with_a_small_buffer_gets_it_in_parts(self):
        async def work():
            async with channel_and_peer() as (channel, peer):
                peer.send(frame(b"\x00greeting"))
                await turn()
                channel.hold()
                room = memoryview(bytearray(5))
                parts = []
                while channel.more:
                    parts += [bytes(part) for part in channel.receive(room)]
                return parts

        assert run(work()) == [b"greet", b"ing"]

    @pytest.mark.parametrize(
        ("word", "failure"),
        [
            (CLOSE, None),
            (frame(b"\x01connection refused") + CLOSE, "refused"),
            (frame(b"?", Opcode.TEXT), "lost"),
        ],
    )
    def test_its_end_is_heard(self, word, failure):
        async def work():
            async with channel_and_peer() as (channel, peer):
                channel.hold()
                peer.send(word)
                await turn()
                return channel.ended, channel.failure

        ended, why = run(work())
        assert ended
        assert (why and why.code) == (failure and f"cluster.forward.{failure}")

    def test_the_answer_to_a_ping_is_heard(self):
        async def work():
            async with channel_and_peer() as (channel, peer):
                channel.hold()
                with pytest.raises(ChannelError):
                    await channel.ping(Deadline.after(0.05))
                asyncio.get_running_loop().call_later(0.01, peer.send, frame(b"", Opcode.PONG))
                await channel.ping(Deadline.after(5))

        run(work())

    def test_a_server_that_says_too_much_is_not_listened_to(self):
        async def work():
            async with channel_and_peer() as (channel, peer):
                channel.hold()
                piece = frame(b"\x00" + bytes(8000))
                with contextlib.suppress(BlockingIOError):
                    for _ in range(100):
                        peer.send(piece)
                        await turn(0)
                return channel.stream.watched, len(channel._early)

        watched, kept = run(work())
        assert not watched
        assert portforward._EARLY_LIMIT < kept < portforward._EARLY_LIMIT + portforward.READ


class Door:
    """Opens connections that a peer answers, and remembers them."""

    def __init__(self, seconds=0.0, answers=True):
        self.seconds = seconds
        self.answers = answers
        self.peers = []
        self.opened = []

    async def __call__(self, deadline):
        await asyncio.sleep(self.seconds)
        near, far = socket.socketpair()
        near.setblocking(False)
        near.send(BEGIN)
        self.peers.append(near)
        if self.answers:
            loop = asyncio.get_running_loop()

            def answer():
                loop.remove_reader(near) if not near.recv(1000) else near.send(frame(b"", Opcode.PONG))

            loop.add_reader(near, answer)
        made = Opened(PodChannel(Stream(far), "n/p", PORT), "p", WHERE)
        self.opened.append(made)
        return made

    def close(self):
        for made in self.opened:
            made.channel.abort()
        for peer in self.peers:
            asyncio.get_running_loop().remove_reader(peer)
            peer.close()


async def taken(kept):
    if not kept:
        return None
    await kept.ask()
    return kept.take()


def with_door(work, **options):
    async def whole():
        door, kept = Door(**options), PrewarmedConnection()
        try:
            return await work(kept, door)
        finally:
            kept.drop()
            door.close()

    return run(whole())


class TestTheOneAhead:
    def test_it_is_handed_out_once(self):
        async def work(kept, door):
            kept.prepare(door)
            kept.prepare(door)
            await turn()
            assert await taken(kept) is door.opened[0]
            assert await taken(kept) is None
            assert len(door.opened) == 1

        with_door(work)

    def test_there_is_none_before_somebody_wanted_one(self):
        async def work(kept, door):
            assert not kept
            assert kept.take() is None

        with_door(work)

    def test_one_that_has_ended_is_not_handed_out_and_makes_within_descriptor_budget_another(self):
        async def work(kept, door):
            kept.prepare(door)
            await turn()
            door.peers[0].send(CLOSE)
            await turn()
            assert await taken(kept) is None
            kept.prepare(door)
            await turn()
            assert await taken(kept) is door.opened[1]

        with_door(work)

    def test_one_that_does_not_answer_is_not_handed_out(self):
        async def work(kept, door):
            kept.prepare(door)
            await turn()
            assert await taken(kept) is None
            assert door.opened[0].channel.ended

        with_door(work, answers=False)

    def test_who_comes_while_it_is_opened_waits_for_it_and_a_second_does_not(self):
        async def work(kept, door):
            kept.prepare(door)
            first = asyncio.ensure_future(taken(kept))
            await turn(0)
            assert await taken(kept) is None
            assert not first.done()
            assert await first is door.opened[0]

        with_door(work, seconds=0.05)

    def test_it_is_let_go_when_nobody_comes(self, monkeypatch):
        monkeypatch.setattr(ahead, "KEPT_SECONDS", 0.5)

        async def work(kept, door):
            kept.prepare(door)
            await turn()
            assert kept
            while kept:  # or `run` gives up
                await turn()
            assert door.opened[0].channel.ended

        with_door(work)

    def test_one_that_cannot_be_opened_is_none_and_the_next_is_tried(self):
        async def refuse(deadline):
            raise ChannelError("refused", "nobody listens")

        async def work(kept, door):
            kept.prepare(refuse)
            await turn()
            assert await taken(kept) is None
            kept.prepare(door)
            await turn()
            assert await taken(kept) is door.opened[0]

        with_door(work)

    def test_dropped_it_ends_and_what_is_being_opened_is_not_kept(self):
        async def work(kept, door):
            kept.prepare(door)
            await turn(0.05)
            kept.drop()
            assert door.opened[0].channel.ended
            kept.prepare(door)
            waiting = asyncio.ensure_future(taken(kept))
            await turn(0)
            kept.drop()
            assert await waiting is None
            await turn(0.05)
            assert not kept

        with_door(work, seconds=0.02)

    def test_one_whose_opening_hangs_is_waited_for_no_longer_than_one_usually_takes(self):
        async def work(kept, door):
            kept.prepare(door)
            await turn()
            assert await taken(kept) is door.opened[0]
            door.seconds = 4.0
            kept.prepare(door)
            began = asyncio.get_running_loop().time()
            assert await taken(kept) is None
            assert asyncio.get_running_loop().time() - began < budget(1.0)

        with_door(work)

    def test_one_that_takes_long_far_away_is_waited_for(self):
        async def work(kept, door):
            kept.prepare(door)
            await turn(0.8)
            assert await taken(kept) is door.opened[0]
            kept.prepare(door)
            assert await taken(kept) is door.opened[1]

        with_door(work, seconds=0.7)
