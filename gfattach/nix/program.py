"""Nix, the program: where it is and what it says it is.

Only `nix --version` is run for that: `nix-store --version` opens the store, and so makes `/nix` on
a machine that has none (measured with 2.26.3).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.errors import NixError, ProgramMissingError

#: How to get a Nix.
INSTALL_HINT = "install Nix: apt-get install nix-bin, or see https://nixos.org/download"

#: Seconds that `nix --version` may take; it does no work.
IDENTIFY_SECONDS = 10.0

#: A directory that is not there: a Nix that is told to read its configuration here reads none.
NOWHERE = "/nonexistent/nix"

#: `nix (Nix) 2.8.0`, `nix (Lix, like Nix) 2.91.0`, `nix (Determinate Nix 3.6.2) 2.29.0`; a name of the
#: release may follow.
_BANNER = re.compile(
    r"^nix \((?P<who>[^)\n\d]{1,80}(?P<release>\d[^)\n]{0,60})?)\) (?P<version>\d[\w.+-]{0,60})(?=\s|$)",
    re.MULTILINE,
)

_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Flavour(StrEnum):
    """Whose Nix it is. What it can do is found out by asking, never concluded from this."""

    NIX = "Nix"
    LIX = "Lix"
    DETERMINATE = "Determinate Nix"


class Nix(Struct, frozen=True):
    """One Nix, as it was found. `version` is that of the language and store (`2.8.0`); `release` that of the
    flavour (`3.6.2`), empty where the two are one.
    """

    path: Path
    version: str
    flavour: Flavour = Flavour.NIX
    release: str = ""

    @property
    def label(self) -> str:
        """Flavour and version for a sentence."""
        own = f"{self.release}, as Nix " if self.release else ""
        return f"{self.flavour.value} {own}{self.version}"

    @property
    def minor(self) -> tuple[int, int]:
        """The first two numbers of the version; zeros where it has none."""
        major, _, rest = self.version.partition(".")
        digits = rest.partition(".")[0]
        return (int(major) if major.isdigit() else 0, int(digits) if digits.isdigit() else 0)

    def as_json(self) -> dict[str, str]:
        """All of it, JSON-able."""
        own = {"release": self.release} if self.release else {}
        return {"path": str(self.path), "version": self.version, "flavour": self.flavour.value, **own}

    @classmethod
    def from_json(cls, document: Mapping[str, str]) -> Nix:
        """The Nix that `as_json` described."""
        flavour = Flavour(document["flavour"])
        return cls(Path(document["path"]), document["version"], flavour, document.get("release", ""))


def locate(explicit: str | None, environ: Mapping[str, str]) -> Path | None:
    """The `nix` to use: `explicit`, or the one on PATH; None without any.

    Raises ProgramMissingError when one was asked for by name and is not there.
    """
    search = environ.get("PATH", os.defpath)
    name = str(Path(explicit).expanduser()) if explicit and "/" in explicit else explicit
    found = shutil.which(name or "nix", path=search)
    if found is not None:
        return Path(found).absolute()
    if explicit:
        raise ProgramMissingError(
            f"{explicit}, which was named as Nix, is not there or cannot be run",
            "name one that is there, or leave --nix out to have one looked for",
            INSTALL_HINT,
        )
    return None


def identify(path: Path, deadline: Deadline, environ: Mapping[str, str]) -> Nix:
    """What the program at `path` is. Its configuration is not read, so that it cannot be at fault.

    Raises NixError: `nix.unusable` (cannot be started), `nix.hung`, `nix.crashed`, `nix.rubbish`
    (what answers is no Nix).
    """
    environment = unconfigured(environ)
    answer = run(path, ["--version"], deadline.within(IDENTIFY_SECONDS), environment)
    if not answer.good:
        raise _error("crashed", f"{path} --version {answer.ending}", answer)
    match = _BANNER.search(answer.stdout)
    if match is None:
        raise _error("rubbish", f"{path} does not answer as a Nix does", answer)
    flavour = next((f for f in (Flavour.DETERMINATE, Flavour.LIX) if f.value in match["who"]), Flavour.NIX)
    return Nix(path, match["version"], flavour, match["release"] or "")


def nix_store(nix: Nix) -> Path:
    """The `nix-store` that belongs to `nix`. Raises ProgramMissingError."""
    for directory in (nix.path.parent, nix.path.resolve().parent):
        if os.access(directory / "nix-store", os.X_OK):
            return directory / "nix-store"
    raise ProgramMissingError(f"there is no nix-store beside {nix.path}", INSTALL_HINT)


def waits_when_limited(nix: Nix) -> bool:
    """Whether a request that is answered 429 is tried again after a minute and more (measured with 2.34.8: 68
    to 75 s, whatever Retry-After says; 2.26.3 waits 0.3 s, and from 2.35 on, by its release notes, it is 5
    s).
    """
    return (2, 27) <= nix.minor < (2, 35)


def unconfigured(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` for a Nix that reads no configuration but its own defaults."""
    kept = {name: value for name, value in environ.items() if name != "NIX_CONFIG"}
    return kept | {"NIX_CONF_DIR": NOWHERE, "NIX_USER_CONF_FILES": f"{NOWHERE}/nix.conf"}


def run(
    program: Path, args: Sequence[str], deadline: Deadline, environ: Mapping[str, str]
) -> process.Completed:
    """Run a program of Nix to its end, whatever its exit code.

    Raises NixError: `nix.unusable` when it cannot be started, `nix.hung` when the deadline ended
    it, `nix.crashed` when a signal did.
    """
    try:
        answer = process.run([str(program), *args], deadline, env=environ)
    except OSError as error:
        raise unusable(program, error) from error
    command = " ".join([program.name, *args[:2]])
    if answer.timed_out:
        raise _error("hung", f"{command} {answer.ending}", answer)
    if answer.returncode is not None and answer.returncode < 0:
        raise _error("crashed", f"{command} {answer.ending}", answer)
    return answer


def error_line(answer: process.Completed) -> str:
    """What Nix gave as its error, without colours; its last words when it gave none."""
    lines = [plain(line).strip() for line in answer.stderr.splitlines()]
    errors = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    return next((line[:400] for line in errors if line), answer.last_words(1)[:400] or answer.ending)


def plain(text: str) -> str:
    """`text` without the escape sequences that colour it."""
    return _ESCAPE.sub("", text)


def unusable(program: Path, error: OSError) -> NixError:
    """The typed error for a program that cannot be started."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return NixError(f"{program} cannot be run: {reason}", INSTALL_HINT, code="nix.unusable")


def _error(kind: str, fact: str, answer: process.Completed) -> NixError:
    words = answer.last_words()
    return NixError(fact, f"it said: {words[:400]}" if words else "it said nothing", code=f"nix.{kind}")
