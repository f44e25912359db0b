"""One rc file in place of several, for Bazels that read one alone.

Before 4.1 a Bazel reads the first `--bazelrc` and says of the others, in a line of its own, that it does
not (seen with 2.1.0). An rc file that imports them all is read alike by every Bazel.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice, takewhile
from pathlib import Path

from msgspec.structs import replace

from gfattach.bazel.rc.grammar import quote
from gfattach.contract.bazel.arguments import STARTUP_WITH_VALUE, Invocation


def without_rc_files(invocation: Invocation) -> tuple[Invocation, tuple[str, ...]]:
    """`invocation` without its `--bazelrc`, and the files that those name, as Bazel would read them.

    After /dev/null there are none.
    """
    left: list[str] = []
    files: list[str] = []
    words = iter(invocation.startup)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--bazelrc":
            files.append(value if equals else next(words, ""))
        else:
            left.append(word)
            left += islice(words, 1 if word in STARTUP_WITH_VALUE else 0)
    counted = takewhile(lambda file: file != os.devnull, files)
    return replace(invocation, startup=tuple(left)), tuple(counted)


def joined_rc(files: Sequence[Path], text: str) -> str:
    """The text of an rc file that imports `files` and then holds `text`.

    Raises UsageError for a path that no rc can hold.
    """
    return "".join(f"import {quote(str(file))}\n" for file in files) + text
