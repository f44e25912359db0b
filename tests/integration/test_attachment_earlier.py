"""An attachment of an earlier gfattach is recognised, undone safely and made anew, and one line says so."""

import json

import pytest

from gfattach.undo import managed_block
from tests.harness.machine.developer import findings, make_machine
from tests.harness.machine.hostile import hostile_workspace, journal, record

LINE = "try-import %workspace%/.gfattach/bazelrc"
QUICK = ("--no-bazel", "--no-nix")


@pytest.fixture
def machine(tmp_path):
    made = make_machine(tmp_path / "machine")
    yield made
    made.run("down")
    assert made.processes() == []


def attach_as_before(machine, rc=b""):
    """What an `up --trial --link` of that version left in the workspace, by hand from its format."""
    home = machine.workspace / ".gfattach"
    home.mkdir(mode=0o700)
    (home / ".gitignore").write_bytes(b"# gfattach: nothing here is for git\n*\n")
    (home / "bazelrc").write_text("build --remote_cache=grpc://127.0.0.1:1\n")
    (home / "lock").write_text("1")
    document = {
        **{"schema": 1, "gfattach": "0.1.0", "created": "2026-01-02T03:04:05+00:00", "kind": "trial"},
        **{"cache": None, "substituter": None, "agent": None, "cluster": None, "first_hit": None},
        "fragments": {"bazelrc": str(home / "bazelrc"), "nix.conf": None},
        "links": [str(machine.workspace / "user.bazelrc")],
        "trial": str(home / "trial"),
    }
    (home / "attachment.json").write_text(json.dumps(document))
    (home / "first-hit.json").write_text("{}")
    (home / "trial").mkdir()
    (home / "trial/trial.log").write_text("served\n")
    user_rc = machine.workspace / "user.bazelrc"
    linked = managed_block.put(rc, [LINE])
    user_rc.write_bytes(linked)
    (home / "originals").mkdir()
    if rc:
        (home / "originals/0123456789ab-0123456789ab").write_bytes(rc)
    (home / "journal.json").write_text(json.dumps({"schema": 1, "changes": []}))


@pytest.mark.parametrize("rc", [b"", b"build --color=yes\n", b"build --color=yes"])
def test_down_undoes_it_byte_for_byte(machine, rc):
    if rc:
        (machine.workspace / "user.bazelrc").write_bytes(rc)
    before = machine.files()
    attach_as_before(machine, rc)
    document = machine.json("down")
    assert findings(document)["earlier"]["code"] == "attachment.earlier.undone"
    assert machine.files() == before


def test_up_makes_it_anew_with_one_line_that_says_so(machine):
    attach_as_before(machine, b"build --color=yes\n")
    done = machine.run("up", "--trial", *QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("of an earlier gfattach in") == 1
    assert machine.json("status")["result"]["healthy"]
    assert not (machine.workspace / ".gfattach/attachment.json").exists()
    assert (machine.state / "attachment.json").exists()
    assert (machine.workspace / "user.bazelrc").read_bytes() == b"build --color=yes\n"


@pytest.mark.parametrize(
    "command", [("status",), ("env",), ("bazel", "build"), ("exec", "--", "true"), ("logs",)]
)
def test_other_commands_name_what_undoes_it(machine, command):
    attach_as_before(machine)
    before = machine.files()
    done = machine.run(*command)
    assert done.returncode in (2, 127) and "Traceback" not in done.stderr
    if done.returncode == 2:
        assert "of an earlier gfattach" in done.stderr and "gfattach up" in done.stderr
    assert machine.files() == before


@pytest.mark.parametrize("command", [("down",), ("up", "--trial", *QUICK)])
def test_of_a_planted_one_nothing_is_believed(machine, command):
    """Its record and journal name files, trees and programs of the user: none of them is touched."""
    with hostile_workspace(machine.root) as hostile:
        home = machine.workspace / ".gfattach"
        home.mkdir(mode=0o700)
        for name, document in (("attachment", record(hostile)), ("journal", journal(hostile))):
            (home / f"{name}.json").write_text(json.dumps(document))
        done = machine.run(*command)
        assert done.returncode == 0, done.stderr
        assert hostile.harm() == []
        assert not (home / "journal.json").exists()
