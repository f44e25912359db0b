"""The one server of an attach, with a Bazel that only takes its time: what an end of it ends."""

import os
import stat
import threading
import time

import pytest

from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.kept import KeptServer
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError


@pytest.fixture
def bazel(tmp_path):
    """A program that writes down each call, and stays until it is ended where that is asked for."""
    program = tmp_path / "bazel"
    program.write_text(
        f'#!/bin/sh\necho "$$ $*" >> {tmp_path}/calls\n'
        'case "$*" in *stay*) sleep 600 & trap "kill $!; exit 9" TERM; wait;; esac\n'
    )
    program.chmod(0o755)
    return Bazel(program, "9.9.9")


def calls(tmp_path):
    file = tmp_path / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_all_of_its_commands_have_the_same_startup_options(bazel, tmp_path):
    """Others would have Bazel start another server: what differs is in a file of a fixed name."""
    kept = KeptServer(tmp_path / "work")
    server = kept.of(bazel)
    server.run("help", [], Deadline.after(60))
    kept.tell("build --remote_header=x=secret\n")
    assert stat.S_IMODE(kept.rc.stat().st_mode) == 0o600
    assert kept.of(bazel) is server
    server.run("build", ["//:probe"], Deadline.after(60))
    first, second = (line.split()[1:] for line in calls(tmp_path))
    assert first[: first.index("help")] == second[: second.index("build")]
    assert f"--bazelrc={kept.rc}" in first and "secret" not in " ".join(second)
    kept.end()


@pytest.mark.parametrize("beside", [False, True], ids=["at the end", "beside what comes next"])
def test_it_ends_though_a_thread_is_asking_it_and_asks_nothing_any_more(bazel, tmp_path, beside):
    kept = KeptServer(tmp_path / "work")
    server, said = kept.of(bazel), []

    def ask():
        try:
            server.run("stay", [], Deadline.after(600))
            server.run("help", [], Deadline.after(60))
        except BazelError as error:
            said.append(error.fact)

    thread = threading.Thread(target=ask)
    thread.start()
    limit = time.monotonic() + 60
    while not calls(tmp_path):
        assert time.monotonic() < limit
        time.sleep(0.01)
    if beside:
        kept.retire()
    kept.end()
    thread.join(60)
    assert not thread.is_alive() and len(said) == 1
    [call] = calls(tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int(call.split()[0]), 0)
    with pytest.raises(BazelError):
        kept.of(bazel)


def test_the_first_build_is_the_cold_one(bazel, tmp_path):
    kept = KeptServer(tmp_path / "work")
    server = kept.of(bazel)
    server.run("help", [], Deadline.after(60))
    assert not server.has_built
    server.run("build", [], Deadline.after(60))
    assert server.has_built
    server.forget()
    assert not server.has_built
    kept.end()
