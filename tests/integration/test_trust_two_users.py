"""Two users of one machine: a port that one's attachment remembers is the other's. Nothing goes there."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.harness.machine.developer import findings, make_machine

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells whose a port is"),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("setpriv") is None,
        reason="needs root and setpriv, to be two users: apt-get install util-linux",
    ),
]

OTHER = 65534

#: A Python that the other user can run: this one may be in a directory of this user's alone.
PYTHON = shutil.which("python3", path="/usr/bin:/bin") or sys.executable
TOKEN = "canary-token-of-the-first-user"

#: Takes connections on a free port and says of each what it was sent, until its input ends.
SERVE = """
import select, socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while sys.stdin not in (ready := select.select([server, sys.stdin], [], [])[0]):
    client = server.accept()[0]
    client.settimeout(2)
    try:
        print("contacted", client.recv(65536), flush=True)
    except TimeoutError:
        print("contacted", flush=True)
"""


@contextmanager
def another_user_listens():
    become = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups"]
    process = subprocess.Popen(
        [*become, PYTHON, "-S", "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    )
    contacts = []
    try:
        yield int(process.stdout.readline()), contacts
    finally:
        contacts += process.communicate("\n")[0].splitlines()
    assert contacts == []


@pytest.fixture
def machine(tmp_path):
    made = make_machine(tmp_path)
    bazel = tmp_path / "bazel"
    bazel.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\necho bazel 7.0.0\n")
    bazel.chmod(0o755)
    made.variables["BAZEL_BIN"] = str(bazel)
    yield made
    made.run("down")
    assert made.processes() == []


def attach_by_hand(machine, port):
    """An attachment whose forward to a cache with a token was at `port` and whose agent has ended."""
    home = machine.workspace / ".gfattach"
    home.mkdir(mode=0o700)
    (home / ".gitignore").write_bytes(b"# gfattach: nothing here is for git\n*\n")
    (home / "bazelrc").write_text(f"build --remote_cache=grpc://127.0.0.1:{port}\n")
    (home / "nix.conf").write_text("")
    machine.state.mkdir(parents=True, mode=0o700)
    none = {"ca_file": None, "certificate": None, "key": None, "socket": None}
    document = {
        **{"schema": 1, "gfattach": "0.2.0", "created": "2026-01-02T03:04:05+00:00", "kind": "forward"},
        "cache": {
            **{"endpoint": f"grpc://127.0.0.1:{port}", "instance_name": "", "may_write": False},
            **{**none, "real_host": "cache.example"},
        },
        "substituter": None,
        "fragments": {"bazelrc": str(home / "bazelrc"), "nix.conf": None},
        **{"links": [], "trial": None, "cluster": None, "first_hit": None},
        "agent": str(machine.root / "home/.local/state/gfattach/agents/0badcafe"),
    }
    (machine.state / "attachment.json").write_text(json.dumps(document))
    machine.login("cache.example", TOKEN)


@pytest.mark.parametrize(
    "command", [("env",), ("exec", "--", "true"), ("bazel", "build", "//..."), ("status",), ("prove",)]
)
def test_a_port_that_another_user_took_is_named_and_nothing_goes_there(machine, command):
    with another_user_listens() as (port, _):
        attach_by_hand(machine, port)
        done = machine.run(*command)
        assert done.returncode == 1, done.stderr
        said = done.stdout + done.stderr
        assert f"127.0.0.1:{port}" in said and str(OTHER) in said and "gfattach up" in said
        assert TOKEN not in said and "Traceback" not in said
    if command[0] != "prove":
        assert not (machine.root / "ran").exists()


def test_status_says_it_as_a_finding_of_its_own(machine):
    with another_user_listens() as (port, _):
        attach_by_hand(machine, port)
        found = findings(machine.json("status", code=1))
        assert found["listener.cache"]["code"] == "forward.foreign"
        assert found["listener.cache"]["data"]["uid"] == OTHER


def test_bazels_credential_helper_keeps_the_token_from_it(machine):
    with another_user_listens() as (port, _):
        attach_by_hand(machine, port)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "gfattach",
                "credential",
                "get",
                *("--host", "cache.example"),
                "--port",
                f"{port}",
            ],
            input=json.dumps({"uri": f"https://127.0.0.1:{port}"}),
            env=machine.environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1 and TOKEN not in done.stdout + done.stderr
        assert str(OTHER) in done.stderr


def test_where_nobody_listens_any_more_a_build_does_not_begin(machine):
    with another_user_listens() as (port, _):
        pass
    attach_by_hand(machine, port)
    done = machine.run("bazel", "build", "//...")
    assert done.returncode == 1 and "nothing listens" in done.stderr, done.stderr
    assert not (machine.root / "ran").exists()
