"""Which flags the contract's variables need of a Bazel that not every one has, and how each Bazel calls them.

Pure: variables in, the questions to ask a Bazel out; its answers in, names out.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from gfattach.contract.model.variables import TRUE_WORDS, lines_of, value_of
from gfattach.contract.rules.values import injected_repositories
from gfattach.core.errors import UsageError

#: Commands that run actions; those that build nothing have no use for a cache, and wait for one that is away.
BUILDS = frozenset({"build", "test", "run", "coverage", "mobile-install"})

#: Commands that load packages, and so may fetch repositories.
LOADS = BUILDS | {"cquery", "aquery", "query", "fetch", "sync", "vendor", "mod"}

#: Keeps the files that a build event file speaks of from being uploaded, which Bazel does even where it is
#: told not to upload results (seen with 4.2.3). No variable asks for it: a Bazel without it does without.
EVENT_FILES = "experimental_build_event_upload_strategy"

#: Flags that not every Bazel has: by the name that is meant, how to ask for it under each of its names.
_UNCERTAIN: Mapping[str, tuple[str, ...]] = {
    "remote_header": ("--remote_header=a=b",),
    "remote_cache_header": ("--remote_cache_header=a=b",),
    "remote_exec_header": ("--remote_exec_header=a=b",),
    "credential_helper": (
        "--credential_helper=cache.example=/nowhere",
        "--experimental_credential_helper=cache.example=/nowhere",
    ),
    "remote_max_connections": ("--remote_max_connections=1",),
    "inject_repository": ("--inject_repository=a=/nowhere",),
    "repository_disable_download": (
        "--repository_disable_download",
        "--experimental_repository_disable_download",
    ),
    EVENT_FILES: (f"--{EVENT_FILES}=local",),
}

_HEADERS = {
    "remote_header": "BAZEL_REMOTE_HEADER",
    "remote_cache_header": "BAZEL_REMOTE_CACHE_HEADER",
    "remote_exec_header": "BAZEL_REMOTE_EXEC_HEADER",
}

#: The variable that asks for each of them.
_VARIABLE_OF = {
    **_HEADERS,
    "credential_helper": "BAZEL_CREDENTIAL_HELPER",
    "remote_max_connections": "BAZEL_REMOTE_MAX_CONNECTIONS",
    "inject_repository": "GF_BAZEL_INJECT_REPOSITORIES",
    "repository_disable_download": "GF_BAZEL_REPOSITORY_DISABLE_DOWNLOAD",
}


def uncertain_flags(
    environment: Mapping[str, str], command: str, *, keep_events: bool = False
) -> tuple[str, ...]:
    """The flags that `environment` needs for `command` and that not every Bazel has, as meant names.

    `keep_events` asks that what build events speak of stays here, where no rc of an attachment says so.
    """
    if command not in LOADS:
        return ()
    needed: list[str] = []
    if command in BUILDS:
        needed += dict(headers(environment))
        if lines_of(environment, "BAZEL_CREDENTIAL_HELPER"):
            needed.append("credential_helper")
        if value_of(environment, "BAZEL_REMOTE_MAX_CONNECTIONS"):
            needed.append("remote_max_connections")
        if keep_events and value_of(environment, "BAZEL_REMOTE_CACHE"):
            needed.append(EVENT_FILES)
    if injected_repositories(environment):
        needed.append("inject_repository")
    if forbids_downloads(environment):
        needed.append("repository_disable_download")
    return tuple(needed)


def reviews(needed: Sequence[str]) -> tuple[str, ...]:
    """What to ask a Bazel, as flags of a command line, to know how it calls each of `needed`."""
    return tuple(text for flag in needed for text in _UNCERTAIN[flag])


def known_names(needed: Sequence[str], accepted: Container[str], version: str) -> dict[str, str]:
    """How the Bazel that accepts `accepted` (of `questions`) calls each of `needed`.

    Raises UsageError, naming flag and version, for one that it does not have under any name.
    """
    names: dict[str, str] = {}
    for flag in needed:
        known = [text for text in _UNCERTAIN[flag] if text in accepted]
        if not known and flag == EVENT_FILES:
            continue
        if not known:
            raise UsageError(
                f"this Bazel ({version}) has no --{flag}, which {_VARIABLE_OF[flag]} asks for",
                f"unset it for this Bazel: unset {_VARIABLE_OF[flag]}",
                "or name a newer Bazel: export BAZEL_BIN=/path/to/bazel",
                code="bazel.flag",
            )
        names[flag] = known[0].removeprefix("--").partition("=")[0]
    return names


def headers(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The headers of `environment`, flag and `name=value`; those for an executor only where there is one."""
    for flag, variable in _HEADERS.items():
        if flag != "remote_exec_header" or value_of(environment, "BAZEL_REMOTE_EXECUTOR"):
            for line in lines_of(environment, variable):
                yield flag, line


def forbids_downloads(environment: Mapping[str, str]) -> bool:
    """Whether repositories may come from this machine alone."""
    return value_of(environment, "GF_BAZEL_REPOSITORY_DISABLE_DOWNLOAD") in TRUE_WORDS
