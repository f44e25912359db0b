"""`nix-cache-info`: what a binary cache says of itself; and how a login page looks instead."""

from __future__ import annotations

import re

from msgspec import Struct

from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.storepath import STORE_DIRECTORY

#: Bytes.
LIMIT = 64 * 1024

_HTML = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)


class CacheInfo(Struct, frozen=True):
    """`store_directory` is None where the cache does not say, which Nix takes for its own.

    Of several caches the one with the lowest `priority` is asked first; Nix takes 0 where none is
    given. `want_mass_query`: whether the cache may be asked for many paths at once.
    """

    store_directory: str | None = STORE_DIRECTORY
    want_mass_query: bool = False
    priority: int | None = None


def parse(content: bytes) -> CacheInfo:
    """What `content` says. Raises FormatError where it says none of what a cache says."""
    if len(content) > LIMIT:
        raise FormatError(f"a nix-cache-info of {len(content)} bytes is larger than {LIMIT}")
    fields: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields[name] = value.strip()
    if not fields.keys() & {"StoreDir", "WantMassQuery", "Priority"}:
        raise FormatError("the answer has none of the lines of a nix-cache-info")
    priority = fields.get("Priority")
    # Nix itself ends with an error on a priority that is no number.
    if priority is not None and not re.fullmatch(r"[+-]?[0-9]{1,9}", priority, re.ASCII):
        raise FormatError(f"the nix-cache-info's Priority is {priority[:40]!r}, not a number")
    return CacheInfo(
        fields.get("StoreDir"),
        fields.get("WantMassQuery") == "1",
        None if priority is None else int(priority),
    )


def render(info: CacheInfo) -> bytes:
    """`info` as a cache serves it."""
    lines = [] if info.store_directory is None else [f"StoreDir: {info.store_directory}\n"]
    lines.append(f"WantMassQuery: {int(info.want_mass_query)}\n")
    if info.priority is not None:
        lines.append(f"Priority: {info.priority}\n")
    return "".join(lines).encode()


def looks_like_html(content: bytes) -> bool:
    """Whether an answer is a page for a browser: what a login proxy gives instead of what was asked."""
    return _HTML.match(content[:4096]) is not None


def typed_html(content_type: str) -> bool:
    """Whether a media type is that of a page."""
    return content_type.split(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")
