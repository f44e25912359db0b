"""The doctor's look at the runners' labels, on a real cluster with ARC's kinds."""

import json

import pytest

from tests.harness.arc.scenarios import HEALTHY, SCENARIOS
from tests.harness.machine.developer import make_machine


@pytest.fixture
def ask(arc_cluster, tmp_path):
    """What the doctor says of the queue, as code and status."""
    machine = make_machine(tmp_path)
    machine.variables["KUBECONFIG"] = str(arc_cluster.viewer)

    def asked():
        done = machine.run("doctor", "--no-nix", "--no-bazel", "--output", "json")
        [stage] = [each for each in json.loads(done.stdout)["stages"] if each["name"] == "queue"]
        assert all(each["hints"] for each in stage["findings"] if each["status"] == "warn"), stage
        return [(each["code"], each["status"]) for each in stage["findings"]]

    return asked


def test_a_cluster_without_scale_sets_is_skipped_and_a_blocked_label_is_named(arc_cluster, maker, ask):
    (make,) = SCENARIOS["queue.set.maximum-0"]
    scenario = make()
    arc_cluster.install("0.13")
    assert ask() == [("queue.none", "skip")]
    maker.make(scenario.fleet)
    assert ask() == [("queue.set.maximum-0", "warn")]


def test_an_idle_label_is_well(arc_cluster, maker, ask):
    scenario = HEALTHY["idle"]()
    arc_cluster.install("0.13")
    maker.make(scenario.fleet)
    assert ask() == [("queue.well", "ok")]


def test_a_right_that_is_missing_makes_it_unknown(arc_cluster, maker, tmp_path):
    arc_cluster.install("0.13")
    machine = make_machine(tmp_path / "other")
    machine.variables["KUBECONFIG"] = str(arc_cluster.kubeconfig)
    document = machine.json("doctor", "--no-nix", "--no-bazel")
    [stage] = [each for each in document["stages"] if each["name"] == "queue"]
    assert [(each["code"], each["status"]) for each in stage["findings"]] == [("queue.unseen", "unknown")]
    assert "could not be looked at" in document["result"]["verdict"]["sentence"]
