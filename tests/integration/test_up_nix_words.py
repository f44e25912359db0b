"""What no nix.conf can hold is refused by `gfattach up` with its own code, and no fragment is written."""

from __future__ import annotations

import os
import shutil

import pytest

from gfattach.trial.nix_server import NixCacheServer
from tests.harness.machine.fake_nix import fake_nix

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


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="apt-get install nix-bin")
@pytest.mark.parametrize(
    ("given", "failed"), [(QUICK, []), (("--no-bazel",), ["nix"])], ids=["left out", "proved"]
)
def test_a_nix_that_broke_is_said_by_status_unless_it_was_left_out(machine, tmp_path, given, failed):
    """Given a Nix that ends with an error whatever it is asked, since the attach."""
    machine.json("up", "--trial", *given)
    fake_nix(tmp_path, "echo broken >&2; exit 1")
    machine.variables["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    status = machine.json("status", code=1 if failed else 0)
    assert status["result"]["healthy"] is (not failed)
    assert [each["name"] for each in status["stages"] if each["status"] == "fail"] == failed
    machine.json("down")
