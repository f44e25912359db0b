"""TLS over a channel, where the channel itself decides how bytes come and how it ends."""

import asyncio
import contextlib
import ssl

import pytest

from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, Health
from gfattach.agent.upstream.tls import TlsChannel, context_for, server_name
from gfattach.cluster.wire.forward_errors import ChannelError, lost
from tests.harness.certificates.pki import pki, server_context

__all__ = ["pki"]

NAME = "cache.example"


class FakeChannel:
    """A channel to a server in memory. `mailbox` holds pieces as they will come, one piece each time."""

    headroom = 11
    half_close = False

    def __init__(self, server):
        self.stream = self
        self.ended = False
        self.failure = None
        self.closed = False
        self.sent = []
        self.mailbox = []
        self.split = 1
        self.end_with_last = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = server.wrap_bio(self._incoming, self._outgoing, server_side=True)

    # The server's side.

    def advance(self):
        """Let the server shake hands as far as it can."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.session.do_handshake()
        self.flush()

    def flush(self):
        said = self._outgoing.read()
        size = max(1, len(said) // self.split)
        self.mailbox += [said[at : at + size] for at in range(0, len(said), size)]

    def says(self, data, *, end=False):
        self.session.write(data)
        if end:
            with pytest.raises(ssl.SSLWantReadError):
                self.session.unwrap()
        self.flush()

    def takes(self):
        return self.session.read(1 << 20)

    # The channel's.

    @property
    def more(self):
        return len(self.mailbox) > 0 and not self.ended

    def receive(self, buffer):
        """One piece, in two payloads with a gap before each, as frames have."""
        if not self.mailbox or self.ended:
            return []
        piece = self.mailbox.pop(0)
        if not self.mailbox and self.end_with_last is not None:
            self.ended, self.failure = True, self.end_with_last or None
        half = len(piece) // 2
        gap, found, at = 7, [], 0
        for part in (piece[:half], piece[half:]):
            at += gap
            buffer[at : at + len(part)] = part
            found.append(buffer[at : at + len(part)])
            at += len(part)
        return found

    def send_in_place(self, buffer, length):
        assert len(buffer) == self.headroom + length
        self.sent.append(bytes(buffer[self.headroom :]))
        self._incoming.write(self.sent[-1])
        return len(self.sent) % 2 == 0

    async def readable(self):
        self.advance()
        assert self.mailbox or self.ended, "the channel waits for ever"

    async def write(self, data):
        self._incoming.write(data)

    def close(self):
        self.closed = True

    def abort(self):
        self.ended = True


@pytest.fixture
def laid(pki):
    """A channel with TLS laid over it, and the one below."""
    return lay(pki)


def lay(pki, *, name=NAME, split=1):
    below = FakeChannel(server_context(pki.issue(NAME), alpn=("h2",)))
    below.split = split
    health = Health("grpc", tls=True, server_name=name, ca_file=pki.ca)
    over = TlsChannel(below, context_for(health), name)  # type: ignore[arg-type]
    asyncio.run(over.handshake())
    return over, below


def received(over, size=1 << 17):
    """All that is there now."""
    buffer, found = bytearray(size), b""
    while True:
        found += b"".join(bytes(view) for view in over.receive(memoryview(buffer)))
        if not over.more:
            return found


def test_it_agrees_on_the_protocol_whatever_the_pieces_are_that_bytes_come_in(pki):
    for split in (1, 5, 400):
        _, below = lay(pki, split=split)
        assert below.session.selected_alpn_protocol() == "h2"


def test_payloads_with_gaps_between_them_are_put_together(laid):
    over, below = laid
    below.split = 3
    below.says(b"a" * 100_000 + b"b")
    assert received(over) == b"a" * 100_000 + b"b"
    assert not over.ended


def test_what_is_sent_has_the_channels_room_before_it_and_its_word_on_whether_to_wait(laid):
    over, below = laid
    words = [over.send_in_place(bytearray(b"question"), 8) for _ in range(2)]
    assert sorted(words) == [False, True]
    below.takes()
    assert b"question" not in b"".join(below.sent)


def test_an_end_that_comes_with_the_last_bytes_is_seen_though_nothing_more_will_wake_anybody(laid):
    over, below = laid
    below.end_with_last = ""
    below.says(b"all of it", end=True)
    assert received(over) == b"all of it"
    assert over.ended and over.failure is None


def test_the_word_of_tls_is_the_end_though_the_channel_stays_open(laid):
    over, below = laid
    below.says(b"all of it", end=True)
    assert received(over) == b"all of it"
    assert (over.ended, over.failure, below.ended) == (True, None, False)


@pytest.mark.parametrize("failure", ["", lost("nix-cache/bazel-cache-0", "it was cut")])
def test_an_orderly_end_of_the_channel_alone_is_a_loss(laid, failure):
    over, below = laid
    below.end_with_last = failure
    below.says(b"the first half")
    assert received(over) == b"the first half"
    assert over.ended and isinstance(over.failure, ChannelError)
    if failure:
        assert over.failure is failure
    else:
        assert "without a close_notify" in over.failure.fact


def test_bytes_that_nobody_with_the_keys_has_made_are_a_loss_after_all_that_came_before(laid):
    over, below = laid
    below.says(b"good")
    below.mailbox[-1] += b"\x17\x03\x03\x00\x40" + bytes(64)
    assert received(over) == b"good"
    assert over.ended and over.failure is not None


def test_a_channel_that_fails_during_the_handshake_says_why(pki):
    below = FakeChannel(server_context(pki.issue(NAME)))
    over = TlsChannel(below, context_for(Health("http", ca_file=pki.ca)), NAME)  # type: ignore[arg-type]
    below.ended, below.failure = True, lost("nix-cache/bazel-cache-0", "nothing listens there")
    with pytest.raises(ChannelError, match="nothing listens there"):
        asyncio.run(over.handshake())


def test_another_name_is_refused_and_the_server_is_told(pki):
    below = FakeChannel(server_context(pki.issue("other.example")))
    over = TlsChannel(below, context_for(Health("http", ca_file=pki.ca)), NAME)  # type: ignore[arg-type]
    with pytest.raises(ssl.SSLCertVerificationError):
        asyncio.run(over.handshake())
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        below.session.do_handshake()


def test_closing_says_that_it_is_the_end(laid):
    over, below = laid
    over.send_in_place(bytearray(b"bye"), 3)
    over.close()
    assert below.takes() == b"bye" and below.takes() == b"" and below.closed


def test_what_ends_tls_is_kept_on_disk_and_was_not_before_it_existed():
    spec = ForwardSpec("a", DirectUpstream("cache.example", 443), Health("grpc", tls=True), ends_tls=True)
    assert ForwardSpec.from_json(spec.as_json()) == spec
    older = {key: value for key, value in spec.as_json().items() if key != "ends_tls"}
    assert ForwardSpec.from_json(older).ends_tls is False


def test_the_name_to_verify_is_the_one_that_is_said_else_the_upstreams():
    assert server_name(Health("grpc", server_name="a.example"), "b.example:443") == "a.example"
    assert server_name(Health("grpc"), "[::1]:443") == "::1"
