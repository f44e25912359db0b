"""A build under an attachment through a forward, while the cache behind it dies and comes back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from gfattach.core.files import remove_tree
from gfattach.fragments import nixconf
from tests.harness.cluster.agents import wait_for
from tests.harness.cluster.developer import developer_machine, leaving_nothing, nix_cache, start_nix_cache
from tests.harness.cluster.manifests import RUNTIME_NODE
from tests.harness.machine.nixes import hold_guard_to, private_environment

pytestmark = [
    pytest.mark.nix,
    pytest.mark.skipif(shutil.which("nix") is None, reason="apt-get install nix-bin"),
]

#: Deaths and returns in a row.
ROUNDS = 4

_EXPRESSION = """derivation {
  name = "gfattach-trial-signed-v1";
  system = "builtin";
  builder = "builtin:buildenv";
  derivations = [ ];
  manifest = "/dev/null";
}
"""


@pytest.fixture
def served(cluster, tmp_path):
    """A real Nix cache in the cluster, in a process of its own; as a container runtime ends connections."""
    with nix_cache(tmp_path / "keeper", cluster, RUNTIME_NODE) as facts:
        yield facts


@pytest.fixture
def machine(cluster, served, tmp_path):
    made = developer_machine(tmp_path / "machine", cluster)
    private = private_environment(made.root / "nix")
    made.variables |= {name: value for name, value in private.items() if name.startswith("NIX_")}
    (made.root / "nix/signed.nix").write_text(_EXPRESSION)
    made.write_site('[nix]\nservice = "attic"\ncache = ""\n[cache]\nservice = "bazel-cache"\n')
    with leaving_nothing(made):
        yield made


def build(machine, fragment):
    """One `nix-build` into an empty store: its seconds, how it ended, and whether it substituted."""
    store = machine.root / "nix/store"
    began = time.monotonic()
    done = subprocess.run(
        ["nix-build", "--store", f"local?root={store}", "--no-out-link", "signed.nix"],
        cwd=machine.root / "nix",
        env={**machine.environment, "NIX_CONFIG": nixconf.include_line(fragment)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    took = time.monotonic() - began
    remove_tree(store)
    return took, done, "copying path" in done.stderr


def test_a_cache_that_dies_behind_a_forward_and_returns_costs_no_build(machine, served):
    machine.json("up", "--no-bazel", "--public-key", served["public_key"])
    fragment = Path(machine.json("status")["result"]["nix_conf"])
    full = fragment.read_text()
    emptied, restored, builds = [], [], []
    pid = served["pid"]
    for round_ in range(ROUNDS):
        took, done, substituted = build(machine, fragment)
        assert done.returncode == 0 and substituted, f"round {round_}: {done.stderr}"
        builds.append(took)
        os.kill(pid, signal.SIGKILL)
        emptied.append(wait_for(lambda: fragment.read_text() == nixconf.emptied()))
        took, done, substituted = build(machine, fragment)
        assert done.returncode == 0 and not substituted, f"round {round_}: {done.stderr}"
        builds.append(took)
        pid = start_nix_cache(served["keeper"])["pid"]
        restored.append(wait_for(lambda: fragment.read_text() == full))
    took, done, substituted = build(machine, fragment)
    assert done.returncode == 0 and substituted, done.stderr
    hold_guard_to(emptied, restored, builds)
