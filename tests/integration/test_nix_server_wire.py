"""The trial's Nix cache over bare HTTP: what it answers, what it refuses, and its life as a server."""

import http.client
import lzma
import os
import socket
import stat
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gfattach.core.errors import GfattachError, StorageError
from gfattach.nixcache import narinfo
from gfattach.nixcache.nar import hash_of
from gfattach.nixcache.signature import (
    fingerprint,
    parse_public_key,
    parse_secret_key,
    parse_signature,
    verify,
)
from gfattach.nixcache.storepath import parse_store_path, text_path
from gfattach.nixcache.target import PROBE_PATH
from gfattach.trial import nix_server
from gfattach.trial.nix_documents import SIGNED
from gfattach.trial.nix_server import NixCacheServer
from tests.harness.caches.trial_nix import server

__all__ = ["server"]


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
