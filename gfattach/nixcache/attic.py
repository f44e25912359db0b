"""What Attic says of a cache beside the binary cache protocol, and what a token of it holds.

`GET /_api/v1/cache-config/CACHE` needs the right to pull and answers a JSON object; an error is an
object with `code`, `error` and `message`. A token is a JWT with its rights in a claim of its own. Attic
ignores a token that it cannot verify, so a request with an expired one is anonymous.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from msgspec import Struct

from gfattach.core.endpoint import Endpoint
from gfattach.credential.jwt import read_payload
from gfattach.nixcache.errors import FormatError

#: Bytes of a cache's configuration.
LIMIT = 64 * 1024

#: The claim that holds rights by name of cache (`*` stands for any text).
RIGHTS_CLAIM = "https://jwt.attic.rs/v1"

#: Rights by their letters in the claim; all but the first change something.
RIGHTS: Mapping[str, str] = {
    "r": "pull",
    "w": "push",
    "d": "delete",
    "cc": "create caches",
    "cr": "configure caches",
    "cq": "configure retention",
    "cd": "destroy caches",
}

#: What the answer holds where the name that the server was asked by is not among its `allowed-hosts`.
_BAD_HOST = "Bad Host"


class CacheConfig(Struct, frozen=True):
    """A cache as its Attic describes it; None for what it does not say."""

    public_key: str | None
    substituter_endpoint: str | None
    public: bool | None
    priority: int | None


def config_url(endpoint: Endpoint) -> str | None:
    """Where an Attic describes the cache at `endpoint`; None where the path names no cache."""
    server, _, cache = endpoint.path.rstrip("/").rpartition("/")
    if not cache:
        return None
    return f"{endpoint.scheme}://{endpoint.authority}{server}/_api/v1/cache-config/{cache}"


def parse_config(content: bytes) -> CacheConfig:
    """The configuration in an answer. Raises FormatError for what no Attic says."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FormatError("the answer is no JSON") from error
    known = {"public_key", "substituter_endpoint", "is_public", "store_dir"}
    if not isinstance(document, dict) or not known & document.keys():
        raise FormatError("the answer has none of the fields of an Attic's cache")
    return CacheConfig(
        _typed(document, "public_key", str),
        _typed(document, "substituter_endpoint", str),
        _typed(document, "is_public", bool),
        _typed(document, "priority", int),
    )


def _typed(document: Mapping[str, Any], name: str, kind: type[Any]) -> Any:
    value = document.get(name)
    return value if isinstance(value, kind) else None


def bad_host(status: int | None, body: str) -> bool:
    """Whether an answer is how Attic refuses the name that it is asked by."""
    return status == 400 and _BAD_HOST in body


def rights_of(token: str, cache: str) -> frozenset[str] | None:
    """The letters of `RIGHTS` that `token` holds for `cache`, unverified; None where it says nothing."""
    claim = (read_payload(token) or {}).get(RIGHTS_CLAIM)
    caches = claim.get("caches") if isinstance(claim, dict) else None
    if not isinstance(caches, dict):
        return None
    return frozenset(
        letter
        for pattern, granted in caches.items()
        if isinstance(granted, dict) and fnmatchcase(cache, pattern)
        for letter in RIGHTS
        if granted.get(letter)
    )
