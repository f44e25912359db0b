"""Which programs the tests fetch, and from where. One line more is one program more."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What a program is to the tests."""

    BAZEL = "bazel"
    NIX = "nix"
    PYTHON = "python"
    EXECUTOR = "executor"


@dataclass(frozen=True)
class Program:
    """One program of another Debian.

    `suite` is that Debian, `package` what holds the program at `path` in it. `leave_out` are packages
    of its dependencies, by regular expression on the whole name, that it starts without: compilers of a
    Bazel, of which genrules need none.
    """

    name: str
    kind: Kind
    suite: str
    package: str
    path: str
    leave_out: str = ""


#: Of a Bazel: what only its rules call. 470 of 640 MB.
_BAZEL_TOOLS = (
    r"openjdk-\d+-jdk-.*|gcc-.*|gcc|g\+\+.*|cpp.*|binutils.*|.*-dev|lib[a-z]+san\d+|build-essential|make|patch"
    r"|dpkg-dev|linux-libc-.*|perl.*|libperl5.*|python3.*|libpython3.*|tzdata|libjs-.*|node-.*"
)

#: Of a Nix: what its Perl bindings call.
_NIX_TOOLS = r"perl.*|libperl5.*|lib.*-perl|openssh-client|tzdata"

PROGRAMS = (
    Program("bazel-sid", Kind.BAZEL, "sid", "bazel-bootstrap", "usr/bin/bazel", _BAZEL_TOOLS),
    Program("nix-trixie", Kind.NIX, "trixie", "nix-bin", "usr/bin/nix", _NIX_TOOLS),
    Program("nix-sid", Kind.NIX, "sid", "nix-bin", "usr/bin/nix", _NIX_TOOLS),
    Program("python-trixie", Kind.PYTHON, "trixie", "python3.13-venv", "usr/bin/python3.13", r"tzdata"),
    Program("python-sid", Kind.PYTHON, "sid", "python3.14-venv", "usr/bin/python3.14", r"tzdata"),
    Program("justbuild-trixie", Kind.EXECUTOR, "trixie", "justbuild", "usr/bin/justbuild"),
)
