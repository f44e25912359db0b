"""`gfattach bazel` and several rc files: an old Bazel reads one `--bazelrc` alone, and must not lose any."""

import json

import pytest

from tests.harness.machine.bazels import BAZELS, offline_rc

pytestmark = pytest.mark.bazel


@pytest.fixture(params=BAZELS)
def attached(request, machine):
    """Attached to the trial with one of the Bazels, in a workspace that does not import the fragment."""
    found = BAZELS[request.param]()
    bazel = str(found.path)
    (machine.root / "home").mkdir(exist_ok=True)
    (machine.root / "home/.bazelrc").write_text(offline_rc(found))
    machine.variables |= {"BAZEL_BIN": bazel, "BAZEL_OUTPUT_USER_ROOT": str(machine.root / "user-root")}
    machine.run("up", "--trial", "--no-nix", "--bazel", bazel)
    assert (machine.workspace / ".gfattach" / "bazelrc").exists()
    (machine.workspace / "BUILD").write_text("")
    yield machine
    machine.run("bazel", "shutdown")
    machine.run("down")


def test_the_fragment_the_headers_and_a_file_of_ones_own_are_all_read(attached):
    (attached.workspace / "own.rc").write_text("build --verbose_failures\n")
    attached.variables["BAZEL_REMOTE_HEADER"] = "x-name=value"
    done = attached.run("bazel", "--bazelrc=own.rc", "build", "--announce_rc", "--nobuild", "//:all")
    assert done.returncode == 0, done.stderr
    assert "--remote_timeout=60" in done.stderr
    assert "--remote_header=x-name=value" in done.stderr
    assert "--verbose_failures" in done.stderr
    assert "more than once" not in done.stderr


def test_an_event_file_uploads_nothing_where_nothing_is_attached(attached):
    """The cache is named by the shell alone, as the wrappers of the field are used."""
    shell = json.loads(attached.run("env", "--shell", "json").stdout)["set"]
    other = attached.root / "other"
    other.mkdir()
    (other / "WORKSPACE").touch()
    (other / "BUILD").write_text('genrule(name = "x", outs = ["o"], cmd = "echo a > $@")\n')
    attached.variables |= {
        "BAZEL_REMOTE_CACHE": shell["BAZEL_REMOTE_CACHE"],
        "GF_BAZEL_ALLOW_LOCALHOST_PROOF": "true",
    }
    log = attached.root / "calls.log"
    own = [f"--build_event_json_file={attached.root / 'events'}", f"--experimental_remote_grpc_log={log}"]
    done = attached.run("bazel", "build", *own, "//:x", cwd=other)
    assert done.returncode == 0, done.stderr
    assert b"Capabilities" in log.read_bytes()
    assert b"ByteStream/Write" not in log.read_bytes()
    attached.run("bazel", "shutdown", cwd=other)


def test_a_saved_header_is_no_variable_of_bazel(attached):
    """What `gfattach env` has saved of a header is as much a secret as the header."""
    attached.variables["GFATTACH_SAVED_BAZEL_REMOTE_EXEC_HEADER"] = "x-token=c4nary-saved"
    attached.variables["GFATTACH_SET"] = json.dumps({"BAZEL_REMOTE_EXEC_HEADER": None})
    assert attached.run("bazel", "info", "workspace").returncode == 0
    logs = list((attached.root / "user-root").rglob("java.log*"))
    assert logs and not [log for log in logs if b"c4nary-saved" in log.read_bytes()]
