"""Bazel, the program: where it is, what it says it is, and what its build lacks.

Nothing here starts a Bazel server: `bazel --version` is answered by the client alone
(bazelisk may download a Bazel for it, which is what the deadline is for).
"""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from gfattach.bazel.messages import error_line
from gfattach.bazel.program import bazelisk
from gfattach.bazel.program.system_rc import startup_options
from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, ProgramMissingError

#: How to get a Bazel.
INSTALL_HINT = "install Bazel: apt-get install bazel-bootstrap"

#: How to give Debian's Bazel the native library of zstd, which its build looks for outside of itself.
ZSTD_HINT = (
    "Debian's needs zstd's library: apt-get install libzstd-jni1; then, in an rc file: "
    "startup --host_jvm_args=-Djava.library.path=/usr/lib/x86_64-linux-gnu"
)

#: The variable of the environment contract that names the program.
PROGRAM_VARIABLE = "BAZEL_BIN"

#: Names looked for on PATH, the first that is found: bazelisk runs the version that a workspace asks for.
PROGRAM_NAMES = ("bazelisk", "bazel")

#: Seconds that `bazel --version` may take; bazelisk downloads 50 MB when it has to.
IDENTIFY_SECONDS = 60.0

#: What a Bazel that was built without a release label says in place of a version.
_UNLABELLED = ("no_version", "development version", "")

#: Variables that are passed on, unless they hold a user and password.
_PLAIN = (
    "TMPDIR",
    *("http_proxy", "https_proxy", "no_proxy"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)

#: What the launcher of Bazel's Debian packages says where it has not the version that is asked for.
_ASKED = re.compile(r"requires Bazel (\S+) \(specified in .*\), but it wasn't found in ")

_VERSION_LINE = re.compile(r"^bazel(?:\s+(?P<label>\S.*?))?\s*$", re.MULTILINE)


class Bazel(Struct, frozen=True):
    """One Bazel, as it was found.

    `version` is its release label, None for a development version (Debian's build says
    `no_version`). `startup` are startup options without which it does not run when no rc file
    is read. `native_transport` says whether it can do TLS and unix sockets: a build without
    netty's native libraries crashes on both, silently. `environment` goes with every run of
    it: what makes a version manager pick this version and find what it has downloaded.
    """

    path: Path
    version: str | None
    startup: tuple[str, ...] = ()
    native_transport: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The version for a sentence."""
        return self.version or "development version"

    def as_json(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return {
            "path": str(self.path),
            "version": self.version,
            "startup": list(self.startup),
            "native_transport": self.native_transport,
            "environment": dict(self.environment),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Bazel:
        """The Bazel that `as_json` described."""
        return cls(
            path=Path(document["path"]),
            version=document["version"],
            startup=tuple(document["startup"]),
            native_transport=document["native_transport"],
            environment=dict(document["environment"]),
        )

    def identity(self) -> str:
        """A text that changes when the program does: its path, size, time of change, and version.

        Raises BazelError when the program is gone.
        """
        try:
            stat = self.path.stat()
        except OSError as error:
            raise BazelError(f"{self.path} is gone", INSTALL_HINT, code="bazel.gone") from error
        pinned = self.environment.get("USE_BAZEL_VERSION", "")
        return f"{self.path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}:{self.label}:{pinned}"


def locate(explicit: str | None, environ: Mapping[str, str]) -> Path | None:
    """The Bazel to use: `explicit`, or `BAZEL_BIN`, or bazelisk or bazel on PATH; None without any.

    Raises ProgramMissingError when one was asked for by name and is not there.
    """
    search = environ.get("PATH", os.defpath)
    for name, said_by in ((explicit, "the option"), (environ.get(PROGRAM_VARIABLE), PROGRAM_VARIABLE)):
        if not name:
            continue
        found = shutil.which(str(Path(name).expanduser()) if "/" in name else name, path=search)
        if found is None:
            raise ProgramMissingError(
                f"{name}, which {said_by} names as Bazel, is not there or cannot be run",
                f"name one that is there, or leave {said_by} out to have one looked for",
                INSTALL_HINT,
            )
        return Path(found).absolute()
    for name in PROGRAM_NAMES:
        if (found := shutil.which(name, path=search)) is not None:
            return Path(found).absolute()
    return None


def identify(
    path: Path,
    deadline: Deadline,
    *,
    environ: Mapping[str, str],
    workspace: Path | None = None,
) -> Bazel:
    """What the program at `path` is, asked for as if in `workspace`, whose version it may be told to be.

    Raises BazelError: `bazel.unusable` (cannot be started), `bazel.hung`, `bazel.version` (a launcher without
    the version that is asked for), `bazel.crashed`, `bazel.rubbish` (what answers is no Bazel).
    """
    environment = bazelisk.settings(workspace, environ)
    home = environ.get("HOME", str(Path.home()))
    wrapper = None if workspace is None else bazelisk.wrapper_of(workspace, environ)
    ask = {**plain_environment(environ), "HOME": home, **environment}
    ask = {**bazelisk.switches_of(wrapper, environ), **ask}
    deadline = deadline.within(IDENTIFY_SECONDS)
    try:
        answer = process.run([str(path), "--version"], deadline, env=ask, cwd=workspace)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise BazelError(f"{path} cannot be run: {reason}", INSTALL_HINT, code="bazel.unusable") from error
    # A launcher says on stdout why it starts none, and how to get one in the lines behind it.
    marked = error_line(answer.stderr) or error_line(answer.stdout)
    words = marked or answer.last_words()
    said = (f"it said: {words}",) if words else ()
    if answer.timed_out:
        raise BazelError(
            f"{path} --version gave no answer within {answer.seconds:.0f} s", *said, code="bazel.hung"
        )
    if not answer.good and (asked := _ASKED.search(marked)):
        raise BazelError(
            f"{path} has no Bazel {asked[1]}, which this workspace asks for",
            *said,
            "have bazelisk fetch it: npm install -g @bazel/bazelisk",
            f"or take the Bazel that is here: {bazelisk.VERSION}=latest gfattach up",
            code="bazel.version",
        )
    if not answer.good:
        raise BazelError(
            f"{path} --version {answer.ending}",
            *(said or ("it said nothing",)),
            code="bazel.crashed",
        )
    match = _VERSION_LINE.search(answer.stdout)
    if match is None:
        raise BazelError(f"{path} does not answer as a Bazel does", *said, code="bazel.rubbish")
    label = (match["label"] or "").strip()
    version = None if label in _UNLABELLED else label
    startup = startup_options(path, deadline, ask, workspace)
    base = next((word.partition("=")[2] for word in startup if word.startswith("--install_base=")), None)
    return Bazel(
        path,
        version,
        startup=startup,
        native_transport=base is None or _has_netty_natives(Path(base) / "A-server.jar"),
        environment=environment,
    )


def plain_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What any program needs of `environ`: PATH, room for temporary files, the way out; no secret."""
    passed = {name: environ[name] for name in _PLAIN if "@" not in environ.get(name, "@")}
    return {"PATH": environ.get("PATH", os.defpath), **passed, **named_user(environ)}


def named_user(environ: Mapping[str, str]) -> dict[str, str]:
    """USER for a user number without an entry in passwd (a pod's), which Bazel ends with 36 without."""
    import pwd

    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return {"USER": environ.get("USER") or str(os.geteuid())}
    return {}


def _has_netty_natives(jar: Path) -> bool:
    """Whether the server's jar holds the library that TLS needs; True when the jar cannot be read."""
    try:
        with zipfile.ZipFile(jar) as archive:
            return any(
                "netty_tcnative" in name and name.endswith((".so", ".jnilib")) for name in archive.namelist()
            )
    except (OSError, zipfile.BadZipFile):
        return True
