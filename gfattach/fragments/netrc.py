"""The netrc of an attachment: the user's own entries, and one for the listener of this forward.

Nix reads one netrc only, so a fragment that names one takes the user's away: it has to hold that too. It
is a secret, 0600, and ours is bound to a name or an address that this forward alone uses, because
entries know no ports: with `machine 127.0.0.1` every other server on this machine that a cache
redirects to is sent the token (measured with Nix 2.8.0).
"""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path

from msgspec import Struct

from gfattach.core.errors import StorageError
from gfattach.core.files import make_private_directory, read_bytes, remove, write_atomic
from gfattach.core.finding import Finding, fail, ok, warn
from gfattach.core.quote import command, word
from gfattach.nix import netrc

#: Machines that are everybody's on this machine.
_SHARED = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "default", "*", ""})


def is_shared(machine: str) -> bool:
    """Whether other servers than one forward's may be at `machine`."""
    return machine in _SHARED


class Written(Struct, frozen=True):
    """`path` is what the fragment's netrc-file has to name, None where it must not name any; `source` is the
    netrc that was taken over.
    """

    path: Path | None
    findings: tuple[Finding, ...]
    source: Path | None = None


def write_netrc(path: Path, existing: Path | None, machine: str, token: str) -> Written:
    """Write to `path` what `existing` (the netrc that Nix reads now) holds, and `token` for `machine`.

    What cannot be done well is not done: then nothing is at `path`, and a finding says why. Raises
    StorageError for a place that cannot be written to.
    """
    problem, own = _own(existing)
    problem = problem or _unfit(machine)
    if problem is None and machine in netrc.machines(own):
        problem = warn(
            "nix.netrc.taken",
            f"{existing} has an entry for {machine} already, and it stays as it is",
            "an entry of yours comes before one of gfattach's; it may hold another token",
            f"to use the stored token, remove the entry for {machine} from {existing}, and attach again",
        )
    if problem is None:
        try:
            text = netrc.merge(own, machine, token)
        except ValueError as error:
            problem = fail(
                "nix.netrc.word",
                f"the token for {machine} cannot be written into a netrc",
                str(error),
                f"store another token: {command('gfattach', 'credential', 'login', machine)}",
            )
    if problem is not None:
        remove(path)
        return Written(None, (problem,))
    make_private_directory(path.parent)
    write_atomic(path, text.encode("utf-8", "surrogateescape"))
    written = ok("nix.netrc.written", f"{path} gives {machine} its token")
    return Written(path, (written, *_doubts(existing, own)), existing)


def _own(existing: Path | None) -> tuple[Finding | None, str]:
    """What the user's netrc holds, or why it cannot be taken over."""
    try:
        if existing is not None and _is_pipe(existing):
            raise StorageError(f"cannot read {existing}: it is a pipe, which gives what it has once")
        content = None if existing is None else read_bytes(existing)
    except StorageError as error:
        return (
            fail(
                "nix.netrc.unreadable",
                error.fact,
                "Nix reads one netrc only: with another one in its place, what this one holds would be lost",
                f"see whose it is: ls -l {word(str(existing))}",
                "an administrator can put the entry for the cache into it",
            ),
            "",
        )
    return None, (content or b"").decode("utf-8", "surrogateescape")


def _is_pipe(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def _unfit(machine: str) -> Finding | None:
    """Why a token cannot be bound to `machine`, if it cannot."""
    if is_shared(machine):
        return warn(
            "nix.netrc.shared",
            f"a token for {machine or 'every machine'} would go to every server on it",
            "a netrc knows no ports: whatever a cache redirects to there is sent the token",
            "give the forward an address of its own, 127.x.y.z, or a name",
        )
    with contextlib.suppress(ValueError):
        netrc.entry(machine, "x", "x")
        if ":" not in machine or machine.count(":") > 1:
            return None
    return fail(
        "nix.netrc.machine",
        "the machine that the token is for has a port or white space, and never matches",
        "entries are found by host name alone",
        "name the host without its port",
    )


def _doubts(existing: Path | None, own: str) -> tuple[Finding, ...]:
    problems = netrc.read(own).problems
    if not problems:
        return ()
    return (
        warn(
            "nix.netrc.malformed",
            f"{existing} is no well-formed netrc: {problems[0]}",
            "Nix may send the wrong credentials, or none; it was taken over as it is",
            f"mend it: {existing}",
            problems=list(problems),
        ),
    )
