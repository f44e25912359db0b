"""A plaintext cache behind a forward, and each real Bazel: by the unix socket if it can, else by the port."""

import json

import pytest

from tests.harness.cluster.developer import developer_machine, fill, leaving_nothing
from tests.harness.machine.bazels import BAZELS, upstream

#: Upstream's build has netty's natives; Debian's builds of 4.2.3 and 7.7.1 have not.
BY_SOCKET = {label: label.startswith("upstream") for label in BAZELS}


def findings(document):
    return {f["code"]: f for stage in document["stages"] for f in stage["findings"]}


def record(machine):
    [path] = (machine.root / "home/.local/state/gfattach/attachments").glob("*/attachment.json")
    return json.loads(path.read_text())


@pytest.fixture
def machine(cluster, tmp_path):
    """A developer's machine; whatever it attached is detached at its end, and nothing is left."""
    with leaving_nothing(developer_machine(tmp_path, cluster)) as made:
        yield made


@pytest.mark.parametrize("label", BAZELS)
def test_each_bazel_has_hits_by_the_socket_if_it_can_and_else_by_the_port(
    label, cluster, machine, tmp_path_factory
):
    bazel = str(BAZELS[label]().path)
    fill(tmp_path_factory.mktemp("operator"), cluster, "--bazel", bazel)
    document = machine.json("up", "--no-nix", "--bazel", bazel)
    assert document["result"]["verdict"] == "proved"
    assert document["result"]["first_hit"]["client"] == "bazel"
    found = findings(document)
    rc = (machine.workspace / ".gfattach/bazelrc").read_text()
    assert "build --remote_cache=grpc://127.0.0.1:" in rc
    if BY_SOCKET[label]:
        assert "bazel.transport.socket" in found
        assert f"--remote_proxy=unix:{record(machine)['cache']['socket']}" in rc
    else:
        assert "netty's native libraries" in found["bazel.transport.port"]["seen"]
        assert "remote_proxy" not in rc and record(machine)["cache"]["socket"] is None
    assert machine.json("status")["result"]["healthy"] is True


def test_a_proof_by_the_socket_withholds_it_and_a_bazel_without_sockets_proves_by_the_port(
    cluster, machine, tmp_path_factory
):
    """The control phase has no hit though the fragment among its rc files names the socket."""
    fill(tmp_path_factory.mktemp("operator"), cluster, "--bazel", str(upstream().path))
    machine.json("up", "--no-nix", "--bazel", str(upstream().path))
    proved = machine.json("prove", "--no-nix", "--bazel", str(upstream().path))["result"]
    assert proved["verdict"] == "proved"
    [control] = [p for p in proved["phases"] if p["client"] == "bazel" and p["phase"] == "control"]
    assert control["hits"] == 0 and control["violations"] == []
    other = next(label for label, by_socket in BY_SOCKET.items() if not by_socket)
    with_other = machine.json("prove", "--no-nix", "--bazel", str(BAZELS[other]().path))
    assert "bazel.transport.port" in findings(with_other)
    assert with_other["result"]["verdict"] == "proved"
