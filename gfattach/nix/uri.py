"""Addresses of caches as Nix writes them: which are the same, and how one may be shown."""

from __future__ import annotations

import re

from gfattach.core.endpoint import EndpointError, parse_endpoint


def same_cache(said: str, uri: str) -> bool:
    """Whether `said`, as Nix names a cache, is the one at `uri`: no other port, path or query."""
    if said.rstrip("/") == uri:
        return True
    try:
        return parse_endpoint(said) == parse_endpoint(uri)
    except EndpointError:
        return False


def spelled_otherwise(said: str, uri: str) -> bool:
    """Whether `said` leads to the cache at `uri` and is another text: a slash, a port, a query, capitals.

    Nix's daemon compares texts, so to it they are two caches.
    """
    return said != uri and same_cache(said.partition("?")[0], uri)


def shown(uri: str) -> str:
    """`uri` without a user and password."""
    return re.sub(r"//[^/@\s]*@", "//***@", uri)
