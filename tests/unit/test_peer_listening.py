"""Whose a loopback port is, as the kernel says it: by netlink, and by the table where netlink is not had."""

import os
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from gfattach.core.errors import CredentialError
from gfattach.core.peer import inet_diag, listening
from gfattach.core.peer.listening import Ownership
from gfattach.credential.helper import answer

LISTEN = (
    "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); "
)
OTHER = 65534

#: A Python that another user may start as well: not one below this user's home that a script starts.
PYTHON = shutil.which("python3", path="/usr/bin") or sys.executable

TWO_USERS = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="needs root and setpriv, to be two users: apt-get install util-linux",
)
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")


@pytest.fixture(params=["netlink", "table"])
def how(request, monkeypatch):
    if request.param == "table":

        def unsupported(*_):
            raise inet_diag.Unsupported("not here")

        monkeypatch.setattr(inet_diag, "find", unsupported)


@contextmanager
def another_users_listener():
    """A port that another user of this machine listens on, and nothing else of that user's."""
    become = ["setpriv", f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups"]
    process = subprocess.Popen(
        [*become, PYTHON, "-S", "-c", f"{LISTEN}sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.communicate("")


@LINUX
@pytest.mark.parametrize(
    ("family", "bound", "asked"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "127.0.0.1", "localhost"),
        (socket.AF_INET, "127.8.9.10", "127.8.9.10"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.1"),
        (socket.AF_INET6, "::", "127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
    ],
)
def test_a_listener_of_ones_own(how, family, bound, asked):
    with socket.socket(family) as server:
        server.bind((bound, 0))
        port = server.getsockname()[1]
        assert listening.listening(asked, port).ownership is Ownership.FREE
        server.listen()
        found = listening.listening(asked, port)
        assert (found.ownership, found.uid) == (Ownership.OWN, os.geteuid())


@LINUX
@TWO_USERS
def test_a_listener_of_another_user(how):
    with another_users_listener() as port:
        found = listening.listening("127.0.0.1", port)
        assert (found.ownership, found.uid) == (Ownership.FOREIGN, OTHER)


def test_where_the_kernel_cannot_be_asked_it_is_unknown_and_not_own(monkeypatch):
    monkeypatch.setattr(listening, "_uid", lambda *_: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = listening.listening("127.0.0.1", server.getsockname()[1])
        assert (found.ownership, found.uid) == (Ownership.UNKNOWN, None)


@pytest.fixture
def stored(monkeypatch):
    """A token that the helper would hand out for cache.example."""
    monkeypatch.setattr(
        "gfattach.credential.tokens.find",
        lambda *_, **__: type("Found", (), {"token": "canary", "claims": None})(),
    )


@LINUX
@TWO_USERS
def test_the_credential_helper_hands_no_token_to_another_users_listener(stored):
    with another_users_listener() as port:
        with pytest.raises(CredentialError) as caught:
            answer(b'{"uri": "https://127.0.0.1:%d/x"}' % port, "cache.example", port, environ={})
        assert caught.value.code == "credential.listener" and str(OTHER) in caught.value.fact
        assert "canary" not in str(caught.value.hints)


@LINUX
def test_nor_where_nobody_listens_but_to_a_listener_of_this_users(stored):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        question = b'{"uri": "https://127.0.0.1:%d/x"}' % port
        found = answer(question, "cache.example", port, environ={})
        assert found == {"headers": {"Authorization": ["Bearer canary"]}}
    with pytest.raises(CredentialError, match="nobody's"):
        answer(question, "cache.example", port, environ={})
