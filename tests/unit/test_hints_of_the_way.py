"""What somebody is told to start when nothing is at the end of the way: what they themselves have started."""

from __future__ import annotations

import contextlib
import json
import socket
import threading

import pytest
from msgspec.structs import replace

from gfattach.cluster.connection import ClusterRef
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.cache import stage as cache_probes
from gfattach.probes.cluster import stage as cluster_probes
from gfattach.probes.cluster.subject import ClusterSubject
from gfattach.probes.substituter import stage as substituter_probes
from gfattach.reapi.target import CacheTarget


@pytest.fixture
def port():
    """A port of this machine at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def closing():
    """The port of a listener that closes what it takes."""

    def serve(listening):
        with contextlib.suppress(OSError):
            while True:
                listening.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=(listening,), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def first_hint(stage, subject, probe):
    run = Run()
    return run.stage(stage, subject).findings[probe].hints[0]


def cache(port):
    return CacheTarget(Endpoint("grpc", "127.0.0.1", port))


def substituter(port):
    return SubstituterTarget(Endpoint("http", "127.0.0.1", port, "/main"))


def test_a_cache_of_this_machine_that_is_dialled_directly_is_to_be_started_itself(port):
    hint = first_hint(cache_probes.STAGE, cache(port), "cache.port")
    assert (
        hint.startswith("start the server") and f"127.0.0.1:{port}" in hint and hint.endswith("gfattach up")
    )


def test_a_cache_behind_a_forward_needs_the_forward(port):
    behind = replace(cache(port), real_host="bazel-cache.nix-cache.svc")
    assert first_hint(cache_probes.STAGE, behind, "cache.port") == "start the forward again: gfattach up"


def test_the_same_goes_for_one_that_closes_what_it_takes(closing):
    assert first_hint(cache_probes.STAGE, cache(closing), "cache.protocol").startswith("start the server")
    behind = replace(cache(closing), real_host="bazel-cache.nix-cache.svc")
    hint = first_hint(cache_probes.STAGE, behind, "cache.protocol")
    assert hint == "see what the forward has met: gfattach logs"


def test_a_substituter_of_this_machine_is_to_be_started_itself(port):
    hint = first_hint(substituter_probes.STAGE, substituter(port), "substituter.port")
    assert hint.startswith("start the server") and hint.endswith("gfattach up")
    behind = replace(substituter(port), real_host="attic.nix-cache.svc")
    assert "forward" in first_hint(substituter_probes.STAGE, behind, "substituter.port")


def test_a_proxy_of_this_machine_that_is_not_there_is_named_as_the_proxy(port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    far = SubstituterTarget(Endpoint("http", "nix.example.org", 80, "/main"))
    assert first_hint(substituter_probes.STAGE, far, "substituter.port").startswith("start the proxy")


def test_an_api_server_that_is_not_there_is_looked_for_in_the_kubeconfig(port, tmp_path):
    config = {
        "current-context": "home lab",
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}"}}],
        "contexts": [{"name": "home lab", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    (tmp_path / "config").write_text(json.dumps(config))
    subject = ClusterSubject(ref=ClusterRef((tmp_path / "config",)), environ={})
    found = Run().stage(cluster_probes.STAGE, subject).findings["cluster.reach"]
    assert found.code == "cluster.reach.refused"
    assert "kubectl config view --minify --context 'home lab'" in found.hints[-1]
    assert not any(hint.endswith("?") for hint in found.hints)
