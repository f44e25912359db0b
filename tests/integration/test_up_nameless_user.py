"""A user number without an entry in passwd, as a pod on OpenShift has one: an attach with a real Bazel."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest

from tests.harness.machine.bazels import debian
from tests.harness.machine.developer import ROOT, make_machine

NUMBER = 4242

BECOME = ["setpriv", f"--reuid={NUMBER}", f"--regid={NUMBER}", "--clear-groups"]

#: The tests' own Python may lie where no other user gets to; the system's has the same packages then.
PYTHONS = (sys.executable, "/usr/bin/python3")

#: What gfattach needs: its packages, and to start another of itself.
TRY = "import subprocess, sys, click, grpc; subprocess.run([sys.executable, '-c', ''], check=True)"

pytestmark = [
    pytest.mark.bazel,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("setpriv") is None,
        reason="needs root and setpriv, to be another user: apt-get install util-linux",
    ),
]


def as_nameless(*args, machine):
    """A program as the user 4242, in a home of its own, without USER or LOGNAME."""
    return subprocess.run(
        [*BECOME, *args],
        cwd=machine.workspace,
        env=machine.environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture
def attaching():
    """A machine of that user's, where it can get to: pytest's own directories are root's alone."""
    root = Path(tempfile.mkdtemp(prefix="gfattach-4242-", dir="/tmp"))
    made = make_machine(root)
    assert "USER" not in made.environment and made.environment["HOME"]
    for path in (root, *root.rglob("*")):
        os.lchown(path, NUMBER, NUMBER)
    made.variables["PYTHONPATH"] = f"{ROOT}:{Path(click.__file__).parents[1]}"
    try:
        python = next(
            (each for each in PYTHONS if as_nameless(each, "-c", TRY, machine=made).returncode == 0), None
        )
        if python is None:
            pytest.skip("Python and its packages lie where no other user can read them")

        def nameless(*args):
            return as_nameless(python, "-m", "gfattach", *args, machine=made)

        yield made, nameless
        nameless("down")
        assert made.processes() == []
    finally:
        shutil.rmtree(root)


def test_up_status_bazel_and_down_work_for_a_user_without_a_name(attaching):
    machine, nameless = attaching
    up = nameless("up", "--trial", "--no-nix", "--bazel", str(debian().path), "--output", "json")
    assert up.returncode == 0, up.stdout + up.stderr
    result = json.loads(up.stdout)["result"]
    assert (result["verdict"], result["first_hit"]["client"]) == ("proved", "bazel")
    status = nameless("status", "--output", "json")
    assert status.returncode == 0 and json.loads(status.stdout)["result"]["healthy"] is True
    machine.variables["BAZEL_BIN"] = str(debian().path)
    said = nameless("bazel", "info", "output_base")
    assert said.returncode == 0 and str(NUMBER) in said.stdout, said.stderr
    nameless("bazel", "shutdown")
    assert nameless("down").returncode == 0
