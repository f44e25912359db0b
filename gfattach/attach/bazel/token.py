"""How Bazel comes to the token for its cache: by asking a helper, or, where it cannot, from a private rc.

Bazel has `--credential_helper` from 6.3 on and calls it experimental from 5.3. An older one takes tokens
as headers only, which would have to stand in a file: the fragment never holds them, and `gfattach bazel`
puts them into the private rc of that one run.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path

from msgspec import Struct

from gfattach.contract.model.variables import lines_of
from gfattach.core.errors import CredentialError
from gfattach.core.files import remove
from gfattach.core.finding import Finding, fail, ok, warn
from gfattach.credential.helper import HELPER_NAME, write_helper
from gfattach.credential.hosts import host_of
from gfattach.credential.tokens import has_token, headers_for
from gfattach.fragments.bazelrc import CANDIDATE_FLAGS

#: The flag under its names, the newer first.
HELPER_FLAGS = ("credential_helper", "experimental_credential_helper")

#: The variable of the contract that holds headers for the cache.
_HEADER_VARIABLE = "BAZEL_REMOTE_CACHE_HEADER"


class Offer(Struct, frozen=True):
    """What the fragment is given for tokens: `helper` for `render_fragment`, `finding` for the checklist.

    Both are None where nothing has a token for the cache.
    """

    helper: Path | None = None
    finding: Finding | None = None


def offer(
    host: str,
    directory: Path,
    accepted: Container[str] | None,
    *,
    dialled: str = "",
    port: int | None = None,
    label: str = "this Bazel",
    environ: Mapping[str, str],
) -> Offer:
    """The helper for the token of `host`, written into `directory`, if there is one and Bazel can ask it.

    `accepted` are the flags (as texts) that the Bazel knows, None where nobody could ask one; `dialled`
    and `port` are what Bazel dials where that is the listener of a forward. A helper of an earlier attach
    that is offered no more is removed. Raises StorageError.
    """
    made = _offer(host, directory, accepted, dialled, port, label, environ)
    if made.helper is None:
        remove(directory / HELPER_NAME)
    return made


def _offer(
    host: str,
    directory: Path,
    accepted: Container[str] | None,
    dialled: str,
    port: int | None,
    label: str,
    environ: Mapping[str, str],
) -> Offer:
    try:
        if not has_token(host, environ, vouched=bool(dialled and dialled != host)):
            return Offer()
    except CredentialError as error:
        why = "the cache asks for a token, and would answer Bazel as if it had nothing"
        return Offer(None, fail(error.code, error.fact, why, *error.hints))
    if accepted is None or not any(CANDIDATE_FLAGS[name] in accepted for name in HELPER_FLAGS):
        return Offer(
            None,
            warn(
                "credential.bazel.no-helper",
                f"there is a token for {host}, and {label} knows no credential helpers",
                "the token would have to stand in a file, and the fragment holds no secret",
                "build with the token in a private rc of that run: gfattach bazel build //...",
                "or use Bazel 6.3 or later: name it with --bazel or BAZEL_BIN",
            ),
        )
    helper = write_helper(directory, host_of(host) if dialled and dialled != host else "", port)
    return Offer(helper, ok("credential.bazel.helper", f"Bazel asks {helper} for the token for {host}"))


def with_token(
    environment: Mapping[str, str], host: str, fragment: Path | None, *, vouched: bool = False
) -> dict[str, str]:
    """`environment` with the token for `host` among the cache's headers, if Bazel gets it in no other way.

    It is left alone where the fragment names a helper, or the environment a helper or a header for the
    same. Raises CredentialError for a token that is there and no good, and StorageError.
    """
    if _has_route(environment, fragment):
        return dict(environment)
    added = [f"{name}={value}" for name, value in headers_for(host, environment, vouched=vouched)]
    if not added:
        return dict(environment)
    return {**environment, _HEADER_VARIABLE: "\n".join([*lines_of(environment, _HEADER_VARIABLE), *added])}


def _has_route(environment: Mapping[str, str], fragment: Path | None) -> bool:
    if lines_of(environment, "BAZEL_CREDENTIAL_HELPER"):
        return True
    headers = (*lines_of(environment, "BAZEL_REMOTE_HEADER"), *lines_of(environment, _HEADER_VARIABLE))
    if any(line.strip().lower().startswith("authorization=") for line in headers):
        return True
    if fragment is None:
        return False
    lines = fragment.read_text("utf-8", "replace").splitlines()
    return any(f"--{name}=" in line for line in lines if line.startswith("build ") for name in HELPER_FLAGS)
