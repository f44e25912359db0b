"""Exec plugins at a terminal: they get what kubectl gives them, each asked with a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.cluster.kubeconfig_files import V1, exec_credential, exec_user, kubeconfig, plugin

BETA = "client.authentication.k8s.io/v1beta1"
KUBECTL = shutil.which("kubectl")
SECONDS = 60.0

#: Resolves a kubeconfig as a command of gfattach does, and prints what it shows.
OURS = """
import contextlib, os, sys
from pathlib import Path
from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig.credentials import ExecOptions
from gfattach.cluster.kubeconfig.resolve import resolve
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.terminal import standard_terminal

options = ExecOptions(terminal=standard_terminal(contextlib.nullcontext))
try:
    found = resolve(ClusterRef((Path(sys.argv[1]),)), Deadline.after(50), os.environ, options)
    print("shown:", found.authorization, flush=True)
except ClusterError as error:
    print("refused:", error.code, error.fact, flush=True)
"""


class Session:
    """A program at a pseudo-terminal of its own, or, with `terminal` False, with an empty stdin."""

    def __init__(self, args: list[str], environ: dict[str, str], *, terminal: bool) -> None:
        self.said = ""
        self._main, second = pty.openpty()
        self._child = subprocess.Popen(
            [sys.executable, "-c", _CONTROLLING, *args] if terminal else args,
            stdin=second if terminal else subprocess.DEVNULL,
            stdout=second,
            stderr=second,
            env=environ,
            start_new_session=True,
        )
        os.close(second)

    def until(self, words: str) -> None:
        """Read what it says until it has said `words`."""
        end = time.monotonic() + SECONDS
        while words not in self.said:
            assert self._read(end), f"it ended without {words!r}: {self.said}"

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def ended(self) -> str:
        """All that it said, once it has ended."""
        end = time.monotonic() + SECONDS
        while self._read(end):
            pass
        self._child.wait(SECONDS)
        os.close(self._main)
        return self.said

    def _read(self, end: float) -> bool:
        assert select.select([self._main], [], [], max(0.0, end - time.monotonic()))[0], self.said
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            if data := os.read(self._main, 65536):
                self.said += data.decode("utf-8", "replace")
                return True
        return False


#: Takes its stdin for the controlling terminal, as a login shell's child has it, and becomes what is named.
_CONTROLLING = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def at_terminal(tmp_path):
    """Start gfattach's resolver, or kubectl, with a plugin that is this script."""
    (tmp_path / "run").mkdir()

    def start(script: str, *, kubectl: bool = False, terminal: bool = True, told: str = "", **entry):
        command = plugin(tmp_path / "plugin", script)
        user = exec_user(command, **entry)
        user["exec"] = {name: value for name, value in user["exec"].items() if value is not None}
        file = kubeconfig(tmp_path / "config", user, {"server": "https://127.0.0.1:1"})
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": f"{tmp_path}/run"}
        environ |= {"GFATTACH_PLUGIN_SECONDS": told} if told else {}
        environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
        theirs = [KUBECTL, "--kubeconfig", str(file), "--request-timeout=5s", "get", "--raw", "/"]
        args = theirs if kubectl else [sys.executable, "-c", OURS, str(file)]
        return Session(args, environ, terminal=terminal)  # type: ignore[arg-type]

    return start


#: Writes down whether it may ask, and what its stdin is, and fails.
TELLS = (
    'k=pipe; [ -t 0 ] && k=terminal; [ "$(readlink /proc/self/fd/0)" = /dev/null ] && k=none\n'
    'printf "%s %s" "$k" "$KUBERNETES_EXEC_INFO" > {seen}\nexit 7'
)

MODES: dict[str, dict[str, Any]] = {
    "Never": {"interactiveMode": "Never"},
    "IfAvailable": {"interactiveMode": "IfAvailable"},
    "Always": {"interactiveMode": "Always"},
    "v1beta1 without one": {"interactiveMode": None, "apiVersion": BETA},
    "v1beta1, Never": {"interactiveMode": "Never", "apiVersion": BETA},
    "v1beta1, Always": {"interactiveMode": "Always", "apiVersion": BETA},
}


@pytest.mark.skipif(KUBECTL is None, reason="no kubectl; install it: apt-get install kubernetes-client")
@pytest.mark.parametrize("terminal", [True, False], ids=["at a terminal", "without one"])
@pytest.mark.parametrize("mode", MODES)
def test_a_plugin_may_ask_where_kubectl_lets_it(at_terminal, tmp_path, mode, terminal):
    seen: list[object] = []
    for kubectl in (True, False):
        file = tmp_path / f"seen-{kubectl}"
        at_terminal(TELLS.format(seen=file), kubectl=kubectl, terminal=terminal, **MODES[mode]).ended()
        if not file.exists():
            seen.append("it was not run")
            continue
        stdin, _, info = file.read_text().partition(" ")
        seen.append((json.loads(info)["spec"]["interactive"], stdin == "terminal"))
    assert seen[0] == seen[1]


TOKEN = exec_credential(token="t")


@pytest.mark.parametrize(
    "ask",
    [
        "printf 'Password: ' >&2; read -r answer",
        "printf 'Password: ' > /dev/tty; read -r answer < /dev/tty",
        "printf 'Password: ' >&2; stty -echo; read -r answer; stty echo",
        "printf 'MFA\\nPassword: ' >&2; answer=$(head -n 1)",
    ],
    ids=["on stdin", "on the controlling terminal", "without echo", "by a child"],
)
@pytest.mark.parametrize("mode", ["IfAvailable", "Always"])
def test_what_its_user_types_reaches_it(at_terminal, ask, mode):
    session = at_terminal(f'{ask}; [ "$answer" = hunter2 ] || exit 3\n{TOKEN}', interactiveMode=mode)
    session.until("Password: ")
    session.type("hunter2\n")
    assert "shown: Bearer t" in session.ended()


@pytest.mark.parametrize("terminal", [True, False], ids=["at a terminal", "without one"])
@pytest.mark.parametrize("mode", ["IfAvailable", "Never"])
def test_a_device_code_is_shown_while_it_waits(at_terminal, tmp_path, mode, terminal):
    """Nothing is answered before a person has read the code."""
    go = tmp_path / "go"
    script = (
        f"echo 'open https://x.example and enter ABCD-EFGH' >&2\nwhile [ ! -e {go} ]; do sleep 0.05; done"
    )
    session = at_terminal(f"{script}\n{TOKEN}", terminal=terminal, interactiveMode=mode)
    session.until("ABCD-EFGH")
    go.touch()
    assert "shown: Bearer t" in session.ended()


def test_each_line_is_another_chance_for_its_user(at_terminal):
    """It takes longer in all than it may say nothing."""
    script = f"for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo waiting >&2; sleep 0.5; done\n{TOKEN}"
    session = at_terminal(script, told="4", interactiveMode="IfAvailable")
    assert "shown: Bearer t" in session.ended()


@pytest.mark.parametrize("mode", ["IfAvailable", "Always"])
def test_one_that_says_nothing_more_is_ended(at_terminal, tmp_path, mode):
    script = f"echo $$ > {tmp_path}/pid; echo 'enter ABCD' >&2; exec sleep 600"
    said = at_terminal(script, told="0.5", interactiveMode=mode).ended()
    assert "refused: cluster.credential.plugin-silent" in said and "enter ABCD" in said
    pid = int(Path(f"{tmp_path}/pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_has_to_ask_is_told_to_be_run_on_a_terminal(at_terminal):
    said = at_terminal(TOKEN, terminal=False, interactiveMode="Always", apiVersion=V1).ended()
    assert "refused: cluster.credential.plugin-interactive" in said
