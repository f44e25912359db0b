"""Sockets of an agent are removed from where it made them, whatever the environment says by then."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.harness.cluster.agents import wait_for
from tests.harness.cluster.developer import alive, developer_machine

ATTACH = ("up", "--no-bazel", "--no-nix")


@pytest.fixture
def machine(cluster, tmp_path):
    """A machine whose state directory has too long a path for sockets, and no runtime directory yet."""
    made = developer_machine(tmp_path, cluster)
    made.variables |= {
        "XDG_STATE_HOME": str(tmp_path / ("s" * 90)),
        "XDG_RUNTIME_DIR": f"/tmp/gfattach-run-{os.getpid()}",
    }
    made.runtime = Path(made.variables["XDG_RUNTIME_DIR"])  # type: ignore[attr-defined]
    assert not made.runtime.exists()  # type: ignore[attr-defined]
    yield made
    assert made.run("down").returncode == 0
    assert made.processes() == []
    shutil.rmtree(made.runtime, ignore_errors=True)  # type: ignore[attr-defined]


def attached(machine):
    """The agent's process, and the directory of its sockets: a stand-in, as there is no better."""
    machine.json(*ATTACH)
    result = machine.json("status")["result"]
    place = Path(result["forwards"][0]["socket_path"]).parent
    assert place.parent == Path("/tmp")
    return result["agent"]["pid"], place


@pytest.mark.parametrize("killed", [False, True])
def test_a_runtime_directory_that_comes_later_leaves_nothing_behind(machine, killed):
    pid, place = attached(machine)
    machine.runtime.mkdir(mode=0o700)
    if killed:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid))
    machine.json("down")
    assert not place.exists()
