"""Bad input: a clear error with exit code 2 (or 3, 127), and nothing left over."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

QUICK = ("--no-bazel", "--no-nix")


@pytest.fixture
def unchanged(machine):
    """The machine, which has to be at the end what it was, with nothing attached."""
    before = machine.files()
    yield machine
    assert machine.files() == before
    assert machine.processes() == []


def program(machine, name, script):
    path = machine.root / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("text", ["[cache", "[cache]\nendpoint = 1\n", "[cache]\nnonsense = 1\n", "\0"])
def test_a_bad_gfattach_toml_is_named(machine, text):
    (machine.workspace / "gfattach.toml").write_text(text)
    document = machine.json("up", "--trial", *QUICK, code=2)
    assert "gfattach.toml" in document["error"]["fact"]
    assert not (machine.workspace / ".gfattach").exists()


def test_nothing_that_says_where_the_caches_are_names_the_trial(unchanged):
    error = unchanged.json("up", code=2)["error"]
    assert error["code"] == "site.empty"
    assert any("gfattach up --trial" in hint for hint in error["hints"])


@pytest.mark.parametrize("option", ["--bazel-port", "--nix-port"])
def test_a_port_in_use_is_named(unchanged, option):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = unchanged.json("up", "--trial", *QUICK, option, str(port), code=2)["error"]
    assert str(port) in error["fact"]
    assert error["hints"]


def test_a_workspace_that_is_none_is_named(unchanged):
    done = unchanged.run("up", "--trial", "--workspace", str(unchanged.root / "nowhere"))
    assert done.returncode == 2 and "nowhere" in done.stderr and "Traceback" not in done.stderr


def test_a_read_only_workspace_is_named(machine):
    """Root may write anywhere, so the file system itself says no: a read-only tmpfs."""
    place = machine.root / "frozen"
    place.mkdir()
    if (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", place], capture_output=True
        ).returncode
        != 0
    ):
        pytest.skip("this user cannot mount a tmpfs: run the tests as root")
    try:
        (place / "WORKSPACE").write_text("")
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        document = machine.json("up", "--trial", *QUICK, "--workspace", str(place), code=2)
        assert "read-only" in document["error"]["fact"]
        assert document["error"]["hints"]
    finally:
        subprocess.run(["umount", place], check=True)
    assert machine.processes() == []


def test_a_full_disk_is_named_and_nothing_is_left(machine):
    place = machine.root / "full"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", place]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this user cannot mount a tmpfs: run the tests as root")
    try:
        (place / "WORKSPACE").write_text("")
        with (place / "filler").open("wb") as file:
            try:
                while True:
                    os.write(file.fileno(), b"x" * 4096)
            except OSError:
                pass
        document = machine.json("up", "--trial", *QUICK, "--workspace", str(place), code=2)
        assert "no space left" in document["error"]["fact"]
        assert sorted(path.name for path in place.iterdir()) == ["WORKSPACE", "filler"]
    finally:
        for line in machine.processes():
            print(line)
        subprocess.run(["umount", place], check=True)
    assert machine.processes() == []


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("exit 37", "bazel.program.crashed"),
        ("echo 'hello, I am a wrapper'", "bazel.program.rubbish"),
        ("kill -SEGV $$", "bazel.program.crashed"),
    ],
)
def test_a_bazel_that_crashes_or_prints_rubbish_is_named(machine, script, code):
    document = machine.json("up", "--trial", "--no-nix", "--bazel", program(machine, "bazel", script), code=2)
    codes = [finding["code"] for stage in document["stages"] for finding in stage["findings"]]
    assert code in codes
    assert document["result"]["bazelrc"] is None


@pytest.mark.parametrize("script", ["exit 3", "echo rubbish", "kill -SEGV $$"])
def test_a_nix_that_crashes_or_prints_rubbish_is_named(machine, script):
    document = machine.json("up", "--trial", "--no-bazel", "--nix", program(machine, "nix", script), code=2)
    failed = [f for stage in document["stages"] for f in stage["findings"] if f["status"] == "fail"]
    assert failed and all(f["code"].startswith("nix.") and f["hints"] for f in failed)
    assert document["result"]["nix_conf"] is None


@pytest.mark.parametrize("option", ["--bazel", "--nix"])
def test_a_program_that_is_named_and_missing_is_127(machine, option):
    machine.json(
        "up", "--trial", *(q for q in QUICK if q[5:] != option[2:]), option, "/nonexistent/x", code=127
    )


@pytest.mark.parametrize("name", ["BAZEL_REMOTE_EXECUTOR", "BAZEL_REMOTE_EXECUTOR_CACHE"])
def test_an_executor_in_the_environment_is_refused(unchanged, name):
    unchanged.variables[name] = "grpc://executor.example:8980"
    error = unchanged.json("up", "--trial", *QUICK, code=3)["error"]
    assert error["code"] == "contract.no-executor.endpoint" and name in error["fact"]


def test_an_executor_of_the_site_is_refused(unchanged):
    (unchanged.workspace / "gfattach.toml").write_text('[executor]\nendpoint = "grpc://farm.example:1"\n')
    assert unchanged.json("up", "--trial", *QUICK, code=3)["error"]["code"] == "executor.configured"
    (unchanged.workspace / "gfattach.toml").unlink()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("GF_BAZEL_SUBSTRATE_MODE", "executor-backed", "contract.no-executor.mode"),
        ("GF_FLYWHEEL_PROFILE_STATE", "executor-backed", "contract.no-executor.profile"),
        ("GF_RBE_PROOF_MODE", "explicit", "contract.no-executor.rbe-proof"),
        ("BAZEL_REMOTE_EXEC_HEADER", "x=y", "contract.no-executor.header"),
    ],
)
def test_an_executor_backed_environment_is_refused_where_a_bazel_would_prove(unchanged, name, value, code):
    """Before anything is started. Nix and the bare protocol have no executor to use."""
    unchanged.variables[name] = value
    error = unchanged.json("up", "--trial", "--no-nix", code=3)["error"]
    assert error["code"] == code and name in error["fact"]
    assert unchanged.json("up", "--trial", *QUICK)["result"]["attached"]
    assert unchanged.run("down").returncode == 0


def test_a_direct_site_whose_cache_is_down_is_not_attached(unchanged):
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        endpoint = f"grpc://127.0.0.1:{keeper.getsockname()[1]}"
        document = unchanged.json("up", "--cache", endpoint, *QUICK, code=1)
        asked = unchanged.json("up", "--cache", endpoint, "--no-bazel", code=1)
    assert document["result"]["attached"] is False
    assert document["result"]["skipped"] == []  # what an option leaves out is not spoken of
    assert asked["result"]["skipped"] == ["nix: skipped, no substituter is configured"]
    assert asked["result"]["not_proved"] == ["bazel: the cache did not pass its probes"]
    codes = [finding["code"] for stage in document["stages"] for finding in stage["findings"]]
    assert "cache.port.refused" in codes


def test_warming_is_refused_without_the_site_s_leave(unchanged):
    site = ("--cache", "grpc://127.0.0.1:1")
    assert unchanged.json("site", "warm", *site, "--upload", code=3)["error"]["code"] == "warm.policy"


def started(machine, *args):
    """gfattach as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "gfattach", *args],
        cwd=machine.workspace,
        env=machine.environment,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_ends_it_cleanly(machine, number):
    script = program(machine, "bazel", "sleep 60")
    child = started(machine, "up", "--trial", "--no-nix", "--bazel", script)
    while not any(line.startswith(f"/bin/sh {script}") for line in machine.processes()):
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.02)
    child.send_signal(number)
    _, stderr = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in stderr
    assert not (machine.workspace / ".gfattach").exists()


@pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")
def test_an_interrupt_while_bazel_runs_leaves_no_server(machine):
    """The server has a session of its own, and would live for minutes."""
    child = started(machine, "up", "--trial", "--no-nix")
    while not any("--output_base" in line or "A-server.jar" in line for line in machine.processes()):
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.05)
    time.sleep(1)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate(timeout=60)
    assert (child.returncode, "Traceback" in stderr) == (130, False)
    assert machine.processes() == []
    assert not (machine.workspace / ".gfattach").exists()


@pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")
@pytest.mark.parametrize("again", ["down", "up"])
def test_what_an_up_that_was_killed_left_running_ends_with_the_next_command(machine, again):
    child = started(machine, "up", "--trial", "--no-nix")
    while not any("A-server.jar" in line for line in machine.processes()):
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.05)
    child.kill()
    child.communicate(timeout=60)
    left = {pid for pid, line in bazels(machine)}
    assert left
    done = machine.run(again, *(["--trial", *QUICK] if again == "up" else []))
    assert done.returncode == 0, done.stderr
    assert not left & {pid for pid, _ in bazels(machine)}
    assert machine.run("down").returncode == 0
    assert machine.processes() == []


def bazels(machine):
    """Number and command line of every Bazel, client and server, of this machine."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (entry / "cmdline").read_bytes().decode(errors="replace")
            if "--output_base=" in line and str(machine.root) in line:
                yield int(entry.name), line


@pytest.mark.skipif(shutil.which("nix-store") is None, reason="apt-get install nix-bin")
def test_a_nix_that_fails_at_the_proof_leaves_the_bazel_half_attached(machine):
    """It passes every probe and cannot substitute: the Nix fragment is taken back, Bazel's stays."""
    nix = program(machine, "nix", f'exec {shutil.which("nix")} "$@"')
    program(machine, "nix-store", "echo 'error: made to fail' >&2; exit 1")
    done = machine.run("up", "--trial", "--no-bazel", "--nix", nix, "--output", "json")
    document = json.loads(done.stdout)
    assert done.returncode == 4, done.stderr
    assert document["result"]["bazelrc"] is not None and document["result"]["nix_conf"] is None
    assert any("nix:" in reason for reason in document["result"]["not_proved"])
    status = machine.json("status", code=1)
    failed = [f["code"] for stage in status["stages"] for f in stage["findings"] if f["status"] == "fail"]
    assert failed == ["fragment.none"]


def test_an_attached_cache_that_died_is_not_pointed_at_any_more_and_comes_back(machine, tmp_path):
    """A second `up` takes the fragment back while the cache is dead; a third writes it anew."""
    from gfattach.trial.cache_server import CacheServer

    server = CacheServer(tmp_path / "cache")
    server.start()
    site = ("--cache", f"grpc://127.0.0.1:{server.port}", *QUICK)
    rc = machine.workspace / ".gfattach/bazelrc"
    try:
        machine.json("up", *site)
        assert rc.exists()
    finally:
        server.stop()
    assert machine.json("up", *site, code=1)["result"]["attached"] is False
    assert not rc.exists()
    status = machine.json("status", code=1)["result"]
    assert (status["attached"], status["healthy"], status["bazelrc"]) == (True, False, None)
    again = CacheServer(tmp_path / "cache", server.port)
    again.start()
    try:
        assert machine.json("status", code=1)["result"]["healthy"] is False
        machine.json("up", *site)
        assert rc.exists()
        assert machine.json("status")["result"]["healthy"] is True
    finally:
        again.stop()


@pytest.mark.parametrize("moment", ["up.end_strays", "up.records.load"])
def test_an_interrupt_before_the_first_question_leaves_nothing(machine, moment):
    """From the first file on, what was made is taken away again."""
    script = (
        "import sys\nfrom gfattach.attach.up import up\nfrom gfattach.cli.main import run\n"
        f"def interrupt(*_): {moment} = before; raise KeyboardInterrupt\n"
        f"before, {moment} = {moment}, interrupt\n"
        "sys.exit(run(['up', '--trial']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=machine.workspace,
        env=machine.environment,
        capture_output=True,
        text=True,
    )
    said = ["gfattach: interrupted", "  what was begun is undone"]
    assert (done.returncode, done.stderr.splitlines()[-2:]) == (130, said), done.stderr
    assert not (machine.workspace / ".gfattach").exists()
