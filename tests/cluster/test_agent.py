"""The agent's forwards through a real API server and real kubelets to a real cache, while things break."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest

from gfattach.agent.launch import supervisor
from gfattach.agent.model.spec import ForwardSpec, Health, PodUpstream, Registration
from gfattach.cli.views.attachment import forward_line
from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline
from tests.harness.cluster.agents import SECONDS, Desk, connect, desk, wait_for
from tests.harness.cluster.manifests import NAMESPACE, RUNTIME_NODE, SERVICE
from tests.harness.machine.budget import budget
from tests.harness.machine.ports import free_port

__all__ = ["desk"]

BLOB = os.urandom(8 << 20)
NAME = hashlib.sha256(BLOB).hexdigest()

RULES = [
    {"apiGroups": [""], "resources": ["services", "pods"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list"]},
]


def attach(desk: Desk, kubeconfig) -> None:
    """Have the cache's two ports forwarded: `http` and `grpc`."""
    ref = ClusterRef((kubeconfig,), "bed", NAMESPACE)
    client = supervisor.ensure(desk.directory, ref, deadline=Deadline.after(SECONDS))
    forwards = (
        ForwardSpec("http", PodUpstream(NAMESPACE, SERVICE, "http"), Health("http", "/status")),
        ForwardSpec("grpc", PodUpstream(NAMESPACE, SERVICE, "grpc"), Health("grpc")),
    )
    client.register(Registration(desk.record, forwards), Deadline.after(SECONDS))


def both(desk: Desk, state: str, seconds: float = SECONDS) -> float:
    """Wait until both forwards are `state`."""
    return wait_for(lambda: {each.state for each in desk.status().forwards} == {state}, seconds)


def ask(desk: Desk, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """An HTTP request to the forward; raises for an answer that is cut short."""
    connection = http.client.HTTPConnection("127.0.0.1", desk.forward("http").port, timeout=SECONDS)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def put(desk: Desk) -> None:
    assert ask(desk, "PUT", f"/cas/{NAME}", BLOB)[0] == 200


def whole(desk: Desk) -> bool:
    """Whether the blob comes back as it was put."""
    status, got = ask(desk, "GET", f"/cas/{NAME}")
    return status == 200 and hashlib.sha256(got).hexdigest() == NAME


@pytest.fixture
def attached(cluster, desk):
    attach(desk, cluster.kubeconfig)
    both(desk, "up")
    return desk


class TestThroughPods:
    def test_what_is_put_comes_back_and_both_ports_are_well(self, attached):
        put(attached)
        assert whole(attached)
        assert attached.status().rss_bytes < 40 << 20

    def test_while_no_connection_is_open_the_pod_that_would_serve_is_shown(self, cluster, attached):
        [pod] = cluster.pods()
        name = pod["metadata"]["name"]
        for forward in attached.status().forwards:
            assert (forward.open_connections, forward.pods) == (0, (name,))
            assert f"through {name}" in forward_line(forward)

    def test_a_pod_that_is_deleted_makes_way_for_another(self, cluster, attached):
        put(attached)
        first = cluster.pods()[0]["metadata"]["name"]
        cluster.create_pod("second", node=RUNTIME_NODE)
        cluster.delete_pod(first)
        assert whole(attached)
        both(attached, "up", 3)
        with connect(attached.forward("http"), "unix") as connection:
            connection.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1000)
            assert attached.forward("http").pods == ("second",)

    def test_a_client_that_has_gone_is_let_go_and_one_that_only_listens_is_not(self, attached):
        put(attached)
        for _ in range(20):
            assert ask(attached, "GET", "/status")[0] == 200
        wait_for(lambda: attached.forward("http").open_connections == 0, 2)
        forward = attached.forward("http")
        with socket.create_connection((forward.address, forward.port), SECONDS) as connection:
            connection.sendall(f"GET /cas/{NAME} HTTP/1.0\r\n\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            got = bytearray()
            while len(got) < len(BLOB) and (data := connection.recv(65536)):
                got += data
                got = got.partition(b"\r\n\r\n")[2] if got.startswith(b"HTTP") else got
        assert hashlib.sha256(got).hexdigest() == NAME

    def test_no_ready_pod_is_down_with_the_reason_and_up_when_there_is_one(self, cluster, attached):
        for pod in cluster.pods():
            cluster.delete_pod(pod["metadata"]["name"])
        # Open connections outlive a pod here, which has no container: the next one is what counts.
        cluster.kill_kwok()
        both(attached, "down")
        assert attached.forward("http").pods == ()
        wait_for(lambda: "pods ready" in attached.forward("http").last_error)
        with pytest.raises(OSError):
            whole(attached)
        cluster.start_kwok()
        cluster.create_pod("back")
        assert both(attached, "up") < budget(3)

    def test_a_pod_in_which_nobody_listens_is_down_and_named(self, cluster, desk):
        for port in (8080, 9092):
            cluster.forward_target(port, "127.0.0.1", free_port())
        attach(desk, cluster.kubeconfig)
        both(desk, "down")
        wait_for(lambda: "nothing listens" in desk.forward("http").last_error)

    def test_the_cache_that_ends_is_noticed_and_seen_again(self, cluster, desk):
        for pod in cluster.pods():
            cluster.delete_pod(pod["metadata"]["name"])
        cluster.create_pod("runtime", node=RUNTIME_NODE)
        attach(desk, cluster.kubeconfig)
        both(desk, "up")
        cluster.cache.kill()
        assert both(desk, "down") < budget(4)
        cluster.cache.start()
        assert both(desk, "up") < budget(3)


class TestWhileThingsBreak:
    def test_the_kubelet_dies_and_comes_back(self, cluster, attached):
        put(attached)
        cluster.kill_kwok()
        both(attached, "down")
        began = time.monotonic()
        with pytest.raises(OSError):
            whole(attached)
        assert time.monotonic() - began < budget(0.5)
        cluster.start_kwok()
        assert both(attached, "up") < budget(4)
        assert whole(attached)

    def test_the_api_server_dies_in_a_transfer_and_comes_back(self, cluster, attached):
        put(attached)
        forward = attached.forward("http")
        with socket.create_connection((forward.address, forward.port), SECONDS) as connection:
            connection.sendall(f"GET /cas/{NAME} HTTP/1.0\r\n\r\n".encode())
            got = len(connection.recv(1000))
            cluster.kill_apiserver()
            with pytest.raises(ConnectionResetError):
                while data := connection.recv(65536):
                    got += len(data)
        assert got < len(BLOB)
        assert both(attached, "down") < budget(3)
        cluster.start_apiserver()
        both(attached, "up")
        assert whole(attached)


class TestCredentials:
    def test_one_that_expires_is_fetched_anew_from_the_plugin_and_not_in_haste(self, cluster, desk):
        runs, shown = desk.root / "runs", desk.root / "credential.json"
        document = json.loads(cluster.user("plugged", RULES).read_text())
        first = document["users"][0]["user"]
        expired = cluster.user("plugged", RULES, lifetime=timedelta(seconds=-60))
        late = json.loads(expired.read_text())["users"][0]["user"]

        def show(user):
            until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
            pair = {
                "clientCertificateData": _decoded(user["client-certificate-data"]),
                "clientKeyData": _decoded(user["client-key-data"]),
            }
            status = pair | {"expirationTimestamp": until}
            version = "client.authentication.k8s.io/v1"
            kind = {"apiVersion": version, "kind": "ExecCredential", "status": status}
            unfinished = shown.with_suffix(".new")  # the plugin may run at any moment
            unfinished.write_text(json.dumps(kind))
            unfinished.replace(shown)

        plugin = desk.root / "plugin"
        plugin.write_text(f'#!/bin/sh\necho "$CANARY" >> {runs}\ncat {shown}\n')
        plugin.chmod(0o755)
        entry = {"command": str(plugin), "interactiveMode": "Never"}
        entry["apiVersion"] = "client.authentication.k8s.io/v1"
        document["users"][0]["user"] = {"exec": entry}
        kubeconfig = desk.root / "kubeconfig"
        kubeconfig.write_text(json.dumps(document))

        show(late)
        os.environ["CANARY"] = "the plugin may need it"
        try:
            attach(desk, kubeconfig)
        finally:
            del os.environ["CANARY"]
        both(desk, "down")
        time.sleep(4)
        tries = runs.read_text().count("\n")
        assert 2 <= tries <= 5, "at once after the refusal, and then less and less often"
        assert "the plugin may need it" in runs.read_text()
        show(first)
        both(desk, "up", 15)
        before = runs.read_text().count("\n")
        time.sleep(2)
        assert runs.read_text().count("\n") == before

    def test_a_kubeconfig_that_is_written_anew_is_read_anew(self, cluster, desk):
        kubeconfig = desk.root / "kubeconfig"
        document = json.loads(cluster.kubeconfig.read_text())
        there = document["clusters"][0]["cluster"]["server"]
        document["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free_port()}"
        kubeconfig.write_text(json.dumps(document))
        attach(desk, kubeconfig)
        both(desk, "down")
        document["clusters"][0]["cluster"]["server"] = there
        kubeconfig.write_text(json.dumps(document))
        assert both(desk, "up") < budget(3)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
