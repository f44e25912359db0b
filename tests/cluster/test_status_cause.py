"""`status` says why, at once: also when the agent has not yet met what the first question meets."""

from __future__ import annotations

import json

import pytest

from gfattach.core.deadline import Deadline
from tests.harness.cluster.developer import developer_machine, leaving_nothing
from tests.harness.cluster.manifests import POD


@pytest.fixture
def machine(cluster, tmp_path):
    with leaving_nothing(developer_machine(tmp_path, cluster)) as made:
        yield made


def test_the_first_status_after_the_pods_end_names_the_pods_and_not_the_forward(cluster, machine):
    """The node keeps the connection that health goes over, so the forward is up until a client meets it."""
    machine.json("up", "--no-bazel", "--no-nix")
    cluster.delete_pod(POD)
    deadline = Deadline.after(10)
    while (done := machine.run("status", "--output", "json")).returncode == 0:
        assert not deadline.expired
    document = json.loads(done.stdout)
    said = json.dumps(document["stages"])
    assert "forward.down" in said and "0 of 0 pods ready" in said
    [forward] = document["result"]["forwards"]
    assert forward["state"] == "down"
    assert "gfattach up" not in [
        hint for stage in document["stages"] for each in stage["findings"] for hint in each["hints"]
    ]


def test_a_status_that_is_well_asks_the_agent_once(machine):
    machine.json("up", "--no-bazel", "--no-nix")
    stages = [stage["name"] for stage in machine.json("status")["stages"]]
    assert stages == ["start", "agent", "cache", "fragments"]
