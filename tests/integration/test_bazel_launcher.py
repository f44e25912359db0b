"""The launcher of Bazel's packages is asked once a server, and what it found is called from then on."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from gfattach.bazel.probe_workspace import SINGLES, write_probe
from gfattach.bazel.server.launcher import became, is_launcher
from gfattach.bazel.server.run import Server
from gfattach.core import process
from gfattach.core.deadline import Deadline
from tests.harness.machine.bazels import BUILD_SECONDS, debian

pytestmark = pytest.mark.bazel


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that were run, in order."""
    programs: list[str] = []
    run = process.run

    def recording(args: list[str], deadline: Deadline, **options: Any) -> process.Completed:
        programs.append(str(options.get("executable") or args[0]))
        return run(args, deadline, **options)

    monkeypatch.setattr(process, "run", recording)
    return programs


def test_what_a_launcher_found_is_called_from_then_on(tmp_path: Path, ran: list[str]) -> None:
    bazel = debian()
    if not is_launcher(bazel.path):
        pytest.skip(f"{bazel.path} is no launcher: use Debian's bazel-bootstrap")
    probe = write_probe(tmp_path / "probe")
    ran.clear()
    with Server(bazel, probe.directory, tmp_path / "work", "one") as server:
        answers = [server.run(command, words, Deadline.after(BUILD_SECONDS)) for command, words in _COMMANDS]
        started = (server.output_base / "server" / "server.pid.txt").read_text()
    assert [each.good for each in answers] == [True, True, True]
    assert ran == [str(bazel.path), "/usr/bin/bazel-4", "/usr/bin/bazel-4"]
    assert "Starting local Bazel server" in answers[0].stderr
    assert "Starting" not in answers[1].stderr + answers[2].stderr and started  # the same server


_COMMANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("help", ()),
    ("build", (SINGLES[0],)),
    ("info", ("release",)),
)


def test_a_server_that_reads_the_users_files_calls_the_launcher(tmp_path: Path, ran: list[str]) -> None:
    """A wrapper of the workspace, and a version that it asks for, are the launcher's to find."""
    bazel = debian()
    probe = write_probe(tmp_path / "probe")
    ran.clear()
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "USER": "dev"}
    with Server(bazel, probe.directory, tmp_path / "work", "one", environ=environ) as server:
        for command, words in (_COMMANDS[0], _COMMANDS[2]):
            server.run(command, words, Deadline.after(BUILD_SECONDS))
    assert ran[:2] == [str(bazel.path)] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sees the programs of others")
@pytest.mark.parametrize("other", [False, True], ids=["of this user", "of another user"])
def test_a_process_of_another_user_is_no_bazel_of_ours(tmp_path: Path, other: bool) -> None:
    """Its command line may name the output base of this one's server."""
    program = Path(shutil.copy("/bin/sleep", tmp_path / "bazel-of-another"))
    words = ["setpriv", "--reuid=65534", "--clear-groups"] if other else []
    tmp_path.chmod(0o755)
    for above in list(tmp_path.parents)[:2]:
        above.chmod(0o755)
    with subprocess.Popen([*words, program, "600"]) as child:
        try:
            while Path(f"/proc/{child.pid}/exe").readlink() != program:
                assert child.poll() is None
                time.sleep(0.01)
            found = [became(each.pid) for each, words in process.listed() if str(program) in words]
            assert found == ([] if other else [program])
        finally:
            child.kill()


@pytest.mark.parametrize(
    "text", ["", '#!/bin/bash\nexec bazel-real "$@"\n', 'exec -a "$0" "${BAZEL_REAL}" "$@"\n']
)
def test_another_script_is_no_launcher(tmp_path: Path, text: str) -> None:
    (tmp_path / "bazel").write_text(text)
    assert not is_launcher(tmp_path / "bazel")
    assert not is_launcher(tmp_path / "none")
