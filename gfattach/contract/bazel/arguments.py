"""What the contract's variables are as arguments of Bazel, in the order of the field's wrapper.

Pure: variables and the user's own words in, an argument list out. The order is: startup options,
command, cache, upload, auth, routing, executor, external inputs, the person's own arguments. A
`--config` is the person's own; what the field's configs say, the attachment's rc says.

Headers are secrets and never arguments: `header_rc` puts them into the text of an rc file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from gfattach.bazel.rc.grammar import quote
from gfattach.contract.bazel.flags import BUILDS, EVENT_FILES, LOADS, forbids_downloads, headers
from gfattach.contract.bazel.rctext import UPLOAD
from gfattach.contract.model.variables import BY_NAME, TRUE_WORDS, UPLOAD_VARIABLES, lines_of, value_of
from gfattach.contract.rules.values import injected_repositories, untrusted_event
from gfattach.core.errors import RefusedError, UsageError

#: Startup options whose value may be a word of its own.
STARTUP_WITH_VALUE = frozenset(
    {"--output_user_root", "--output_base", "--install_base", "--install_md5", "--bazelrc", "--blazerc"}
    | {"--host_jvm_args", "--host_jvm_profile", "--server_javabase", "--server_jvm_out", "--max_idle_secs"}
    | {"--failure_detail_out", "--command_port", "--connect_timeout_secs", "--local_startup_timeout_secs"}
    | {"--digest_function", "--invocation_policy", "--io_nice_level", "--macos_qos_class", "--option_sources"}
    | {"--unix_digest_hash_attribute_name", "--experimental_cgroup_parent"}
)


class Invocation(Struct, frozen=True):
    """The user's own words, as Bazel takes them apart; `command` is "" where there is none."""

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

    Raises UsageError for what no rc can hold.
    """
    return "".join(f"build {quote(f'--{flag}={line}')}\n" for flag, line in headers(environment))


def arguments(
    invocation: Invocation,
    environment: Mapping[str, str],
    *,
    names: Mapping[str, str],
    rc: Sequence[Path] = (),
    upload: bool = False,
) -> list[str]:
    """Everything behind the program's name.

    `names` are from `bazel_flags.known_names`; `rc` are the attachment's rc files. Without a command (as in
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
        *of_contract(invocation.command, environment, names=names, upload=upload),
        *_own(invocation, names, upload),
    ]


def of_contract(
    command: str, environment: Mapping[str, str], *, names: Mapping[str, str], upload: bool = False
) -> list[str]:
    """What the contract's variables are as arguments of `command`, headers left out."""
    return [
        *(_remote(environment, names, upload) if command in BUILDS else ()),
        *(_external_inputs(environment, names) if command in LOADS else ()),
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
    yield from _uploads(names, upload)
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
    if forbids_downloads(environment):
        yield f"--{names['repository_disable_download']}"


def _uploads(names: Mapping[str, str], upload: bool) -> list[str]:
    kept = [f"--{names[EVENT_FILES]}=local"] if EVENT_FILES in names else []
    return [f"--{'' if upload else 'no'}{UPLOAD}", *kept]


def _own(invocation: Invocation, names: Mapping[str, str], upload: bool) -> list[str]:
    """The user's own arguments; where nothing may be uploaded, none of their configs does it either."""
    words = invocation.arguments
    if upload or invocation.command not in BUILDS:
        return list(words)
    end = words.index("--") if "--" in words else len(words)
    options, rest = list(words[:end]), list(words[end:])
    for option, following in pairwise([*options, ""]):
        name, equals, value = option.partition("=")
        asks = name == f"--{UPLOAD}" and value.lower() not in ("false", "0", "no", "f", "n")
        if asks or (name == f"--{EVENT_FILES}" and (value if equals else following) != "local"):
            raise RefusedError(
                f"{option} asks for an upload that is not allowed here",
                "the site has to allow it, GF_BAZEL_REMOTE_UPLOAD has to be true",
                "and no pull request may have started the job",
                "what the site says: gfattach site show",
                code="bazel.upload",
            )
    configs = any(option == "--config" or option.startswith("--config=") for option in options)
    return [*options, *(_uploads(names, upload) if configs else []), *rest]
