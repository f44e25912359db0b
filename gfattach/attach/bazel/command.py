"""Bazel with the attachment's rc and every variable of the contract, in place of this process.

The environment that counts is the shell's own: what the contract refuses there is refused. Headers
(BAZEL_REMOTE_HEADER, BAZEL_REMOTE_CACHE_HEADER, BAZEL_REMOTE_EXEC_HEADER) are secrets: they reach
Bazel in a private rc file (`gfattach.attach.bazel.headers`), never as arguments, and the variables are
not handed on. So does the token for the cache, where this Bazel cannot ask a credential helper for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from gfattach.attach.bazel import contract as bazel_contract
from gfattach.attach.bazel import headers
from gfattach.attach.bazel.reach import takes_connections, without_cache
from gfattach.attach.model import record as records
from gfattach.attach.route import agents
from gfattach.attach.route import ownership as listeners
from gfattach.bazel.program.binary import IDENTIFY_SECONDS, INSTALL_HINT, identify, locate, named_user
from gfattach.bazel.rc.grammar import imports
from gfattach.contract.bazel import arguments as bazel_arguments
from gfattach.contract.bazel import flags as bazel_flags
from gfattach.contract.bazel.arguments import Invocation
from gfattach.contract.bazel.rc import joined_rc, without_rc_files
from gfattach.contract.model.variables import value_of
from gfattach.core import process
from gfattach.core.context import Context
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, ProgramMissingError
from gfattach.core.files import remove_tree
from gfattach.core.paths import Home, cache_directory
from gfattach.reapi.target import CacheTarget
from gfattach.site.inputs import with_site_inputs
from gfattach.site.load import load_site


class Replacement(Struct, frozen=True):
    """What this process becomes: the program, what stands behind its name, its environment; `notes` are
    said first.
    """

    program: Path
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    notes: tuple[str, ...] = ()


def prepare(words: Sequence[str], context: Context) -> Replacement:
    """The Bazel of this shell and directory, with the user's own `words` behind what the contract says.

    Raises RefusedError when the contract refuses the environment, ProgramMissingError without a
    Bazel, UsageError for a value that this Bazel cannot take or a shell that names another cache
    than the attachment's, CredentialError for a token that is there and no good, AgentError when the
    forwards cannot be had again, BazelError (also where builds are to fail without a cache that is
    down) and StorageError.
    """
    home = context.home(None)
    site = load_site({}, {}, home.workspace)
    environment: Mapping[str, str] = with_site_inputs(context.environ, site)
    bazel_contract.demand(environment, home, site)
    program = locate(None, environment)
    if program is None:
        raise ProgramMissingError("there is no Bazel on PATH, and BAZEL_BIN names none", INSTALL_HINT)
    record = records.load(home)
    if record is not None and record.cache_by_agent:
        agents.revive(record)
    if record is not None and record.bazelrc is not None:
        listeners.demand(record)
    invocation = bazel_arguments.split(words)
    fragment = None if record is None else bazel_contract.fragment_of(record, environment)
    read = fragment is not None and _is_read(fragment, home, invocation, context)
    rc = [fragment] if fragment is not None and not read else []
    contracted = bazel_contract.contracted(
        environment,
        invocation.command,
        record,
        fragment,
        lambda needed: _names(needed, program, home, environment),
        may_upload=site.may_upload,
    )
    headers.sweep(environment)
    private_rc = contracted.header_rc
    notes: tuple[str, ...] = ()
    if fragment is not None and invocation.command in bazel_flags.BUILDS:
        assert record is not None and record.cache is not None
        if not takes_connections(record.cache):
            private_rc += without_cache(record.cache, fragment)
            notes = (f"{record.cache.endpoint.url} takes no connection: this builds without it",)
        elif _by_socket_alone(record.cache) and value_of(environment, "BAZEL_REMOTE_EXECUTOR"):
            # The proxy of a fragment is an executor's too, and the socket leads to the cache alone.
            private_rc += "build --remote_proxy=\n"
    bare, own = without_rc_files(invocation)
    if private_rc or (rc and own):
        files = [*rc, *(context.cwd / name for name in own)]
        rc, invocation = [headers.write_headers(joined_rc(files, private_rc), environment)], bare
    left = contracted.environment
    line = bazel_arguments.arguments(
        invocation, left, names=contracted.names, rc=rc, upload=contracted.upload
    )
    return Replacement(program, tuple(line), {**left, **named_user(left)}, notes)


def become(replacement: Replacement) -> NoReturn:
    """Replace this process: exit code, signals and terminal are the program's from here on."""
    program = replacement.program
    try:
        process.replace(program, [str(program), *replacement.arguments], replacement.environment)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise BazelError(f"{program} cannot be run: {reason}", INSTALL_HINT, code="bazel.unusable") from error


def _by_socket_alone(cache: CacheTarget) -> bool:
    """Whether the fragment goes to a plaintext cache by a socket, beside the port of the same forward."""
    return cache.socket is not None and not cache.endpoint.tls


def _is_read(fragment: Path, home: Home, invocation: Invocation, context: Context) -> bool:
    """Whether the rc of the workspace or of the home imports the fragment: Bazel warns of each file that it
    reads twice.
    """
    if home.workspace is None:
        return False
    files = [] if "--noworkspace_rc" in invocation.startup else [home.workspace / ".bazelrc"]
    if context.environ.get("HOME") and "--nohome_rc" not in invocation.startup:
        files.append(Path(context.environ["HOME"]) / ".bazelrc")
    return any(fragment in imports(file, home.workspace, context.cwd) for file in files)


def _names(
    needed: Sequence[str], program: Path, home: Home, environment: Mapping[str, str]
) -> dict[str, str]:
    """How this Bazel calls `needed`."""
    from gfattach.bazel.capabilities.flags import accepted_flags

    bazel = identify(program, Deadline.after(IDENTIFY_SECONDS), workspace=home.workspace, environ=environment)
    work = home.flags_work
    try:
        accepted = accepted_flags(
            bazel, bazel_flags.reviews(needed), work=work, cache=cache_directory() / "bazel-flags.json"
        )
    finally:
        remove_tree(work)
    return bazel_flags.known_names(needed, accepted, bazel.label)
