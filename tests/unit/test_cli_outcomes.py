"""Lines and documents that commands end with: what people read, and what programs find in its place."""

import json
from pathlib import Path

import jsonschema
import pytest

from gfattach.agent.model.status import ForwardStatus
from gfattach.cli import main
from gfattach.cli.views.attachment import forward_line
from gfattach.contract.environment import MEMORY

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/report-v1.json").read_text())
TAKEN_BACK = '  this shell has an attachment\'s variables; to take them back: eval "$(gfattach env)"'


@pytest.fixture(autouse=True)
def at_home(tmp_path, monkeypatch):
    """An account of its own, where nothing is attached, in a shell that never was."""
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv(MEMORY, raising=False)
    monkeypatch.chdir(tmp_path)


def run(capsys, *args):
    code = main.run(args)
    shown = capsys.readouterr()
    return code, shown.out


@pytest.mark.parametrize(
    ("command", "code", "first"),
    [("down", 0, ["nothing is attached here"]), ("status", 1, ["nothing is attached here", "  to attach: "])],
)
def test_a_shell_that_still_has_an_attachments_variables_is_told_how_to_lose_them(
    capsys, monkeypatch, command, code, first
):
    ended, out = run(capsys, command)
    assert ended == code and TAKEN_BACK not in out
    monkeypatch.setenv(MEMORY, '{"BAZEL_REMOTE_CACHE":"grpc://127.0.0.1:1"}')
    ended, out = run(capsys, command)
    *before, last = out.splitlines()
    assert (ended, last) == (code, TAKEN_BACK)
    assert [line[: len(start)] for line, start in zip(before, first, strict=True)] == first


@pytest.mark.parametrize("attached", [True, False])
def test_a_program_is_told_of_the_shell_too(capsys, monkeypatch, attached):
    if attached:
        monkeypatch.setenv(MEMORY, "{}")
    made = json.loads(run(capsys, "down", "--output", "json")[1])
    jsonschema.validate(made, SCHEMA)
    assert made["result"]["shell_attached"] is attached


def _forward(**more):
    plain = {"name": "grpc apps/cache:9092", "state": "up", "since": 0.0, "last_error": "", "pods": ()}
    listening = {"address": "127.0.0.1", "port": 41000, "socket_path": None}
    counts = dict.fromkeys(
        ("open_connections", "total_connections", "reconnects", "rejected_peers", "refused"), 0
    )
    return ForwardStatus(**{**plain, **listening, **counts, "bytes_sent": 0, "bytes_received": 0, **more})


def test_a_forward_is_named_with_its_state_its_place_and_what_went_over_it():
    line = forward_line(_forward(open_connections=1, total_connections=3, bytes_received=2048))
    assert line == "grpc apps/cache:9092  up  127.0.0.1:41000  1 open, 3 in all, 2.0 KiB received, 0 B sent"


def test_what_is_only_watched_has_a_state_and_no_place():
    watched = _forward(name="https://nix.example/main", address=None, port=None)
    assert forward_line(watched) == "https://nix.example/main  up"
    down = _forward(name="https://nix.example/main", address=None, port=None, state="down", last_error="no")
    assert forward_line(down) == "https://nix.example/main  down: no"
