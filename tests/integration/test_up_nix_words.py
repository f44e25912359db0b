"""What no nix.conf can hold is refused by `gfattach up` with its own code, and no fragment is written."""

from __future__ import annotations

import pytest

from gfattach.trial.nix_server import NixCacheServer

QUICK = ("--no-bazel", "--no-nix")


@pytest.mark.parametrize(
    ("substituter", "code"),
    [
        ("https://cache.example/main?trusted=1", "endpoint.query"),
        ("https://cache.example/main?priority=1", "endpoint.query"),
        ("https://cache.example/main#x", "endpoint.fragment"),
        ("https://cache.example/ma in", "endpoint.whitespace"),
        ("https://cache.example/main\nextra-sandbox-paths = /", "endpoint.whitespace"),
    ],
)
def test_an_address_that_would_say_something_else(machine, substituter, code):
    error = machine.json("up", "--substituter", substituter, *QUICK, code=2)["error"]
    assert error["code"] == code
    assert not (machine.workspace / ".gfattach").exists()


@pytest.mark.parametrize("key", ["main", "main:", ":AAAA", "main:AAAA other:BBBB", "main:AA\nx = y", "m#:AA"])
def test_what_is_no_key(machine, key):
    site = ("--substituter", "https://cache.example/main", "--public-key", key)
    error = machine.json("up", *site, *QUICK, code=2)["error"]
    assert "no public key" in error["fact"]
    assert not (machine.workspace / ".gfattach").exists()


def test_a_workspace_and_a_state_directory_that_nix_can_include_nothing_from(machine):
    place = machine.root / "a b"
    place.mkdir()
    (place / "WORKSPACE").touch()
    machine.git("init", "--quiet", str(place))
    machine.variables["XDG_STATE_HOME"] = str(machine.root / "my state")
    server = NixCacheServer(machine.root / "cache")
    server.start()
    try:
        site = ("--substituter", f"http://127.0.0.1:{server.port}", "--public-key", server.public_key)
        error = machine.json("up", "--workspace", str(place), *site, *QUICK, code=2)["error"]
        assert error["code"] == "fragment.path"
        assert "white space" in error["fact"] and "XDG_STATE_HOME" in error["hints"][0]
        del machine.variables["XDG_STATE_HOME"]
        machine.json("up", "--workspace", str(place), *site, *QUICK)
        machine.json("down", "--workspace", str(place))
    finally:
        server.stop()
