"""Real Bazels against the trial's cache: what one build stored, the next one hits."""

import os
import signal
from pathlib import Path

import pytest

from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.trial import supervisor
from gfattach.trial.cache_server import CacheServer
from tests.harness.machine.bazels import BAZELS, BUILD_SECONDS, offline_rc

pytestmark = pytest.mark.bazel

#: Outputs of every kind: small, large (many messages of a stream), empty, executable, several, a directory.
RULE = """
def _tree_impl(ctx):
    out = ctx.actions.declare_directory(ctx.label.name)
    command = "mkdir -p $1/a/b && echo one > $1/one && echo two > $1/a/b/two && : > $1/a/empty"
    ctx.actions.run_shell(outputs = [out], command = command, arguments = [out.path])
    return [DefaultInfo(files = depset([out]))]

tree = rule(implementation = _tree_impl)
"""
BUILD = """
load(":tree.bzl", "tree")

tree(name = "directory")
genrule(name = "small", srcs = ["input"], outs = ["small.txt"], cmd = "tr a-z A-Z < $< > $@; echo said >&2")
genrule(name = "large", outs = ["large.bin"], cmd = "seq 1 1000000 > $@")
genrule(name = "empty", outs = ["empty.txt"], cmd = ": > $@")
genrule(name = "tool", outs = ["tool.sh"], cmd = "echo echo hello > $@", executable = True)
genrule(
    name = "several",
    srcs = ["small.txt"],
    outs = ["s1", "s2"],
    cmd = "cp $< $(location s1); cp $< $(location s2)",
)
"""
ACTIONS = 6

#: What keeps a Bazel with modules off their registry.
RC = "offline.bazelrc"
LARGE_BYTES = 6_888_896
OUTPUTS = ["small.txt", "large.bin", "empty.txt", "tool.sh", "s1", "s2", "directory/one", "directory/a/b/two"]


@pytest.fixture(params=BAZELS)
def bazel(request):
    return BAZELS[request.param]()


@pytest.fixture
def workspace(tmp_path, bazel):
    place = tmp_path / "workspace"
    place.mkdir()
    for name, text in {"WORKSPACE": "", "BUILD": BUILD, "tree.bzl": RULE, "input": "input\n"}.items():
        (place / name).write_text(text)
    (place / RC).write_text(offline_rc(bazel))
    return place


def build(server: Server, port: int, *options: str) -> str:
    """Build everything with the cache at `port`; what Bazel says of the processes that it took."""
    cache = [f"--remote_cache=grpc://127.0.0.1:{port}", "--disk_cache=", "--remote_instance_name=any/name"]
    done = server.run("build", [*cache, *options, "//:all"], Deadline.after(BUILD_SECONDS))
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "WARNING" in line and "rc files" not in line]
    assert warnings == []
    (line,) = [line for line in done.stderr.splitlines() if "process" in line and line.startswith("INFO: ")]
    return line


def outputs(server: Server) -> dict[str, bytes]:
    where = server.run("info", ["bazel-bin", "--remote_cache="], Deadline.after(BUILD_SECONDS)).stdout.strip()
    return {name: (Path(where) / name).read_bytes() for name in OUTPUTS}


def test_one_build_fills_it_and_others_hit(bazel, workspace, tmp_path):
    """Hit after clean, and from a fresh output base after the trial was killed: the same outputs."""
    directory = tmp_path / "trial"
    state = supervisor.start(directory, deadline=Deadline.after(30))
    try:
        with Server(bazel, workspace, tmp_path / "work", "first", rc=[workspace / RC]) as server:
            filled = build(server, state.cache_endpoint.port)
            assert "remote cache hit" not in filled
            made = outputs(server)
            server.run("clean", [], Deadline.after(BUILD_SECONDS))
            assert f"{ACTIONS} remote cache hit" in build(server, state.cache_endpoint.port)
            assert outputs(server) == made
        os.kill(state.process.pid, signal.SIGKILL)
        again = supervisor.start(directory, deadline=Deadline.after(30))
        assert again.cache_endpoint == state.cache_endpoint
        with Server(bazel, workspace, tmp_path / "work", "second", rc=[workspace / RC]) as server:
            assert f"{ACTIONS} remote cache hit" in build(server, again.cache_endpoint.port)
            assert outputs(server) == made
    finally:
        supervisor.stop(directory)


def test_a_read_only_cache_is_read(bazel, workspace, tmp_path):
    filling = CacheServer(tmp_path / "cache")
    filling.start()
    with Server(bazel, workspace, tmp_path / "work", "only", rc=[workspace / RC]) as server:
        build(server, filling.port)
        filling.stop()
        reading = CacheServer(tmp_path / "cache", update_enabled=False)
        reading.start()
        server.run("clean", [], Deadline.after(BUILD_SECONDS))
        try:
            hit = build(server, reading.port, "--noremote_upload_local_results")
        finally:
            reading.stop()
    assert f"{ACTIONS} remote cache hit" in hit


def test_a_result_whose_blob_was_given_up_is_built_again_without_a_warning(bazel, workspace, tmp_path):
    """The large output is removed from the store behind the result's back; the store is what decides."""
    cache = CacheServer(tmp_path / "cache")
    cache.start()
    try:
        with Server(bazel, workspace, tmp_path / "work", "only", rc=[workspace / RC]) as server:
            build(server, cache.port)
            made = outputs(server)
            (large,) = (tmp_path / "cache" / "cas").glob(f"??/*-{LARGE_BYTES}")
            large.unlink()
            server.run("clean", [], Deadline.after(BUILD_SECONDS))
            assert f"{ACTIONS - 1} remote cache hit" in build(server, cache.port)
            assert outputs(server) == made
            assert large.exists()
    finally:
        cache.stop()
