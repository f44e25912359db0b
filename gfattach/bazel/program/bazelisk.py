"""How bazelisk is set up here: which Bazel it takes, from where, and which wrapper it runs.

It reads, the first that says something: the environment, `.bazeliskrc` at the root of the workspace, and
`.bazeliskrc` in the home; for the version then the first line of `.bazelversion` at that root, and of none in
a directory above (bazelisk 1.28.1, and the launcher of Bazel's Debian packages). A private server is called
elsewhere, in another home: it is told the same by variables, which outrank all of these. Source: bazelisk's
README, "How does Bazelisk know which Bazel version to run?" and "Bazelisk and your environment".
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from pathlib import Path

#: The file in which settings stand, one `NAME=value` a line.
RC_FILE = ".bazeliskrc"

VERSION_FILE = ".bazelversion"

VERSION = "USE_BAZEL_VERSION"

#: Where a workspace's wrapper lies, by its directory.
WRAPPER_DIRECTORY = "BAZELISK_WRAPPER_DIRECTORY"

#: What decides on the Bazel that runs. A token for a hosting service is a secret, and none of them.
_SETTINGS = (
    VERSION,
    "USE_BAZEL_FALLBACK_VERSION",
    "BAZELISK_BASE_URL",
    "BAZELISK_FORMAT_URL",
    "BAZELISK_VERIFY_SHA256",
    "BAZELISK_NOJDK",
    "BAZELISK_SKIP_WRAPPER",
    WRAPPER_DIRECTORY,
    "BAZELISK_HOME",
    "BAZELISK_HOME_LINUX",
    "BAZELISK_HOME_DARWIN",
)

#: Settings that say where a Bazel comes from, or where one that was fetched lies: whoever writes them picks
#: the program that runs.
_PICKS = (
    "BAZELISK_BASE_URL",
    "BAZELISK_FORMAT_URL",
    "BAZELISK_HOME",
    "BAZELISK_HOME_LINUX",
    "BAZELISK_HOME_DARWIN",
)

#: A wrapper's names, the first that can be run; those of one platform come first.
_WRAPPERS = ("bazel.{system}-{machine}", "bazel.{machine}", "bazel")

#: A variable that a script reads.
_READ = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")

#: Part of the names of variables that hold what nobody else is to know.
_SECRET = re.compile(r"TOKEN|SECRET|PASS|KEY|CREDENTIAL|AUTH|COOKIE|HEADER", re.IGNORECASE)


def settings(workspace: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """What a Bazel of `workspace` is to be told, by variable; none with a user and password in it."""
    found = {
        **(_rc_file(Path(environ["HOME"]) / RC_FILE) if environ.get("HOME") else {}),
        **(_rc_file(workspace / RC_FILE) if workspace is not None else {}),
        **{name: environ[name] for name in _SETTINGS if environ.get(name)},
    }
    found = {name: value for name, value in found.items() if "@" not in value}
    if VERSION not in found and (version := _asked_version(workspace)):
        found[VERSION] = version[1]
    if "BAZELISK_HOME" not in found and "HOME" in environ:
        caches = "Library/Caches" if sys.platform == "darwin" else ".cache"
        base = environ.get("XDG_CACHE_HOME") or str(Path(environ["HOME"]) / caches)
        found["BAZELISK_HOME"] = str(Path(base) / "bazelisk")
    return found


def wrapper_directory(workspace: Path | None, environ: Mapping[str, str]) -> str:
    """Where a wrapper in Bazel's place lies, from the root of a workspace."""
    return settings(workspace, environ).get(WRAPPER_DIRECTORY, "tools")


def wrapper_of(workspace: Path, environ: Mapping[str, str]) -> Path | None:
    """The program that bazelisk runs in Bazel's place, if there is one and it is to be run."""
    if settings(workspace, environ).get("BAZELISK_SKIP_WRAPPER"):
        return None
    names = {"system": platform.system().lower(), "machine": platform.machine()}
    directory = workspace / wrapper_directory(workspace, environ)
    paths = (directory / name.format(**names) for name in _WRAPPERS)
    return next((path for path in paths if path.is_file() and os.access(path, os.X_OK)), None)


def picked_by(workspace: Path) -> dict[Path, tuple[str, ...]]:
    """The files of `workspace` that have another program run than a released Bazel, each with what it says:
    wrappers, settings of where Bazel comes from, the version of somebody's own build (`FORK/VERSION`).
    """
    names = {"system": platform.system().lower(), "machine": platform.machine()}
    said = _rc_file(workspace / RC_FILE)
    found: dict[Path, tuple[str, ...]] = {}
    for directory in dict.fromkeys(("tools", said.get(WRAPPER_DIRECTORY, "tools"))):
        for name in _WRAPPERS:
            path = workspace / directory / name.format(**names)
            if path.is_file() and os.access(path, os.X_OK):
                found[path] = ("it is run in Bazel's place, by Bazelisk and others",)
    versions = (VERSION, "USE_BAZEL_FALLBACK_VERSION")
    lines = [
        f"{name} = {value}"
        for name, value in said.items()
        if name in _PICKS or (name in versions and "/" in value)
    ]
    if lines:
        found[workspace / RC_FILE] = tuple(lines)
    version = _asked_version(workspace)
    if version is not None and "/" in version[1]:
        found[version[0]] = (f"Bazel is the build {version[1]}",)
    return found


def switches_of(wrapper: Path | None, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environ` that the script `wrapper` reads; none that is called like a secret."""
    if wrapper is None:
        return {}
    try:
        text = wrapper.read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    names = {name for name in _READ.findall(text) if name in environ and not _SECRET.search(name)}
    return {name: environ[name] for name in sorted(names)}


def _rc_file(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    pairs = (line.strip().partition("=") for line in lines if not line.lstrip().startswith("#"))
    return {
        name.strip(): value.strip()
        for name, equals, value in pairs
        if equals and name.strip() in _SETTINGS and value.strip()
    }


def _asked_version(workspace: Path | None) -> tuple[Path, str] | None:
    """The workspace's `.bazelversion` and its first line; an empty one names none, as bazelisk 1.28.1 has it,
    which looks in no directory above.
    """
    if workspace is None:
        return None
    try:
        text = (workspace / VERSION_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    version = text.partition("\n")[0].strip()
    return (workspace / VERSION_FILE, version) if version else None
