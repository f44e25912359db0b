"""The flake, offline: every output evaluates, and `nix run .#attach -- --trial` attaches.

nixpkgs is stood in for by `tests/nixpkgs-stub`. The store is a private one below the test's
directory: nothing of this machine's /nix is read or made.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import ROOT

pytestmark = [
    pytest.mark.nix,
    pytest.mark.skipif(shutil.which("nix") is None, reason="apt-get install nix-bin"),
]
SYSTEMS = ("x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin")


@pytest.fixture
def flake(machine):
    """`nix` for a copy of the tracked files, with the stub in place of nixpkgs."""
    source = machine.root / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    place = machine.root / "nix"
    settings = {
        "experimental-features": "nix-command flakes",
        "sandbox": "false",
        "build-users-group": "",
        "substituters": "",
    }
    environment = {
        **machine.environment,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "NIX_STORE_DIR": str(place / "store"),
        "NIX_STATE_DIR": str(place / "state"),
        "NIX_LOG_DIR": str(place / "log"),
        "NIX_CONF_DIR": str(place / "conf"),
        "NIX_CONFIG": "\n".join(f"{name} = {value}" for name, value in settings.items()),
    }
    del environment["PYTHONPATH"]  # the package has to find itself

    def nix(*args, flake=f"path:{source}", after=(), cwd=source):
        offline = ["--override-input", "nixpkgs", f"path:{ROOT}/tests/nixpkgs-stub", "--no-write-lock-file"]
        command = ["nix", *args[:-1], f"{flake}{args[-1]}", *offline, "--offline", *after]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)
        assert "Traceback" not in done.stderr
        return done

    existed = Path("/nix").exists()
    yield nix
    assert Path("/nix").exists() == existed
    for directory, names, _ in os.walk(place):
        for name in names:
            path = Path(directory, name)
            if not path.is_symlink():
                path.chmod(0o700)


def test_every_output_evaluates_for_every_system(flake):
    done = flake("flake", "show", "--json", "")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    for kind, names in {
        "packages": ["default"],
        "apps": ["attach", "default"],
        "devShells": ["default"],
    }.items():
        for system in SYSTEMS:
            assert sorted(outputs[kind][system]) == names


def test_the_flake_check_passes(flake):
    done = flake("flake", "check", "")
    assert done.returncode == 0, done.stderr


def test_nix_run_attach_trial_attaches_and_down_undoes_it(flake, machine):
    before = machine.files()
    options = ("--trial", "--no-bazel", "--no-nix", "--output", "json")
    done = flake("run", "#attach", after=("--", *options), cwd=machine.workspace)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["attached"] is True
    assert flake("run", "#default", after=("--", "down"), cwd=machine.workspace).returncode == 0
    assert machine.files() == before
