"""Storing, forgetting and listing tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.core.context import Context
from gfattach.core.errors import CredentialError, GfattachError, UsageError
from gfattach.core.quote import word
from gfattach.core.redact import redact, register
from gfattach.credential import index, sources
from gfattach.credential.hosts import host_of
from gfattach.credential.jwt import Claims, demand_valid, read_claims
from gfattach.credential.scope import scope_of
from gfattach.credential.sources import Token
from gfattach.credential.store import STORES, open_store

#: The host under which the variables for cells are listed.
CELLS = "gf-reapi-cell*"


class LoginOptions(Struct, frozen=True):
    """What `login` was called with. `words` should be one host, and may be anything."""

    words: tuple[str, ...]
    store: str = STORES[0]
    from_file: str | None = None
    from_env: str | None = None


class Kept(Struct, frozen=True):
    """A host's token as it may be shown. `problem` is why it cannot be used, if it cannot."""

    host: str
    store: str
    where: str
    claims: Claims | None = None
    problem: GfattachError | None = None

    def as_json(self) -> dict[str, Any]:
        """For output. `jwt` is None for a token that says nothing of itself."""
        problem = self.problem
        return {
            "host": self.host,
            "store": self.store,
            "where": self.where,
            "jwt": None if self.claims is None else self.claims.as_json(),
            "problem": None
            if problem is None
            else {"code": problem.code, "fact": problem.fact, "hints": list(problem.hints)},
        }


def login(options: LoginOptions, context: Context) -> Kept:
    """Read a token and store it. Raises UsageError, CredentialError and StorageError."""
    _refuse_secrets(options)
    host = host_of(options.words[0])
    token = _read(host, options, context)
    claims = read_claims(token.value)
    demand_valid(claims, host, token.origin)
    earlier = index.entries().get(host)
    store = open_store(options.store)
    store.save(host, token.value)
    index.put(index.Entry(host, options.store, claims, store.backend, scope_of(options.words[0])))
    if earlier is not None and earlier.store != options.store:
        open_store(earlier.store, earlier.backend).delete(host)
    return Kept(host, options.store, store.where, claims)


def logout(text: str) -> bool:
    """Forget the token for a host; whether there was one. Raises CredentialError and StorageError.

    A token that is gone from its store already is forgotten all the same.
    """
    host = host_of(text)
    entry = index.entries().get(host)
    if entry is None:
        return False
    open_store(entry.store, entry.backend).delete(host)
    return index.forget(host)


def refresh(context: Context) -> int:
    """Drop what the credential plugins of kubeconfigs have handed out and is kept; how many answers there
    were.

    Raises StorageError.
    """
    from gfattach.cluster.kubeconfig.exec_cache import drop_all

    return drop_all(context.environ)


def status(context: Context) -> tuple[Kept, ...]:
    """Every host that has a token, each looked up in its store. Raises StorageError."""
    found = [_stored(entry) for _, entry in sorted(index.entries().items())]
    mounted = _mounted(context.environ)
    return (*found, *([mounted] if mounted is not None else []))


def _stored(entry: index.Entry) -> Kept:
    where = f"the {entry.store}"
    try:
        store = open_store(entry.store, entry.backend)
        where = store.where
        value = store.load(entry.host)
        if value is None:
            raise CredentialError(
                f"it is gone from {where}",
                f"store it again: gfattach credential login {word(entry.host)} --store {word(entry.store)}",
                code="credential.gone",
            )
        token = sources.check(value.encode("utf-8", "replace"), where)
        claims = read_claims(token.value)
        demand_valid(claims, entry.host, where)
    except GfattachError as error:
        return Kept(entry.host, entry.store, where, entry.claims, error)
    return Kept(entry.host, entry.store, where, claims)


def _mounted(environ: Mapping[str, str]) -> Kept | None:
    """What the variables for cells, or the platform, have for every cell."""
    cell = CELLS.rstrip("*")
    try:
        token = sources.cell_variables(cell, environ, vouched=True) or sources.cell_file(
            cell, environ, vouched=True
        )
        if token is None:
            return None
        claims = read_claims(token.value)
    except CredentialError as error:
        return Kept(CELLS, "environment", "the environment", None, error)
    try:
        demand_valid(claims, cell, token.origin)
    except CredentialError as error:
        return Kept(CELLS, "environment", token.origin, claims, error)
    return Kept(CELLS, "environment", token.origin, claims)


def _read(host: str, options: LoginOptions, context: Context) -> Token:
    if options.from_file is not None and options.from_file != "-":
        return sources.from_file(Path(options.from_file))
    if options.from_env is not None:
        return sources.from_variable(context.environ, options.from_env)
    if context.stdin.isatty() and options.from_file is None:
        return sources.from_prompt(host)
    return sources.from_stream(context.stdin.buffer)


def _refuse_secrets(options: LoginOptions) -> None:
    """Refuse what looks like a token among the arguments, and what cannot be anything else."""
    words = options.words
    values = [*words, *(v for v in (options.from_file, options.from_env) if v is not None)]
    variable = options.from_env
    odd_variable = variable is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable)
    if len(words) > 1 or odd_variable or any(_like_a_token(value) for value in values):
        for value in values[1:] if len(words) > 1 else values:
            register(value)
        raise UsageError(
            "a token does not belong on a command line: every user of this machine can read it there",
            "if it was one, it is known now: have it replaced",
            "type it, pipe it or name its file: gfattach credential login HOST < FILE",
            code="credential.argument",
        )
    if not words:
        raise UsageError("HOST is missing", "name one: gfattach credential login cache.example")
    if words[0].startswith("-"):
        raise UsageError("there is no such option", "see: gfattach credential login --help")
    if options.from_file is not None and options.from_env is not None:
        raise UsageError("--from-file and --from-env name two tokens", "keep one of them")


def _like_a_token(value: str) -> bool:
    """Whether it has a token's shape, or is long and opaque as nobody's host, file or variable is."""
    opaque = re.fullmatch(r"[A-Za-z0-9+=_-]{32,}", value) and re.search(r"\d", value)
    return redact(value) != value or bool(opaque and re.search(r"[a-z]", value) and re.search("[A-Z]", value))
