"""Two workspaces that are attached to one substituter: what one gives up, the other keeps."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from gfattach.trial.nix_server import NixCacheServer
from tests.harness.cluster.agents import wait_for
from tests.harness.machine.developer import Machine, findings

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")


@pytest.fixture
def both(machine, tmp_path):
    """The options that name each workspace, once both are attached."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "WORKSPACE").touch()
    machine.git("init", "--quiet", str(other))
    server = NixCacheServer(tmp_path / "cache")
    server.start()
    try:
        site = ("--substituter", f"http://127.0.0.1:{server.port}", "--public-key", server.public_key)
        workspaces = tuple(("--workspace", str(place)) for place in (machine.workspace, other))
        for workspace in workspaces:
            machine.json("up", *site, *workspace, "--no-bazel", "--no-nix")
        yield workspaces
    finally:
        for workspace in workspaces:
            machine.run("down", *workspace)
        server.stop()


def agent_of(machine: Machine, workspace: tuple[str, str]) -> dict:
    return machine.json("status", *workspace)["result"]["agent"]


def test_the_agent_goes_with_the_last_of_them(machine, both):
    one, other = both
    pid = agent_of(machine, one)["pid"]
    assert agent_of(machine, other)["pid"] == pid
    machine.json("down", *one)
    held = agent_of(machine, other)
    assert (held["pid"], len(held["records"])) == (pid, 1)
    assert [forward["state"] for forward in held["forwards"]] == ["up"]
    machine.json("down", *other)
    assert machine.processes() == []


def test_one_that_is_stopped_is_left_to_the_other_and_ends_with_the_last(machine, both):
    one, other = both
    pid = agent_of(machine, one)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        left = findings(machine.json("down", *one))["agent"]
        assert left["code"] == "agent.left" and other[1] in left["seen"]
        assert Path(f"/proc/{pid}").exists()
        machine.json("down", *other)
        wait_for(lambda: machine.processes() == [])
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
