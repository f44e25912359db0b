"""By which road a Bazel goes to a cache: what it can do, and what somebody has asked for."""

from pathlib import Path

import pytest

from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import UsageError
from gfattach.fragments.transport import Transport, select_endpoint
from gfattach.reapi.target import CacheTarget

SOCKET = Path("/run/gfattach/cache.sock")


def transport(url, place, **said):
    return select_endpoint(CacheTarget(parse_endpoint(url), socket=place), **said)


@pytest.mark.parametrize(
    ("url", "place", "said", "expected"),
    [
        ("grpc://127.0.0.1:9092", SOCKET, {"tls": False, "socket": False}, Transport.DIRECT),
        ("grpcs://cache.example", None, {"tls": True, "socket": False}, Transport.DIRECT),
        ("grpcs://cache.example", SOCKET, {"tls": True, "socket": True}, Transport.SOCKET),
        (
            "grpcs://cache.example",
            SOCKET,
            {"tls": True, "socket": False, "for_localhost": True},
            Transport.LOCALHOST,
        ),
        (
            "grpcs://cache.example",
            SOCKET,
            {"tls": True, "socket": False, "allow_plaintext": True},
            Transport.PLAINTEXT,
        ),
        (
            "grpcs://cache.example",
            None,
            {"tls": False, "socket": False, "allow_plaintext": True},
            Transport.PLAINTEXT,
        ),
        # A way that keeps TLS to its end goes before one that somebody allowed.
        (
            "grpcs://cache.example",
            SOCKET,
            {"tls": True, "socket": True, "allow_plaintext": True},
            Transport.SOCKET,
        ),
    ],
)
def test_the_road_is_the_most_private_that_this_bazel_can_go(url, place, said, expected):
    assert transport(url, place, **said) is expected


@pytest.mark.parametrize(("tls", "lacks"), [(True, "unix sockets"), (False, "TLS")])
def test_plaintext_is_taken_only_where_it_was_asked_for(tls, lacks):
    with pytest.raises(UsageError) as caught:
        transport("grpcs://cache.example", SOCKET, tls=tls, socket=False)
    assert caught.value.code == "bazel.transport.plaintext"
    assert f"needs {lacks}" in caught.value.fact
    assert any("--allow-plaintext-loopback" in hint for hint in caught.value.hints)
