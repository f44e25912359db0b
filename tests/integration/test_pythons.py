"""gfattach on the Pythons of other Debians: it installs there, attaches, and its own protocols hold.

The suites without programs, whole, on one of them: `python3 dev.py --python 3.14 test tests/unit`. A private
authority that Bazel, Nix and kubectl take is in `test_tls_strictness.py`, for each of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.machine.budget import budget
from tests.harness.machine.developer import ROOT, make_machine
from tests.harness.programs import Kind, environments, of_kind

#: What differs most between Pythons: TLS, sockets, decompression.
SUITES = ("tls*", "reapi_tls", "reapi_sniff", "nixcache_decompress", "websocket_frames", "peer_listening")

PYTHONS = of_kind(Kind.PYTHON)


@pytest.fixture(scope="module", params=PYTHONS)
def python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of an environment of that Python, with gfattach in it."""
    program = PYTHONS[request.param]
    if program is None:
        pytest.skip(f"needs {request.param}: python3 -m tests.harness.programs.fetch")
    return environments.ensure(program, ROOT)


def test_the_suites_of_what_differs_most_between_pythons_pass(python: Path) -> None:
    files = [str(path) for suite in SUITES for path in (ROOT / "tests/unit").glob(f"test_{suite}.py")]
    assert len(files) >= len(SUITES)
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=budget(120),
    )
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.bazel
@pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")
def test_a_trial_attaches_and_is_gone_after_down(python: Path, tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    environ = {name: value for name, value in machine.environment.items() if name != "PYTHONPATH"}

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python.with_name("gfattach"), *args],
            cwd=machine.workspace,
            env=environ,
            capture_output=True,
            text=True,
            timeout=budget(240),
        )

    done = run("up", "--trial", "--output", "json")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["result"]["verdict"] == "proved"
    finally:
        down = run("down")
    assert down.returncode == 0, down.stderr
    assert machine.processes() == []
