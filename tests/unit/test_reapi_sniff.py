"""What the first bytes of an answer say of the port that gave them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.net.sniff import WireProtocol, classify, printable


@pytest.mark.parametrize(
    ("first", "protocol"),
    [
        (b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64", WireProtocol.HTTP2),
        (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", WireProtocol.HTTP2),
        (b"\x00\x00\x00\x04\x00\x00\x00\x00\x01", WireProtocol.UNKNOWN),  # SETTINGS belong to stream 0
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", WireProtocol.HTTP1),
        (b"HTTP/1.0 505 no\r\n", WireProtocol.HTTP1),
        (b"\x15\x03\x03\x00\x02\x02\x46", WireProtocol.TLS),
        (b"SSH-2.0-OpenSSH", WireProtocol.UNKNOWN),
        (b"\x00", WireProtocol.UNKNOWN),
        (b"", WireProtocol.CLOSED),
        (None, WireProtocol.SILENT),
    ],
)
def test_the_first_bytes_tell_what_a_port_speaks(first, protocol):
    assert classify(first).protocol is protocol


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda tail: b"HTTP/1.1 " + tail))
def test_any_bytes_are_classified_and_what_is_shown_of_them_is_harmless(first):
    heard = classify(first)
    assert heard.sample.isprintable() and heard.location.isprintable()


@given(st.text() | st.binary(), st.integers(10, 40))
def test_what_others_say_is_shown_short_and_without_control_characters(said, limit):
    shown = printable(said, limit)
    assert shown.isprintable() and len(shown) <= limit


def test_a_page_for_people_is_a_successful_one():
    """A cache's own error pages may be HTML: nginx's are."""
    assert classify(b"HTTP/1.1 200 OK\r\ncontent-type: TEXT/HTML\r\n\r\n").is_page
    assert classify(b"HTTP/1.1 200 OK\r\n\r\n<!DOCTYPE html>").is_page
    assert not classify(b"HTTP/1.1 404 Not Found\r\ncontent-type: text/html\r\n\r\n").is_page
    assert not classify(b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n").is_page


def test_status_and_target_of_a_redirect_are_read_and_its_query_is_not():
    heard = classify(b"HTTP/1.1 302 Found\r\nLocation: https://login.example/in?token=x\r\n\r\n")
    assert (heard.status, heard.location) == (302, "https://login.example/in")


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 abc", b"HTTP/1.1 20", b"HTTP/1.1 2000"]
)
def test_a_status_line_without_a_status_has_none(line):
    assert classify(line + b"\r\n\r\n").status == 0
