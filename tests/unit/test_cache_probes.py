"""Stage "cache", where a real socket cannot show it, and the classification of first bytes."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.deadline import Deadline
from gfattach.endpoint import Endpoint
from gfattach.finding import Inquiry
from gfattach.probes import cache
from gfattach.reapi.target import CacheTarget
from gfattach.reapi.wire import Heard, Speech, classify


@pytest.mark.parametrize(
    ("first", "speech"),
    [
        (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", Speech.HTTP2),
        (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", Speech.HTTP2),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Speech.HTTP1),
        (b"HTTP/1.0 505 no\r\n", Speech.HTTP1),
        (b"\x15\x03\x03\x00\x02\x02\x46", Speech.TLS),
        (b"SSH-2.0-OpenSSH", Speech.UNKNOWN),
        (b"\x00", Speech.UNKNOWN),
        (b"", Speech.CLOSED),
        (None, Speech.SILENT),
    ],
)
def test_the_first_bytes_tell_what_a_port_speaks(first, speech):
    assert classify(first).speech is speech


@given(st.binary(max_size=64))
def test_any_bytes_are_classified_and_their_sample_is_printable(first):
    heard = classify(first)
    assert heard.sample.isprintable()


def test_a_page_is_told_from_an_answer():
    assert classify(b"HTTP/1.1 200 OK\r\ncontent-type: TEXT/HTML\r\n\r\n").page
    assert classify(b"HTTP/1.1 302 Found\r\n\r\n<!doctype html>").page
    assert not classify(b"HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\n\r\nno").page


def test_packets_that_vanish_are_a_silent_port(monkeypatch):
    """No address on this machine drops packets, so the socket's own verdict is given here."""

    def vanish(*args, **options):
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", vanish)
    target = CacheTarget(Endpoint("grpc", "192.0.2.1", 9092))
    [port] = [probe for probe in cache.STAGE.probes if probe.name == "cache.port"]
    finding = port.ask(Inquiry(target, Deadline.after(1), {}))
    assert finding.code == "cache.port.silent" and finding.failed and finding.hints


def test_an_ingress_that_agrees_on_http1_is_named_for_grpc():
    target = CacheTarget(Endpoint("grpcs", "cache.example", 443))
    finding = cache.judge_speech(target, Heard(Speech.TLS, alpn="http/1.1"))
    assert finding.code == "cache.protocol.http-for-grpc"
