"""The trial as a process: started, found, ended, killed, crowded out; and how its log is bounded."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from gfattach.core.daemon.start import environment
from gfattach.core.files import remove_tree
from gfattach.core.process import ProcessId, started_with
from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.digest import Digest
from gfattach.trial import state as trial_state
from gfattach.trial import supervisor
from gfattach.trial.serve import LINGER_SECONDS, LOG_BYTES, trim
from gfattach.trial.state import MODULE, TRIAL, log_file
from tests.harness.caches.trial_clients import Client, blob_name, upload_name
from tests.harness.caches.trial_processes import (
    READY_SECONDS,
    directory,
    needs_proc,
    put_and_get,
    start,
    wait_for,
)

__all__ = ["directory"]

pytestmark = needs_proc


def narinfo_of(state):
    """The address of what the Nix cache has."""
    return f"{state.nix_endpoint.url}/{Path(state.probe_path).name.partition('-')[0]}.narinfo"


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
        assert not TRIAL.state_file(directory).exists()
        assert supervisor.find(directory) is None
        assert not supervisor.stop(directory)
        again = start(directory)
        assert again.process != first.process
        assert (again.cache_endpoint, again.nix_endpoint) == (first.cache_endpoint, first.nix_endpoint)
        assert again.public_key == first.public_key
        client = Client(again.cache_endpoint.port)
        assert client.read(blob_name(Digest.of(b"kept"))) == b"kept"
        client.channel.close()

    def test_a_nix_that_is_under_way_is_served_until_it_is_quiet(self, directory):
        """Each question comes sooner after the last than what counts as quiet, the first after the signal."""
        state = start(directory)
        os.kill(state.process.pid, signal.SIGTERM)
        began = asked = time.monotonic()
        try:
            while time.monotonic() - began < 2.5 * LINGER_SECONDS:
                with urllib.request.urlopen(narinfo_of(state)) as answer:
                    assert answer.status == 200
                asked = time.monotonic()
                time.sleep(LINGER_SECONDS / 10)
        except OSError:  # only where this process was held up for so long that it was quiet
            assert time.monotonic() - asked > LINGER_SECONDS
        wait_for(lambda: not state.process.alive())

    def test_who_starts_one_while_another_is_ending_gets_one_of_its_own(self, directory):
        ending = start(directory)
        os.kill(ending.process.pid, signal.SIGTERM)
        wait_for(lambda: not TRIAL.state_file(directory).exists() or not ending.process.alive())
        assert start(directory).process != ending.process
        assert not ending.process.alive()

    def test_one_that_is_asked_without_end_ends_all_the_same(self, directory):
        state = start(directory)
        os.kill(state.process.pid, signal.SIGTERM)
        limit = time.monotonic() + READY_SECONDS
        with pytest.raises((ConnectionError, urllib.error.URLError)):
            while time.monotonic() < limit:
                with urllib.request.urlopen(narinfo_of(state)) as answer:
                    assert answer.status == 200
        wait_for(lambda: not state.process.alive())

    def test_one_that_was_killed_is_not_found_and_is_replaced(self, directory):
        killed = start(directory)
        os.kill(killed.process.pid, signal.SIGKILL)
        wait_for(lambda: not killed.process.alive())
        assert TRIAL.state_file(directory).exists()
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
        assert not TRIAL.state_file(directory).exists()
        assert "ending: asked to" in log_file(directory).read_text()
        assert list((directory / "bazel" / "tmp").iterdir()) == []


def _ignoring_errors(call, *args):
    with contextlib.suppress(Exception):
        call(*args)


class TestWhatEndsIt:
    def test_its_state_file_removed(self, directory):
        state = start(directory)
        TRIAL.state_file(directory).unlink()
        wait_for(lambda: not state.process.alive())

    def test_its_directory_removed_and_it_does_not_come_back(self, directory):
        state = start(directory)
        shutil.rmtree(directory)
        wait_for(lambda: not state.process.alive())
        assert not directory.exists()

    def test_its_state_file_replaced_by_damage_and_a_start_takes_over(self, directory):
        state = start(directory)
        for damage in ("", "{", "[]", '{"pid": "x"}', json.dumps({"pid": 1})):
            TRIAL.state_file(directory).write_text(damage)
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
        assert "no client used it for 0.0003 hours" in log_file(directory).read_text()
        assert not TRIAL.state_file(directory).exists()


class TestWhileItStarts:
    @pytest.mark.parametrize("later", [0.0, 0.05, 0.1, 0.2], ids=lambda later: f"after {later} s")
    def test_a_stop_ends_one_whose_starter_was_killed_and_nothing_comes_after_it(self, directory, later):
        """No state file names it yet: it is known by what it was started as, and by its directory."""
        directory.mkdir(parents=True)
        words = [sys.executable, "-P", "-m", MODULE, "--directory", str(directory)]
        environ = environment(lambda name: name == "PATH")
        with subprocess.Popen(words, cwd="/", env=environ, stdout=subprocess.PIPE) as orphan:
            wait_for(lambda: list(started_with(MODULE, str(directory))))
            time.sleep(later)
            assert supervisor.stop(directory)
            orphan.wait(READY_SECONDS)
        remove_tree(directory)
        assert not directory.exists() and not list(started_with(MODULE, str(directory)))

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a mount namespace")
    def test_one_of_a_container_at_the_same_path_is_left_alone(self, directory):
        """Its directory is another one, whatever its arguments say."""
        words = [sys.executable, "-c", "input()", MODULE, str(directory)]
        directory.mkdir(parents=True)
        for within, found in (["unshare", "--mount"], False), ([], True):
            with subprocess.Popen([*within, *words], stdin=subprocess.PIPE) as other:
                program = Path(f"/proc/{other.pid}/cmdline")
                wait_for(lambda program=program: not program.read_bytes().startswith(b"unshare"))
                assert bool(list(started_with(MODULE, str(directory)))) is found
                other.communicate(b"\n")


class TestStale:
    def test_a_state_that_names_a_process_of_another_time_is_stale(self, directory):
        """The number is in use again, by this very test: it must not be ended."""
        state = start(directory)
        supervisor.stop(directory)
        myself = ProcessId(os.getpid(), "1")
        stale = trial_state.to_document(state) | {"pid": myself.pid, "born": myself.born}
        TRIAL.state_file(directory).write_text(json.dumps(stale))
        assert supervisor.find(directory) is None
        assert not supervisor.stop(directory)
        assert not TRIAL.state_file(directory).exists()
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
