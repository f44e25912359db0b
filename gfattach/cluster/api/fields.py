"""Fields of the Kubernetes API's JSON, of which nothing is known, with their types.

What is absent has the API's own default; what has another shape than the API's is a ClusterError,
`cluster.api.unreadable`. What goes on to a terminal is one printable line of bounded length.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gfattach.core.errors import ClusterError

#: Characters of a message from the cluster that are kept: it is shown on one line.
MESSAGE_LIMIT = 400

#: Items of one list that are read: a Service with more endpoints than this has enough of them.
ITEM_LIMIT = 1000


def unreadable(what: str) -> ClusterError:
    """The error for an answer that has another shape than the API's."""
    return ClusterError(
        f"the API server's answer cannot be read: {what}",
        "see what answers there: kubectl version",
        code="cluster.api.unreadable",
    )


def foreign(what: str) -> ClusterError:
    """The error for an answer that no API server gives: no resource, and no Status object."""
    return ClusterError(
        f"this is no API server: {what}",
        "see what answers there: kubectl version",
        code="cluster.api.unreadable",
    )


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """A message from the cluster as one printable line of at most `limit` characters."""
    if len(text) <= limit and " " not in text and text.isprintable():  # every name, and most of a long list
        return text
    # Cut before it is cleaned, so that a long message costs no more than a short one.
    words = "".join(c if c.isprintable() else " " for c in text[: 4 * limit]).split()
    line = " ".join(words)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def mapping(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object at `key`; absent and null are an empty one."""
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise unreadable(f"{key} is no object")
    return value


def items(holder: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The objects of the list at `key`; absent and null are an empty one."""
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value[:ITEM_LIMIT]):
        raise unreadable(f"{key} is no list of objects")
    return value[:ITEM_LIMIT]


def text(holder: Mapping[str, Any], key: str) -> str:
    """The string at `key`; absent and null are an empty one."""
    value = holder.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise unreadable(f"{key} is no string")
    return value


def texts(holder: Mapping[str, Any], key: str) -> dict[str, str]:
    """The mapping of strings to strings at `key`."""
    found = mapping(holder, key)
    return {str(name): text(found, name) for name in found}


def name_of(holder: Mapping[str, Any], key: str) -> str:
    """A name; one of the API's own rules is returned as it is, and any other is harmless to a terminal."""
    return one_line(text(holder, key), 253)


def flag(holder: Mapping[str, Any], key: str, default: bool) -> bool:
    """The truth value at `key`; `default` where it is absent or null."""
    value = holder.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise unreadable(f"{key} is neither true nor false")
    return value


def port_number(holder: Mapping[str, Any], key: str) -> int | None:
    """The port number at `key`; None where it is absent or null."""
    value = holder.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
        raise unreadable(f"{key} is no port number")
    return value
