"""Between a user and the store: who writes it, and what its daemon lets the user choose.

Which store Nix opens is worked out from the files that Nix goes by, because opening it would make one on
a machine that has none. Whether the daemon trusts the user is asked of the daemon: it warns of each
substituter that it ignores, and asks no network.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import re
import socket
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs

from msgspec import Struct

from gfattach.core.deadline import Deadline
from gfattach.core.errors import NixError
from gfattach.nix.config import ENABLE_COMMANDS, UNKNOWN_COMMAND, Settings
from gfattach.nix.program import Nix, error_line, plain, run
from gfattach.nix.uri import alike

STATE_DIRECTORY = "/nix/var/nix"
CONFIGURATION_DIRECTORY = "/etc/nix"
STORE_DIRECTORY = "/nix/store"

#: What names another directory for the store, the first that is set.
_STORE_VARIABLES = ("NIX_STORE_DIR", "NIX_STORE")

#: A substituter that nobody can have listed: only a trusted user may name it. It is never asked.
UNLISTED = "https://gfattach-probe.invalid"

#: Both names of the question; the first is deprecated from 2.20 on, and still there in 2.31.
_PINGS = (("store", "ping"), ("store", "info"))

_IGNORED = re.compile(r"ignoring untrusted substituter '(?P<uri>[^']*)'")


class Mode(StrEnum):
    """Who writes the store for this user; SHUT: nobody, because it is not theirs and no daemon is there."""

    DIRECT = "direct"
    DAEMON = "daemon"
    NEW = "new"
    SHUT = "shut"
    ELSEWHERE = "elsewhere"


class Access(Struct, frozen=True):
    """`store` is the setting that decides; `socket` is the daemon's, None without one."""

    mode: Mode
    store: str
    socket: Path | None = None


class Trust(Struct, frozen=True):
    """What the daemon lets this user choose: `trusted` anything; else not the substituters `ignored`."""

    trusted: bool
    ignored: tuple[str, ...]


def access(store: str, environ: Mapping[str, str]) -> Access:
    """How a Nix whose setting `store` has this value gets at its store (as Nix 2.8 to 2.31 decide)."""
    state = Path(environ.get("NIX_STATE_DIR") or STATE_DIRECTORY)
    daemon = Path(environ.get("NIX_DAEMON_SOCKET_PATH") or state / "daemon-socket" / "socket")
    if store.partition("?")[0] == "daemon":
        return Access(Mode.DAEMON, store, daemon)
    if store.startswith("unix://"):
        return Access(Mode.DAEMON, store, Path(store.removeprefix("unix://").partition("?")[0] or daemon))
    if store == "local" or store.startswith(("local?", "/", "local://")):
        return Access(Mode.DIRECT, store)
    if store not in ("auto", ""):
        return Access(Mode.ELSEWHERE, store)
    if os.access(state, os.R_OK | os.W_OK):
        return Access(Mode.DIRECT, store)
    if daemon.exists():
        return Access(Mode.DAEMON, store, daemon)
    return Access(Mode.SHUT, store, daemon) if state.exists() else Access(Mode.NEW, store)


def store_directory(store: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The directory whose paths a Nix with the setting `store` goes by, and what names it, "" for nothing."""
    named = parse_qs(store.partition("?")[2]).get("store", [""])[-1]
    if named:
        return os.path.normpath(named), "store"
    variable = next((name for name in _STORE_VARIABLES if environ.get(name)), "")
    return (os.path.normpath(environ[variable]), variable) if variable else (STORE_DIRECTORY, "")


def connect(path: Path, deadline: Deadline) -> None:
    """Connect to the daemon and hang up. Raises OSError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(max(0.05, deadline.remaining()))
        connection.connect(str(path))


def ask_trust(nix: Nix, substituters: Sequence[str], deadline: Deadline, environ: Mapping[str, str]) -> Trust:
    """What the daemon says to a client that names `substituters`.

    Only for a user who has a daemon. Raises NixError: those of `gfattach.nix.program.run`, and
    `nix.daemon` when the daemon could not be asked.
    """
    option = ("--option", "extra-substituters", " ".join((*substituters, UNLISTED)))
    for command in _PINGS:
        answer = run(nix.path, [*command, *ENABLE_COMMANDS, *option], deadline, environ)
        if UNKNOWN_COMMAND not in answer.stderr:
            break
    if not answer.good:
        raise NixError(f"the daemon could not be asked: {error_line(answer)}", code="nix.daemon")
    ignored = {match["uri"] for match in _IGNORED.finditer(plain(answer.stderr))}
    named = tuple(uri for uri in substituters if any(alike(said, uri) for said in ignored))
    return Trust(UNLISTED not in ignored, named)


def own_name() -> str:
    """The name of this user, as a daemon takes it from the other end of its socket."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def may_connect(settings: Settings) -> bool:
    """Whether a daemon with these settings lets this user in. It says nothing to one whom it does not."""
    if "allowed-users" not in settings.known:
        return True
    names = {"*", own_name()}
    for number in {os.getegid(), *os.getgroups()}:
        with contextlib.suppress(KeyError):
            names.add(f"@{grp.getgrgid(number).gr_name}")
    return bool(names & {*settings.words("allowed-users"), *settings.words("trusted-users")})


def configuration_directory(environ: Mapping[str, str]) -> Path:
    """Where the configuration of the system's Nix is."""
    return Path(environ.get("NIX_CONF_DIR") or CONFIGURATION_DIRECTORY)
