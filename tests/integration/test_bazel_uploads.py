"""What `gfattach bazel` keeps a real Bazel from uploading, whatever the user's own rc files say."""

import json
import shutil
from pathlib import Path

import pytest

from gfattach.bazel.probe_workspace import LABEL, write_probe

pytestmark = [
    pytest.mark.bazel,
    pytest.mark.skipif(shutil.which("bazel") is None, reason="apt-get install bazel-bootstrap"),
]


@pytest.mark.parametrize("words", [(), ("--config=ci",)])
def test_files_of_build_events_stay_here_though_the_workspaces_rc_would_upload_them(machine, words):
    """The rc of the workspace imports the attachment's first, so that its own line comes behind it."""
    write_probe(machine.workspace)
    machine.json("up", "--trial", "--no-bazel", "--no-nix")
    strategy = "--experimental_build_event_upload_strategy"
    events = machine.root / "events.json"
    (machine.workspace / ".bazelrc").write_text(
        f"startup --output_user_root={machine.root / 'user-root'}\n"
        "build --symlink_prefix=/\n"
        f"import {machine.workspace / '.gfattach' / 'bazelrc'}\n"
        f"{'build:ci' if words else 'build'} {strategy}=remote\n"
    )
    try:
        done = machine.run("bazel", "build", f"--build_event_json_file={events}", *words, LABEL)
        assert done.returncode == 0, done.stderr
        said = [json.loads(line) for line in Path(events).read_text().splitlines()]
        line = next(event["optionsParsed"]["cmdLine"] for event in said if "optionsParsed" in event)
        assert [word for word in line if word.startswith(strategy)][-1] == f"{strategy}=local"
        # A file that was uploaded is spoken of by where it is in the cache.
        assert "bytestream://" not in events.read_text() and "file://" in events.read_text()
    finally:
        machine.run("bazel", "shutdown")
