"""What Bazel, and what is called in its place, says of an error."""

from __future__ import annotations

import re

#: How Bazel marks an error, and its client one in the rc files: `[FATAL 12:00:00.123 src/main/cpp/x.cc:1] `.
_MARKED = re.compile(r"(?:ERROR|FATAL): |\[(?:ERROR|FATAL) [^\]]{0,100}\] ")

#: How it begins to tell of a cache that it could not read from, and goes on without.
_CACHE = re.compile(r"WARNING: (?:Reading from )?Remote Cache:")

#: A colour, which launchers give their errors also where no terminal reads them.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def error_line(text: str) -> str:
    """The first line that Bazel marked as an error, without the mark: later ones follow from it."""
    for line in _COLOUR.sub("", text).splitlines():
        if marked := _MARKED.match(line):
            return line[marked.end() :].strip()
    return ""


def cache_warning(text: str) -> str:
    """What Bazel said of a cache that it went on without; "" where it said nothing.

    `WARNING: Remote Cache: REASON` in 7.7.1; `WARNING: Reading from Remote Cache:` and the reason on the next
    line in 2.1.0 and 4.2.3.
    """
    lines = _COLOUR.sub("", text).splitlines()
    for number, line in enumerate(lines):
        if marked := _CACHE.match(line):
            following = lines[number + 1] if number + 1 < len(lines) else ""
            return line[marked.end() :].strip() or following.strip() or "it gave no reason"
    return ""
