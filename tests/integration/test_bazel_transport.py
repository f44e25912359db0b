"""Real Bazels and TLS: a cache under its real name by a unix socket, and what cannot go that way."""

import contextlib
import os
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from gfattach.bazel.capabilities.answers import Answers
from gfattach.bazel.capabilities.transport import Call, remembered, try_transport, with_natives
from gfattach.bazel.probe_workspace import ACTIONS, LABEL, write_probe
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.core.errors import BazelError
from gfattach.core.finding import Status
from gfattach.fragments.bazelrc import render
from gfattach.probes.bazel.stage import STAGE, BazelSubject
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.trial.cache_server import CacheServer
from tests.harness.caches.bazel_caches import plain_socket, tls_socket
from tests.harness.certificates.pki import Pki
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.bazels import BAZELS, BUILD_SECONDS, debian, upstream
from tests.harness.machine.natives import natives

pytestmark = pytest.mark.bazel

NAME = "cache.corp.test"


@dataclass(frozen=True)
class Site:
    """A TLS cache: its authority's file, and the unix socket that leads to it."""

    ca: Path
    socket: Path
    stranger: Path


@pytest.fixture
def site(tmp_path, tmp_path_factory):
    """A cache whose certificate is for its real name and for localhost, and an authority that is not its."""
    directory = tmp_path_factory.mktemp("s")
    pki = Pki(tmp_path_factory.mktemp("pki"))
    stranger = Pki(tmp_path_factory.mktemp("stranger"), "root of others")
    pair = pki.issue(NAME, "localhost")
    cache = CacheServer(tmp_path / "cache")
    cache.start()
    try:
        with tls_socket(directory / "s", cache.port, pair.certificate, pair.key) as path:
            yield Site(pki.ca, path, stranger.ca)
    finally:
        cache.stop()


def build(bazel, tmp_path, url, site, *, ca=None, by_socket=True):
    """One build of the probe from a cold server, which uploads; how Bazel ended."""
    fragment = tmp_path / "fragment.bazelrc"
    endpoint = parse_endpoint(url)
    target = CacheTarget(
        endpoint,
        tls=TlsFiles(ca_file=ca or site.ca) if endpoint.tls else TlsFiles(),
        socket=site.socket if by_socket else None,
    )
    fragment.write_text(render(target, None, on_cache_down="fail"))
    probe = write_probe(tmp_path / "probe")
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    with Server(bazel, probe.directory, tmp_path / "work", "b", environ=environ, rc=[fragment]) as server:
        line = ["--disk_cache=", "--remote_upload_local_results", LABEL]
        return server.run("build", line, Deadline.after(BUILD_SECONDS))


def test_upstream_hits_a_tls_cache_by_its_real_name_over_a_unix_socket(site, tmp_path):
    filled, hit = (build(upstream(), tmp_path, f"grpcs://{NAME}:9092", site) for _ in range(2))
    assert filled.good and "remote cache hit" not in filled.stderr, filled.stderr
    assert hit.good and f"{ACTIONS} remote cache hit" in hit.stderr, hit.stderr


def test_upstream_refuses_another_name_and_another_authority_over_the_same_socket(site, tmp_path):
    """The name is verified against the endpoint's and not the socket's. 2.1.0 does not say why."""
    name = build(upstream(), tmp_path, "grpcs://other.corp.test:9092", site)
    authority = build(upstream(), tmp_path, f"grpcs://{NAME}:9092", site, ca=site.stranger)
    assert [name.returncode, authority.returncode] == [34, 34]
    assert "Failed to query remote execution capabilities" in name.stderr
    assert build(upstream(), tmp_path, f"grpcs://{NAME}:9092", site).good


def test_upstream_goes_to_a_plaintext_cache_by_a_socket_and_never_to_its_port(tmp_path, tmp_path_factory):
    """Somebody else has the port by now: no byte of a build goes there, with the socket there or without."""
    came = []
    path = tmp_path_factory.mktemp("s") / "s"
    cache = CacheServer(tmp_path / "cache")
    cache.start()
    try:
        with faults.talking(came.append) as port:
            plain = Site(Path("/nonexistent"), path, Path("/nonexistent"))
            with plain_socket(path, cache.port):
                filled, hit = (
                    build(upstream(), tmp_path, f"grpc://127.0.0.1:{port}", plain) for _ in range(2)
                )
            gone = build(upstream(), tmp_path, f"grpc://127.0.0.1:{port}", plain)
    finally:
        cache.stop()
    assert filled.good and f"{ACTIONS} remote cache hit" in hit.stderr, filled.stderr + hit.stderr
    assert gone.returncode == 34 and came == []


def on_tcp(path):
    """A port of 127.0.0.1 that leads to the unix socket `path`."""

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def handle(client):
        client.settimeout(None)
        with socket.socket(socket.AF_UNIX) as onward:
            onward.connect(str(path))
            back = threading.Thread(target=pump, args=(onward, client), daemon=True)
            back.start()
            pump(client, onward)
            back.join(5)

    return faults.talking(handle)


def told(directory):
    """The environment of somebody who has put netty's library where the finding says."""
    return {"LD_LIBRARY_PATH": str(directory)}


def test_debians_bazel_with_natives_hits_a_tls_cache_on_a_port_and_refuses_a_wrong_name(site, tmp_path):
    bazel = with_natives(debian(), told(natives()))
    with on_tcp(site.socket) as port:
        filled, hit = (
            build(bazel, tmp_path, f"grpcs://localhost:{port}", site, by_socket=False) for _ in range(2)
        )
        refused = build(bazel, tmp_path, f"grpcs://127.0.0.1:{port}", site, by_socket=False)
    assert filled.good and hit.good and f"{ACTIONS} remote cache hit" in hit.stderr, hit.stderr
    assert refused.returncode == 34
    assert "General OpenSslEngine problem" in refused.stderr


def test_debians_bazel_with_natives_still_goes_by_no_unix_socket(site, tmp_path):
    with pytest.raises(BazelError) as caught:
        build(with_natives(debian(), told(natives())), tmp_path, f"grpcs://{NAME}:9092", site)
    assert caught.value.code == "bazel.crashed"
    assert "Unix domain sockets are unsupported" in caught.value.hints[0]


@pytest.mark.parametrize("call", list(Call))
def test_a_trial_call_of_upstreams_arrives_and_is_remembered(call, tmp_path):
    cache = tmp_path / "answers.json"
    bazel = upstream()
    assert remembered(bazel, call, cache) is None
    assert try_transport(
        bazel, call, work=tmp_path, deadline=Deadline.after(BUILD_SECONDS), cache=cache
    ).works
    assert [remembered(bazel, each, cache) for each in Call] == [
        True if each is call else None for each in Call
    ]


def test_a_trial_call_of_debians_does_not_arrive_and_the_cause_is_named(tmp_path):
    found = try_transport(debian(), Call.SOCKET, work=tmp_path, deadline=Deadline.after(90))
    assert not found.works
    assert "ALPN" in found.cause


def ask(tmp_path, path, **options):
    flags = ("--remote_cache=x",)
    options = {"environ": dict(os.environ), **options}
    subject = BazelSubject(str(path), None, tmp_path / "work", flags, tmp_path / "flags.json", **options)
    return Run().stage(STAGE, subject).findings["bazel.transport"]


def test_the_stage_says_what_each_bazel_can_do(tmp_path):
    needed = {"needs_transport": True, "through_socket": True}
    up, deb = upstream(), debian()
    assert ask(tmp_path, up.path, **needed).code == "bazel.transport.ok"
    assert ask(tmp_path, up.path, **needed).code == "bazel.transport.before"
    without = ask(tmp_path, deb.path, **needed)
    assert (without.code, without.status) == ("bazel.transport.no-tls", Status.FAIL)
    assert any("libnetty_tcnative.so" in hint for hint in without.hints)
    environ = {**os.environ, **told(natives())}
    given = ask(tmp_path, deb.path, environ=environ, **needed)
    assert (given.code, given.data["tls"], given.data["socket"]) == ("bazel.transport.no-socket", True, False)
    assert "Unix domain sockets are unsupported" in given.seen
    assert ask(tmp_path, deb.path, environ=environ, needs_transport=True).code == "bazel.transport.before"
    assert ask(tmp_path, deb.path).code == "bazel.transport.plain"
    assert ask(tmp_path, up.path, socket_offered=True).code == "bazel.transport.socket"


@pytest.mark.parametrize("label", [label for label in BAZELS if label.startswith("debian")])
def test_debians_builds_go_to_a_plaintext_cache_by_the_port(label, tmp_path):
    """4.2.3 would crash on a socket, and 7.7.1 would go on without the cache: neither has netty's natives."""
    found = ask(tmp_path, BAZELS[label]().path, socket_offered=True)
    assert (found.code, found.status, found.data["socket"]) == ("bazel.transport.port", Status.OK, False)
    assert "natives" in found.seen or "native libraries" in found.seen


@pytest.mark.parametrize("path", ["", ":", "relative", "/nonexistent:{empty}"])
def test_a_bazel_is_as_it_was_where_no_directory_holds_natives(path, tmp_path):
    bazel = debian()
    assert with_natives(bazel, told(path.format(empty=tmp_path))) == bazel


def test_answers_of_different_programs_are_kept_apart(tmp_path):
    Answers(tmp_path / "a.json", "one").learn({"transport tls": True})
    assert Answers(tmp_path / "a.json", "other").flags == {}
