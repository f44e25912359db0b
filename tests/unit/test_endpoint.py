"""Endpoints: what is accepted, what is refused and under which code, and what is this machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.core.endpoint import Endpoint, EndpointError, is_localhost, parse_endpoint


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("grpc://127.0.0.1:9092", Endpoint("grpc", "127.0.0.1", 9092)),
        ("GRPCS://Cache.example", Endpoint("grpcs", "cache.example", 443)),
        ("http://cache.example:8080/main/", Endpoint("http", "cache.example", 8080, "/main")),
        ("https://[::1]:8443", Endpoint("https", "::1", 8443)),
    ],
)
def test_an_endpoint_is_read_into_its_parts_and_written_back_with_its_port(text, endpoint):
    assert parse_endpoint(text) == endpoint
    assert parse_endpoint(endpoint.url) == endpoint


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "endpoint.empty"),
        ("  ", "endpoint.empty"),
        ("grpc://${HOST}:9092", "endpoint.placeholder"),
        ("grpc://host}:9092", "endpoint.placeholder"),
        ("grpc://ho st:9092", "endpoint.whitespace"),
        ("grpc://host:9092\n", "endpoint.whitespace"),
        ("cache.example:9092", "endpoint.scheme"),
        ("ftp://cache.example", "endpoint.scheme"),
        ("grpc:cache.example", "endpoint.scheme"),
        ("grpc://user@host:1", "endpoint.userinfo"),
        ("https://user:hunter2@host", "endpoint.userinfo"),
        ("http://host/?priority=1", "endpoint.query"),
        ("http://host/#x", "endpoint.fragment"),
        ("grpc://:9092", "endpoint.host"),
        ("grpc://host:99999", "endpoint.malformed"),
        ("grpc://host:port", "endpoint.malformed"),
        ("grpc://host:0", "endpoint.malformed"),
        ("https://[::1]:00", "endpoint.malformed"),
        ("http://[::1", "endpoint.malformed"),
        ("grpc://user:hunter2/@host", "endpoint.malformed"),
        ("grpc://[hunter2]/", "endpoint.malformed"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_the_rule_that_it_breaks(text, code):
    with pytest.raises(EndpointError) as caught:
        parse_endpoint(text, what="cache.endpoint")
    assert caught.value.code == code
    assert "cache.endpoint" in caught.value.fact
    assert "hunter2" not in caught.value.fact + "".join(caught.value.hints)


@given(st.text())
def test_any_text_is_an_endpoint_or_a_typed_error(text):
    try:
        endpoint = parse_endpoint(text)
    except EndpointError:
        return
    assert endpoint.host and 1 <= endpoint.port <= 65535


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "127.0.0.1",
        "127.9.8.7",
        "0.0.0.0",
        "::1",
        "[::1]",
        "::",
    ]
    + ["::ffff:127.0.0.1", "0:0:0:0:0:0:0:1", "::1%lo"]
    + ["fe80::1%lo", "[fe80::1%25lo]", "fe80::1%lo0", "64:ff9b::7f00:1", "64:ff9b::127.0.0.1"]
    + ["127.1", "0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "0"]
    + ["%6cocalhost", "ⓛocalhost", "１２７.0.0.1", "127。0。0。1"]
    + ["localhost.localdomain", "ip6-localhost", "localhost6"],
)
def test_this_machine_in_every_spelling(host):
    assert is_localhost(host)


@pytest.mark.parametrize(
    "host",
    ["localhost.example", "notlocalhost", "128.0.0.1", "10.0.0.1", "::2", "", "a", "0x", "fade"]
    + ["fe80::1%eth0", "fe80::1", "64:ff9b::8.8.8.8", "a%lo"],
)
def test_what_is_not_this_machine(host):
    assert not is_localhost(host)


def test_a_query_is_refused_with_what_it_could_do():
    """Nix takes paths that nobody signed from `?trusted=1`."""
    with pytest.raises(EndpointError) as caught:
        parse_endpoint("https://cache.example/main?trusted=1")
    assert "trusted=1" in caught.value.hints[0]
