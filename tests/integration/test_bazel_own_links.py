"""A target pattern that takes in everything, in a workspace where the user's own Bazel has left its links."""

from __future__ import annotations

import os
import subprocess

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.proof.bazel.phases import measure_target
from gfattach.proof.measure import describe
from gfattach.reapi.target import CacheTarget
from gfattach.trial.cache_server import CacheServer
from tests.harness.machine.bazels import BUILD_SECONDS, debian

pytestmark = pytest.mark.bazel


@pytest.fixture
def measure(tmp_path):
    """Measures labels of a workspace that its user has built, with the links of that build in it."""
    bazel = debian()
    workspace = tmp_path / "app"
    workspace.mkdir()
    (workspace / "WORKSPACE").touch()
    (workspace / "BUILD").write_text('genrule(name = "g", outs = ["o"], cmd = "echo hi > $@")\n')
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "USER": "dev"}
    own = [str(bazel.path), f"--output_user_root={tmp_path / 'own'}"]
    subprocess.run([*own, "build", "//:g"], cwd=workspace, env=environ, check=True, capture_output=True)
    subprocess.run([*own, "shutdown"], cwd=workspace, env=environ, check=True, capture_output=True)
    cache = CacheServer(tmp_path / "cache")
    cache.start()

    def measured(*labels):
        return measure_target(
            bazel,
            workspace,
            labels,
            [],
            CacheTarget(Endpoint("grpc", "127.0.0.1", cache.port)),
            work=tmp_path / "work",
            deadline=Deadline.after(BUILD_SECONDS),
            environ=environ,
        )

    yield workspace, measured
    cache.stop()


def test_the_link_that_such_a_pattern_fails_at_is_named_with_both_ways_out(measure):
    workspace, measured = measure
    phase = measured("//...")
    assert phase.violations[0].startswith("bazel exited with 1")
    finding = describe(phase)
    assert finding.why == "what failed, or what something else could have served, proves nothing"
    assert [*finding.hints] == [
        "//... takes in bazel-app, which your own Bazel left: name the packages, as in //app/...",
        "or remove it first; the next build makes it anew: rm bazel-app",
    ]
    assert measured("//:nosuch").detail.get("remedies") is None
    (workspace / "bazel-app").unlink()
    assert measured("//...").violations == ()
