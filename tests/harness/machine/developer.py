"""A developer's machine for tests of whole commands: a home, XDG directories and a workspace of its own."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gfattach.core.paths import HOME_NAME, Home
from tests.harness.machine.budget import budget

ROOT = Path(__file__).parents[3]

#: While codes are recorded: where to, and what each Python imports for it.
RECORD = "TESTS_RECORD_CODES"
RECORDING = ROOT / "tests/harness/recording"


@dataclass
class Machine:
    """A user's machine: HOME and XDG directories below `root`, and a workspace that git knows."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def state(self) -> Path:
        """Where the record of the workspace's attachment is."""
        key = Home(self.workspace / HOME_NAME, self.workspace).key
        return self.root / "home/.local/state/gfattach/attachments" / key

    @property
    def environment(self) -> dict[str, str]:
        passed = ("PATH", "LANG", "JDK_JAVA_OPTIONS", RECORD)
        kept = {name: os.environ[name] for name in passed if name in os.environ}
        modules = f"{RECORDING}:{ROOT}" if RECORD in kept else str(ROOT)
        places = {
            "HOME": "home",
            "XDG_STATE_HOME": "home/.local/state",
            "XDG_CACHE_HOME": "home/.cache",
            "XDG_CONFIG_HOME": "home/.config",
            "XDG_RUNTIME_DIR": "run",
            "TMPDIR": "tmp",
        }
        for place in places.values():
            (self.root / place).mkdir(parents=True, exist_ok=True)
        (self.root / "run").chmod(0o700)
        own = {name: str(self.root / place) for name, place in places.items()}
        return {**kept, **own, "PYTHONPATH": modules, **self.variables}

    def git(self, *args: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        command = ["git", *identity, *args]
        done = subprocess.run(
            command, cwd=self.workspace, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def run(
        self, *args: str, cwd: Path | None = None, seconds: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run gfattach to its end, as a process of its own; within `seconds` of an idle machine."""
        return subprocess.run(
            [sys.executable, "-m", "gfattach", *args],
            cwd=cwd or self.workspace,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=budget(seconds),
        )

    def at_terminal(self, *args: str, expect: str, answer: str) -> tuple[int, str]:
        """Run gfattach at a terminal of its own; the exit code, and all that was shown.

        `answer` is typed once `expect` is there; nothing is typed where that never comes.
        """
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "gfattach", *args],
            cwd=self.workspace,
            env={**self.environment, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # EIO: the last who had it open has ended
            while piece := os.read(ours, 65536):
                shown += piece
                if answer and expect.encode() in shown:
                    os.write(ours, f"{answer}\n".encode())
                    answer = ""
        os.close(ours)
        return process.wait(60), shown.decode(errors="replace")

    def json(self, *args: str, code: int = 0) -> dict[str, Any]:
        """Run gfattach with --output json; its document. Fails unless it ends with `code`."""
        done = self.run(*args, "--output", "json")
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr and "defect" not in done.stderr, done.stderr
        return json.loads(done.stdout)

    def write_site(self, text: str) -> Path:
        """Write the workspace's gfattach.toml, and allow what it says; where it is."""
        file = self.workspace / "gfattach.toml"
        file.write_text(text)
        self.json("site", "allow")
        return file

    def login(self, host: str, token: str) -> None:
        """Store `token` for `host` in the private file."""
        self.variables["TOKEN"] = token
        done = self.run("credential", "login", host, "--store", "file", "--from-env", "TOKEN")
        del self.variables["TOKEN"]
        assert done.returncode == 0, done.stderr

    def kept_in_state(self) -> set[str]:
        """Files in the state directory, by their names there; the secret of the ports, `key`, is to stay."""
        state = self.root / "home/.local/state/gfattach"
        return {str(path.relative_to(state)) for path in state.rglob("*") if not path.is_dir()}

    def files(self) -> dict[str, bytes | None]:
        """Every file and directory of the workspace by its path, with content; git's own left out."""
        found: dict[str, bytes | None] = {}
        for path in sorted(self.workspace.rglob("*")):
            name = str(path.relative_to(self.workspace))
            if not name.startswith(".git/") and name != ".git":
                found[name] = path.read_bytes() if path.is_file() else None
        return found

    def processes(self) -> list[str]:
        """Command lines of processes that have something of this machine in their arguments."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if str(self.root) in line:
                    found.append(line)
        return found


def findings(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every finding of a run's document, by its probe."""
    return {found["probe"]: found for stage in document["stages"] for found in stage["findings"]}


def make_machine(root: Path) -> Machine:
    """A machine whose workspace is a git repository with a WORKSPACE file and a .bazelrc."""
    machine = Machine(root)
    machine.workspace.mkdir(parents=True)
    (machine.workspace / "WORKSPACE").write_text("")
    (machine.workspace / "MODULE.bazel").write_text("")
    (machine.workspace / ".bazelrc").write_text("try-import %workspace%/user.bazelrc\n")
    (machine.workspace / ".gitignore").write_text("user.bazelrc\n")
    machine.git("init", "--quiet")
    machine.git("add", ".")
    machine.git("commit", "--quiet", "--message", "begin")
    return machine
