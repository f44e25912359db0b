"""The bed is real: what the other tests of this directory stand on."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.harness.cluster.api import ApiError
from tests.harness.cluster.build import Programs
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.daemon import BedError, wait_until
from tests.harness.cluster.manifests import DEVELOPER_RULES, KWOK_NODE, NAMESPACE, POD, RUNTIME_NODE
from tests.harness.cluster.wire.portforward import DATA, PodConnection, to_pod
from tests.harness.machine.ports import free_port

HTTP, GRPC = 8080, 9092
SLICE = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/bazel-cache-bed"
EITHER_NODE = pytest.mark.parametrize("node", [KWOK_NODE, RUNTIME_NODE])


def _http_get(connection: PodConnection, path: str, channel: int = DATA) -> bytes:
    """The response, head and body, to a GET of a short document over a forwarded connection."""
    connection.send(f"GET {path} HTTP/1.1\r\nHost: cache\r\n\r\n".encode(), channel)
    received = b""
    while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < _length(received):
        answered, payload = connection.receive()
        if answered == channel and len(payload) > 2:  # not the port number
            received += payload
    return received


def _length(response: bytes) -> int:
    head = response.partition(b"\r\n\r\n")[0].decode().lower()
    return next(int(line.split(":")[1]) for line in head.splitlines() if line.startswith("content-length"))


def _running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_api_server_is_a_kubernetes_that_says_so(cluster: Cluster) -> None:
    version = cluster.developer.get("/version")
    assert version["major"] == "1"
    assert version["gitVersion"].startswith("v1.")


def test_rbac_refuses_a_user_without_rules_and_names_what_is_missing(cluster: Cluster) -> None:
    cluster.user("nobody", [])
    with pytest.raises(ApiError) as refused:
        cluster.api("nobody").get(f"/api/v1/namespaces/{NAMESPACE}/pods")
    assert refused.value.code == 403
    said = str(refused.value)
    assert 'User "nobody" cannot list resource "pods"' in said
    assert f'in the namespace "{NAMESPACE}"' in said


def test_rules_that_are_taken_back_are_gone_on_return(cluster: Cluster) -> None:
    cluster.user("fired", DEVELOPER_RULES)
    assert cluster.api("fired").get(f"/api/v1/namespaces/{NAMESPACE}/services")["items"]
    cluster.user("fired", [])
    with pytest.raises(ApiError, match="403"):
        cluster.api("fired").get(f"/api/v1/namespaces/{NAMESPACE}/services")


def test_an_expired_client_certificate_is_answered_401_not_a_tls_error(cluster: Cluster) -> None:
    cluster.user("late", DEVELOPER_RULES, lifetime=-datetime.timedelta(hours=1))
    with pytest.raises(ApiError, match="401: Unauthorized"):
        cluster.api("late").get("/version")


def test_the_kubeconfig_holds_all_that_a_client_needs_and_is_private(cluster: Cluster) -> None:
    document = json.loads(cluster.kubeconfig.read_text())
    context = next(c["context"] for c in document["contexts"] if c["name"] == document["current-context"])
    assert context["namespace"] == NAMESPACE
    assert document["clusters"][0]["cluster"]["server"] == cluster.server
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_the_service_is_described_as_in_the_field(cluster: Cluster) -> None:
    service = cluster.developer.get(f"/api/v1/namespaces/{NAMESPACE}/services/bazel-cache")
    assert {p["name"]: (p["port"], p["targetPort"]) for p in service["spec"]["ports"]} == {
        "grpc": (GRPC, "grpc"),
        "http": (HTTP, "http"),
    }
    assert service["spec"]["type"] == "ClusterIP"
    assert service["metadata"]["labels"]["app.kubernetes.io/name"] == "bazel-cache"
    found = cluster.developer.get(SLICE)
    assert [(e["targetRef"]["name"], e["conditions"]["ready"]) for e in found["endpoints"]] == [(POD, True)]
    assert {p["name"]: p["port"] for p in found["ports"]} == {"grpc": GRPC, "http": HTTP}


def test_pods_that_wait_end_or_go_show_in_the_endpoint_slice(cluster: Cluster) -> None:
    cluster.create_pod("waiting", unready=("CrashLoopBackOff", "back-off 5m0s"))
    cluster.create_pod("ending")
    cluster.create_pod("gone")
    cluster.delete_pod("ending", linger=True)
    cluster.delete_pod("gone")
    endpoints = {e["targetRef"]["name"]: e["conditions"] for e in cluster.developer.get(SLICE)["endpoints"]}
    assert endpoints == {
        POD: {"ready": True, "serving": True, "terminating": False},
        "waiting": {"ready": False, "serving": False, "terminating": False},
        "ending": {"ready": False, "serving": True, "terminating": True},
    }


def test_reset_brings_the_first_pod_back_to_its_node(cluster: Cluster) -> None:
    """A ready pod of that name on the other node is not what the next test counts on."""
    cluster.delete_pod(POD)
    cluster.create_pod(POD, node=RUNTIME_NODE)
    cluster.create_pod("attic-0", node=RUNTIME_NODE)
    cluster.delete_pod("attic-0", linger=True)
    cluster.reset()
    [pod] = cluster.pods()
    assert (pod["metadata"]["name"], pod["spec"]["nodeName"]) == (POD, KWOK_NODE)
    kept = cluster.pods()[0]["metadata"]["uid"]
    cluster.reset()
    assert cluster.pods()[0]["metadata"]["uid"] == kept


def test_reset_puts_the_pods_in_order_though_the_rules_of_the_ports_do_not_arrive(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.create_pod("left", node=RUNTIME_NODE)
    cluster.forward_target(GRPC, "127.0.0.1", 1)

    def late(*_: object) -> None:
        raise BedError("KWOK is late")

    with monkeypatch.context() as patched:
        patched.setattr(cluster._targets, "reset", late)
        with pytest.raises(BedError):
            cluster.reset()
    assert [pod["metadata"]["name"] for pod in cluster.pods()] == [POD]


@EITHER_NODE
def test_a_websocket_reaches_the_real_cache_through_the_api_server(cluster: Cluster, node: str) -> None:
    """What was put into bazel-remote beside the cluster comes out through the pod."""
    content = f"for the node {node}".encode()
    path = f"/cas/{hashlib.sha256(content).hexdigest()}"
    httpx.put(f"{cluster.cache.url}{path}", content=content, trust_env=False).raise_for_status()
    cluster.create_pod("here", node=node)
    with to_pod(cluster.developer, NAMESPACE, "here", HTTP) as connection:
        assert connection.subprotocol == "v4.channel.k8s.io"
        assert _http_get(connection, path).endswith(content)


@EITHER_NODE
def test_the_grpc_port_speaks_http2(cluster: Cluster, node: str) -> None:
    cluster.create_pod("here", node=node)
    with to_pod(cluster.developer, NAMESPACE, "here", GRPC) as connection:
        connection.receive(), connection.receive()
        connection.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        _, frame = connection.receive()
        settings = 4
        assert frame[3] == settings


@pytest.mark.parametrize("program", ["apiserver", "kwok"])
def test_a_killed_program_comes_back_and_so_does_the_way_to_the_cache(cluster: Cluster, program: str) -> None:
    with to_pod(cluster.developer, NAMESPACE, POD, HTTP) as connection:
        assert b"200 OK" in _http_get(connection, "/status")
        getattr(cluster, f"kill_{program}")()
        assert connection.drain() == {}  # and no TimeoutError: it was closed
    if program == "kwok":
        with pytest.raises(InvalidStatus) as refused:
            to_pod(cluster.developer, NAMESPACE, POD, HTTP)
        assert refused.value.response.status_code == 500
        assert b"error dialing backend" in refused.value.response.body
    else:
        with pytest.raises(ConnectionRefusedError):
            to_pod(cluster.developer, NAMESPACE, POD, HTTP)
    getattr(cluster, f"start_{program}")()
    cluster.create_pod("new")
    for pod in (POD, "new"):
        with to_pod(cluster.developer, NAMESPACE, pod, HTTP) as connection:
            assert b"200 OK" in _http_get(connection, "/status")


def test_the_cache_keeps_what_it_holds_over_a_restart(cluster: Cluster) -> None:
    key = "ac" + "1" * 62
    httpx.put(f"{cluster.cache.url}/ac/{key}", content=b"", trust_env=False).raise_for_status()
    cluster.cache.restart()
    assert httpx.get(f"{cluster.cache.url}/ac/{key}", trust_env=False).status_code == 200


@EITHER_NODE
def test_a_target_of_one_pod_leaves_the_others_alone(cluster: Cluster, node: str) -> None:
    cluster.create_pod("here", node=node)
    cluster.create_pod("there", node=node)
    with socket.create_server(("127.0.0.1", 0)) as other:
        cluster.forward_target(HTTP, "127.0.0.1", other.getsockname()[1], pod="there")
        with to_pod(cluster.developer, NAMESPACE, "there", HTTP) as connection:
            accepted, _ = other.accept()
            with accepted:
                accepted.sendall(b"someone else")
                connection.receive(), connection.receive()
                assert connection.receive() == (DATA, b"someone else")
        with to_pod(cluster.developer, NAMESPACE, "here", HTTP) as connection:
            assert b"200 OK" in _http_get(connection, "/status")


def test_a_program_that_does_not_start_is_reported_with_its_last_words(
    programs: Programs, tmp_path: Path
) -> None:
    broken = tmp_path / "etcd"
    broken.write_text("#!/bin/sh\necho the disk is full; exit 3\n")
    broken.chmod(0o755)
    directory = tmp_path / "bed"
    with (
        pytest.raises(BedError, match=r"(?s)etcd ended with exit code 3.*the disk is full"),
        Cluster(directory, dataclasses.replace(programs, etcd=broken)),
    ):
        pass
    assert not directory.exists()


def test_stop_leaves_no_process_and_no_file(programs: Programs, tmp_path: Path) -> None:
    directory = tmp_path / "bed"
    with Cluster(directory, programs) as second:
        pids = [daemon.pid for daemon in second.daemons]
        assert all(pid is not None and _running(pid) for pid in pids)
    assert not any(_running(pid) for pid in pids if pid)
    assert not directory.exists()


def test_a_bed_whose_owner_is_killed_ends_with_it(programs: Programs, tmp_path: Path) -> None:
    """SIGKILL lets nobody clean up; the programs and files go all the same."""
    directory = tmp_path / "bed"
    script = (
        "import sys, time, pathlib; from tests.harness.cluster.cluster import Cluster;"
        "c = Cluster(pathlib.Path(sys.argv[1])); c.start();"
        "print(*[d.pid for d in c.daemons], flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(directory)], stdout=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "KUBEBUILDER_ASSETS": str(_assets(programs, tmp_path))},
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        owner.send_signal(signal.SIGKILL)
    assert len(pids) == 5
    wait_until("the programs are gone", lambda: not any(_running(pid) for pid in pids))
    wait_until("the directory is gone", lambda: not directory.exists())


def test_the_command_line_starts_shows_and_stops_one_bed(programs: Programs, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "KUBEBUILDER_ASSETS": str(_assets(programs, tmp_path)),
        "GFATTACH_TEST_CACHE": str(tmp_path / "cache"),
    }

    def bed(command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tests.harness.cluster.bed", command], capture_output=True, text=True,
            timeout=300, cwd=Path(__file__).parents[2], env=environment,
        )  # fmt: skip

    assert bed("status").returncode == 1
    try:
        started = bed("start")
        assert started.returncode == 0, started.stderr
        handles = json.loads(started.stdout)
        assert Path(handles["kubeconfig"]).exists()
        assert json.loads(bed("status").stdout) == handles
        assert bed("start").stdout == started.stdout  # it runs already
    finally:
        stopped = bed("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert not any(_running(pid) for pid in handles["pids"].values())
    assert sorted(p.name for p in (tmp_path / "cache").iterdir()) == ["run.lock"]
    assert bed("status").returncode == 1


def _assets(programs: Programs, directory: Path) -> Path:
    """A directory from which a child process finds all programs."""
    assets = directory / "assets"
    assets.mkdir()
    for name, path in vars(programs).items():
        (assets / name.replace("_", "-")).symlink_to(path)
    return assets


def test_ports_of_the_bed_are_given_once_and_never_by_the_kernel_to_outgoing_connections() -> None:
    given = [free_port() for _ in range(100)]
    assert all(20000 <= port < 32000 for port in given)
    assert len(set(given)) == 100
