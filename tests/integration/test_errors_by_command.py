"""Errors and findings of commands that are met in one place only, each made by its cause."""

from __future__ import annotations

import pytest

from gfattach.trial.nix_server import NixCacheServer
from tests.harness.caches.reapi_server import reapi
from tests.harness.machine.developer import findings

QUICK = ("--no-bazel", "--no-nix")


def error(machine, *args: str, code: int) -> str:
    found = machine.json(*args, code=code)["error"]
    assert found["fact"] and found["hints"]
    return found["code"]


def test_a_workspace_that_is_attached_in_another_way(machine):
    machine.json("up", "--trial", *QUICK)
    assert error(machine, "up", "--cache", "grpc://127.0.0.1:1", *QUICK, code=2) == "attachment.other"


def test_a_trial_and_its_fragment_are_said_to_be_made_there_missing_and_gone(machine):
    started = findings(machine.json("up", "--trial", *QUICK, "--link"))
    codes = {finding["code"] for finding in started.values()}
    assert {"trial.started", "fragment.written", "fragment.linked"} <= codes
    there = findings(machine.json("status"))
    assert (there["trial"]["code"], there["bazelrc"]["code"]) == ("trial.running", "fragment.there")
    (machine.workspace / ".gfattach/bazelrc").unlink()
    assert findings(machine.json("status", code=1))["bazelrc"]["code"] == "fragment.missing"
    ended = {finding["code"] for finding in findings(machine.json("down")).values()}
    assert {"trial.stopped", "undo.done"} <= ended


def test_a_cache_that_has_died_since_the_attach_proves_nothing(machine):
    with reapi() as (port, _):
        machine.json("up", "--cache", f"grpc://127.0.0.1:{port}", *QUICK)
    assert error(machine, "prove", *QUICK, code=4) == "prove.cache"


def test_a_substituter_that_has_died_since_the_attach_proves_nothing(machine, tmp_path):
    server = NixCacheServer(tmp_path / "nix")
    server.start()
    try:
        site = ("--substituter", f"http://127.0.0.1:{server.port}", "--public-key", server.public_key)
        machine.json("up", *site, *QUICK)
    finally:
        server.stop()
    assert error(machine, "prove", *QUICK, code=4) == "prove.substituter"


def test_warming_that_nobody_asked_for_or_that_has_no_cache(machine):
    machine.write_site('[cache]\nupload = "trusted"\n')
    site = ("site", "warm", *QUICK, "--cache", "grpc://127.0.0.1:1")
    assert error(machine, *site, code=3) == "warm.unasked"
    assert machine.json(*site, "--upload", code=1)["error"]["code"] == "warm.cache"


def test_a_local_environment_file_of_nothing(machine):
    done = machine.run("env", "--write", ".env.flywheel.local")
    assert done.returncode == 2 and "nothing to write" in done.stderr
    assert not (machine.workspace / ".env.flywheel.local").exists()


@pytest.fixture
def bazel(machine):
    """A program in Bazel's place that answers for its version alone."""
    path = machine.root / "bazel"
    path.write_text("#!/bin/sh\necho 'bazel 8.1.1'\n")
    path.chmod(0o755)
    machine.variables["BAZEL_BIN"] = str(path)
    return path


@pytest.mark.usefixtures("bazel")
def test_a_fragment_that_is_gone_is_missed_before_bazel_runs(machine):
    machine.json("up", "--trial", *QUICK)
    (machine.workspace / ".gfattach/bazelrc").unlink()
    done = machine.run("bazel", "build", "//:x")
    assert done.returncode == 2 and "bazelrc is gone" in done.stderr and "gfattach up" in done.stderr


@pytest.mark.usefixtures("bazel")
def test_bazel_is_not_run_where_it_is_told_to_read_no_rc_file(machine):
    machine.json("up", "--trial", *QUICK)
    done = machine.run("bazel", "--ignore_all_rc_files", "build", "//:x")
    assert done.returncode == 2 and "--ignore_all_rc_files" in done.stderr


def test_of_a_half_that_is_not_attached_nothing_is_exported_or_written(machine, tmp_path):
    server = NixCacheServer(tmp_path / "nix")
    server.start()
    try:
        site = ("--substituter", f"http://127.0.0.1:{server.port}", "--public-key", server.public_key)
        machine.json("up", "--cache", "grpc://127.0.0.1:1", *site, *QUICK, code=1)
        exported = machine.run("env").stdout
        assert ".gfattach/nix.conf" in exported and "BAZEL_REMOTE_CACHE" not in exported
        done = machine.run("env", "--write", ".env.flywheel.local")
        assert done.returncode == 2 and "nothing to write" in done.stderr
    finally:
        server.stop()
