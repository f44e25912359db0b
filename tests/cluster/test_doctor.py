"""The doctor of an attachment into a real cluster: healthy, and with a dead tunnel that others call ready."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from gfattach.agent.model.state import read_state
from tests.harness.cluster.developer import developer_machine, leaving_nothing
from tests.harness.cluster.manifests import POD
from tests.harness.machine.developer import findings

#: What the doctors and verifiers around GloriousFlywheel look at: what is set, and no connection. The same
#: checks in as few words: a profile that is enrolled, a mode, an endpoint of a known scheme that is no
#: placeholder, uploads off, and a program to build with.
OTHER_DOCTOR = r"""
set -eu
case "${GF_FLYWHEEL_PROFILE_STATE:-}" in
  local-proof | shared-cache-backed) ;;
  *) echo "not enrolled"; exit 1 ;;
esac
[ "${GF_BAZEL_SUBSTRATE_MODE:-}" = shared-cache-backed ] || { echo "no substrate mode"; exit 1; }
case "${BAZEL_REMOTE_CACHE:-}" in
  *'${'*) echo "placeholder"; exit 1 ;;
  grpc://* | grpcs://* | http://* | https://*) ;;
  *) echo "no endpoint"; exit 1 ;;
esac
case "$BAZEL_REMOTE_CACHE" in
  *127.0.0.1*) [ "${GF_BAZEL_ALLOW_LOCALHOST_PROOF:-}" = true ] || { echo "localhost"; exit 1; } ;;
esac
[ "${GF_BAZEL_REMOTE_UPLOAD:-true}" = false ] || { echo "uploads"; exit 1; }
command -v bazel >/dev/null || { echo "no bazel"; exit 127; }
echo READY
"""


@pytest.fixture
def machine(cluster, tmp_path):
    with leaving_nothing(developer_machine(tmp_path, cluster)) as made:
        yield made


def attached_environment(machine):
    changes = json.loads(machine.run("env", "--shell", "json").stdout)
    return {**machine.environment, **changes["set"]}


def other_doctor(machine, environment):
    done = subprocess.run(
        ["sh", "-c", OTHER_DOCTOR], cwd=machine.workspace, env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout.strip()


def kill_agent(machine):
    """The process that holds the tunnel is gone, and nothing else has changed."""
    record = json.loads((machine.state / "attachment.json").read_text())
    state = read_state(Path(record["agent"]))
    os.kill(state.process.pid, signal.SIGKILL)


def test_a_healthy_attachment_is_called_so_and_further_stages_do_not_apply(machine):
    machine.json("up", "--no-bazel", "--no-nix")
    document = machine.json("doctor", "--no-nix")
    assert document["result"]["verdict"]["state"] in ("ok", "warn")
    found = findings(document)
    assert found["queue"]["code"] == "queue.none"
    assert not [each for each in found.values() if each["status"] == "fail"]


def test_with_the_tunnel_dead_other_doctors_say_ready_and_ours_names_the_tunnel_first(machine):
    machine.json("up", "--no-bazel", "--no-nix")
    environment = attached_environment(machine)
    assert other_doctor(machine, environment) == (0, "READY")
    kill_agent(machine)
    assert other_doctor(machine, environment) == (0, "READY"), "they look at what is set"
    machine.variables |= {
        name: environment[name] for name in environment if name.startswith(("GF_", "BAZEL_"))
    }
    document = machine.json("doctor", "--no-nix", code=1)
    verdict = document["result"]["verdict"]
    assert findings(document)[verdict["roots"][0]]["code"] == "agent.ended"
    assert verdict["sentence"].startswith("the agent has ended")
    machine.variables = {"KUBECONFIG": machine.variables["KUBECONFIG"]}


def test_with_the_pods_gone_ours_names_them_first(cluster, machine):
    machine.json("up", "--no-bazel", "--no-nix")
    environment = attached_environment(machine)
    cluster.delete_pod(POD)
    assert other_doctor(machine, environment) == (0, "READY")
    document = machine.json("doctor", "--no-nix", code=1)
    first = findings(document)[document["result"]["verdict"]["roots"][0]]
    assert "0 of 0 pods ready" in first["seen"] or "no pods" in first["seen"], first
