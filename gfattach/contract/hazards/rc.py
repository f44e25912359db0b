"""Hazards in Bazel's rc files, as texts: what they would do to an attached workspace.

This is about single lines and where they stand. What Bazel makes of all of them together, only
Bazel can tell: `gfattach.bazel.options.preflight`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gfattach.contract.bazel.rctext import (
    ACCEPT_CACHED,
    STRICT_ENV,
    UPLOAD,
    Configs,
    Option,
    RcFile,
    read_options,
)
from gfattach.contract.hazards.files import stale_hazards
from gfattach.contract.rules.endpoint import has_placeholder
from gfattach.core.finding import Finding, warn

_ENDPOINTS = frozenset(
    {"remote_cache", "remote_executor", "remote_proxy", "bes_backend", "bes_results_url"}
    | {"remote_downloader", "experimental_remote_downloader"}
)
#: What the fragment says for `build`: on the line of another command it comes after that.
_SAID_BY_FRAGMENT = frozenset({"remote_cache", "remote_proxy"})
#: The commands that inherit the lines of `build` and read their own behind them.
_HEIRS = frozenset({"test", "run", "coverage", "mobile-install", "cquery", "aquery"})
_CREDENTIALS = frozenset(
    {"remote_header", "remote_cache_header", "remote_exec_header", "remote_downloader_header"}
    | {"bes_header", "google_credentials"}
)


def rc_hazards(files: Sequence[RcFile]) -> tuple[Finding, ...]:
    """Hazards in `files`, which are those that Bazel would read, in its order."""
    options = [option for file in files for option in read_options(file)]
    configs = Configs(options)
    said = {option.config for option in options if option.name == UPLOAD}
    found: list[Finding] = []
    for option in options:
        found += _cache(option, configs, said)
        found += _hits(option, configs)
        found += _outranks(option)
        found += _written(option)
        found += _executor(option, configs)
        found += _cycle(option, configs)
        found += _keys(option)
    for file in files:
        found += stale_hazards(file.path, file.text)
    return tuple(found)


def _cache(option: Option, configs: Configs, said: set[str]) -> Iterator[Finding]:
    if option.name == UPLOAD and option.on:
        yield warn(
            "hazard.rc.uploads",
            f"{option.where} switches uploads on{option.for_command}",
            "an attached machine would write to the shared cache",
            f"take --{UPLOAD} out of it, or add --no{UPLOAD} behind it",
            **option.place,
        )
    if option.name == "remote_cache" and option.value:
        counts = configs.reached(option.config) | configs.reached("")
        if not said & counts:
            yield warn(
                "hazard.rc.uploads-unsaid",
                f"{option.where} names a cache, and nothing says whether to upload",
                "Bazel uploads unless it is told not to",
                f"add --no{UPLOAD} beside it",
                **option.place,
            )
    if option.name == "disk_cache" and option.value:
        yield warn(
            "hazard.rc.disk-cache",
            f"{option.where} sets a disk cache",
            "what it serves, Bazel reports as a remote cache hit",
            "for a proof: --disk_cache=",
            **option.place,
        )


def _hits(option: Option, configs: Configs) -> Iterator[Finding]:
    """What keeps a build from what the cache holds."""
    if option.name == ACCEPT_CACHED and not option.on and option.config in configs.unasked:
        yield warn(
            "hazard.rc.no-hits",
            f"{option.where} keeps results of the cache from being used{option.for_command}",
            "nothing is ever hit, whatever the cache holds",
            f"take --no{ACCEPT_CACHED} out of it, or put it under a config that is asked for by name",
            **option.place,
        )
    if (function := _digest_function(option)).upper() not in ("", "SHA256"):
        yield warn(
            "hazard.rc.digest",
            f"{option.where} sets the digest function {function}",
            "what others have stored under SHA256 is never hit, and a cache without this one serves nothing",
            "take it out, unless all that use the cache have it",
            **option.place,
        )
    if option.name == "remote_instance_name" and option.value and option.config in configs.unasked:
        yield warn(
            "hazard.rc.instance",
            f"{option.where} names the instance {option.value}{option.for_command}",
            "a cache keeps what is stored under one instance from those that ask for another",
            "say it where the cache is said: gfattach site show",
            **option.place,
        )


def _digest_function(option: Option) -> str:
    """Which one `option` sets, as an option or, before Bazel 5, as a property of the JVM; "" for none."""
    value = option.value or ""
    if option.name == "host_jvm_args":
        name, _, value = value.partition("=")
        return value if name == "-Dbazel.DigestFunction" else ""
    return value if option.name == "digest_function" else ""


def _written(option: Option) -> Iterator[Finding]:
    """What should not be written down there: endpoints, credentials, variables."""
    value, tracked = option.value or "", ", and git tracks the file" if option.file.tracked else ""
    if option.name in _ENDPOINTS | _CREDENTIALS and has_placeholder(value):
        yield warn(
            "hazard.rc.placeholder",
            f"{option.where} gives --{option.name} a ${{...}}",
            "Bazel does not expand variables in rc files, and takes it as it stands",
            "pass the option on the command line, or let gfattach write the fragment: gfattach up",
            **option.place,
        )
    elif option.name in _ENDPOINTS and value and tracked:
        yield warn(
            "hazard.rc.endpoint",
            f"{option.where} holds an endpoint in --{option.name}{tracked}",
            "it is right for one place only, and the repositories' scans reject it",
            f"take --{option.name} out of it",
            **option.place,
        )
    elif option.name in _CREDENTIALS:
        yield warn(
            "hazard.rc.credential",
            f"{option.where} holds a credential in --{option.name}{tracked}",
            "whoever reads the file has it, and Bazel writes it into its event files",
            "take it out, and have it replaced where git tracked it",
            "give it through a credential helper: --credential_helper, from Bazel 6.3 on",
            **option.place,
        )


def _executor(option: Option, configs: Configs) -> Iterator[Finding]:
    selects = configs.reached(option.value or "") if option.name == "config" else set()
    if option.config not in configs.unasked or not (option.executes or selects & configs.executors):
        return
    chosen = f"--config={option.value}" if selects else f"--{option.name}"
    yield warn(
        "hazard.rc.executor",
        f"{option.where} selects an executor by default{option.for_command}: {chosen}",
        "a build would run elsewhere, and a proof of the cache is refused",
        "put it under a config that is asked for by name",
        **option.place,
    )


def _cycle(option: Option, configs: Configs) -> Iterator[Finding]:
    if option.name == "config" and option.config and option.config in configs.reached(option.value or ""):
        yield warn(
            "hazard.rc.config-cycle",
            f"{option.where} selects --config={option.value}, which leads back to it",
            "Bazel refuses to expand a config that selects itself",
            "take the line out",
            **option.place,
        )


def _outranks(option: Option) -> Iterator[Finding]:
    """What the fragment says for `build`, said otherwise for a command that inherits from it."""
    if option.name in _SAID_BY_FRAGMENT and option.command in _HEIRS and not option.config:
        yield warn(
            "hazard.rc.outranks",
            f"{option.where} gives --{option.name} to {option.command} alone",
            "the fragment's lines are for build, and a line for the command itself counts more",
            "take it out, or let it stand for build, where the fragment has the last word",
            **option.place,
        )


def _keys(option: Option) -> Iterator[Finding]:
    """What makes the keys of actions differ from machine to machine, so that nothing is hit."""
    if option.name == "action_env" and option.value and "=" not in option.value and not option.config:
        yield warn(
            "hazard.rc.action-env",
            f"{option.where} takes {option.value} from each machine into the keys of actions",
            "two machines with different values never hit what the other has stored",
            f"give it the same value everywhere: --action_env={option.value}=VALUE",
            **option.place,
        )
    if option.name == STRICT_ENV and not option.on and not option.config:
        yield warn(
            "hazard.rc.action-env",
            f"{option.where} takes PATH and LD_LIBRARY_PATH from each machine into the keys of actions",
            "two machines with different values never hit what the other has stored",
            "build --incompatible_strict_action_env",
            **option.place,
        )


def import_hazard(file: RcFile, line: int, path: str) -> Finding:
    """The import of a file that is not there."""
    return warn(
        "hazard.rc.import",
        f"{file.path}:{line} imports {path}, which is not there",
        "Bazel ends every command with an error",
        "make the file, or let it be optional: try-import in place of import",
        file=file.path,
        line=line,
    )
