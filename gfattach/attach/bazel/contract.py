"""What the environment contract makes of one command of Bazel, for `gfattach bazel` and for a proof alike.

Headers and tokens are secrets: they come out as the text of a private rc file, and the environment that
Bazel is left with has none of their variables.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from gfattach.attach.bazel.token import with_token
from gfattach.attach.model.record import Attachment
from gfattach.contract.bazel import arguments as bazel_arguments
from gfattach.contract.bazel import flags as bazel_flags
from gfattach.contract.environment import SAVED
from gfattach.contract.model.display import shown
from gfattach.contract.model.manifest import read_manifest
from gfattach.contract.model.variables import HEADER_VARIABLES, value_of
from gfattach.contract.rules.values import disk_reasons
from gfattach.contract.substrate import classify
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import RefusedError, UsageError
from gfattach.core.paths import Home
from gfattach.credential.sources import TOKEN_VARIABLE
from gfattach.site.site import Site


class Contracted(Struct, frozen=True):
    """One command under the contract.

    `names` are how this Bazel calls flags that not every one has, `header_rc` is the text of a private rc
    ("" for none), `environment` what Bazel is left with, `upload` whether results may be stored.
    """

    names: Mapping[str, str]
    header_rc: str
    environment: Mapping[str, str]
    upload: bool

    def arguments(self, command: str) -> list[str]:
        """What stands behind `command`, headers left out."""
        return bazel_arguments.of_contract(command, self.environment, names=self.names, upload=self.upload)


def demand(environment: Mapping[str, str], home: Home, site: Site) -> None:
    """Raise RefusedError when the contract refuses `environment`, UsageError for a bad manifest."""
    manifest = None if home.workspace is None else read_manifest(home.workspace)
    classify(environment, manifest=manifest, may_upload=site.may_upload).demand()
    for reason in disk_reasons(environment, is_directory=os.path.isdir, is_file=os.path.isfile):
        raise RefusedError(reason.seen, reason.why, *reason.hints, code=reason.code)


def fragment_of(record: Attachment, environment: Mapping[str, str]) -> Path | None:
    """The attachment's rc, if Bazel is attached.

    Raises UsageError when it is gone, and when the environment names another cache.
    """
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
        # The rc holds the transport to its own cache (a socket, an authority): it does not fit another one.
        raise UsageError(
            f"BAZEL_REMOTE_CACHE is {shown(environment, 'BAZEL_REMOTE_CACHE')}, and what is attached here is "
            f"{record.cache.endpoint.url}",
            'to use what is attached: eval "$(gfattach env)"',
            "to use the other one: gfattach down",
            code="bazel.other-cache",
        )
    return record.bazelrc


def contracted(
    environment: Mapping[str, str],
    command: str,
    record: Attachment | None,
    fragment: Path | None,
    names_of: Callable[[Sequence[str]], Mapping[str, str]],
    *,
    may_upload: bool,
) -> Contracted:
    """What the contract makes of `command` in `environment`, where `record` is attached with `fragment`.

    `names_of` asks the Bazel at hand how it calls flags, and is called when there are any; `may_upload`
    is the site's leave. Raises UsageError for what this Bazel or an rc file cannot take, CredentialError
    for a token that is there and no good, and StorageError.
    """
    secrets = {*HEADER_VARIABLES}
    builds = command in bazel_flags.BUILDS
    if builds and (host := _cache_host(record, environment)):
        vouched = record is not None and record.cache is not None and record.cache.behind_forward
        given = with_token(environment, host, fragment, vouched=vouched)
        # The helper of a newer Bazel reads the variable itself; otherwise the header has it by now.
        secrets |= {TOKEN_VARIABLE} if given != dict(environment) else set()
        environment = given
    upload = bazel_arguments.may_upload(environment, site_allows=may_upload)
    keep = fragment is None and not upload
    needed = bazel_flags.uncertain_flags(environment, command, keep_events=keep)
    names = dict(names_of(needed)) if needed else {}
    if fragment is not None and not upload and _keeps_events(fragment):
        # Said once more behind every rc file: one of the user's own may come behind the attachment's.
        names[bazel_flags.EVENT_FILES] = bazel_flags.EVENT_FILES
    text = bazel_arguments.header_rc(environment) if builds else ""
    secrets |= {SAVED + name for name in secrets}
    left = {name: value for name, value in environment.items() if name not in secrets}
    return Contracted(names, text, left, upload)


def _keeps_events(fragment: Path) -> bool:
    """Whether the fragment, which was made for the Bazel at hand, keeps the files of build events here."""
    return f"--{bazel_flags.EVENT_FILES}=local" in fragment.read_text("utf-8", "replace")


def _cache_host(record: Attachment | None, environment: Mapping[str, str]) -> str:
    """Whose token the cache of this shell asks for, a host or a URL; "" where there is no cache."""
    if record is not None and record.cache is not None and record.bazelrc is not None:
        cache = record.cache
        return cache.token_host if cache.behind_forward else cache.endpoint.url
    named = value_of(environment, "BAZEL_REMOTE_CACHE")
    return parse_endpoint(named).url if named else ""
