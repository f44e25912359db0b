"""What Bazel says on stderr."""

from __future__ import annotations

import re

#: How Bazel marks an error, and its client one in the rc files: `[FATAL 12:00:00.123 src/main/cpp/x.cc:1] `.
_MARKED = re.compile(r"(?:ERROR|FATAL): |\[(?:ERROR|FATAL) [^\]]{0,100}\] ")


def error_line(stderr: str) -> str:
    """The first line that Bazel marked as an error, without the mark: later ones follow from it."""
    for line in stderr.splitlines():
        if marked := _MARKED.match(line):
            return line[marked.end() :].strip()
    return ""
