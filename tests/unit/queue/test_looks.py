"""More than one look: `--watch`, and the second look at a listener's pod that is new."""

import json
import threading

import jsonschema
import pytest

from gfattach.cli import main
from gfattach.queue import run as looks
from tests.harness.arc import scenarios
from tests.harness.arc.documents import ago
from tests.harness.arc.scenarios import LABEL, REPOSITORY
from tests.harness.arc.server import serving
from tests.unit.queue.conftest import SCHEMA


class Ends(Exception):
    """Ends a watch in place of a person."""


@pytest.fixture
def watching(capsys, tmp_path, monkeypatch):
    """Watches a cluster that `changes` change, one between every two looks; what was printed."""
    monkeypatch.chdir(tmp_path)

    def watch(fleet, changes, *words):
        left = iter(changes)

        def sleep(seconds):
            change = next(left, None)
            if change is None:
                raise KeyboardInterrupt
            change()

        monkeypatch.setattr(looks.time, "sleep", sleep)  # type: ignore[attr-defined]
        with serving(fleet) as server:
            code = main.run(
                ["queue", LABEL, "--watch", *words, "--kubeconfig", str(server.kubeconfig(tmp_path))]
            )
        assert code == 130
        return capsys.readouterr().out.splitlines()

    return watch


def test_a_watch_says_what_changes_and_nothing_else(watching):
    fleet, found = scenarios.fleet_of(maximum=1)

    def end():
        fleet.remove(found.runners[0])
        found.runner_set["spec"]["replicas"] = 0

    begin = lambda: fleet.runner(found, repository=REPOSITORY)  # noqa: E731, one of four steps
    lines = watching(fleet, [lambda: None, begin, lambda: None, end])
    assert [line.split("  ", 1)[1].split(":")[1].strip() for line in lines] == ["idle", "at capacity", "idle"]


def test_a_watch_is_a_document_a_line_for_programs(watching):
    fleet, found = scenarios.fleet_of(maximum=1)
    lines = watching(fleet, [lambda: fleet.runner(found, repository=REPOSITORY)], "--output", "json")
    documents = [json.loads(line) for line in lines]
    for each in documents:
        jsonschema.validate(each, SCHEMA)
    assert [each["answers"][0]["verdict"] for each in documents] == ["idle", "at-capacity"]


def test_a_watch_knows_what_two_looks_show(watching):
    fleet, found = scenarios.fleet_of(replicas=2)
    for _ in range(2):
        fleet.runner(found)

    def shrink():
        fleet.remove(found.runners[1], found.pods[1])
        found.runner_set["spec"]["replicas"] = 1

    lines = watching(fleet, [shrink], "--output", "json")
    (answer,) = json.loads(lines[-1])["answers"]
    assert answer["possible"][0]["code"] == "queue.runner.oscillating"


def test_a_listener_whose_pod_is_made_again_and_again_is_seen_by_a_second_look(ask, monkeypatch):
    fleet, found = scenarios.fleet_of()
    found.listener_pod["metadata"]["creationTimestamp"] = ago(20)

    def sleep(seconds):
        found.listener_pod["metadata"] |= {"uid": "another", "creationTimestamp": ago(2)}

    monkeypatch.setattr(looks.time, "sleep", sleep)  # type: ignore[attr-defined]
    _, out, err = ask(fleet, LABEL)
    assert "blocked" in out.splitlines()[0] and "[queue.listener.crashing]" in out
    assert "made anew" in out and "a second look" in err


def test_nobody_waits_for_a_second_look_that_is_not_wanted(ask, monkeypatch):
    fleet, found = scenarios.fleet_of()
    found.listener_pod["metadata"]["creationTimestamp"] = ago(20)
    monkeypatch.setattr(looks.time, "sleep", lambda seconds: pytest.fail("it waited"))  # type: ignore[attr-defined]
    _, out, _ = ask(fleet, LABEL, "--no-second-look")
    assert "idle" in out.splitlines()[0]
    found.listener_pod["metadata"]["creationTimestamp"] = ago(500)
    _, out, _ = ask(fleet, LABEL)
    assert "idle" in out.splitlines()[0]


def test_looks_leave_no_thread_behind(ask):
    before = threading.active_count()
    for _ in range(3):
        ask(scenarios.idle().fleet, LABEL)
    assert threading.active_count() <= before + 1  # the loop of all clusters
