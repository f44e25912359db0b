"""The trial's Nix cache, judged by a real Nix: what it takes from it, what it refuses, what it signs."""

import json
import lzma
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import asdict

from gfattach.nix.isolated import IsolatedStore
from gfattach.nixcache import narinfo
from gfattach.nixcache.nar import Directory, Regular, Symlink, hash_of, serialise
from gfattach.nixcache.signature import (
    fingerprint,
    generate_secret_key,
    parse_public_key,
    parse_secret_key,
    parse_signature,
    verify,
)
from gfattach.nixcache.storepath import content_addressed_path, parse_store_path
from gfattach.trial.nix_documents import SIGNED, SIGNED_TREE
from tests.harness.caches.trial_nix import server

__all__ = ["server"]


needs_nix = pytest.mark.skipif(
    shutil.which("nix-store") is None, reason="Nix is missing: apt-get install nix-bin"
)
OTHER_KEY = str(generate_secret_key("gfattach-trial-1").public_key)


def state_of_nix():
    """What would change if anything wrote to the machine's own store."""
    places = [Path("/nix"), Path("/nix/store"), Path("/nix/var/nix/db")]
    return {str(place): place.stat().st_mtime_ns if place.exists() else None for place in places}


@pytest.fixture(autouse=True, scope="module")
def the_machines_own_store_stays_as_it_is():
    before = state_of_nix()
    yield
    assert state_of_nix() == before


def nix(store, *args, check=True):
    done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done


def substitute(store, *paths, check=True):
    return nix(store, "nix-store", "-r", *paths, "--max-jobs", "0", check=check)


def store_with(tmp_path, url, key, **settings):
    return IsolatedStore(
        tmp_path, {"substituters": url, "trusted-public-keys": key, **settings}, environ=dict(os.environ)
    )


def workshop(tmp_path):
    """A store that may build, and whose Nix knows the newer commands."""
    return IsolatedStore(
        tmp_path, {"max-jobs": "1", "experimental-features": "nix-command flakes"}, environ=dict(os.environ)
    )


@needs_nix
@pytest.mark.nix
class TestWithNix:
    def test_both_paths_are_substituted_and_nothing_is_built(self, tmp_path, server):
        with store_with(tmp_path, server.url, server.public_key) as store:
            done = substitute(store, server.probe_path, server.signed_path)
            assert done.stderr.count("copying path") == 2
            assert "building" not in done.stderr
            at = {path: store.root / path[1:] for path in (server.probe_path, server.signed_path)}
            assert at[server.probe_path].read_bytes() == b"gfattach probe v1\n"
            assert str((at[server.signed_path] / "manifest.nix").readlink()) == "/dev/null"

    @pytest.mark.parametrize("key", [OTHER_KEY, ""], ids=["another key", "no key"])
    def test_without_the_right_key_only_what_is_content_addressed_is_taken(self, tmp_path, server, key):
        with store_with(tmp_path, server.url, key) as store:
            done = substitute(store, server.signed_path, check=False)
            assert done.returncode != 0
            assert "is not signed by any of the keys" in done.stderr
            assert not (store.root / server.signed_path[1:]).exists()
            substitute(store, server.probe_path)

    def test_the_signed_path_is_what_nix_builds_of_the_derivation(self, tmp_path, server):
        expression = (
            f'derivation {{ name = "{SIGNED.name}"; system = "builtin"; builder = "builtin:buildenv"; '
            'derivations = [ ]; manifest = "/dev/null"; }'
        )
        with workshop(tmp_path) as store:
            derivation = nix(store, "nix-instantiate", "-E", expression).stdout.strip()
            assert derivation == str(SIGNED.path)
            assert (store.root / derivation[1:]).read_text() == SIGNED.aterm
            built = nix(store, "nix-store", "-r", derivation).stdout.strip()
            assert built == server.signed_path == str(SIGNED.output_path)
            archive = serialise(SIGNED_TREE)
            assert nix(store, "nix-store", "-q", "--hash", built).stdout.strip() == hash_of(archive).nix32
            assert nix(store, "nix-store", "-q", "--size", built).stdout.strip() == str(len(archive))

    def test_every_kind_of_tree_is_archived_as_nix_archives_it(self, tmp_path):
        tree = Directory(
            {
                "empty": Directory(),
                "file": Regular(b"12345678"),
                "run": Regular(b"#!/bin/sh\n", executable=True),
                "link": Symlink("../nowhere/é"),
                "Zé": Directory({"a": Regular(b""), "B": Regular(bytes(1000))}),
            }
        )
        write_tree(tmp_path / "tree", tree)
        with workshop(tmp_path) as store:
            done = subprocess.run(
                ["nix-store", "--dump", tmp_path / "tree"],
                env=store.environment,
                capture_output=True,
                check=True,
            )
        assert done.stdout == serialise(tree)


def write_tree(path, node):
    if isinstance(node, Regular):
        path.write_bytes(node.content)
        path.chmod(0o755 if node.executable else 0o644)
    elif isinstance(node, Symlink):
        path.symlink_to(node.target)
    else:
        path.mkdir()
        for name, entry in node.entries.items():
            write_tree(path / name, entry)


#: 200 texts; from the third on each refers to the one before it and to two others.
TEXTS = """
let
  text = n: builtins.toFile "path-${toString n}" (
    if n < 3 then "text ${toString n}\\n"
    else "${builtins.elemAt all (n - 1)} ${builtins.elemAt all 0} ${builtins.elemAt all (n / 2)}\\n");
  all = builtins.genList text 200;
in all
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A cache directory with 200 paths that Nix wrote and signed, the paths, and the keys' files."""
    if shutil.which("nix-store") is None:
        pytest.skip("Nix is missing: apt-get install nix-bin")
    place = tmp_path_factory.mktemp("published")
    with workshop(place) as store:
        nix(
            store,
            "nix-store",
            "--generate-binary-cache-key",
            "nix-made-1",
            place / "secret",
            place / "public",
        )
        evaluated = nix(
            store, "nix-instantiate", "--eval", "--strict", "--read-write-mode", "--json", "-E", TEXTS
        )
        paths = json.loads(evaluated.stdout)
        target = f"file://{place}/cache?secret-key={place}/secret&compression=xz"
        nix(store, "nix", "copy", "--to", target, *paths)
    return place, paths


def narinfos(place):
    return {path: narinfo.parse(path.read_bytes()) for path in sorted((place / "cache").glob("*.narinfo"))}


@needs_nix
@pytest.mark.nix
class TestSignatures:
    def test_every_signature_that_nix_made_is_verified_and_made_again_the_same(self, published):
        place, paths = published
        secret = parse_secret_key((place / "secret").read_text())
        public = parse_public_key((place / "public").read_text())
        assert secret.public_key == public
        found = narinfos(place)
        assert {str(info.store_path) for info in found.values()} == set(paths)
        assert len(found) == 200
        for file, info in found.items():
            assert narinfo.render(info) == file.read_bytes()
            assert verify(public, fingerprint(info), parse_signature(info.signatures[0]))
            assert info.signatures == (secret.sign(fingerprint(info)),)

    def test_every_path_and_hash_is_computed_as_nix_computes_it(self, published):
        place, _ = published
        for info in narinfos(place).values():
            file = (place / "cache" / info.url).read_bytes()
            archive = lzma.decompress(file)
            assert (hash_of(file), len(file)) == (info.file_hash, info.file_size)
            assert (hash_of(archive), len(archive)) == (info.nar_hash, info.nar_size)
            assert info.content_addressed
            assert (
                content_addressed_path(info.content_address, info.store_path.name, info.references)
                == info.store_path
            )

    def test_nix_takes_what_is_signed_here_and_refuses_what_is_signed_otherwise(self, published, tmp_path):
        """Without its content address a path needs a signature; references stand in no order."""
        place, paths = published
        key, other = generate_secret_key("here-1"), generate_secret_key("here-1")
        shutil.copytree(place / "cache", tmp_path / "cache")
        wrong = paths[-1]
        for file, info in narinfos(tmp_path).items():
            signer = other if str(info.store_path) == wrong else key
            bare = narinfo.NarInfo(
                **{
                    **asdict(info),
                    "content_address": None,
                    "references": info.references[::-1],
                    "signatures": (signer.sign(fingerprint(info)),),
                }
            )
            file.write_bytes(narinfo.render(bare))
        with store_with(tmp_path, f"file://{tmp_path}/cache", str(key.public_key)) as store:
            substitute(store, *paths[:-1])
            for path in paths[:-1]:
                assert (store.root / path[1:]).exists()
            refused = substitute(store, wrong, check=False)
            assert "is not signed by any of the keys" in refused.stderr

    def test_a_key_that_was_made_here_signs_the_same_in_the_hands_of_nix(self, tmp_path):
        key = generate_secret_key("here-1")
        (tmp_path / "secret").write_text(key.text())
        (tmp_path / "file").write_text("something to be signed\n")
        with workshop(tmp_path) as store:
            path = nix(store, "nix-store", "--add", tmp_path / "file").stdout.strip()
            nix(store, "nix", "store", "sign", "--key-file", tmp_path / "secret", path)
            [described] = json.loads(nix(store, "nix", "path-info", "--json", "--sigs", path).stdout)
        archive = serialise(Regular(b"something to be signed\n"))
        info = narinfo.NarInfo(parse_store_path(path), "x", "none", hash_of(archive), len(archive))
        assert key.sign(fingerprint(info)) in described["signatures"]
