"""Frames as a client reads and writes them, held against the `websockets` library's own server."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from gfattach.cluster.wire import websocket
from gfattach.cluster.wire.websocket import BINARY, CLOSE, HEADER, PING, PONG, TEXT, Decoder, WebSocketError

KEYS = st.binary(min_size=4, max_size=4)


def served(*frames):
    """The bytes of a server's frames, made by the library: (opcode, payload) or (opcode, payload, fin)."""
    return b"".join(
        Frame(Opcode(opcode), payload, *fin).serialize(mask=False) for opcode, payload, *fin in frames
    )


def decoded(data, cuts=()):
    """Messages and control frames, whole, from `data` cut at `cuts`; and the decoder."""
    decoder, whole, current = Decoder(), [], b""
    ends = [*sorted(cut for cut in cuts if cut < len(data)), len(data)]
    start = 0
    for end in ends:
        for piece in decoder.feed(memoryview(data)[start:end]):
            if piece.opcode >= CLOSE:
                whole.append((piece.opcode, bytes(piece.data)))
                continue
            current = bytes(piece.data) if piece.first else current + bytes(piece.data)
            if piece.last:
                whole.append((piece.opcode, current))
        start = end
    return whole, decoder


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_a_message_of_any_length_is_read(size):
    payload = bytes(range(256)) * (size // 256 + 1)
    assert decoded(served((BINARY, payload[:size])))[0] == [(BINARY, payload[:size])]


@given(
    messages=st.lists(st.tuples(st.sampled_from([TEXT, BINARY]), st.binary(max_size=300)), max_size=6),
    cuts=st.sets(st.integers(0, 2000), max_size=40),
)
def test_it_does_not_matter_how_the_bytes_are_cut(messages, cuts):
    assert decoded(served(*messages), cuts)[0] == messages


@given(parts=st.lists(st.binary(max_size=200), min_size=1, max_size=5), cuts=st.sets(st.integers(0, 1500)))
def test_a_message_in_fragments_is_one_message_with_control_frames_between(parts, cuts):
    frames: list[tuple[object, ...]] = []
    for number, part in enumerate(parts):
        frames.append((BINARY if number == 0 else 0, part, number == len(parts) - 1))
        frames.append((PING, b"%d" % number))
    whole, _ = decoded(served(*frames), cuts)
    assert [payload for opcode, payload in whole if opcode == BINARY] == [b"".join(parts)]
    assert [payload for opcode, payload in whole if opcode == PING] == [b"%d" % n for n in range(len(parts))]


def test_what_follows_a_close_frame_is_ignored():
    whole, decoder = decoded(served((CLOSE, b"\x03\xe8bye"), (BINARY, b"more")))
    assert whole == [(CLOSE, b"\x03\xe8bye")]
    assert decoder.closed
    assert websocket.close_reason(whole[0][1]) == (1000, "bye")


def test_a_close_frame_may_have_no_code():
    assert websocket.close_reason(b"") == (1005, "")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x92\x01x", "extension was not agreed|extension that was not"),
        (b"\x82\x81aaaax", "masked"),
        (b"\x83\x00", "unknown opcode 3"),
        (b"\x8b\x00", "control frame is malformed"),
        (b"\x09\x00", "control frame is malformed"),
        (b"\x89\x7e\x00\x80", "control frame is malformed"),
        (b"\x80\x00", "begins or goes on where it cannot"),
        (b"\x02\x00\x82\x00", "begins or goes on where it cannot"),
        (b"\x82\x7e\x00\x7d", "length is not written"),
        (b"\x82\x7f" + (65535).to_bytes(8, "big"), "length is not written"),
        (b"\x82\x7f" + b"\xff" * 8, "length is not written"),
        (b"\x88\x01x", "half a code"),
    ],
)
def test_what_a_server_may_not_send_is_the_typed_error(data, says):
    for cuts in ((), range(len(data))):
        with pytest.raises(WebSocketError, match=says):
            decoded(data, cuts)


@settings(max_examples=500)
@given(data=st.binary(max_size=400), cuts=st.sets(st.integers(0, 400), max_size=10))
def test_any_bytes_are_frames_or_the_typed_error_and_nothing_is_kept(data, cuts):
    decoder, start = Decoder(), 0
    handed = 0
    try:
        for end in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
            handed += sum(len(piece.data) for piece in decoder.feed(memoryview(data)[start:end]))
            start = end
    except WebSocketError:
        return
    assert handed <= len(data)
    assert len(decoder._head) < 10
    assert len(decoder._control or b"") <= 125


def test_a_frame_that_says_it_is_huge_takes_no_memory():
    decoder = Decoder()
    decoder.feed(memoryview(b"\x82\x7f" + (2**62).to_bytes(8, "big")))
    buffer = memoryview(bytearray(1024))
    for _ in range(100):
        (piece,) = decoder.feed(buffer)
        assert piece.data.obj is buffer.obj, "data is handed on, not copied"
        assert not piece.last


def peer_reads(data):
    """What the library's server makes of a client's bytes."""
    server = ServerProtocol(max_size=None, state=OPEN)
    server.receive_data(data)
    assert server.parser_exc is None
    return [(frame.opcode, bytes(frame.data)) for frame in server.events_received()]


@given(payload=st.binary(max_size=300), key=KEYS)
def test_a_peer_reads_what_was_framed(payload, key):
    assert peer_reads(websocket.frame(BINARY, payload, key)) == [(BINARY, payload)]


@pytest.mark.parametrize("key", [websocket.NO_MASK, b"\x01\x80\x00\xff"])
@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 65535, 65536, 100_001])
def test_a_peer_reads_what_was_framed_where_it_lay(size, key):
    payload = (bytes(range(256)) * 400)[:size]
    buffer = bytearray(HEADER) + payload + b"beyond"
    framed = websocket.frame_in_place(BINARY, buffer, HEADER, HEADER + size, key)
    assert peer_reads(bytes(framed)) == [(BINARY, payload)]
    assert framed.obj is buffer
    assert buffer.endswith(b"beyond")


def test_a_peer_takes_control_frames():
    key = websocket.new_mask()
    assert peer_reads(websocket.frame(PONG, b"x", key)) == [(PONG, b"x")]
    assert peer_reads(websocket.frame(CLOSE, websocket.close_payload(), key)) == [(CLOSE, b"\x03\xe8")]


# The upgrade: RFC 6455, section 1.3, has this key and this answer.

KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GOOD = {"upgrade": "WebSocket", "sec-websocket-accept": ACCEPT, "sec-websocket-protocol": "v4"}


def test_the_rfcs_own_upgrade_is_accepted():
    websocket.check_upgrade(GOOD, KEY, "v4")


@pytest.mark.parametrize(
    "wrong",
    [
        {"upgrade": "h2c"},
        {"upgrade": ""},
        {"sec-websocket-accept": "x" + ACCEPT},
        {"sec-websocket-protocol": "v5"},
        {"sec-websocket-protocol": ""},
        {"sec-websocket-extensions": "permessage-deflate"},
    ],
)
def test_any_other_answer_is_not(wrong):
    with pytest.raises(WebSocketError):
        websocket.check_upgrade({**GOOD, **wrong}, KEY, "v4")


def test_keys_are_new_each_time():
    assert len({websocket.new_key() for _ in range(50)}) == 50
