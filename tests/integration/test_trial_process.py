"""The trial as a process: started, found, ended, killed, crowded out; and what it says when it cannot."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from gfattach import process
from gfattach.deadline import Deadline
from gfattach.errors import GfattachError, StorageError, UsageError
from gfattach.process import ProcessId
from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.digest import Digest
from gfattach.trial import state as trial_state
from gfattach.trial import supervisor
from gfattach.trial.serve import LOG_BYTES, trim
from gfattach.trial.state import TrialState, log_file, read_state, state_file
from tests.integration.trial_clients import Client, blob_name, upload_name

READY_SECONDS = 30.0

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")


def wait_for(condition, seconds=READY_SECONDS):
    deadline = Deadline.after(seconds)
    while not condition():
        assert not deadline.expired, "waited in vain"
        time.sleep(0.01)


def start(directory, **options) -> TrialState:
    return supervisor.start(directory, **{"deadline": Deadline.after(READY_SECONDS), **options})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def somebody_at(port):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        yield other.getsockname()[1]


def put_and_get(state: TrialState, content: bytes) -> bytes:
    client = Client(state.cache_endpoint.port)
    try:
        digest = Digest.of(content)
        client.batch_update((digest, content))
        return client.read(blob_name(digest))
    finally:
        client.channel.close()


@pytest.fixture
def directory(tmp_path):
    place = tmp_path / "home" / "trial"
    yield place
    supervisor.stop(place)


class TestLife:
    def test_it_serves_both_caches_and_is_found(self, directory):
        state = start(directory)
        assert put_and_get(state, b"a blob") == b"a blob"
        with urllib.request.urlopen(f"{state.nix_endpoint.url}/nix-cache-info") as answer:
            assert b"StoreDir: /nix/store" in answer.read()
        for path in (state.probe_path, state.signed_path):
            digest = Path(path).name.partition("-")[0]
            with urllib.request.urlopen(f"{state.nix_endpoint.url}/{digest}.narinfo") as answer:
                text = answer.read().decode()
            assert f"StorePath: {path}\n" in text
            assert f"Sig: {state.public_key.partition(':')[0]}:" in text
        assert state.cache_endpoint.localhost
        assert state.nix_endpoint.localhost
        assert supervisor.find(directory) == state

    def test_starting_twice_is_starting_once(self, directory):
        assert start(directory) == start(directory)

    def test_many_that_start_it_at_once_get_the_same_one(self, directory):
        states = []
        threads = [threading.Thread(target=lambda: states.append(start(directory))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(READY_SECONDS)
        assert len(states) == 4
        assert len(set(states)) == 1

    def test_it_ends_and_leaves_what_it_kept_its_ports_and_its_key(self, directory):
        first = start(directory)
        put_and_get(first, b"kept")
        assert supervisor.stop(directory)
        assert not first.process.alive()
        assert not state_file(directory).exists()
        assert supervisor.find(directory) is None
        assert not supervisor.stop(directory)
        again = start(directory)
        assert again.process != first.process
        assert (again.cache_endpoint, again.nix_endpoint) == (first.cache_endpoint, first.nix_endpoint)
        assert again.public_key == first.public_key
        client = Client(again.cache_endpoint.port)
        assert client.read(blob_name(Digest.of(b"kept"))) == b"kept"
        client.channel.close()

    def test_one_that_was_killed_is_not_found_and_is_replaced(self, directory):
        killed = start(directory)
        os.kill(killed.process.pid, signal.SIGKILL)
        wait_for(lambda: not killed.process.alive())
        assert state_file(directory).exists()
        assert supervisor.find(directory) is None
        again = start(directory)
        assert again.process != killed.process
        assert again.cache_endpoint == killed.cache_endpoint

    def test_one_that_does_not_answer_is_not_found_and_is_replaced(self, directory):
        hung = start(directory)
        os.kill(hung.process.pid, signal.SIGSTOP)
        assert supervisor.find(directory) is None
        assert start(directory).process != hung.process
        assert not hung.process.alive()

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_ends_it_with_an_upload_in_the_middle(self, directory, number):
        state = start(directory)
        client, release = Client(state.cache_endpoint.port), threading.Event()
        content = bytes(100_000)

        def stalls():
            yield pb.WriteRequest(resource_name=upload_name(Digest.of(content)), data=content[:10])
            release.wait(READY_SECONDS)

        upload = threading.Thread(target=_ignoring_errors, args=(client.write_requests, stalls()))
        upload.start()
        wait_for(lambda: list((directory / "bazel" / "tmp").iterdir()))
        os.kill(state.process.pid, number)
        wait_for(lambda: not state.process.alive())
        release.set()
        upload.join(READY_SECONDS)
        client.channel.close()
        assert not state_file(directory).exists()
        assert "ending: asked to" in log_file(directory).read_text()
        assert list((directory / "bazel" / "tmp").iterdir()) == []


def _ignoring_errors(call, *args):
    with contextlib.suppress(Exception):
        call(*args)


class TestWhatEndsIt:
    def test_its_state_file_removed(self, directory):
        state = start(directory)
        state_file(directory).unlink()
        wait_for(lambda: not state.process.alive())

    def test_its_directory_removed_and_it_does_not_come_back(self, directory):
        state = start(directory)
        shutil.rmtree(directory)
        wait_for(lambda: not state.process.alive())
        assert not directory.exists()

    def test_its_state_file_replaced_by_damage_and_a_start_takes_over(self, directory):
        state = start(directory)
        for damage in ("", "{", "[]", '{"pid": "x"}', json.dumps({"pid": 1})):
            state_file(directory).write_text(damage)
            assert supervisor.find(directory) is None
        again = start(directory)
        wait_for(lambda: not state.process.alive())
        assert again.cache_endpoint == state.cache_endpoint
        assert supervisor.find(directory) == again

    def test_nobody_using_it(self, directory):
        serving = subprocess.Popen(
            [sys.executable, "-m", "gfattach.trial", "--directory", directory, "--idle-hours", "0.0003"],
            stdout=subprocess.PIPE,
        )
        out, _ = serving.communicate(timeout=READY_SECONDS)
        assert serving.returncode == 0
        assert "ready" in json.loads(out)
        assert "nobody used it for 0.0003 hours" in log_file(directory).read_text()
        assert not state_file(directory).exists()


class TestStale:
    def test_a_state_that_names_a_process_of_another_time_is_stale(self, directory):
        """The number is in use again, by this very test: it must not be ended."""
        state = start(directory)
        supervisor.stop(directory)
        myself = ProcessId(os.getpid(), "1")
        stale = trial_state.to_document(state) | {"pid": myself.pid, "born": myself.born}
        state_file(directory).write_text(json.dumps(stale))
        assert supervisor.find(directory) is None
        assert not supervisor.stop(directory)
        assert not state_file(directory).exists()
        assert start(directory).process.pid != os.getpid()

    def test_one_of_another_version_is_replaced(self, directory, monkeypatch):
        old = start(directory)
        monkeypatch.setattr(supervisor, "__version__", "0.0.0-other")
        assert start(directory).process != old.process

    def test_one_with_another_bound_is_replaced_at_its_ports(self, directory):
        old = start(directory)
        new = start(directory, max_bytes=64 * 1024 * 1024)
        assert (new.max_bytes, new.cache_endpoint) == (64 * 1024 * 1024, old.cache_endpoint)
        assert new.process != old.process

    def test_nothing_is_found_or_made_where_nothing_ran(self, directory):
        assert supervisor.find(directory) is None
        assert not supervisor.stop(directory)
        assert not directory.exists()


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
        assert names <= {"PATH", "PYTHONPATH", "PYTHONUTF8", "TZ"} | libraries

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
        assert mine not in [entry.readlink() for entry in descriptors.iterdir()]
        streams = [(descriptors / name).readlink() for name in "012"]
        assert streams == [Path("/dev/null"), Path("/dev/null"), log_file(directory)]

    def test_it_outlives_the_command_that_started_it(self, directory):
        script = (
            "import sys; from pathlib import Path; from gfattach.deadline import Deadline;"
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


def test_the_log_is_cut_to_its_last_half_between_lines(tmp_path):
    log = tmp_path / "trial.log"
    with log.open("ab") as writer:  # as the process does: it goes on appending
        for number in range(20_000):
            writer.write(b"line %d\n" % number)
        writer.flush()
        last = log.read_bytes()[-100:]
        trim(log, 10_000)
        writer.write(b"and on\n")
    kept = log.read_bytes()
    assert len(kept) <= 5_100
    assert kept.startswith(b"line ")
    assert kept.endswith(last + b"and on\n")
    before = log.stat().st_mtime_ns
    trim(log, LOG_BYTES)
    assert log.stat().st_mtime_ns == before
    trim(tmp_path / "none", LOG_BYTES)
