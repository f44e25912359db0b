"""Addresses of caches as Nix writes them: which are the same, and how one may be written and shown.

From 2.34 on Nix parses an address and writes it anew: in a path all but letters, digits and `-._~:@` becomes
an escape, an escape of one of these the character, and what no address may hold ends the reading of the
configuration (measured with 2.34.8). Earlier ones keep the text.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from msgspec.structs import replace

from gfattach.core.endpoint import EndpointError, parse_endpoint

#: What a path may hold besides letters, digits and `_.-~` (RFC 3986, 3.3).
_PATH = "/:@!$&'()*+,;="

#: What Nix leaves as it is where it writes a path.
_KEPT = ":@"

_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def writable(path: str) -> str:
    """`path` with an escape for each character that no address may hold: for a server the same path."""
    return quote(_LONE_PERCENT.sub("%25", path), safe=f"{_PATH}%")


def rewritten(uri: str) -> str:
    """`uri` as a Nix from 2.34 on writes it; what is no address stays as it is."""
    head, slashes, rest = uri.partition("://")
    authority, slash, tail = rest.partition("/")
    path, mark, query = tail.partition("?")
    return f"{head}{slashes}{authority}{slash}{_encoded(path)}{mark}{query}" if slashes else uri


def alike(said: str, uri: str) -> bool:
    """Whether Nix, of whatever version, takes both for one text: `said` is as it is written or shown."""
    return said == uri or rewritten(said) == rewritten(uri)


def same_cache(said: str, uri: str) -> bool:
    """Whether `said`, as Nix names a cache, is the one at `uri`: no other port, path or query."""
    if said.rstrip("/") == uri:
        return True
    try:
        one, other = parse_endpoint(said), parse_endpoint(uri)
    except EndpointError:
        return False
    return replace(one, path=_encoded(one.path)) == replace(other, path=_encoded(other.path))


def spelled_otherwise(said: str, uri: str) -> bool:
    """Whether `said` leads to the cache at `uri` and is another text: a slash, a port, a query, capitals.

    Nix's daemon compares texts, so to it they are two caches.
    """
    return not alike(said, uri) and same_cache(said.partition("?")[0], uri)


def shown(uri: str) -> str:
    """`uri` without a user and password."""
    return re.sub(r"//[^/@\s]*@", "//***@", uri)


def _encoded(path: str) -> str:
    return "/".join(quote(unquote_to_bytes(part), safe=_KEPT) for part in path.split("/"))
