"""Every failure that ends a command, and the table of exit codes.

A failure is a class here, with the exit code that it means. It carries the fact
(one sentence: the thing, and what was seen) and the hints (what to run next), and
nothing else: the command line renders it, nobody else prints it.

    GfattachError            1   a probe failed, or the work did
    ├── UsageError           2   an option, a file or a value is bad
    │   └── StorageError     2   a disk is read-only or full, a path cannot be used
    ├── BazelError           2   the Bazel at hand crashed, hung, or is none
    ├── NixError             2   the Nix at hand did
    ├── ClusterError         1   the cluster cannot be reached, or refuses
    ├── AgentError           1   the process that holds the forwards cannot be had
    ├── CredentialError      2   a token is missing, expired, or cannot be read or kept
    ├── RefusedError         3   the contract forbids it here
    ├── UnprovedError        4   it ran, and did not prove what it should
    └── ProgramMissingError  127 the client program is missing where it was asked for
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """What a process of gfattach ends with, the same for every verb."""

    GOOD = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    UNPROVED = 4
    MISSING = 127
    INTERRUPTED = 130


EXIT_CODE_MEANING: dict[ExitCode, str] = {
    ExitCode.GOOD: "good",
    ExitCode.FAILED: "a probe failed",
    ExitCode.USAGE: "usage, or a bad file",
    ExitCode.REFUSED: "refused: the contract forbids it here",
    ExitCode.UNPROVED: "ran, and did not prove",
    ExitCode.MISSING: "the client program (bazel, nix) is missing where it was asked for",
    ExitCode.INTERRUPTED: "interrupted",
}


class GfattachError(Exception):
    """A failure that ends the command.

    `fact` is one sentence with no full stop; `hints` are further lines, each of them
    something to know or to run; `code` is the stable name that JSON output carries.
    """

    exit_code = ExitCode.FAILED
    default_code = "failed"

    def __init__(self, fact: str, *hints: str, code: str | None = None) -> None:
        super().__init__(fact)
        self.fact = fact
        self.hints: Sequence[str] = hints
        self.code = code or self.default_code


class UsageError(GfattachError):
    """An option, a file or a value cannot be used as it stands."""

    exit_code = ExitCode.USAGE
    default_code = "usage"


class StorageError(UsageError):
    """A file cannot be read or written where gfattach has to: permission, space, a path too long."""

    default_code = "storage"


class BazelError(GfattachError):
    """Bazel is there and cannot be used: it crashed, hung, or said what nobody could have meant."""

    exit_code = ExitCode.USAGE
    default_code = "bazel.failed"


class NixError(GfattachError):
    """Nix is there and cannot be used: it crashed, hung, or said what nobody could have meant."""

    exit_code = ExitCode.USAGE
    default_code = "nix.failed"


class ClusterError(GfattachError):
    """The cluster cannot be reached as the kubeconfig says, or it refuses what was asked."""

    default_code = "cluster.failed"


class AgentError(GfattachError):
    """The process that holds the forwards cannot be started, or does not answer."""

    default_code = "agent.failed"


class CredentialError(GfattachError):
    """A token is missing, expired, or cannot be read or kept."""

    exit_code = ExitCode.USAGE
    default_code = "credential.failed"


class RefusedError(GfattachError):
    """The contract, or the site, forbids what was asked for here."""

    exit_code = ExitCode.REFUSED
    default_code = "refused"


class UnprovedError(GfattachError):
    """The work ran to its end and did not prove what it should have."""

    exit_code = ExitCode.UNPROVED
    default_code = "unproved"


class ProgramMissingError(GfattachError):
    """A client program was asked for by name and is not on this machine."""

    exit_code = ExitCode.MISSING
    default_code = "program-missing"
