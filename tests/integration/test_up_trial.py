"""`gfattach up --trial`, `status`, `prove` and `down`, as a person runs them, with real Bazel and Nix."""

import contextlib
import json
import os
import shutil
import stat
import subprocess
import time
from pathlib import Path

import jsonschema
import pytest

from tests.harness.machine.developer import ROOT, findings, make_machine

SCHEMA = json.loads((ROOT / "docs/schema/report-v1.json").read_text())
BAZEL = pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")
NIX = pytest.mark.skipif(shutil.which("nix-store") is None, reason="apt-get install nix-bin")


def stage_of(document, name):
    return next(stage for stage in document["stages"] if stage["name"] == name)


@pytest.fixture(scope="module")
def attached(tmp_path_factory):
    """A machine on which `up --trial` ran once, with every program that is here; and what it said."""
    machine = make_machine(tmp_path_factory.mktemp("attached"))
    before = machine.files()
    started = time.monotonic()
    done = machine.run("up", "--trial", "--output", "json")
    wall = time.monotonic() - started
    assert done.returncode == 0, done.stdout + done.stderr
    yield machine, json.loads(done.stdout), wall
    assert machine.run("down").returncode == 0
    assert machine.processes() == []
    assert machine.files() == before


@BAZEL
@NIX
def test_up_ends_with_a_headline_whose_stages_add_up(attached):
    """At least six stages, that add up to the first hit, and all of them to the wall time within 2 %."""
    _, document, wall = attached
    first = document["result"]["first_hit"]
    assert first["client"] == "bazel"
    assert len(first["stages"]) >= 6
    assert sum(stage["seconds"] for stage in first["stages"]) == pytest.approx(first["seconds"], rel=0.02)
    assert sum(stage["seconds"] for stage in document["stages"]) == pytest.approx(
        document["seconds"], rel=0.02
    )
    # What the test sees from outside is longer by the interpreter's end and the caller's own work.
    assert document["seconds"] == pytest.approx(wall, rel=0.1, abs=0.3)


def test_the_document_holds_to_the_schema(attached):
    _, document, _ = attached
    jsonschema.validate(document, SCHEMA)
    assert document["exit_code"] == 0


@BAZEL
def test_bazel_is_proved_with_one_server_whose_start_is_told(attached):
    """Its first build is a cold one, the hit comes from the same server, and what its start took is in
    both.
    """
    _, document, _ = attached
    phases = [phase for phase in document["result"]["phases"] if phase["client"] == "bazel"]
    assert [(phase["phase"], phase["warm"]) for phase in phases] == [("fill", False), ("hit", True)]
    assert {phase["server_start_seconds"] > 0 for phase in phases} == {True}
    [_, hit] = phases
    assert hit["hits"] >= 0.95 * hit["asked"] > 0
    assert hit["violations"] == []
    assert hit["rpcs"]["GetActionResult OK"] == hit["hits"]


@BAZEL
def test_the_server_starts_beside_other_stages_and_that_is_told_apart(attached):
    """It belongs to the stage of Bazel and to none of the seconds that add up."""
    _, document, _ = attached
    beside = {stage["name"]: stage["beside"] for stage in document["stages"]}
    assert [name for name, span in beside.items() if span] == ["bazel"]
    before = next(stage for stage in document["stages"] if stage["name"] == "bazel")["started"]
    span = beside["bazel"]
    assert span["started"] > 0 and 0 < span["seconds"] <= before - span["started"] + 0.01


@NIX
def test_nix_is_proved_with_a_signature(attached):
    _, document, _ = attached
    [phase] = [phase for phase in document["result"]["phases"] if phase["client"] == "nix"]
    assert (phase["phase"], phase["hits"], phase["local"]) == ("hit", 2, 0)


def test_nothing_that_git_sees_has_changed_and_all_is_private(attached):
    machine, _, _ = attached
    assert machine.git("status", "--short") == ""
    home = machine.workspace / ".gfattach"
    for path in [home, *home.rglob("*")]:
        if path.is_socket() or path.is_symlink():
            continue
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_status_says_that_it_is_healthy(attached):
    machine, _, _ = attached
    document = machine.json("status")
    assert (document["result"]["attached"], document["result"]["healthy"]) == (True, True)
    plain = machine.run("status")
    assert "healthy" in plain.stdout and "Traceback" not in plain.stderr


def test_up_twice_is_one_attachment_at_the_same_ports(attached):
    machine, first, _ = attached
    again = machine.json("up", "--trial", "--no-bazel", "--no-nix")
    assert again["result"]["endpoints"] == first["result"]["endpoints"]
    assert len([line for line in machine.processes() if "gfattach.trial" in line]) == 1


@BAZEL
@NIX
def test_prove_fills_hits_and_sees_the_hits_vanish(attached):
    machine, _, _ = attached
    evidence = machine.root / "evidence.json"
    document = machine.json("prove", "--evidence", str(evidence))
    jsonschema.validate(document, SCHEMA)
    assert document["result"]["verdict"] == "proved"
    phases = {
        (phase["client"], phase["phase"], phase["warm"]): phase for phase in document["result"]["phases"]
    }
    fill, hit = phases["bazel", "fill", False], phases["bazel", "hit", True]
    control = phases["bazel", "control", True]
    assert (fill["hits"], fill["local"]) == (0, fill["asked"])  # a nonce: nobody can have stored it
    assert hit["hits"] >= 0.95 * hit["asked"]
    assert (control["hits"], control["local"]) == (0, control["asked"])
    assert phases["nix", "control", None]["hits"] == 0
    assert phases["protocol", "control", None]["hits"] == 0
    kept = json.loads(evidence.read_text())
    assert kept["phases"] == document["result"]["phases"] and kept["schema"] == "gfattach.first-hit/1"


@BAZEL
def test_prove_measures_a_target_of_the_workspace_and_only_reads(attached):
    """The first time nothing of it is in the cache: nothing to hit, exit code 4, and still nothing stored.

    What a tag keeps from caches is counted apart, and that is said.
    """
    machine, _, _ = attached
    build = machine.workspace / "BUILD.bazel"
    build.write_text(
        'genrule(name = "own", outs = ["own.txt"], cmd = "echo own > $@")\n'
        'genrule(name = "kept", outs = ["kept.txt"], cmd = "echo kept > $@", tags = ["no-cache"])\n'
        'filegroup(name = "both", srcs = ["own", "kept"])\n'
    )
    try:
        document = machine.json("prove", "--target", "//:both", code=4)
    finally:
        build.unlink()
    [phase] = document["result"]["phases"]
    assert (phase["hits"], phase["asked"], phase["never_asked"], phase["local"]) == (0, 1, 1, 2)
    assert findings(document)["target"]["seen"].endswith("; 1 that may not be cached ran here besides")
    assert "UpdateActionResult OK" not in phase["rpcs"]
    assert document["result"]["verdict"] == "nothing-to-hit"


@BAZEL
def test_the_fragment_serves_a_build_of_the_user_s_own(attached):
    """What a lane that may write stored is hit through the fragment, which itself uploads nothing."""
    machine, _, _ = attached
    rc = machine.workspace / ".gfattach/bazelrc"
    base = machine.root / "base"
    startup = [f"--output_user_root={base}", f"--bazelrc={rc}"]
    build = machine.workspace / "BUILD.bazel"
    build.write_text('genrule(name = "mine", outs = ["mine.txt"], cmd = "echo mine > $@")\n')

    def bazel(*args):
        command = ["bazel", *startup, *args]
        return subprocess.run(
            command, cwd=machine.workspace, env=machine.environment, capture_output=True, text=True
        )

    try:
        assert bazel("build", "//:mine", "--remote_upload_local_results").returncode == 0
        assert bazel("clean").returncode == 0
        second = bazel("build", "//:mine")
        assert "1 remote cache hit" in second.stderr, second.stderr
    finally:
        bazel("shutdown")
        build.unlink()
        for link in machine.workspace.glob("bazel-*"):
            link.unlink()
        (machine.workspace / "MODULE.bazel.lock").unlink(missing_ok=True)


def test_link_adds_a_block_that_down_takes_out_byte_for_byte(machine):
    user_rc = machine.workspace / "user.bazelrc"
    user_rc.write_bytes(b"build --jobs=2\r\n# no newline at the end")
    before = machine.files()
    document = machine.json("up", "--trial", "--link", "--no-bazel", "--no-nix")
    assert document["result"]["links"] == [str(user_rc)]
    assert b"try-import %workspace%/.gfattach/bazelrc" in user_rc.read_bytes()
    assert machine.git("status", "--short") == ""
    assert machine.json("down")["result"]["detached"] is True
    assert machine.files() == before
    assert machine.json("down")["result"]["detached"] is False


def test_link_refuses_a_file_that_git_tracks_and_undoes_itself(machine):
    (machine.workspace / "user.bazelrc").write_text("build --jobs=2\n")
    machine.git("add", "--force", "user.bazelrc")
    before = machine.files()
    document = machine.json("up", "--trial", "--link", "--no-bazel", "--no-nix", code=3)
    assert "user.bazelrc" in document["error"]["fact"]
    assert machine.files() == before
    assert machine.processes() == []


def test_without_bazel_and_nix_the_protocol_is_proved_and_the_rest_is_said(machine):
    tools = machine.root / "tools"
    tools.mkdir()
    (tools / "git").symlink_to(shutil.which("git"))
    machine.variables["PATH"] = str(tools)
    done = machine.run("up", "--trial", "--output", "plain")
    assert done.returncode == 0, done.stderr
    assert "not proved: bazel: there is no Bazel on this machine" in done.stdout
    assert "apt-get install bazel-bootstrap" in done.stdout
    assert "not proved: nix: there is no Nix on this machine" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("time to first cache hit")


def test_a_trial_that_died_is_recognised_healed_and_cleaned(machine):
    first = machine.json("up", "--trial", "--no-bazel", "--no-nix")
    pid = stage_of(first, "trial")["findings"][0]["data"]["pid"]
    os.kill(pid, 9)
    with contextlib.suppress(OSError):  # it is gone altogether
        while Path(f"/proc/{pid}/cmdline").read_bytes():
            time.sleep(0.02)
    status = machine.json("status", code=1)
    assert status["result"]["healthy"] is False
    assert [f["code"] for f in stage_of(status, "trial")["findings"]] == ["trial.ended"]
    assert machine.json("prove", code=1)["error"]["code"] == "trial.ended"
    healed = machine.json("up", "--trial", "--no-bazel", "--no-nix")
    assert healed["result"]["endpoints"] == first["result"]["endpoints"]
    assert machine.json("status")["result"]["healthy"] is True


def test_a_workspace_with_spaces_is_attached_and_its_nix_fragment_goes_where_nix_can_read(tmp_path):
    machine = make_machine(tmp_path / "with spaces and ü")
    machine.variables["XDG_STATE_HOME"] = str(tmp_path / "state")
    before = machine.files()
    document = machine.json("up", "--trial", "--no-bazel", "--no-nix")
    assert document["result"]["bazelrc"] == str(machine.workspace / ".gfattach/bazelrc")
    nix_conf = Path(document["result"]["nix_conf"])
    assert nix_conf.is_relative_to(tmp_path / "state") and nix_conf.exists()
    machine.json("down")
    assert machine.files() == before
    assert not nix_conf.exists()


def test_a_stricter_bound_of_the_user_s_own_nix_is_kept(machine):
    machine.variables["NIX_CONFIG"] = "connect-timeout = 1"
    machine.json("up", "--trial", "--no-bazel")
    written = Path(machine.workspace / ".gfattach/nix.conf").read_text()
    assert "\nconnect-timeout = 1\n" in written
    assert "\ndownload-attempts = 2\n" in written  # Nix's own default is laxer
    machine.json("down")


def test_outside_of_a_workspace_the_attachment_is_the_user_s(machine):
    elsewhere = machine.root / "elsewhere"
    elsewhere.mkdir()
    done = machine.run("up", "--trial", "--no-bazel", "--no-nix", "--output", "json", cwd=elsewhere)
    document = json.loads(done.stdout)
    state = Path(machine.environment["XDG_STATE_HOME"])
    assert Path(document["result"]["bazelrc"]).is_relative_to(state)
    assert machine.run("down", cwd=elsewhere).returncode == 0
    assert machine.kept_in_state() <= {"key"}
