"""The trial's Nix cache, judged by a real Nix: what it takes from it, what it refuses, what it signs."""

import http.client
import json
import lzma
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gfattach.errors import GfattachError, StorageError
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
from gfattach.nixcache.storepath import content_addressed_path, parse_store_path, text_path
from gfattach.nixcache.target import PROBE_PATH
from gfattach.trial import nix_server
from gfattach.trial.nix_server import SIGNED, SIGNED_TREE, NixCacheServer

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


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with NixCacheServer(tmp_path_factory.mktemp("trial")) as running:
        yield running


def nix(store, *args, check=True):
    done = subprocess.run(args, env=store.environment, capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done


def substitute(store, *paths, check=True):
    return nix(store, "nix-store", "-r", *paths, "--max-jobs", "0", check=check)


def store_with(tmp_path, url, key, **settings):
    return IsolatedStore(tmp_path, {"substituters": url, "trusted-public-keys": key, **settings})


def workshop(tmp_path):
    """A store that may build, and whose Nix knows the newer commands."""
    return IsolatedStore(tmp_path, {"max-jobs": "1", "experimental-features": "nix-command flakes"})


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
                    **vars(info),
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


def get(server, path, method="GET", connection=None):
    own = connection or http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    own.request(method, path)
    response = own.getresponse()
    body = response.read()
    if connection is None:
        own.close()
    return response, body


class TestWire:
    def test_it_says_what_it_is(self, server):
        response, body = get(server, "/nix-cache-info")
        assert response.status == 200
        assert body == b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n"

    def test_the_probe_path_is_the_one_that_everybody_asks_for(self, server):
        assert server.probe_path == PROBE_PATH

    def test_both_narinfos_are_signed_and_lead_to_their_archives(self, server):
        key = parse_public_key(server.public_key)
        for path in (server.probe_path, server.signed_path):
            info = narinfo.parse(get(server, f"/{parse_store_path(path).digest}.narinfo")[1])
            assert str(info.store_path) == path
            assert [verify(key, fingerprint(info), parse_signature(text)) for text in info.signatures] == [
                True
            ]
            _, file = get(server, f"/{info.url}")
            assert (hash_of(file), len(file)) == (info.file_hash, info.file_size)
            archive = lzma.decompress(file)
            assert (hash_of(archive), len(archive)) == (info.nar_hash, info.nar_size)

    def test_only_the_probe_path_is_content_addressed(self, server):
        infos = [
            narinfo.parse(get(server, f"/{parse_store_path(path).digest}.narinfo")[1])
            for path in (server.probe_path, server.signed_path)
        ]
        assert [info.content_addressed for info in infos] == [True, False]

    def test_one_connection_serves_many_requests_of_both_kinds(self, server):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.connect()
        before = connection.sock
        for path, status in (("/nix-cache-info", 200), ("/nothing", 404), ("/nix-cache-info?x=1", 200)):
            for method in ("HEAD", "GET"):
                response, body = get(server, path, method, connection)
                assert response.status == status
                assert len(body) == (int(response.headers["Content-Length"]) if method == "GET" else 0)
        assert connection.sock is before
        connection.close()

    def test_what_would_write_is_refused(self, server):
        assert get(server, "/nix-cache-info", "PUT")[0].status == 501

    def test_no_path_leads_out_of_it(self, server):
        for path in ("/../nix-cache.key", "/nix-cache.key", "//etc/passwd", "/%2e%2e/nix-cache.key"):
            assert get(server, path)[0].status == 404

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /proc/net/tcp")
    def test_it_listens_on_loopback_alone(self, server):
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        listening = [row[1] for row in rows if row[3] == "0A"]
        assert f"0100007F:{server.port:04X}" in listening
        assert f"00000000:{server.port:04X}" not in listening

    def test_many_clients_at_once_are_all_served(self, server):
        def fetch(_):
            with urllib.request.urlopen(f"{server.url}/nix-cache-info", timeout=20) as answer:
                return answer.read()

        with ThreadPoolExecutor(25) as pool:
            assert len(set(pool.map(fetch, range(200)))) == 1


class TestLife:
    def test_the_key_stays_and_is_the_owners_alone(self, tmp_path):
        directory = tmp_path / "trial"
        with NixCacheServer(directory) as one:
            first = one.public_key
        assert NixCacheServer(directory).public_key == first
        assert first.startswith("gfattach-trial-1:")
        [file] = [path for path in directory.iterdir() if path.suffix == ".key"]
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert str(parse_secret_key(file.read_text()).public_key) == first

    def test_two_that_start_at_once_agree_on_a_key(self, tmp_path):
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(lambda _: NixCacheServer(tmp_path).public_key, range(8)))
        assert len(keys) == 1

    def test_a_damaged_key_is_named_and_not_replaced(self, tmp_path):
        (tmp_path / "nix-cache.key").write_text("gfattach-trial-1:AAAA")
        with pytest.raises(StorageError, match=r"nix-cache\.key") as error:
            NixCacheServer(tmp_path).start()
        assert error.value.hints
        assert (tmp_path / "nix-cache.key").read_text() == "gfattach-trial-1:AAAA"

    def test_a_stopped_cache_is_a_dead_one_and_can_be_started_again_where_it_was(self, tmp_path):
        server = NixCacheServer(tmp_path)
        server.start()
        port = server.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        get(server, "/nix-cache-info", connection=connection)
        held = connection.sock
        server.stop()
        assert held.recv(1) == b""
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=10)
        server.start()
        assert server.port == port
        assert get(server, "/nix-cache-info")[0].status == 200
        server.stop()
        server.stop()

    def test_a_port_that_is_taken_is_named(self, tmp_path):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(GfattachError, match=str(port)) as error:
                NixCacheServer(tmp_path, port).start()
            assert error.value.hints

    def test_connections_beyond_its_limit_are_closed_and_the_others_served(self, tmp_path, monkeypatch):
        monkeypatch.setattr(nix_server, "CONNECTIONS", 2)
        with NixCacheServer(tmp_path) as server:
            held = [http.client.HTTPConnection("127.0.0.1", server.port, timeout=10) for _ in range(2)]
            for connection in held:
                get(server, "/nix-cache-info", connection=connection)
            with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
                get(server, "/nix-cache-info")
            for connection in held:
                assert get(server, "/nix-cache-info", connection=connection)[0].status == 200
                connection.close()
            assert until(lambda: answers(server))

    def test_its_module_is_light(self):
        script = (
            "import sys, gfattach.trial.nix_server;"
            "print([m for m in ('httpx', 'cryptography', 'asyncio', 'click', 'rich') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"

    def test_its_constants_follow_from_their_content(self):
        assert str(SIGNED.output_path) == str(parse_store_path(str(SIGNED.output_path)))
        assert text_path(f"{SIGNED.name}.drv", SIGNED.aterm.encode()) == SIGNED.path


def answers(server):
    try:
        return get(server, "/nix-cache-info")[0].status == 200
    except (http.client.HTTPException, OSError):
        return False


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_nix_of_the_machine_is_not_needed_to_serve(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    with NixCacheServer(tmp_path) as server:
        assert get(server, "/nix-cache-info")[0].status == 200
