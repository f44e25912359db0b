"""Two clusters whose caches have the same names: forwards from the one are never where the other's are."""

from __future__ import annotations

import shutil
from urllib.parse import urlsplit

import pytest

from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.developer import ATTIC_LABELS, developer_machine, leaving_nothing
from tests.harness.cluster.manifests import NAMESPACE, service
from tests.harness.substituters.attic import KEY, attic, token

ATTIC_PORT = 8081


def with_attic(cluster, port: int) -> None:
    cluster.apply(service("attic", NAMESPACE, ATTIC_LABELS, {"http": 80}))
    cluster.create_pod("attic-0", labels=ATTIC_LABELS, ports={"http": ATTIC_PORT})
    cluster.forward_target(ATTIC_PORT, "127.0.0.1", port)


@pytest.fixture(scope="module")
def other(programs):
    """A second cluster, with an API server, an authority and caches of its own."""
    with Cluster(programs=programs) as running:
        yield running


@pytest.fixture
def machine(cluster, other, tmp_path):
    """A developer of both clusters, whose kubeconfig is a file of their own and leads to the first."""
    with leaving_nothing(developer_machine(tmp_path, cluster)) as made:
        (tmp_path / "home").mkdir(exist_ok=True)
        made.variables["KUBECONFIG"] = str(tmp_path / "home/config")
        shutil.copy(cluster.kubeconfig, made.variables["KUBECONFIG"])
        yield made


@pytest.mark.parametrize("private", [False, True], ids=["for-anybody", "with-a-token"])
def test_workspaces_of_two_clusters_have_forwards_at_addresses_of_their_own(machine, cluster, other, private):
    good = token()
    with attic({good, ""} if not private else {good}) as (port, _):
        for each in (cluster, other):
            with_attic(each, port)
        try:
            if private:
                machine.login("http://attic.nix-cache.svc", good)
            second = machine.root / "second"
            second.mkdir()
            options = ("--no-bazel", "--no-nix", "--public-key", KEY)
            first = machine.json("up", *options)["result"]["endpoints"]
            to_other = ("--kubeconfig", str(other.kubeconfig), "--workspace", str(second))
            assert set(first) == {"cache", "substituter"}
            theirs = machine.json("up", *options, *to_other)["result"]["endpoints"]
            assert set(theirs) == set(first)
            assert not set(theirs.values()) & set(first.values())
            addresses = {urlsplit(ends["substituter"]).hostname for ends in (first, theirs)}
            assert len(addresses - {"127.0.0.1"}) == (2 if private else 0)  # a netrc knows no ports
            assert machine.json("status")["result"]["healthy"] is True
            assert machine.json("status", "--workspace", str(second))["result"]["healthy"] is True
            assert machine.run("down", "--workspace", str(second)).returncode == 0
            shutil.rmtree(second)
        finally:
            for each in (cluster, other):
                each.delete_pod("attic-0")
                each.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/attic")


def test_a_kubeconfig_that_is_written_anew_for_another_cluster_leads_to_other_addresses(machine, other):
    """Under the same name, context and user, as a k3s writes it; the agent of before is not left behind."""
    options = ("up", "--no-bazel", "--no-nix")
    first = machine.json(*options)["result"]["endpoints"]
    assert machine.json(*options)["result"]["endpoints"] == first
    shutil.copy(other.kubeconfig, machine.variables["KUBECONFIG"])
    second = machine.json(*options)["result"]["endpoints"]
    assert second["cache"] != first["cache"]
    assert len([line for line in machine.processes() if "gfattach.agent" in line]) == 1
    assert machine.json("status")["result"]["healthy"] is True
