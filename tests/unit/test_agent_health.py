"""The questions that an upstream's health is asked in, byte by byte: no socket, no server."""

import struct

import pytest

from gfattach.agent.health.grpc import GrpcQuestion, grpc_status
from gfattach.agent.health.http import HttpQuestion


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
MESSAGE = struct.pack(">BI", 0, 2) + b"ok"


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


@pytest.fixture
def asked():
    question = GrpcQuestion("cache:9092", tls=False)
    question.begin()
    question.ask()
    return question


class TestGrpc:
    def test_it_begins_with_the_preface_and_settings(self):
        opening = GrpcQuestion("cache:9092", tls=False).begin()
        assert opening.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert opening[24 + 3] == SETTINGS

    def test_it_asks_for_capabilities_with_an_empty_message(self):
        request = GrpcQuestion("cache:9092", tls=True).ask()
        assert b"/build.bazel.remote.execution.v2.Capabilities/GetCapabilities" in request
        assert b"cache:9092" in request
        assert b"https" in request
        assert request.endswith(frame(DATA, END_STREAM, 1, bytes(5)))

    def test_a_long_authority_is_spelt_out(self):
        name = "x" * 300
        assert name.encode() in GrpcQuestion(name, tls=False).ask()

    def test_streams_are_new_each_time(self):
        question = GrpcQuestion("c", tls=False)
        assert [question.ask()[5:9] for _ in range(3)] == [struct.pack(">I", n) for n in (1, 3, 5)]

    def test_a_message_is_well(self, asked):
        asked.receive(frame(HEADERS, END_HEADERS, 1, b"\x88") + frame(DATA, 0, 1, MESSAGE))
        assert asked.verdict == ""
        assert asked.reusable

    def test_it_may_come_byte_by_byte(self, asked):
        for byte in (
            frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, b"\x88") + frame(DATA, 0, 1, MESSAGE)
        ):
            asked.receive(bytes([byte]))
        assert asked.verdict == ""

    def test_a_padded_frame_is_a_message(self, asked):
        asked.receive(frame(DATA, PADDED, 1, b"\x03" + MESSAGE + bytes(3)))
        assert asked.verdict == ""

    def test_data_without_a_message_is_none(self, asked):
        asked.receive(frame(DATA, PADDED, 1, b"\x03" + bytes(3)))
        assert asked.verdict is None
        asked.receive(frame(DATA, END_STREAM, 1))
        assert asked.verdict == "the call was answered without a message"

    def test_an_answer_to_an_earlier_question_is_none_to_this_one(self, asked):
        asked.receive(frame(DATA, 0, 1, MESSAGE))
        asked.ask()
        asked.receive(frame(DATA, END_STREAM, 1, MESSAGE))
        assert asked.verdict is None

    def test_settings_and_pings_are_answered_and_acknowledgements_are_not(self, asked):
        assert asked.receive(frame(SETTINGS, 0, 0)) == frame(SETTINGS, ACK, 0)
        assert asked.receive(frame(PING, 0, 0, b"12345678")) == frame(PING, ACK, 0, b"12345678")
        assert asked.receive(frame(SETTINGS, ACK, 0) + frame(PING, ACK, 0, bytes(8))) == b""

    def test_data_opens_the_window_again(self, asked):
        assert asked.receive(frame(DATA, 0, 1, MESSAGE)) == frame(8, 0, 0, struct.pack(">I", len(MESSAGE)))

    @pytest.mark.parametrize(
        ("status", "verdict"),
        [
            (b"12", "the call was refused with gRPC status 12 (unimplemented)"),
            (b"14", "the call was refused with gRPC status 14 (unavailable)"),
            (b"16", ""),
            (b"7", ""),
        ],
    )
    def test_trailers_alone_are_a_refusal_unless_a_token_is_asked_for(self, asked, status, verdict):
        block = b"\x88" + literal(b"grpc-status", status)
        asked.receive(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
        assert asked.verdict == verdict

    def test_trailers_in_a_padded_frame_with_a_priority(self, asked):
        payload = b"\x02" + bytes(5) + literal(b"grpc-status", b"13") + bytes(2)
        asked.receive(frame(HEADERS, END_HEADERS | END_STREAM | PADDED | PRIORITY, 1, payload))
        assert asked.verdict == "the call was refused with gRPC status 13 (internal)"

    def test_trailers_without_a_status_are_a_refusal(self, asked):
        asked.receive(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x88"))
        assert asked.verdict == "the call was refused"

    @pytest.mark.parametrize(
        ("coded", "status"), [(b"\x82\x08\x3f", 10), (b"\x82\x0b\x9f", 16), (b"\x81\x77", 7)]
    )
    def test_a_status_in_huffmans_code_is_read(self, coded, status):
        name = bytes.fromhex("889acac8b21234da8f")
        assert grpc_status(b"\x88\x40" + name + coded) == status

    def test_a_status_that_is_cut_off_is_none(self):
        for end in range(len(literal(b"grpc-status", b"16"))):
            assert grpc_status(literal(b"grpc-status", b"16")[:end]) in (None, 1)

    def test_a_reset_stream_is_a_refusal(self, asked):
        asked.receive(frame(RST, 0, 1, struct.pack(">I", 7)))
        assert asked.verdict == "the call was reset with HTTP/2 error 7"

    def test_going_away_before_the_answer_is_one_and_after_it_is_none(self, asked):
        asked.receive(frame(DATA, 0, 1, MESSAGE) + frame(GOAWAY, 0, 0, bytes(8)))
        assert asked.verdict == ""
        assert not asked.reusable
        asked.ask()
        asked.receive(frame(GOAWAY, 0, 0, bytes(8)))
        assert "ends the connection" in asked.verdict

    @pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 9, b"SSH-2.0-x\r\n"])
    def test_another_protocol_is_told(self, asked, said):
        with pytest.raises(ValueError, match="not HTTP/2"):
            asked.receive(said)

    def test_headers_without_end_are_cut(self, asked):
        with pytest.raises(ValueError, match="too many headers"):
            for _ in range(3):
                asked.receive(frame(CONTINUATION, 0, 1, bytes(16000)))


def answered(*said, path="/status", store=False):
    question = HttpQuestion("cache:8080", path, store=store)
    question.begin()
    question.ask()
    for piece in said:
        question.receive(piece)
    return question


def http(status, body=b"", extra=""):
    return f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


class TestHttp:
    def test_the_request_is_a_get_of_the_path(self):
        question = HttpQuestion("cache:8080", "status", store=False)
        question.begin()
        request = question.ask()
        assert request.startswith(b"GET /status HTTP/1.1\r\n")
        assert b"host: cache:8080\r\n" in request.lower()

    @pytest.mark.parametrize("status", [200, 204, 404, 401, 403])
    def test_a_cache_answers(self, status):
        question = answered(http(status) if status != 204 else b"HTTP/1.1 204 x\r\n\r\n")
        assert question.verdict == ""
        assert question.reusable

    @pytest.mark.parametrize("status", [302, 400, 500, 503])
    def test_anything_else_is_wrong(self, status):
        assert answered(http(status)).verdict == f"GET /status was answered with HTTP {status}"

    def test_a_substituter_names_its_store(self):
        assert answered(http(200, b"StoreDir: /nix/store\n"), store=True).verdict == ""
        assert answered(http(200, b"<html>"), store=True).verdict == "/status names no StoreDir"
        assert answered(http(404), store=True).verdict == "GET /status was answered with HTTP 404"
        assert answered(http(401), store=True).verdict == ""

    def test_it_may_come_in_pieces_and_in_chunks(self):
        whole = b"HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nStoreDir:\r\n0\r\n\r\n"
        assert answered(*[bytes([byte]) for byte in whole], store=True).verdict == ""

    def test_questions_follow_one_another_on_a_connection(self):
        question = answered(http(200))
        for _ in range(3):
            assert question.ask()
            assert question.verdict is None
            question.receive(http(503))
            assert question.verdict
            assert question.reusable

    def test_a_connection_that_closes_is_not_used_again(self):
        assert not answered(http(200, extra="Connection: close\r\n")).reusable

    def test_a_body_without_end_is_not_read_to_its_end(self):
        question = answered(b"HTTP/1.1 200 x\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 70_000)
        assert question.verdict == ""
        assert not question.reusable

    def test_an_answer_that_is_cut_off_is_none(self):
        with pytest.raises(ValueError, match="cut off"):
            answered(b"HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nabc", b"")
        with pytest.raises(ValueError, match=r"cut off|closed"):
            answered(b"")

    @pytest.mark.parametrize("said", [b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\r\n\r\n", b"SSH-2.0-x\r\n\r\n"])
    def test_another_protocol_is_told(self, said):
        with pytest.raises(ValueError, match="not HTTP"):
            answered(said)

    def test_what_nobody_asked_for_is_not_kept(self):
        question = HttpQuestion("cache:8080", "status", store=False)
        question.begin()
        question.ask()
        question.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert question.receive(b"\r\n") == b""
        with pytest.raises(ValueError, match="more came than was asked for"):
            question.receive(b"HTTP/1.1 200 OK\r\n")

    def test_a_connection_on_which_more_came_with_the_answer_is_not_used_again(self):
        question = HttpQuestion("cache:8080", "status", store=False)
        question.begin()
        question.ask()
        question.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
        assert question.verdict == ""
        assert not question.reusable
