"""What is particular to Attic: its description of the cache, its tokens, and the store below it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from gfattach.core.endpoint import Endpoint, EndpointError, parse_endpoint
from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok, warn
from gfattach.credential.jwt import duration, read_claims
from gfattach.nixcache.attic import RIGHTS, CacheConfig, rights_of
from gfattach.nixcache.client import NixCache
from gfattach.nixcache.errors import FormatError, NixCacheError
from gfattach.nixcache.signature import PublicKey, parse_public_key
from gfattach.nixcache.target import SubstituterTarget


def _attic(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    target = inquiry.subject
    try:
        with NixCache(target) as cache:
            config = cache.attic_config(inquiry.deadline)
    except NixCacheError as error:
        return warn(
            "substituter.attic.unanswered",
            f"what the server says of the cache could not be read: {error.fact}",
            "its key and address are compared with the site's where it does",
            *error.hints,
            f"look at it: curl -i {error.hops[0]}" if error.hops else "see what answers: gfattach status",
            status=error.status,
        )
    if config is None:
        return ok("substituter.attic.other", "the server is no Attic: nothing of its own to compare")
    return _judged(target, config)


def _judged(target: SubstituterTarget, config: CacheConfig) -> Finding:
    data = {
        "public_key": config.public_key,
        "substituter_endpoint": config.substituter_endpoint,
        "public": config.public,
        "priority": config.priority,
    }
    if config.public_key is not None and (bad := _key(target, config.public_key, data)) is not None:
        return bad
    own = config.substituter_endpoint
    if own is not None and not target.endpoint.localhost and _is_other(target.endpoint, own):
        return warn(
            "substituter.attic.endpoint",
            f"the cache calls itself {own}, and the site names {target.endpoint.url}",
            "who is told its own name, as `attic use` is, writes that one; a daemon compares them as text, "
            "and one that is listed does not stand for the other",
            f"write one of them everywhere, in gfattach.toml: nix.substituter = {own}",
            **data,
        )
    visible = {True: ", readable by anybody", False: ", private: Nix needs a token in its netrc"}
    said = visible.get(config.public, "") if config.public is not None else ""
    return ok("substituter.attic.ok", f"an Attic whose key is the configured one{said}", **data)


def _key(target: SubstituterTarget, said: str, data: Mapping[str, object]) -> Finding | None:
    """The finding for a key that is not among the configured ones; None where it is, or none can be used."""
    try:
        theirs = parse_public_key(said)
        ours = [parse_public_key(text) for text in target.public_keys]
    except FormatError:
        return None  # the probe of signatures names a key that cannot be used
    if not ours:
        return warn(
            "substituter.attic.unset",
            f"no public key is configured, and the cache says that its key is {said}",
            "Nix refuses every path of the cache that is not content-addressed, and builds it here",
            "ask the operator whether that is the key, and write it in gfattach.toml: nix.public_keys",
            **data,
        )
    if theirs in ours:
        return None
    renamed = next((key for key in ours if key.raw == theirs.raw), None)
    seen = f"the cache signs with {said}, which is not among the configured keys"
    if renamed is not None:
        seen = f"the cache signs as {theirs.name}, and the same key is configured as {renamed.name}"
    end = "key" if renamed is None else "key-name"
    remedy = f"write {PublicKey(theirs.name, theirs.raw)} in gfattach.toml: nix.public_keys"
    return fail(
        f"substituter.attic.{end}",
        seen,
        "Nix looks keys up by name and refuses what none of them signed",
        remedy if renamed is not None else f"ask the operator whether it was changed; if so, {remedy}",
        "see which keys the site says: gfattach site show",
        **data,
    )


def _is_other(endpoint: Endpoint, text: str) -> bool:
    try:
        return parse_endpoint(text.rstrip("/")) != endpoint
    except EndpointError:
        return True


ATTIC = Probe(
    name="substituter.attic",
    question="does an Attic describe it as the site does",
    ask=_attic,
    codes={
        "substituter.attic.ok": "an Attic whose key and address are the site's",
        "substituter.attic.other": "the server is no Attic",
        "substituter.attic.unset": "no key is configured, and the Attic says its own",
        "substituter.attic.key": "the Attic signs with a key that is not configured",
        "substituter.attic.key-name": "the Attic signs with a configured key under another name",
        "substituter.attic.endpoint": "the Attic calls the cache by another address",
        "substituter.attic.unanswered": "the Attic did not say what it has to say of the cache",
    },
    needs=("substituter.info",),
)


def _token(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    target = inquiry.subject
    if not target.token:
        return ok("substituter.token.none", "it is asked without a token")
    claims = read_claims(target.token)
    rights = rights_of(target.token, target.endpoint.path.strip("/").rpartition("/")[2])
    expires = None if claims is None else claims.expires
    now = time.time()
    if expires is not None and expires <= now:
        return warn(
            "substituter.token.expired",
            f"the token for {target.token_host} expired {duration(now - expires)} ago",
            "Attic ignores a token that is over: the request is anonymous, and a private cache answers as if "
            "it had nothing",
            "ask the operator for a new one, for reading alone: atticadm make-token --pull CACHE",
        )
    if rights is None:
        return ok("substituter.token.opaque", "it is asked with a token that says nothing of its rights")
    writing = [RIGHTS[letter] for letter in RIGHTS if letter in rights - {"r"}]
    if writing:
        return warn(
            "substituter.token.writes",
            f"the token for {target.token_host} lets its holder {', '.join(writing)}",
            "attaching reads alone, and a token that can do more is armed wherever it lies",
            "ask the operator for one that pulls alone: atticadm make-token --pull CACHE",
        )
    if not rights:
        return warn(
            "substituter.token.rights",
            f"the token for {target.token_host} gives no right to this cache",
            "Attic serves it what it serves to anybody",
            "ask the operator for one that pulls from it: atticadm make-token --pull CACHE",
        )
    end = "" if expires is None else f", for {duration(expires - now)} more"
    return ok("substituter.token.ok", f"the token lets its holder pull{end}")


TOKEN = Probe(
    name="substituter.token",
    question="is its token good, and for reading alone",
    ask=_token,
    codes={
        "substituter.token.none": "no token is sent",
        "substituter.token.ok": "the token says that it is good, and for reading alone",
        "substituter.token.opaque": "a token whose content cannot be read here",
        "substituter.token.expired": "the token is over, and so ignored",
        "substituter.token.writes": "the token gives more rights than reading",
        "substituter.token.rights": "the token gives no right to this cache",
    },
)


def _store(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    said = inquiry.subject.object_store
    if said is None:
        return ok("substituter.store.unsaid", "the site says nothing of the store below the cache")
    if inquiry.subject.interim:
        return warn(
            "substituter.store.interim",
            "the store below the cache is for the time being (interim_only)",
            "it is good for reading what is guarded by a signature, and no authority: what it holds may go",
            "rely on it for speed alone; a path that is missing is built here",
        )
    return ok("substituter.store.ok", f"the store below the cache is {said}")


STORE = Probe(
    name="substituter.store",
    question="what is the store below it good for",
    ask=_store,
    codes={
        "substituter.store.ok": "the operator vouches for the store below the cache",
        "substituter.store.unsaid": "the site says nothing of the store below the cache",
        "substituter.store.interim": "the store below the cache is there for the time being",
    },
)
