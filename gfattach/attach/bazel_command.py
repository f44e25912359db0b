"""Bazel with the attachment's rc and every variable of the contract, in place of this process.

The environment that counts is the shell's own: what the contract refuses there is refused. Headers
(BAZEL_REMOTE_HEADER, BAZEL_REMOTE_CACHE_HEADER, BAZEL_REMOTE_EXEC_HEADER) are secrets: they reach
Bazel in a private rc file (`gfattach.attach.headers`), never as arguments, and the variables are
not handed on. So does the token for the cache, where this Bazel cannot ask a credential helper for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from gfattach import attachment as records
from gfattach import process
from gfattach.attach import agents, headers
from gfattach.attach.bazel_token import with_token
from gfattach.attachment import Attachment
from gfattach.bazel.program import IDENTIFY_SECONDS, INSTALL_HINT, identify, locate
from gfattach.contract import bazel_arguments
from gfattach.contract.bazel_arguments import Invocation
from gfattach.contract.bazel_rc import joined_rc, without_rc_files
from gfattach.contract.display import shown
from gfattach.contract.environment import SAVED
from gfattach.contract.manifest import read_manifest
from gfattach.contract.rules_values import disk_reasons
from gfattach.contract.substrate import classify
from gfattach.contract.variables import HEADER_VARIABLES, value_of
from gfattach.credential.sources import TOKEN_VARIABLE
from gfattach.deadline import Deadline
from gfattach.endpoint import parse_endpoint
from gfattach.errors import BazelError, ProgramMissingError, RefusedError, UsageError
from gfattach.files import remove_tree
from gfattach.fragments.rcfile import imports
from gfattach.paths import Home, cache_directory, resolve_home
from gfattach.site.load import load_site
from gfattach.site.site import Site


@dataclass(frozen=True)
class Replacement:
    """What this process becomes: the program, what stands behind its name, its environment."""

    program: Path
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def prepare(words: Sequence[str]) -> Replacement:
    """The Bazel of this shell and directory, with a person's own `words` behind what the contract says.

    Raises RefusedError when the contract refuses the environment, ProgramMissingError without a
    Bazel, UsageError for a value that this Bazel cannot take or a shell that names another cache
    than the attachment's, CredentialError for a token that is there and no good, AgentError when the
    forwards cannot be had again, BazelError and StorageError.
    """
    environment: Mapping[str, str] = os.environ
    home = resolve_home(None, Path.cwd())
    site = load_site({}, {}, home.workspace)
    _demand(environment, home, site)
    program = locate(environ=environment)
    if program is None:
        raise ProgramMissingError("there is no Bazel on PATH, and BAZEL_BIN names none", INSTALL_HINT)
    record = records.load(home)
    if record is not None and record.cache_by_agent:
        agents.revive(record)
    invocation = bazel_arguments.split(words)
    fragment = None if record is None else _fragment(record, environment)
    rc = [fragment] if fragment is not None and not _is_read(fragment, home, invocation) else []
    secrets = {*HEADER_VARIABLES}
    if invocation.command in bazel_arguments.BUILDS and (host := _cache_host(record, environment)):
        given = with_token(environment, host, fragment)
        # The helper of a newer Bazel reads the variable itself; otherwise the header has it by now.
        secrets |= {TOKEN_VARIABLE} if given != dict(environment) else set()
        environment = given
    upload = bazel_arguments.may_upload(environment, site_allows=site.may_upload)
    keep_events = fragment is None and not upload
    needed = bazel_arguments.uncertain_flags(environment, invocation.command, keep_events=keep_events)
    names = _names(needed, program, home, environment)
    headers.sweep()
    text = bazel_arguments.header_rc(environment) if invocation.command in bazel_arguments.BUILDS else ""
    bare, own = without_rc_files(invocation)
    if text or (rc and own):
        files = [*rc, *(Path.cwd() / name for name in own)]
        rc, invocation = [headers.write_headers(joined_rc(files, text))], bare
    line = bazel_arguments.arguments(invocation, environment, names=names, rc=rc, upload=upload)
    secrets |= {SAVED + name for name in secrets}
    left = {name: value for name, value in environment.items() if name not in secrets}
    return Replacement(program, tuple(line), left)


def become(replacement: Replacement) -> NoReturn:
    """Replace this process: exit code, signals and terminal are the program's from here on."""
    program = replacement.program
    try:
        process.replace(program, [str(program), *replacement.arguments], replacement.environment)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise BazelError(f"{program} cannot be run: {reason}", INSTALL_HINT, code="bazel.unusable") from error


def _demand(environment: Mapping[str, str], home: Home, site: Site) -> None:
    manifest = None if home.workspace is None else read_manifest(home.workspace)
    classify(environment, manifest=manifest, site=site).demand()
    for reason in disk_reasons(environment, is_directory=os.path.isdir, is_file=os.path.isfile):
        raise RefusedError(reason.seen, reason.why, *reason.hints, code=reason.code)


def _fragment(record: Attachment, environment: Mapping[str, str]) -> Path | None:
    """The attachment's rc, if its Bazel half is attached."""
    if record.bazelrc is None or record.cache is None:
        return None
    if not record.bazelrc.is_file():
        raise UsageError(
            f"{record.bazelrc} is gone, and the attachment has it",
            "write it again: gfattach up",
            code="bazel.fragment-gone",
        )
    named = value_of(environment, "BAZEL_REMOTE_CACHE")
    if named and parse_endpoint(named) != record.cache.endpoint:
        # The rc holds the way to its own cache (a socket, an authority): it does not fit another one.
        raise UsageError(
            f"BAZEL_REMOTE_CACHE is {shown(environment, 'BAZEL_REMOTE_CACHE')}, and what is attached here is "
            f"{record.cache.endpoint.url}",
            'to use what is attached: eval "$(gfattach env)"',
            "to use the other one: gfattach down",
            code="bazel.other-cache",
        )
    return record.bazelrc


def _cache_host(record: Attachment | None, environment: Mapping[str, str]) -> str:
    """The host whose token the cache of this shell asks for; "" where there is no cache."""
    if record is not None and record.cache is not None and record.bazelrc is not None:
        return record.cache.token_host
    named = value_of(environment, "BAZEL_REMOTE_CACHE")
    return parse_endpoint(named).host if named else ""


def _is_read(fragment: Path, home: Home, invocation: Invocation) -> bool:
    """Whether the workspace imports the fragment: Bazel warns, every time, of a file that it reads twice."""
    if home.workspace is None or "--noworkspace_rc" in invocation.startup:
        return False
    return fragment in imports(home.workspace / ".bazelrc", home.workspace)


def _names(
    needed: Sequence[str], program: Path, home: Home, environment: Mapping[str, str]
) -> dict[str, str]:
    """How this Bazel calls the flags that not every one has; it is asked only when one is needed."""
    if not needed:
        return {}
    from gfattach.bazel.flags import accepted_flags

    bazel = identify(program, Deadline.after(IDENTIFY_SECONDS), workspace=home.workspace, environ=environment)
    work = home.flags_work
    try:
        accepted = accepted_flags(
            bazel, bazel_arguments.questions(needed), work=work, cache=cache_directory() / "bazel-flags.json"
        )
    finally:
        remove_tree(work)
    return bazel_arguments.known_names(needed, accepted, bazel.label)
