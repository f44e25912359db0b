"""A locale that knows ASCII alone, and a path that is no text, fail no command and garble no line."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

ASCII = {"PYTHONIOENCODING": "ascii"}


def run(machine, *args, cwd=None, stderr=subprocess.PIPE, **variables):
    return subprocess.run(
        [sys.executable, "-m", "gfattach", *args],
        cwd=cwd or machine.workspace,
        env=machine.environment | variables,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


@pytest.mark.parametrize("variables", [ASCII, {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}])
def test_the_headline_comes_in_a_locale_that_knows_ascii_alone(machine, variables):
    done = run(machine, "up", "--trial", "--no-bazel", "--no-nix", **variables)
    assert (done.returncode, b"defect" in done.stderr) == (0, False)
    headline = done.stdout.decode("ascii").splitlines()[-1]
    assert headline.startswith("time to first cache hit") and " - trial " in headline
    assert re.search(rb" of \d+ ok, ", done.stderr) and b" skipped - " in done.stderr
    done.stderr.decode("ascii")


def test_a_terminal_that_cannot_show_the_checklist_has_its_lines(machine):
    ours, theirs = pty.openpty()
    done = run(machine, "status", stderr=theirs, **ASCII, TERM="xterm")
    os.close(theirs)
    shown = os.read(ours, 65536)
    os.close(ours)
    assert done.stdout.startswith(b"nothing is attached here\n")
    assert shown.startswith(b"ok    start        start, and read the record") and b"\x1b" not in shown


def test_a_workspace_whose_name_is_no_text_is_named_by_its_bytes_and_its_commands_can_be_copied(machine):
    workspace = os.fsencode(machine.workspace) + b"/caf\xe9"
    directory = Path(os.fsdecode(workspace))
    directory.mkdir()
    (directory / "WORKSPACE").touch()
    strict = {"PYTHONIOENCODING": "utf-8:strict"}
    up = run(machine, "up", "--trial", "--no-bazel", "--no-nix", cwd=workspace, **strict)
    assert (up.returncode, b"defect" in up.stderr) == (0, False), up.stderr
    shown = run(machine, "status", cwd=workspace, **strict)
    escaped = os.fsencode(machine.workspace) + rb"/caf\xe9"
    assert shown.returncode == 0 and b"UTC: " + escaped + b"\n" in shown.stdout
    [line] = [line for line in up.stdout.splitlines() if b"to attach one: bazel " in line]
    words = line.partition(b"bazel ")[2].replace(b"build ...", b"")
    said = subprocess.run(["bash", "-c", b"printf %s " + words], stdout=subprocess.PIPE, check=True)
    assert said.stdout == b"--bazelrc=" + workspace + b"/.gfattach/bazelrc"
    down = run(machine, "down", cwd=workspace, **strict)
    assert (down.returncode, down.stdout) == (0, b"detached: " + escaped + b"\n")
