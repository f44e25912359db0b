"""An agent that stands still is not one that has ended: what is said of it, and that `down` ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import jsonschema
import pytest

from tests.harness.cluster.agents import wait_for
from tests.harness.cluster.developer import alive, developer_machine, leaving_nothing
from tests.harness.machine.budget import budget
from tests.harness.machine.developer import ROOT, findings

SCHEMA, WATCH, LOG = (
    json.loads((ROOT / f"docs/schema/{name}-v1.json").read_text()) for name in ("report", "watch", "log")
)

ATTACH = ("up", "--no-bazel", "--no-nix")


@pytest.fixture
def machine(cluster, tmp_path):
    with leaving_nothing(developer_machine(tmp_path, cluster)) as made:
        yield made
    assert made.kept_in_state() <= {"key"}


@pytest.fixture
def frozen(machine):
    """The agent's process, stopped."""
    machine.json(*ATTACH)
    pid = machine.json("status")["result"]["agent"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    yield pid
    if alive(pid):
        os.kill(pid, signal.SIGCONT)


def first_line(machine, *args):
    """The first document of a command that goes on until it is asked to end, which is 130 then."""
    watching = subprocess.Popen(
        [sys.executable, "-m", "gfattach", *args, "--output", "json"],
        cwd=machine.workspace,
        env=machine.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        return json.loads(watching.stdout.readline())
    finally:
        watching.terminate()
        watching.communicate(timeout=10)
        assert watching.returncode == 130


def first_look(machine):
    look = first_line(machine, "status", "--watch")
    jsonschema.validate(look, WATCH)
    return look


def test_watch_tells_one_that_is_stopped_from_one_that_has_ended(machine, frozen):
    look = first_look(machine)
    assert (look["state"], look["agent"]) == ("hung", None)
    os.kill(frozen, signal.SIGCONT)
    wait_for(lambda: machine.run("status").returncode == 0)
    assert first_look(machine)["state"] == "running"
    os.kill(frozen, signal.SIGKILL)
    wait_for(lambda: not alive(frozen))
    assert first_look(machine)["state"] == "ended"


def test_the_level_of_its_log_cannot_be_set_and_that_is_why(machine, frozen):
    done = machine.run("logs", "--level", "debug")
    assert done.returncode == 1 and "stopped or stuck" in done.stderr


def test_down_ends_it_and_leaves_nothing(machine, frozen):
    began = time.monotonic()
    document = machine.json("down")
    assert time.monotonic() - began < budget(6)
    assert "agent.released" in json.dumps(document["stages"])
    wait_for(lambda: not alive(frozen))


def test_down_leaves_it_to_another_workspace_that_it_serves(machine, frozen, tmp_path, cluster):
    os.kill(frozen, signal.SIGCONT)
    other = tmp_path / "other"
    other.mkdir()
    (other / "MODULE.bazel").write_text("")
    (other / ".git").mkdir()
    assert machine.run(*ATTACH, cwd=other).returncode == 0
    os.kill(frozen, signal.SIGSTOP)
    document = machine.json("down")
    assert alive(frozen)
    assert document["result"]["hung"] == {"pid": frozen, "others": [str(other)]}
    [said] = [found for found in findings(document).values() if found["code"] == "agent.left"]
    assert f"process {frozen}" in said["seen"] and str(other) in said["seen"]
    assert f"kill -KILL {frozen}" in " ".join(said["hints"]) and f"kill -CONT {frozen}" in " ".join(
        said["hints"]
    )
    assert "nothing of the attachment is left but" in json.dumps(document["stages"])
    os.kill(frozen, signal.SIGCONT)
    again = machine.run("status", "--output", "json", cwd=other)
    assert again.returncode == 0 and json.loads(again.stdout)["result"]["agent"]["pid"] == frozen
    assert machine.run("down", cwd=other).returncode == 0


def test_the_log_is_a_document_for_who_asks_for_one(machine):
    machine.json(*ATTACH)
    document = machine.json("logs")
    jsonschema.validate(document, SCHEMA)
    assert any("is up" in line for line in document["result"]["lines"])
    [file] = document["result"]["files"]
    assert file.endswith("agent.log")
    line = first_line(machine, "logs", "--follow")
    jsonschema.validate(line, LOG)
    assert line["line"] == document["result"]["lines"][0]
    machine.run("down")
    assert machine.json("logs", code=2)["error"]["code"] == "agent.none"


def test_one_that_has_ended_is_said_to_and_its_log_says_why(machine):
    machine.json(*ATTACH, "--lease", "0.002")  # 7 s: `up` itself has to be over before
    wait_for(lambda: not any("gfattach.agent" in line for line in machine.processes()), 40)
    document = machine.json("status", code=1)
    [agent] = [stage for stage in document["stages"] if stage["name"] == "agent"]
    assert agent["findings"][0]["hints"] == ["start it again: gfattach up", "see why it ended: gfattach logs"]
    assert "no client used it for the time of its lease" in machine.run("logs").stdout
