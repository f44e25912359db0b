"""What is attached to a Nix cache reads it, and nothing in gfattach can publish to one; and the guard that
holds the tests to leaving the real machine's Nix alone sees what it is there to see."""

from __future__ import annotations

import ast
import itertools
import shutil
from pathlib import Path

import pytest

import gfattach
from gfattach.nix.isolated import IsolatedStore
from tests.harness.machine.nixes import real_files, untouched  # noqa: F401
from tests.harness.substituters.binary_caches import KEY, probe_info, publishing, serving, signed, signed_info

PACKAGE = Path(gfattach.__file__).parent

#: Everything that speaks to a Nix cache, or has a Nix do so.
SPEAKERS = (
    "nixcache/*.py",
    "nix/*.py",
    "probes/nix/*.py",
    "probes/substituter/*.py",
    "proof/nix/*.py",
    "fragments/nixconf.py",
    "attach/nix/checks.py",
)

#: How HTTP writes, and how Nix and Attic are told to.
WRITING = {"PUT", "POST", "PATCH", "DELETE", "copy", "push", "sign", "upload", "--to", "post-build-hook"}


@pytest.mark.nix
@pytest.mark.usefixtures("untouched")
@pytest.mark.skipif(shutil.which("nix-store") is None, reason="apt-get install nix-bin")
def test_attaching_proving_and_looking_ask_a_substituter_by_get_alone(machine):
    """With the variables that arm a push: whatever is run, the cache is only ever asked."""
    asked: list[bytes] = []
    routes = publishing(probe_info(), signed(signed_info(), KEY))
    with serving(routes, requests=asked) as port:
        machine.variables |= {"ATTIC_SERVER": f"http://127.0.0.1:{port}", "ATTIC_TOKEN": "s3cret"}
        site = ("--substituter", f"http://127.0.0.1:{port}", "--public-key", str(KEY.public_key))
        up = machine.json("up", *site, "--no-bazel")
        seen = machine.json("status")
        proved = machine.json("prove", "--no-bazel", "--nix-path", str(signed_info().store_path))
    assert proved["result"]["verdict"] == "proved"
    assert {head.split(b" ")[0] for head in asked} == {b"GET"}
    assert len(asked) >= 15
    assert not any(b"s3cret" in head for head in asked)
    assert "s3cret" not in f"{up} {seen} {proved}"


def test_no_code_that_speaks_to_a_cache_has_a_word_for_writing():
    found, files = [], 0
    for pattern in SPEAKERS:
        for path in PACKAGE.glob(pattern):
            files += 1
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and node.value in WRITING:
                    found.append(f"{path.name}:{node.lineno}: {node.value}")
                if isinstance(node, ast.Attribute) and node.attr in ("post", "put", "patch", "delete"):
                    found.append(f"{path.name}:{node.lineno}: .{node.attr}")
    assert files > 35
    # The names of a token's rights, which are shown; and a netrc cannot write either.
    assert found == [f"attic.py:{line}: push" for line in _lines("nixcache/attic.py", '"w": "push"')]


def _lines(name: str, text: str) -> list[int]:
    return [
        number
        for number, line in enumerate((PACKAGE / name).read_text().splitlines(), start=1)
        if text in line
    ]


def test_a_nix_that_proves_gets_nothing_that_arms_a_push(tmp_path):
    armed = {"ATTIC_SERVER": "http://h", "ATTIC_TOKEN": "s3cret", "NIX_CONFIG": "post-build-hook = /x"}
    with IsolatedStore(tmp_path, {}, environ={"PATH": "/bin", **armed}) as store:
        assert not armed.keys() & store.environment.keys()
        assert "s3cret" not in str(store.environment)


@pytest.mark.parametrize("name", [".netrc", ".config/nix/nix.conf"])
def test_the_guard_of_the_session_sees_what_is_made_changed_and_taken_away(tmp_path, monkeypatch, name):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / name
    states = [real_files()]
    file.parent.mkdir(parents=True, exist_ok=True)
    for text in ("one", "two"):
        file.write_text(text)
        states.append(real_files())
    file.unlink()
    states.append(real_files())
    assert all(before != after for before, after in itertools.pairwise(states))
