"""`gfattach down` takes along what commands that were killed have left, secrets above all."""

import shutil
import subprocess

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
