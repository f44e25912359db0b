"""A thousand generated records, journals, registrations and configurations: no command believes any of them.

No file outside of a command's own directories is touched, no host is contacted, no program is run.
"""

import contextlib
import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gfattach.cli import main
from gfattach.core.paths import Home
from tests.harness.machine import hostile as stand_ins
from tests.harness.machine.hostile import KEY, hostile_workspace

COMMANDS = (
    ("down",),
    ("status",),
    ("env",),
    ("prove", "--no-bazel", "--no-nix"),
    ("logs",),
    ("contract",),
    ("site", "show"),
    ("site", "lint"),
    ("up", "--no-bazel", "--no-nix"),
)

ODD = st.sampled_from(
    [None, 5, True, 1e308, "", "\0", "/", "..", "/etc/passwd", "../..", "x" * 300, "\u202e", [], {}, ["/"]]
)


@st.composite
def changed(draw, value):
    """`value` with something in it lost, or something else in its place."""
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: item for name, item in value.items() if name != key}
        return rest if draw(st.booleans()) else {**rest, key: draw(changed(value[key]))}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        return [draw(changed(item)) for item in value]
    return draw(ODD)


def settings_of(made):
    """Lines of a site's file, any of which would have something contacted, run or trusted."""
    return [
        ("cluster", f"kubeconfig = '{made.workspace}/kubeconfig'"),
        ("cluster", "context = 'x'"),
        ("cache", f"endpoint = 'grpc://127.0.0.1:{made.port}'"),
        ("cache", "upload = 'trusted'"),
        ("cache", "service = 'bazel-cache'"),
        ("nix", f"substituter = 'http://127.0.0.1:{made.port}/main'"),
        ("nix", f"public_keys = ['{KEY}']"),
        ("nix", "service = 'attic'"),
    ]


@st.composite
def documents(draw, made):
    """What lies in the workspace, by name: one of each kind, as it would be or changed."""
    record = stand_ins.record(made)
    whole = {
        ".gfattach/attachment.json": record,
        ".gfattach/journal.json": stand_ins.journal(made),
        ".gfattach/registrations.json": {
            "version": 1,
            "registrations": [stand_ins.registration(made, made.workspace / ".gfattach/attachment.json")],
        },
        ".gfattach/agent.json": {
            "pid": os.getpid(),
            "born": "1",
            "control": "/x",
            "ref": None,
            "version": "0",
        },
        ".gfattach/trial/trial.json": {"pid": os.getpid(), "born": "1", "bazel_port": made.port},
    }
    found = {}
    for name, document in whole.items():
        if draw(st.integers(0, 3)):
            found[name] = json.dumps(draw(changed(document)) if draw(st.booleans()) else document)
    lines = draw(st.lists(st.sampled_from(settings_of(made)), unique=True))
    tables = {}
    for table, line in lines:
        tables.setdefault(table, []).append(line)
    found["gfattach.toml"] = "\n".join(f"[{table}]\n" + "\n".join(said) for table, said in tables.items())
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("generated")
    with pytest.MonkeyPatch.context() as patch, hostile_workspace(root) as made:
        for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
            (root / name.lower()).mkdir(mode=0o700)
            patch.setenv(name, str(root / name.lower()))
        patch.delenv("KUBECONFIG", raising=False)
        patch.setenv("PATH", "/nonexistent")  # not even git is run
        patch.chdir(made.workspace)
        yield made


def run(command):
    with Path(os.devnull).open("w") as nowhere:
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            main.run([*command])


@settings(max_examples=1000, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_nothing_in_a_workspace_has_a_command_reach_out_of_it(place, data):
    home = place.workspace / ".gfattach"
    for name, text in data.draw(documents(place)).items():
        path = place.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(text)
    command = data.draw(st.sampled_from(COMMANDS))
    run(command)
    assert place.harm() == []
    for name in ("attachment.json", "journal.json", "registrations.json", "agent.json", "trial/trial.json"):
        (home / name).unlink(missing_ok=True)


@settings(max_examples=1000, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_nor_does_a_damaged_state_of_the_users_own(place, data):
    """A record and a journal where gfattach keeps them, which name what no attach can have made."""
    home = Home(place.workspace / ".gfattach", place.workspace)
    (place.workspace / "gfattach.toml").write_text("")
    home.state.mkdir(parents=True, exist_ok=True)
    home.record.write_text(json.dumps(data.draw(changed(stand_ins.record(place)))))
    home.journal.write_text(json.dumps(data.draw(changed(stand_ins.journal(place)))))
    command = data.draw(st.sampled_from([("down",), ("env",), ("logs",)]))
    run(command)
    assert place.harm() == []
    for path in (home.record, home.journal):
        path.unlink(missing_ok=True)
