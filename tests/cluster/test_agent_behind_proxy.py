"""Forwards where a proxy stands before the API server, of each kind: through it alone, and well."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os

import pytest
import yaml

from gfattach.agent.launch import supervisor
from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration
from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline
from tests.harness.certificates.pki import pki, server_context
from tests.harness.cluster.agents import SECONDS, desk
from tests.harness.cluster.dials import NAME
from tests.harness.cluster.manifests import NAMESPACE, SERVICE
from tests.integration.test_cluster_proxies import connect_proxy, socks_proxy

__all__ = ["desk", "pki"]

BLOB = os.urandom(4 << 20)
DIGEST = hashlib.sha256(BLOB).hexdigest()


@contextlib.contextmanager
def proxies(kind, pki, target, seen):
    """The URL of a proxy that leads to `target`, whatever it is asked for."""
    if kind == "socks5":
        with socks_proxy(seen, target=target, credentials="me:pass") as port:
            yield f"socks5://me:pass@127.0.0.1:{port}"
    elif kind == "https":
        context = server_context(pki.issue("localhost", "127.0.0.1"))
        with connect_proxy(seen, target=target, credentials="me:pass", context=context) as port:
            yield f"https://me:pass@localhost:{port}"
    else:
        with connect_proxy(seen, target=target, credentials="me:pass") as port:
            yield f"http://me:pass@127.0.0.1:{port}"


def kubeconfig_by(cluster, place, proxy):
    """The developer's kubeconfig: the API server has a name that only the proxy knows."""
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    for entry in document["clusters"]:
        entry["cluster"] |= {"server": f"https://{NAME}:6443", "tls-server-name": "localhost"}
        entry["cluster"]["proxy-url"] = proxy
    path = place / "proxied.kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


def ask(port, method, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request(method, f"/cas/{DIGEST}", body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
def test_what_is_put_comes_back(cluster, desk, pki, kind, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(pki.ca))
    seen = []
    with proxies(kind, pki, int(cluster.server.rpartition(":")[2]), seen) as proxy:
        file = kubeconfig_by(cluster, desk.root, proxy)
        ref = ClusterRef((file,), "bed", NAMESPACE)
        client = supervisor.ensure(desk.directory, ref, deadline=Deadline.after(SECONDS))
        spec = ForwardSpec("http", PodUpstream(NAMESPACE, SERVICE, "http"), Health("http", "/status"))
        client.register(Registration(desk.record, (spec,)), Deadline.after(SECONDS))
        desk.wait("up", "http")
        port = desk.forward("http").port
        assert ask(port, "PUT", BLOB)[0] == 200
        status, got = ask(port, "GET")
        assert status == 200 and hashlib.sha256(got).hexdigest() == DIGEST
        assert len(seen) >= 3  # the health check's connection, the client's, the API's
        log = (desk.directory / "agent.log").read_text()
        assert "me:pass" not in log
    # The proxy has gone: what is open ends, and nothing goes past it.
    supervisor.stop(desk.directory)
