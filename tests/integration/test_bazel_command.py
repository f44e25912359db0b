"""`gfattach bazel` with a real Bazel: it is Bazel, with the attachment and the contract applied."""

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gfattach.bazel.probe_workspace import ACTIONS, LABEL, write_probe
from tests.harness.machine.developer import make_machine

pytestmark = [
    pytest.mark.bazel,
    pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap"),
]


@pytest.fixture(scope="module")
def attached(tmp_path_factory):
    """A machine attached to the trial, with twenty small actions to build and one Bazel server."""
    machine = make_machine(tmp_path_factory.mktemp("bazel"))
    write_probe(machine.workspace)
    (machine.workspace / "user.bazelrc").write_text(
        f"startup --output_user_root={machine.root / 'user-root'}\nbuild --symlink_prefix=/\n"
    )
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    yield machine
    machine.variables.clear()
    machine.run("bazel", "shutdown")
    machine.run("down")
    assert machine.processes() == []


@pytest.fixture(autouse=True)
def plain(request):
    """Every test begins with the attached machine's plain shell."""
    if "attached" in request.fixturenames:
        request.getfixturevalue("attached").variables.clear()


def calls(machine, name):
    """A stand-in for Bazel that writes its arguments, its environment and the rc files it was given."""
    program = machine.root / name
    program.write_text(
        '#!/bin/sh\nprintf "%s\\n" "$@"; env\n'
        'for word; do case "$word" in --bazelrc=*)\n'
        'cat "${word#--bazelrc=}"; ls -l "${word#--bazelrc=}";; esac; done\n'
    )
    program.chmod(0o755)
    return str(program)


def test_a_build_through_it_hits_what_a_plain_bazel_has_filled(attached):
    direct = attached.run("env", "--shell", "json").stdout
    fragment = attached.workspace / ".gfattach" / "bazelrc"
    filled = subprocess.run(
        ["bazel", f"--bazelrc={fragment}", "build", "--remote_upload_local_results", LABEL],
        cwd=attached.workspace,
        env=attached.environment,
        capture_output=True,
        text=True,
    )
    assert filled.returncode == 0, filled.stderr
    assert "remote cache hit" not in filled.stderr
    assert "grpc://127.0.0.1:" in direct
    assert attached.run("bazel", "clean").returncode == 0
    built = attached.run("bazel", "build", LABEL)
    assert built.returncode == 0, built.stderr
    assert f"{ACTIONS} remote cache hit" in built.stderr


def test_its_exit_code_and_output_are_bazels(attached):
    assert attached.run("bazel", "build", "//:no-such-target").returncode == 1
    assert attached.run("bazel", "build", "--no-such-flag").returncode == 2
    assert attached.run("bazel", "no-such-command").returncode == 2
    assert attached.run("bazel", "info", "workspace").stdout.strip() == str(attached.workspace)
    assert attached.run("bazel", "--version").stdout.startswith("bazel ")


def test_nothing_is_uploaded_though_a_config_says_so(attached):
    rc = attached.workspace / ".bazelrc"
    kept = rc.read_text()
    rc.write_text(kept + "build:ci --remote_upload_local_results\n")
    try:
        (attached.workspace / "input.txt").write_text("never seen before\n")
        for _ in range(2):
            assert attached.run("bazel", "clean").returncode == 0
            built = attached.run("bazel", "build", "--config=ci", LABEL)
            assert built.returncode == 0, built.stderr
    finally:
        rc.write_text(kept)
    assert "remote cache hit" not in built.stderr


def test_a_flag_that_this_bazel_lacks_is_named_with_its_version(attached):
    attached.variables["BAZEL_CREDENTIAL_HELPER"] = "cache.example=/bin/true"
    done = attached.run("bazel", "build", LABEL)
    assert done.returncode == 2
    assert "(development version) has no --credential_helper" in done.stderr


def test_a_flag_that_this_bazel_knows_by_its_older_name_is_given_by_it(attached):
    """And headers are taken from the rc file: a Bazel ends with 2 on an option that it does not know."""
    attached.variables |= {
        "GF_BAZEL_REPOSITORY_DISABLE_DOWNLOAD": "true",
        "BAZEL_REMOTE_HEADER": "x-token=canary",
        "BAZEL_REMOTE_MAX_CONNECTIONS": "4",
    }
    done = attached.run("bazel", "build", "--announce_rc", LABEL)
    assert done.returncode == 0, done.stderr
    assert "--remote_header=x-token=canary" in done.stderr


def test_headers_are_no_arguments_and_no_variables_and_leave_no_file_behind(machine):
    """Seen by a stand-in, which is asked for its flags as a Bazel is."""
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    (machine.workspace / ".bazelversion").write_text("")
    machine.variables["BAZEL_REMOTE_CACHE_HEADER"] = "x-token=canary"
    shutil.copy(calls(machine, "args"), machine.root / "bazel")
    body = (machine.root / "bazel").read_text().replace("#!/bin/sh\n", "#!/bin/sh\n" + ANSWERS)
    (machine.root / "bazel").write_text(body)
    machine.variables["BAZEL_BIN"] = str(machine.root / "bazel")
    done = machine.run("bazel", "build", "//:x")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line for line in said if "canary" in line] == ["build --remote_cache_header=x-token=canary"]
    assert [line.split()[0] for line in said if line.endswith(".bazelrc") and line.startswith("-rw")] == [
        "-rw-------"
    ]
    machine.run("down")
    assert list((machine.root / "run").rglob("*.bazelrc")) == []


#: A Bazel that says who it is, and knows every flag.
ANSWERS = """case "$*" in
--version) echo "bazel 8.1.1"; exit 0;;
*canonicalize-flags*|*shutdown*) exit 0;;
esac
"""


def test_a_fragment_that_the_workspace_imports_is_not_given_twice(machine):
    """Bazel warns of an rc file that it reads twice, on every command."""
    machine.json("up", "--trial", "--no-bazel", "--no-nix", "--link")
    machine.variables["BAZEL_BIN"] = calls(machine, "args")
    given = f"--bazelrc={machine.workspace / '.gfattach' / 'bazelrc'}"
    assert given not in machine.run("bazel", "build").stdout.splitlines()
    assert given in machine.run("bazel", "--noworkspace_rc", "build").stdout.splitlines()
    (machine.workspace / "user.bazelrc").rename(machine.workspace / "kept")
    assert given in machine.run("bazel", "build").stdout.splitlines()
    (machine.workspace / "kept").rename(machine.workspace / "user.bazelrc")


def test_signals_reach_bazel_itself(attached):
    """The process that was started is the one that a signal ends: nothing stands between."""
    program = attached.root / "sleeper"
    program.write_text("#!/bin/sh\necho $$; exec sleep 60\n")
    program.chmod(0o755)
    attached.variables["BAZEL_BIN"] = str(program)
    command = [sys.executable, "-m", "gfattach", "bazel", "build"]
    with subprocess.Popen(
        command, cwd=attached.workspace, env=attached.environment, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert int(started.stdout.readline()) == started.pid
        time.sleep(0.1)
        started.send_signal(signal.SIGINT)
        assert started.wait(20) == -signal.SIGINT


def test_what_the_contract_refuses_ends_with_3_before_bazel_is_looked_for(attached):
    attached.variables |= {"GF_BAZEL_SUBSTRATE_MODE": "executor-backed", "BAZEL_BIN": "no-such-bazel"}
    done = attached.run("bazel", "info")
    assert done.returncode == 3 and "GF_BAZEL_SUBSTRATE_MODE" in done.stderr


def test_an_upload_that_the_site_does_not_allow_ends_with_3(attached):
    for option in ("--remote_upload_local_results", "--experimental_build_event_upload_strategy=remote"):
        assert attached.run("bazel", "build", option, LABEL).returncode == 3
    attached.variables["GF_BAZEL_REMOTE_UPLOAD"] = "true"
    assert attached.run("bazel", "build", LABEL).returncode == 3


def test_a_shell_that_names_another_cache_than_the_attachments_is_told_so(attached):
    attached.variables["BAZEL_REMOTE_CACHE"] = "grpc://cache.example:9092"
    done = attached.run("bazel", "build", LABEL)
    assert done.returncode == 2
    assert "grpc://cache.example:9092" in done.stderr and "gfattach env" in done.stderr


def test_without_a_bazel_it_ends_with_127(machine):
    machine.variables["BAZEL_BIN"] = "no-such-bazel"
    assert machine.run("bazel", "info").returncode == 127
    machine.variables |= {"BAZEL_BIN": "", "PATH": str(machine.root)}
    done = machine.run("bazel", "info")
    assert done.returncode == 127 and "there is no Bazel on PATH" in done.stderr


def test_detached_it_is_bazel_with_the_contract_alone(machine):
    program = Path(calls(machine, "args"))
    program.write_text(program.read_text().replace("#!/bin/sh\n", "#!/bin/sh\n" + ANSWERS))
    machine.variables |= {"BAZEL_BIN": str(program), "BAZEL_OUTPUT_BASE": "/base"}
    machine.variables |= {
        "BAZEL_REMOTE_CACHE": "grpc://cache.example:9092",
        "BAZEL_REMOTE_INSTANCE_NAME": "main",
    }
    said = machine.run("bazel", "build", "//:x").stdout.splitlines()
    assert said[:7] == [
        "--output_base=/base",
        "build",
        "--remote_cache=grpc://cache.example:9092",
        "--noremote_upload_local_results",
        "--experimental_build_event_upload_strategy=local",
        "--remote_instance_name=main",
        "//:x",
    ]
