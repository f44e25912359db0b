"""What `up` speaks to a cache behind a port of a Service: by appProtocol, else its answer, else its name."""

import pytest

from tests.harness.cluster.developer import developer_machine, leaving_nothing
from tests.harness.cluster.manifests import LABELS, NAMESPACE, PORTS, SERVICE, service
from tests.harness.machine.developer import findings

GRPC, HTTP = PORTS["grpc"], PORTS["http"]


@pytest.fixture
def machine(cluster, tmp_path):
    """A developer's machine; whatever it attached is detached at its end, and nothing is left."""
    with leaving_nothing(developer_machine(tmp_path, cluster)) as made:
        yield made


@pytest.fixture
def serve(cluster):
    """Gives the cache's Service that one port in place of its own; `to` is the container's port."""

    def put(name, number, to, app_protocol=""):
        port = {"name": name, "port": number, "targetPort": to, "appProtocol": app_protocol}
        made = service(SERVICE, NAMESPACE, LABELS, {})
        made["spec"]["ports"] = [{key: value for key, value in port.items() if value}]
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}"
        cluster.admin.delete(path)
        cluster.apply(made)
        cluster.sync_endpoints()

    yield put
    cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}")


@pytest.mark.parametrize(
    ("port", "scheme"),
    [
        # as reported: the port before had answered in HTTP/2, and was then spoken to in HTTP/1.1
        pytest.param(("http2", 9092, GRPC), "grpc", id="named-http2"),
        pytest.param(("store", 7000, GRPC, "grpc"), "grpc", id="says-grpc-under-another-name"),
        # others of the kind
        pytest.param(("http2-cache", 7000, GRPC), "grpc", id="named-http2-with-a-suffix"),
        pytest.param(("http", 8080, GRPC, "kubernetes.io/h2c"), "grpc", id="says-h2c-named-http"),
        pytest.param(("http", 80, GRPC), "grpc", id="answers-in-http2-named-http"),
        pytest.param(("", 80, GRPC), "grpc", id="answers-in-http2-without-a-name"),
        pytest.param(("grpc", 9092, HTTP), "http", id="answers-in-http1-named-grpc"),
        pytest.param(("grpc-web", 9092, HTTP), "http", id="named-grpc-web"),
    ],
)
def test_the_cache_is_spoken_to_as_its_port_says_or_answers(machine, serve, port, scheme):
    serve(*port)
    document = machine.json("up", "--no-bazel", "--no-nix")
    cache = document["result"]["endpoints"]["cache"]
    assert cache.startswith(f"{scheme}://127."), cache
    assert findings(document)["cache.protocol"]["code"] == "cache.protocol.ok"
