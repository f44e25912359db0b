"""What Bazel, and what is called in its place, says of an error."""

from __future__ import annotations

import re

#: How Bazel marks an error, and its client one in the rc files: `[FATAL 12:00:00.123 src/main/cpp/x.cc:1] `.
_MARKED = re.compile(r"(?:ERROR|FATAL): |\[(?:ERROR|FATAL) [^\]]{0,100}\] ")

#: A colour, which launchers give their errors also where no terminal reads them.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def error_line(text: str) -> str:
    """The first line that Bazel marked as an error, without the mark: later ones follow from it."""
    for line in _COLOUR.sub("", text).splitlines():
        if marked := _MARKED.match(line):
            return line[marked.end() :].strip()
    return ""
