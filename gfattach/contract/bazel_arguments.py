"""What the contract's variables are as arguments of Bazel, in the order of the field's wrapper.

Pure: variables and a person's own words in, an argument list out. The order is: startup options,
command, cache, upload, auth, routing, executor, external inputs, the person's own arguments. A
`--config` is the person's own; what the field's configs say, the attachment's rc says.

Headers are secrets and never arguments: `header_rc` puts them into the text of an rc file.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gfattach.contract.rctext import UPLOAD
from gfattach.contract.rules_values import injected_repositories, untrusted_event
from gfattach.contract.variables import BY_NAME, TRUE_WORDS, UPLOAD_VARIABLES, lines_of, value_of
from gfattach.errors import RefusedError, UsageError
from gfattach.fragments.rcfile import quote

#: Commands that run actions; those that build nothing have no use for a cache, and wait for one that is away.
BUILDS = frozenset({"build", "test", "run", "coverage", "mobile-install"})

#: Commands that load packages, and so may fetch repositories.
LOADS = BUILDS | {"cquery", "aquery", "query", "fetch", "sync", "vendor", "mod"}

#: Startup options whose value may be a word of its own.
STARTUP_WITH_VALUE = frozenset(
    {"--output_user_root", "--output_base", "--install_base", "--install_md5", "--bazelrc", "--blazerc"}
    | {"--host_jvm_args", "--host_jvm_profile", "--server_javabase", "--server_jvm_out", "--max_idle_secs"}
    | {"--failure_detail_out", "--command_port", "--connect_timeout_secs", "--local_startup_timeout_secs"}
    | {"--digest_function", "--invocation_policy", "--io_nice_level", "--macos_qos_class", "--option_sources"}
    | {"--unix_digest_hash_attribute_name", "--experimental_cgroup_parent"}
)

#: Keeps the files that a build event file speaks of from being uploaded, which Bazel does even where it is
#: told not to upload results (seen with 4.2.3). No variable asks for it: a Bazel without it does without.
_EVENT_FILES = "experimental_build_event_upload_strategy"

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
    _EVENT_FILES: (f"--{_EVENT_FILES}=local",),
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


@dataclass(frozen=True)
class Invocation:
    """A person's own words, as Bazel takes them apart; `command` is "" where there is none."""

    startup: tuple[str, ...]
    command: str
    arguments: tuple[str, ...]


def split(words: Sequence[str]) -> Invocation:
    """Startup options, command and arguments of `words`."""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in STARTUP_WITH_VALUE else 1
    rest = tuple(words[index:])
    return Invocation(tuple(words[:index]), rest[0] if rest else "", rest[1:])


def may_upload(environment: Mapping[str, str], *, site_allows: bool) -> bool:
    """Whether results may be written to the shared cache: allowed, asked for, and no pull request's job."""
    asked = value_of(environment, UPLOAD_VARIABLES[0]) in TRUE_WORDS
    return site_allows and asked and untrusted_event(environment) is None


def header_rc(environment: Mapping[str, str]) -> str:
    """The text of an rc file with the headers of `environment`, "" for none. It is a secret.

    Headers for an executor count only where there is one. Raises UsageError for what no rc can hold.
    """
    return "".join(
        f"build {quote(f'--{flag}={line}')}\n"
        for flag, variable in _HEADERS.items()
        if _applies(flag, environment)
        for line in lines_of(environment, variable)
    )


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
        headers = _HEADERS.items()
        needed += [f for f, name in headers if lines_of(environment, name) and _applies(f, environment)]
        if lines_of(environment, "BAZEL_CREDENTIAL_HELPER"):
            needed.append("credential_helper")
        if value_of(environment, "BAZEL_REMOTE_MAX_CONNECTIONS"):
            needed.append("remote_max_connections")
        if keep_events and value_of(environment, "BAZEL_REMOTE_CACHE"):
            needed.append(_EVENT_FILES)
    if injected_repositories(environment):
        needed.append("inject_repository")
    if _forbids_downloads(environment):
        needed.append("repository_disable_download")
    return tuple(needed)


def questions(needed: Sequence[str]) -> tuple[str, ...]:
    """What to ask a Bazel, as flags of a command line, to know how it calls each of `needed`."""
    return tuple(text for flag in needed for text in _UNCERTAIN[flag])


def known_names(needed: Sequence[str], accepted: Container[str], version: str) -> dict[str, str]:
    """How the Bazel that accepts `accepted` (of `questions`) calls each of `needed`.

    Raises UsageError, naming flag and version, for one that it does not have under any name.
    """
    names: dict[str, str] = {}
    for flag in needed:
        known = [text for text in _UNCERTAIN[flag] if text in accepted]
        if not known and flag == _EVENT_FILES:
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


def arguments(
    invocation: Invocation,
    environment: Mapping[str, str],
    *,
    names: Mapping[str, str],
    rc: Sequence[Path] = (),
    upload: bool = False,
) -> list[str]:
    """Everything behind the program's name.

    `names` are from `known_names`; `rc` are the attachment's rc files. Without a command (as in
    `bazel --version`) the words stay as they are. Raises RefusedError when the words ask for an
    upload that is not allowed, and UsageError when they have Bazel ignore the rc files.
    """
    if not invocation.command:
        return list(invocation.startup)
    if rc and "--ignore_all_rc_files" in invocation.startup:
        raise UsageError(
            "--ignore_all_rc_files would have Bazel ignore the attachment's rc too",
            "run Bazel itself: bazel --ignore_all_rc_files ...",
            code="bazel.rc-ignored",
        )
    return [
        *_startup(environment),
        *(f"--bazelrc={file}" for file in rc),
        *invocation.startup,
        invocation.command,
        *(_remote(environment, names, upload) if invocation.command in BUILDS else ()),
        *(_external_inputs(environment, names) if invocation.command in LOADS else ()),
        *(_own(invocation.arguments, upload) if invocation.command in BUILDS else invocation.arguments),
    ]


def _startup(environment: Mapping[str, str]) -> Iterator[str]:
    for option, variable in (
        ("output_user_root", "BAZEL_OUTPUT_USER_ROOT"),
        ("output_base", "BAZEL_OUTPUT_BASE"),
    ):
        if value := value_of(environment, variable):
            yield f"--{option}={value}"


def _remote(environment: Mapping[str, str], names: Mapping[str, str], upload: bool) -> Iterator[str]:
    executor = value_of(environment, "BAZEL_REMOTE_EXECUTOR")
    cache = value_of(environment, "BAZEL_REMOTE_CACHE")
    if executor:
        cache = value_of(environment, "BAZEL_REMOTE_EXECUTOR_CACHE") or cache
    if cache:
        yield f"--remote_cache={cache}"
    yield f"--{'' if upload else 'no'}{UPLOAD}"
    if _EVENT_FILES in names:
        yield f"--{names[_EVENT_FILES]}=local"
    for helper in lines_of(environment, "BAZEL_CREDENTIAL_HELPER"):
        yield f"--{names['credential_helper']}={helper}"
    if instance := value_of(environment, "BAZEL_REMOTE_INSTANCE_NAME"):
        yield f"--remote_instance_name={instance}"
    if connections := value_of(environment, "BAZEL_REMOTE_MAX_CONNECTIONS"):
        yield f"--{names['remote_max_connections']}={connections}"
    if executor:
        variable = "GF_BAZEL_REMOTE_EXECUTION_PLATFORM"
        platform = value_of(environment, variable) or BY_NAME[variable].default
        yield f"--remote_executor={executor}"
        yield f"--remote_default_exec_properties=gf.platform={platform}"


def _external_inputs(environment: Mapping[str, str], names: Mapping[str, str]) -> Iterator[str]:
    if cache := value_of(environment, "BAZEL_REPOSITORY_CACHE"):
        yield f"--repository_cache={cache}"
    for directory in value_of(environment, "BAZEL_DISTDIR").split(":"):
        if directory:
            yield f"--distdir={directory}"
    for name, directory in injected_repositories(environment):
        yield f"--{names['inject_repository']}={name}={directory}"
    if _forbids_downloads(environment):
        yield f"--{names['repository_disable_download']}"


def _own(words: Sequence[str], upload: bool) -> list[str]:
    """A person's own arguments; where nothing may be uploaded, none of their configs does it either."""
    end = words.index("--") if "--" in words else len(words)
    options, rest = list(words[:end]), list(words[end:])
    if upload:
        return [*options, *rest]
    for option in options:
        name, _, value = option.partition("=")
        if name == f"--{UPLOAD}" and value.lower() not in ("false", "0", "no", "f", "n"):
            raise RefusedError(
                f"{option} asks for an upload that is not allowed here",
                "the site has to allow it, GF_BAZEL_REMOTE_UPLOAD has to be true",
                "and no pull request may have started the job",
                "what the site says: gfattach site show",
                code="bazel.upload",
            )
    configs = any(option == "--config" or option.startswith("--config=") for option in options)
    return [*options, *([f"--no{UPLOAD}"] if configs else []), *rest]


def _applies(flag: str, environment: Mapping[str, str]) -> bool:
    return flag != "remote_exec_header" or bool(value_of(environment, "BAZEL_REMOTE_EXECUTOR"))


def _forbids_downloads(environment: Mapping[str, str]) -> bool:
    return value_of(environment, "GF_BAZEL_REPOSITORY_DISABLE_DOWNLOAD") in TRUE_WORDS
