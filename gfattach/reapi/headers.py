"""The headers that go with every call.

They are checked here, because the libraries below put a bad header's value into their message.
"""

from __future__ import annotations

import re

from gfattach.core.errors import UsageError
from gfattach.reapi.target import CacheTarget


class HeaderError(UsageError):
    """A header that cannot be sent. The fact names the header and never shows its value."""

    default_code = "cache.header"


def headers_of(target: CacheTarget) -> list[tuple[str, str]]:
    """The target's headers, names in lower case as HTTP/2 and gRPC ask for. Raises HeaderError."""
    headers = [(name.strip().lower(), value.strip()) for name, value in target.headers]
    for name, value in headers:
        if not re.fullmatch(r"[0-9a-z_.-]+", name):
            raise HeaderError(
                "the name of a header cannot be sent",  # it may hold a part of the value, wrongly split
                "a name has letters, digits, - and _, and ends at the first =: NAME=VALUE",
            )
        if not re.fullmatch(r"[\x20-\x7e]*", value):
            raise HeaderError(
                f"the value of the header {name} holds characters that cannot be sent",
                "take out what is no printable ASCII: a line break at the end of a token, as a rule",
            )
    return headers
