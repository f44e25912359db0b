"""Which flags the Bazel at hand knows: asked of the program, never guessed from its version.

`bazel canonicalize-flags --for_command=COMMAND -- FLAG...` exits with 0 when it takes all of them, with
their values, and with 2 at the first that it does not, which its message names. So those that it does not
know by name are taken out at once, by its list of all flags, as soon as there is one. The answer is kept on
disk for as long as the program does not change.

The command loads what a query would: a Bazel with modules reads its registry for it, unless it is told to do
without. Where it fails for such a reason, the list alone decides, which is exact but for values.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from gfattach.bazel.capabilities.answers import Answers
from gfattach.bazel.capabilities.listed import ListedFlag, listed_flags, takes
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import EXIT_USAGE, Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError
from gfattach.core.files import make_private_directory

#: Seconds that all questions together may take where nobody sets a deadline: a cold server on a small
#: machine, with room to spare.
PROBE_SECONDS = 60.0

#: Keeps a command off the network; Bazels that do not know these need none of them.
WITHOUT_MODULES = ("--noenable_bzlmod", "--enable_workspace")

_UNKNOWN = re.compile(r"ERROR: .*?(?P<flag>--?[A-Za-z0-9_]\S*)")


def accepted_flags(
    bazel: Bazel,
    flags: Sequence[str],
    *,
    work: Path,
    cache: Path | None = None,
    deadline: Deadline | None = None,
    server: Server | None = None,
    command: str = "build",
    old_names: bool = False,
) -> frozenset[str]:
    """Those of `flags` (as they would stand on a command line, values included) that `bazel` accepts for
    `command`; most others inherit those of `build`.

    `old_names` says that some may stand under a name that a flag had once, which costs a call for each that
    is not known. `work` is a directory for a private server, used when `server` is not given and the answer
    is not in the file `cache`. Raises BazelError when Bazel crashes, hangs or says what cannot
    be understood, and StorageError when `work` cannot be used.
    """
    asked = tuple(dict.fromkeys(flags))
    keys = {flag: _key(flag, command) for flag in asked}
    known = Answers(cache, bazel.identity())
    missing = [flag for flag in asked if keys[flag] not in known.flags]
    if missing:
        deadline = deadline or Deadline.after(PROBE_SECONDS)
        if server is None:
            with flag_server(bazel, work) as started:
                accepted = _ask(started, missing, command, deadline, old_names=old_names)
        else:
            accepted = _ask(server, missing, command, deadline, old_names=old_names)
        known.learn({keys[flag]: flag in accepted for flag in missing})
    return frozenset(flag for flag in asked if known.flags[keys[flag]])


def all_known(bazel: Bazel, flags: Sequence[str], cache: Path) -> bool:
    """Whether the file `cache` answers for all of `flags` of `build`: this very program was asked before.

    Raises BazelError when the program is gone.
    """
    known = Answers(cache, bazel.identity()).flags
    return all(_key(flag, "build") in known for flag in flags)


def _key(flag: str, command: str) -> str:
    """What is remembered of a flag: its name, and a digest of a value, which may be long or private."""
    name, sign, value = flag.partition("=")
    return f"{command} {name}{sign}" + (hashlib.sha256(value.encode()).hexdigest()[:12] if value else "")


@contextmanager
def flag_server(bazel: Bazel, work: Path) -> Iterator[Server]:
    """A private server in the directory `work`, for questions about flags. Raises StorageError."""
    # Outside a workspace every command would start, and end, a server of its own.
    workspace = make_private_directory(work / "flags")
    for marker in ("WORKSPACE", "MODULE.bazel"):
        (workspace / marker).touch()
    with Server(bazel, workspace, work, "flags") as server:
        yield server


def _ask(
    server: Server, flags: Sequence[str], command: str, deadline: Deadline, *, old_names: bool
) -> frozenset[str]:
    own = list(WITHOUT_MODULES)
    left = list(flags)
    listed: Mapping[str, ListedFlag] | None = {} if old_names else None
    while left:
        line = [*own, f"--for_command={command}", "--", *left]
        answer = server.run("canonicalize-flags", line, deadline)
        if answer.good:
            return frozenset(left)
        if answer.returncode != EXIT_USAGE:
            return _listed(server, left, command, deadline)
        unknown = _named_unknown(answer.stderr, [*own, *left])
        if unknown is not None:
            own = [flag for flag in own if flag != unknown]
            left = [flag for flag in left if flag != unknown]
            if listed is None and (listed := listed_flags(server, deadline)):
                own = [flag for flag in own if takes(listed, flag)]
                left = [flag for flag in left if takes(listed, flag, command)]
        elif len(left) == 1:
            return frozenset()
        else:  # a message that names none of them: halve, and ask for each half
            middle = len(left) // 2
            halves = (left[:middle], left[middle:])
            return frozenset().union(
                *(_ask(server, half, command, deadline, old_names=old_names) for half in halves)
            )
    return frozenset()


def _listed(server: Server, flags: Sequence[str], command: str, deadline: Deadline) -> frozenset[str]:
    listed = listed_flags(server, deadline)
    if not listed:
        raise BazelError(
            "bazel does not say which flags it knows",
            f"ask it yourself: {server.bazel.path} help flags-as-proto",
            code="bazel.rubbish",
        )
    return frozenset(flag for flag in flags if takes(listed, flag, command))


def _named_unknown(stderr: str, flags: Sequence[str]) -> str | None:
    """The one of `flags` that an error line names: whole, or by its name."""
    for match in _UNKNOWN.finditer(stderr):
        named = match["flag"].rstrip(".,:;'\"")
        whole = (flag for flag in flags if flag in (named, match["flag"]))
        by_name = (flag for flag in flags if flag.partition("=")[0] == named.partition("=")[0])
        if (found := next(chain(whole, by_name), None)) is not None:
            return found
    return None
