"""`gfattach queue --audit`: each thing is found in a cluster made for it, and nothing is changed."""

import pytest

from gfattach.core.errors import ExitCode
from gfattach.queue.audit.rules import HYGIENE
from tests.harness.arc import scenarios
from tests.harness.arc.documents import RUNNERS
from tests.harness.arc.objects import ARC, Fleet
from tests.harness.arc.pod_states import delete
from tests.unit.queue.conftest import document


def orphan_listener():
    fleet, found = scenarios.fleet_of()
    fleet.remove(found.scale_set, found.runner_set)
    return fleet


def missing():
    fleet, found = scenarios.fleet_of()
    fleet.remove(found.listener, found.listener_pod)
    return fleet


def orphan_runner():
    fleet, found = scenarios.fleet_of()
    fleet.runner(found)
    fleet.remove(found.runner_set)
    found.listener["spec"].pop("ephemeralRunnerSetName")
    return fleet


def of_a_pending_parent():
    fleet, found = scenarios.fleet_of(chart="0.14.2")
    fleet.runner(found, age=3600)
    found.scale_set["status"]["phase"] = "Pending"
    return fleet


def orphan_runner_set():
    fleet, _ = scenarios.fleet_of()
    gone = {"apiVersion": ARC, "kind": "AutoscalingRunnerSet", "metadata": {"name": "gone", "uid": "gone"}}
    fleet.add(ARC, "EphemeralRunnerSet", "gone-abcde", RUNNERS, 9000, owner=gone, spec={"replicas": 0})
    return fleet


def stuck():
    fleet, found = scenarios.fleet_of()
    fleet.runner(found)
    delete(found.runners[0], 4000)
    return fleet


def skewed():
    fleet = Fleet("0.14.2")
    fleet.scale_set(version="0.13.1")
    return fleet


def patched():
    fleet = Fleet("0.13.1")
    fleet.scale_set(version="0.13.0")
    return fleet


def made(make):
    return lambda: make().fleet


CASES = [
    ("queue.audit.listener.orphan", orphan_listener),
    ("queue.audit.listener.two", made(scenarios.two_listeners)),
    ("queue.audit.listener.name", made(scenarios.misnamed_listener)),
    ("queue.audit.listener.settings", made(scenarios.behind)),
    ("queue.audit.listener.settings", made(scenarios.other_id)),
    ("queue.audit.listener.settings", made(scenarios.aims_wrong)),
    ("queue.audit.listener.missing", missing),
    ("queue.audit.runner.orphan", orphan_runner),
    ("queue.audit.runner.orphan", of_a_pending_parent),
    ("queue.audit.runner.orphan", orphan_runner_set),
    ("queue.audit.deletion.stuck", stuck),
    ("queue.audit.version", skewed),
    ("queue.audit.version", patched),
    ("queue.audit.maximum-0", made(scenarios.maximum_zero)),
    ("queue.audit.outdated", made(scenarios.outdated)),
    ("queue.audit.runner.failed", made(scenarios.failed)),
    ("queue.audit.controller.down", made(scenarios.controller_down)),
    ("queue.audit.controller.namespace", made(scenarios.elsewhere)),
]


def test_there_is_a_case_for_everything_that_is_looked_for():
    assert {each.code for each in HYGIENE} == {code for code, _ in CASES}


@pytest.mark.parametrize(("code", "make"), CASES, ids=[f"{c}-{n}" for n, (c, _) in enumerate(CASES)])
def test_what_is_amiss_is_found_with_its_objects_and_what_it_would_take(ask, code, make):
    exit_code, out, _ = ask(make(), "--audit", "--output", "json")
    found = [each for each in document(out)["findings"] if each["code"] == code]
    assert exit_code == ExitCode.FAILED and found
    assert all(each["objects"] and each["takes"] for each in found)
    assert all("{" not in text for each in found for text in (each["sentence"], *each["takes"]))


def test_a_stuck_deletion_names_the_finalizer_that_keeps_it(ask):
    _, out, _ = ask(stuck(), "--audit")
    assert "runner-registration-finalizer" in out


@pytest.mark.parametrize("name", ["idle", "warm", "partly busy"])
def test_a_cluster_that_is_well_is_clean(ask, name):
    code, out, _ = ask(scenarios.HEALTHY[name]().fleet, "--audit", "--output", "json")
    made = document(out)
    assert (code, made["findings"], made["unknown"]) == (ExitCode.GOOD, [], [])
    assert made["clean"] == [each.code for each in HYGIENE]


def test_what_would_change_the_cluster_is_said_to_need_the_operator(ask):
    _, out, _ = ask(skewed(), "--audit")
    assert "nothing was changed" in out and "needs the operator's window" in out


def test_a_right_that_is_missing_leaves_a_rule_open(ask):
    def deny(server):
        server.denied = {("autoscalinglisteners", None), ("autoscalinglisteners", "arc-systems")}

    code, out, _ = ask(scenarios.idle().fleet, "--audit", "--output", "json", prepare=deny)
    made = document(out)
    assert code == ExitCode.UNPROVED and made["findings"] == []
    assert "queue.audit.listener.orphan" in [each["code"] for each in made["unknown"]]
    assert made["missing"] == [
        "list autoscalinglisteners.actions.github.com in all namespaces",
        "list autoscalinglisteners.actions.github.com in namespace arc-systems",
    ]


def test_two_owners_may_have_one_number_for_their_scale_sets(ask):
    """Ids are GitHub's, and each owner's begin anew: they are compared for one URL alone."""
    fleet, first = scenarios.fleet_of()
    bus = fleet.scale_set("bus-nix", url="https://github.com/Great-Falls-Tool-Bus")
    number = first.scale_set["metadata"]["annotations"]["runner-scale-set-id"]
    bus.scale_set["metadata"]["annotations"]["runner-scale-set-id"] = number
    bus.listener["spec"]["runnerScaleSetId"] = int(number)
    code, _, _ = ask(fleet, "--audit")
    assert code == ExitCode.GOOD
