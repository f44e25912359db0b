"""The token for a host: the one place that knows the order in which places are looked at.

For a REAPI cell the contract's variables come first; then what was stored; then, for a cell, the file
that the platform mounts. A token that has expired, or is about to, is refused and not passed over: a
build that quietly went without it would be told "no such action" and be slow for no reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from gfattach.core.errors import CredentialError
from gfattach.core.quote import word
from gfattach.core.value import Redacted
from gfattach.credential import index
from gfattach.credential.hosts import host_of
from gfattach.credential.jwt import Claims, demand_valid, read_claims
from gfattach.credential.scope import Scope, demand_within
from gfattach.credential.sources import Token, cell_file, cell_variables, check
from gfattach.credential.store import open_store


class Credential(Redacted, frozen=True):
    """A token that is good now, where it came from, and what it says of itself."""

    REDACTED: ClassVar = frozenset({"token"})

    host: str
    token: str
    origin: str
    claims: Claims | None


def find(
    host: str,
    environ: Mapping[str, str],
    now: float | None = None,
    *,
    vouched: bool = False,
) -> Credential | None:
    """The token for `host` (a host, `host:port` or a URL); None when nothing has one.

    `vouched` says that the connection to the cluster leads to the host. Raises CredentialError for one that
    cannot be read, is not good now, or was stored for another port or scheme, and StorageError.
    """
    name = host_of(host)
    cell = _of_cell(name, host, environ, cell_variables, vouched=vouched)
    token = cell or _stored(name, host) or _of_cell(name, host, environ, cell_file, vouched=vouched)
    if token is None:
        return None
    claims = read_claims(token.value)
    demand_valid(claims, name, token.origin, now)
    return Credential(name, token.value, token.origin, claims)


def token_for(host: str, environ: Mapping[str, str], *, vouched: bool = False) -> str | None:
    """The bare token for `host`; None when nothing has one. Raises as `find` does."""
    found = find(host, environ, vouched=vouched)
    return None if found is None else found.token


def headers_for(
    host: str, environ: Mapping[str, str], *, vouched: bool = False
) -> tuple[tuple[str, str], ...]:
    """The headers that a client sends to `host`: what a target's `headers` takes. Raises as `find` does."""
    token = token_for(host, environ, vouched=vouched)
    return () if token is None else (("authorization", f"Bearer {token}"),)


def has_token(host: str, environ: Mapping[str, str], *, vouched: bool = False) -> bool:
    """Whether something has a token for `host`, without asking a keyring for it.

    Raises CredentialError for a source that cannot be read, and StorageError.
    """
    name = host_of(host)
    if name in index.entries():
        return True
    return bool(cell_variables(name, environ, vouched=vouched) or cell_file(name, environ, vouched=vouched))


def _of_cell(
    name: str,
    asked: str,
    environ: Mapping[str, str],
    source: Callable[..., Token | None],
    *,
    vouched: bool,
) -> Token | None:
    """What `source` has for the cell `name`; it never goes over plaintext beyond this machine."""
    found = source(name, environ, vouched=vouched)
    if found is not None:
        demand_within(Scope(), asked)
    return found


def _stored(host: str, asked: str) -> Token | None:
    entry = index.entries().get(host)
    if entry is None:
        return None
    demand_within(entry.scope, asked)
    store = open_store(entry.store, entry.backend)
    value = store.load(host)
    if value is None:
        raise CredentialError(
            f"the token for {host} is gone from {store.where}",
            f"store it again: gfattach credential login {word(host)} --store {word(entry.store)}",
            f"or forget it: gfattach credential logout {word(host)}",
            code="credential.gone",
        )
    return check(value.encode("utf-8", "replace"), store.where)
