"""What a trial is started with: its ports, its options, and what it says when it cannot."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.errors import GfattachError, StorageError, UsageError
from gfattach.core.process import ProcessId
from gfattach.trial import supervisor
from gfattach.trial.state import log_file, read_state
from tests.harness.caches.trial_processes import (
    READY_SECONDS,
    directory,
    needs_proc,
    put_and_get,
    somebody_at,
    start,
)
from tests.harness.machine.ports import free_port

__all__ = ["directory"]

pytestmark = needs_proc


class TestPorts:
    def test_the_ports_that_are_asked_for_are_taken_and_remembered(self, directory):
        ports = free_port(), free_port()
        state = start(directory, bazel_port=ports[0], nix_port=ports[1])
        assert (state.cache_endpoint.port, state.nix_endpoint.port) == ports
        supervisor.stop(directory)
        again = start(directory)
        assert (again.cache_endpoint.port, again.nix_endpoint.port) == ports

    @pytest.mark.parametrize("which", ["bazel_port", "nix_port"])
    def test_a_port_of_somebody_else_is_a_usage_error_that_says_how_to_see_who(self, directory, which):
        with somebody_at(0) as port, pytest.raises(UsageError) as caught:
            start(directory, **{which: port})
        assert caught.value.exit_code == 2
        assert caught.value.code == "trial.port-in-use"
        assert caught.value.fact == f"port {port} on 127.0.0.1 is in use"
        assert f"see by whom: ss -ltnp 'sport = :{port}'" in caught.value.hints
        assert supervisor.find(directory) is None

    @pytest.mark.parametrize("which", ["bazel_port", "nix_port"])
    def test_a_remembered_port_of_somebody_else_is_given_up(self, directory, which):
        first = start(directory)
        supervisor.stop(directory)
        endpoint = "cache_endpoint" if which == "bazel_port" else "nix_endpoint"
        with somebody_at(getattr(first, endpoint).port):
            second = start(directory)
            assert getattr(second, endpoint) != getattr(first, endpoint)
            assert put_and_get(second, b"x") == b"x"

    def test_another_port_moves_it_there(self, directory):
        first = start(directory)
        port = free_port()
        moved = start(directory, bazel_port=port)
        assert (moved.cache_endpoint.port, moved.nix_endpoint) == (port, first.nix_endpoint)
        assert not first.process.alive()

    def test_another_port_of_somebody_elses_leaves_it_where_it_is(self, directory):
        state = start(directory)
        with somebody_at(0) as port, pytest.raises(UsageError, match="is in use"):
            start(directory, nix_port=port)
        assert supervisor.find(directory) == state

    def test_the_process_by_itself_tells_of_a_port_in_use_in_one_line(self, directory):
        with somebody_at(0) as port:
            done = subprocess.run(
                [sys.executable, "-m", "gfattach.trial", "--directory", directory, "--bazel-port", str(port)],
                capture_output=True,
                timeout=READY_SECONDS,
            )
        assert done.returncode == 2
        (line,) = done.stdout.splitlines()
        assert json.loads(line)["error"]["fact"] == f"port {port} on 127.0.0.1 is in use"


class TestWhatItIsGiven:
    def test_no_secret_of_the_environment_reaches_it(self, directory, monkeypatch):
        monkeypatch.setenv("CACHE_TOKEN", "s3cret")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
        state = start(directory)
        given = Path(f"/proc/{state.process.pid}/environ").read_bytes()
        assert b"s3cret" not in given
        names = {entry.partition(b"=")[0].decode() for entry in given.split(b"\0") if entry}
        libraries = {"LD_LIBRARY_PATH", "NIX_LD", "NIX_LD_LIBRARY_PATH"}
        # What starts this Python, a script it may be, has variables of its own.
        words = [sys.executable, "-c", "import os; print(*os.environ)"]
        its_own = subprocess.run(words, env={}, capture_output=True, text=True, check=True).stdout.split()
        assert names <= {"PATH", "PYTHONPATH", "PYTHONUTF8", "TZ", *its_own} | libraries

    def test_it_holds_nothing_of_the_command_that_started_it(self, directory, tmp_path):
        """A session of its own, / as its directory, and none of the parent's files, inheritable ones too."""
        mine = tmp_path / "inheritable"
        handle = os.open(mine, os.O_CREAT | os.O_WRONLY)
        os.set_inheritable(handle, True)
        try:
            pid = start(directory).process.pid
        finally:
            os.close(handle)
        assert os.getsid(pid) == pid
        assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
        descriptors = Path(f"/proc/{pid}/fd")
        held = []
        for entry in descriptors.iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed since it was listed
                held.append(entry.readlink())
        assert mine not in held
        streams = [(descriptors / name).readlink() for name in "012"]
        assert streams == [Path("/dev/null"), Path("/dev/null"), log_file(directory)]

    def test_it_outlives_the_command_that_started_it(self, directory):
        script = (
            "import sys; from pathlib import Path; from gfattach.core.deadline import Deadline;"
            "from gfattach.trial import supervisor;"
            "print(supervisor.start(Path(sys.argv[1]), deadline=Deadline.after(30)).process.pid)"
        )
        done = process.run([sys.executable, "-W", "error", "-c", script, str(directory)], Deadline.after(60))
        assert (done.returncode, done.stderr) == (0, "")
        found = supervisor.find(directory)
        assert found is not None
        assert found.process.pid == int(done.stdout)

    def test_what_it_writes_is_private(self, directory):
        put_and_get(start(directory), b"x")
        for path in (directory, *directory.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path

    def test_looking_for_it_loads_no_grpc(self, directory):
        start(directory)
        script = (
            "import sys; from pathlib import Path; from gfattach.trial import supervisor;"
            "assert supervisor.find(Path(sys.argv[1])); heavy = 'grpc google.protobuf cryptography asyncio';"
            "print([module for module in heavy.split() if module in sys.modules])"
        )
        done = process.run([sys.executable, "-c", script, str(directory)], Deadline.after(60))
        assert done.stdout.strip() == "[]", done.stderr


class TestWhenItCannot:
    def test_a_bound_below_what_its_directories_take_is_a_usage_error(self, directory):
        with pytest.raises(UsageError, match="cannot work with 1000000 bytes"):
            start(directory, max_bytes=1_000_000)

    def test_a_directory_that_is_a_file_is_a_storage_error(self, directory):
        directory.parent.mkdir(parents=True)
        directory.write_text("in the way")
        with pytest.raises(StorageError, match="not a directory"):
            start(directory)
        directory.unlink()

    def test_a_place_inside_it_that_cannot_be_used_is_a_storage_error_of_the_process(self, directory):
        directory.mkdir(parents=True)
        (directory / "bazel").write_text("in the way")
        with pytest.raises(
            StorageError, match=f"cannot make the directory {directory}/bazel: not a directory"
        ):
            start(directory)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere: run the tests as another user")
    def test_a_directory_that_may_not_be_written_is_a_storage_error(self, directory):
        directory.mkdir(parents=True)
        directory.chmod(0o500)
        with pytest.raises(StorageError, match="permission denied"):
            start(directory)
        directory.chmod(0o700)

    def test_a_process_that_breaks_down_is_told_with_its_last_words(self, directory, tmp_path, monkeypatch):
        """Its grpc is one that cannot be imported."""
        (tmp_path / "broken" / "grpc").mkdir(parents=True)
        (tmp_path / "broken" / "grpc" / "__init__.py").write_text("raise ImportError('libfoo.so is missing')")
        monkeypatch.setattr(sys, "path", [str(tmp_path / "broken"), *sys.path])
        with pytest.raises(GfattachError, match="the embedded caches ended with 1") as caught:
            start(directory)
        assert "ImportError: libfoo.so is missing" in caught.value.hints
        assert f"see the log: {log_file(directory)}" in caught.value.hints

    def test_one_that_is_not_ready_in_time_is_ended(self, directory, tmp_path, monkeypatch):
        (tmp_path / "slow" / "grpc").mkdir(parents=True)
        pid_file = tmp_path / "pid"
        (tmp_path / "slow" / "grpc" / "__init__.py").write_text(
            f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
        )
        monkeypatch.setattr(sys, "path", [str(tmp_path / "slow"), *sys.path])
        with pytest.raises(GfattachError, match="were not ready in time"):
            start(directory, deadline=Deadline.after(2.0))
        assert ProcessId.of(int(pid_file.read_text())) is None
        assert read_state(directory) is None
