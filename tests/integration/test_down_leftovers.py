"""`gfattach down` takes along what commands that were killed have left, secrets above all."""

import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from gfattach.core.paths import Home


def ended_process():
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


@pytest.mark.parametrize("attached", [True, False])
def test_a_private_rc_whose_bazel_has_ended_is_gone_whether_or_not_something_was_attached(machine, attached):
    if attached:
        machine.json("up", "--trial", "--no-bazel", "--no-nix")
    directory = machine.root / "run" / "gfattach"
    directory.mkdir(mode=0o700, exist_ok=True)
    left = directory / f"headers-{ended_process()}.bazelrc"
    left.write_text("build --remote_header=x-token=c4nary\n")
    machine.json("down")
    assert not left.exists()


def test_the_rooms_of_proofs_of_filling_and_of_questions_are_gone(machine, monkeypatch):
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    monkeypatch.setenv("XDG_CACHE_HOME", machine.environment["XDG_CACHE_HOME"])
    rooms = Home(machine.workspace / ".gfattach", machine.workspace).rooms
    assert len(set(rooms)) == 3
    for room in rooms:
        (room / "bazel").mkdir(parents=True)
        (room / "bazel" / "headers.bazelrc").write_text("build --remote_cache_header=x-token=c4nary\n")
    machine.json("down")
    assert not any(room.exists() for room in rooms)


@pytest.mark.bazel
@pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap")
def test_nothing_of_the_proof_of_an_attach_stays_while_it_is_attached(machine, monkeypatch):
    machine.json("up", "--trial", "--no-nix")
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "HOME"):
        if name in machine.environment:
            monkeypatch.setenv(name, machine.environment[name])
        else:
            monkeypatch.delenv(name, raising=False)
    home = Home(machine.workspace / ".gfattach", machine.workspace)
    assert home.record.exists() and not any(room.exists() for room in home.rooms)


@pytest.mark.nix
@pytest.mark.skipif(shutil.which("nix-build") is None, reason="apt-get install nix-bin")
def test_no_fragment_leads_a_nix_to_a_cache_that_does_not_listen_at_any_moment_of_a_down(machine):
    """A substituter that refuses ends a Nix build, so that the fragment has to be gone first."""
    machine.json("up", "--trial", "--no-bazel")
    fragment = machine.workspace / ".gfattach/nix.conf"
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)", fragment.read_text())[1])
    ended, caught, looks = threading.Event(), [], []

    def look():
        while not ended.is_set():
            try:
                socket.create_connection(("127.0.0.1", port), 60).close()
            except ConnectionRefusedError:  # from here on it refuses for good
                caught.append(fragment.exists())
            looks.append(fragment.exists())
            time.sleep(0.002)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        machine.json("down")
    finally:
        ended.set()
        looking.join()
    assert looks[0] and not looks[-1], "it was looked at from before until after"
    assert caught and not any(caught)


@pytest.mark.parametrize("name", ["bazelrc", "nix.conf"])
def test_a_directory_in_the_place_of_a_fragment_does_not_keep_a_down_from_its_work(machine, name):
    assert machine.json("up", "--trial", "--no-bazel", "--no-nix")["result"]["attached"]
    fragment = machine.workspace / ".gfattach" / name
    fragment.unlink(missing_ok=True)
    fragment.mkdir()
    (fragment / "file").touch()
    machine.json("down")
    assert not (machine.workspace / ".gfattach").exists()
