"""The layout of a distdir, and by which names Bazel looks into one (DownloadManager, 4.2.3 to 9).

Bazel knows a directory of files for each `--distdir`, tried in order, and goes into none below. Names collide
where two archives of tags are both called `v1.0.tar.gz`: so gfattach keeps further layers, `DIR/layer-1` and
so on, each of them one `--distdir`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from gfattach.core.files import storage_error

#: What the name of a further layer begins with; a number follows.
LAYER = "layer-"


def layers_of(distdir: Path) -> tuple[Path, ...]:
    """`distdir` itself and its layers, in order: each is one `--distdir`. Raises StorageError."""
    numbers: list[int] = []
    try:
        for each in distdir.iterdir():
            number = each.name.removeprefix(LAYER)
            if each.name.startswith(LAYER) and number.isdecimal() and each.is_dir():
                numbers.append(int(number))
    except FileNotFoundError:
        return (distdir,)
    except OSError as error:
        raise storage_error("read", distdir, error) from error
    return (distdir, *(distdir / f"{LAYER}{number}" for number in sorted(numbers)))


def file_names(urls: Sequence[str], output: str = "", type_: str = "") -> tuple[str, ...]:
    """The names under which Bazel looks for a download in a distdir, the first one first.

    The last part of the first URL's path, as it is written there, then that of the output; an archive's
    output is named by the URL, with its type behind it.
    """
    if not urls:
        return ()
    try:
        first = urlsplit(urls[0]).path.rstrip("/").rpartition("/")[2]
    except ValueError:
        first = ""
    second = output.rstrip("/").rpartition("/")[2] or first
    if type_ and first and not first.endswith(f".{type_}"):
        second = f"{first}.{type_}"
    safe = re.sub(r"[^A-Za-z0-9.\-_]", "_", second)
    return tuple(dict.fromkeys(name for name in (first, second, safe) if name not in ("", ".", "..")))
