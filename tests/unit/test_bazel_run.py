"""A private Bazel: sealed from the user's files, ended for certain, and its crashes explained."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gfattach.bazel.server.run import Server, remove_tree  # type: ignore[attr-defined]
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError
from gfattach.core.process import ProcessId
from tests.harness.machine.fake_bazel import fake_bazel


def soon():
    return Deadline.after(20)


def server(tmp_path, body, **options):
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    return Server(fake_bazel(tmp_path / "bazel", body), workspace, tmp_path / "work", "one", **options)


#: A trace as Bazel 4.2.3 logs it when it is told to speak TLS without netty's natives.
TRACE = """\
261124 01:44:29.301:XT 20 [com.google.devtools.build.lib.server.GrpcServerImpl.executeCommand] Crash
java.lang.RuntimeException: could not init TLS
\tat com.google.devtools.build.lib.remote.GoogleAuthUtils.newChannel(GoogleAuthUtils.java:90)
Caused by: java.lang.UnsupportedOperationException: JDK provider does not support ALPN protocol
\tat io.netty.handler.ssl.JdkAlpnApplicationProtocolNegotiator.<clinit>(Jdk.java:33)
"""


def test_a_silent_crash_is_explained_out_of_the_servers_log(tmp_path):
    (tmp_path / "trace").write_text(TRACE)
    body = f'mkdir -p "$base"; cp {tmp_path}/trace "$base/java.log.user.1"; exit 37'
    with pytest.raises(BazelError) as caught, server(tmp_path, body) as bazel:
        bazel.run("build", ["//:x"], soon())
    assert caught.value.code == "bazel.crashed"
    assert "exited with 37" in caught.value.fact
    assert "UnsupportedOperationException: JDK provider does not support ALPN" in caught.value.hints[0]


def test_a_jvm_that_does_not_come_up_is_explained_out_of_its_console(tmp_path):
    body = """mkdir -p "$base/server"
echo 'OpenJDK VM warning: deprecated' > "$base/server/jvm.out"
echo 'Error occurred during initialization of VM' >> "$base/server/jvm.out"; exit 37"""
    with pytest.raises(BazelError) as caught, server(tmp_path, body) as bazel:
        bazel.run("info", [], soon())
    assert caught.value.hints == ("the cause: Error occurred during initialization of VM",)


def test_a_crash_that_nothing_explains_says_so(tmp_path):
    with pytest.raises(BazelError) as caught, server(tmp_path, "exit 37") as bazel:
        bazel.run("info", [], soon())
    assert caught.value.hints == ("neither its console nor its log names a cause",)


def test_other_exit_codes_are_the_callers_to_read(tmp_path):
    with server(tmp_path, "echo ERROR: no such target >&2; exit 1") as bazel:
        answer = bazel.run("build", ["//:x"], soon())
    assert answer.returncode == 1 and "no such target" in answer.stderr


def test_a_bazel_that_hangs_is_ended_with_the_server_that_it_started(tmp_path):
    """The server outlives its client, in a session of its own, as Bazel's does."""
    body = """mkdir -p "$base/server"
setsid sleep 300 >/dev/null 2>&1 & pid=$!
sleep 0.2
sed 's/.*) //' /proc/$pid/stat | cut -d' ' -f20 | tr -d '\\n' > "$base/server/server.starttime"
echo $pid > "$base/server/server.pid.txt"
echo $pid > "$base/../../pid"
echo 'Starting local Bazel server' >&2
wait"""
    with pytest.raises(BazelError) as caught, server(tmp_path, body) as bazel:
        bazel.run("info", [], Deadline.after(3.0))
    assert caught.value.code == "bazel.hung"
    assert "Starting local Bazel server" in caught.value.hints[0]
    assert ProcessId.of(int((tmp_path / "work" / "pid").read_text())) is None


#: A server that notes what it was asked: a termination signal is written down, and outlived.
_NOTING = """mkdir -p "$base/server"; cat > "$base/server.sh" <<'END'
trap 'echo asked >> "$1"' TERM
touch "$1.up"
while :; do sleep 0.05; done
END
setsid bash "$base/server.sh" "$base/../../said" >/dev/null 2>&1 & pid=$!
while [ ! -e "$base/../../said.up" ]; do sleep 0.05; done
sed 's/.*) //' /proc/$pid/stat | cut -d' ' -f20 | tr -d '\\n' > "$base/server/server.starttime"
echo $pid > "$base/server/server.pid.txt"
"""


@pytest.mark.parametrize(
    ("sealed", "end", "asked"),
    [(True, Server.forget, False), (True, Server.shutdown, True), (False, Server.forget, True)],
    ids=["sealed and forgotten", "sealed and shut down", "of the user's files"],
)
def test_a_sealed_server_that_is_forgotten_is_killed_and_any_other_is_asked_first(
    tmp_path, sealed, end, asked
):
    """What a sealed one would put in order is removed with it: its output base, and what it unpacked. One
    that is shut down may have something to store yet.
    """
    environ = None if sealed else {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with server(tmp_path, _NOTING + 'echo "$startup"', environ=environ) as bazel:
        said = bazel.run("info", [], soon()).stdout
        assert bazel.running
        end(bazel)
        assert not bazel.running
    assert (tmp_path / "work/said").exists() is asked
    assert (f"-Djava.io.tmpdir={tmp_path / 'work/tmp'}" in said) is sealed


def test_a_process_that_only_has_the_servers_old_number_is_left_alone(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with server(tmp_path, "true") as bazel:
            directory = bazel.output_base / "server"
            directory.mkdir(parents=True)
            (directory / "server.pid.txt").write_text(str(other.pid))
            (directory / "server.starttime").write_text("1")
            assert not bazel.running
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_sealed_server_reads_no_rc_file_and_sees_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("CACHE_TOKEN", "hush")
    body = 'echo "$startup"; env'
    with server(tmp_path, body) as bazel:
        said = bazel.run("info", [], soon()).stdout
    for option in ("--nosystem_rc", "--noworkspace_rc", "--nohome_rc", "--bazelrc=/dev/null"):
        assert option in said
    assert "--output_user_root=" in said
    assert f"HOME={tmp_path / 'work' / 'home'}" in said
    assert "hush" not in said


def test_a_server_for_the_users_own_build_honours_rc_files_and_environment(tmp_path):
    rc = tmp_path / "extra.bazelrc"
    environ = {"PATH": os.environ["PATH"], "HOME": "/home/dev", "CC": "clang"}
    with server(tmp_path, 'echo "$startup $base"; env', environ=environ, rc=[rc]) as bazel:
        said = bazel.run("info", [], soon()).stdout
    assert f"--bazelrc={rc}" in said and "CC=clang" in said and "HOME=/home/dev" in said
    assert "--nohome_rc" not in said and "--output_user_root" not in said
    assert str(tmp_path / "work") in said


def test_an_output_base_with_read_only_directories_is_removed(tmp_path):
    """Bazel makes what it unpacks and builds read-only."""
    deep = tmp_path / "base" / "external" / "rules"
    deep.mkdir(parents=True)
    (deep / "file").write_text("x")
    (tmp_path / "elsewhere").mkdir(mode=0o500)
    (tmp_path / "base" / "link").symlink_to(tmp_path / "elsewhere")
    deep.chmod(0o555)
    deep.parent.chmod(0o555)
    remove_tree(tmp_path / "base")
    assert not (tmp_path / "base").exists()
    assert Path(tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o500
