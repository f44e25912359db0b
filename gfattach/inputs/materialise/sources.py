"""Where a file may be had: upstream's URLs, or a place that holds the same inputs.

A place is a distdir, a repository cache, or a mirror of either behind a URL. It is only read: what it gives
is held to the checksum like everything else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from gfattach.bazel.external.distdir import LAYER, layers_of
from gfattach.bazel.external.repository_cache import cached_file
from gfattach.core.errors import UsageError
from gfattach.inputs.materialise.plan import Task
from gfattach.inputs.model.input import holds_credential

#: The URLs of a task, in the order in which they are tried.
Source = Callable[[Task], tuple[str, ...]]

#: Layers of a distdir behind a URL that are asked for: it cannot be listed.
MIRRORED_LAYERS = 4


def upstream(task: Task) -> tuple[str, ...]:
    """The input's own URLs."""
    return task.input.urls


def source_of(said: str) -> Source:
    """The source that `--from` names. Raises UsageError."""
    if "://" not in said or said.startswith("file://"):
        directory = Path(said.removeprefix("file://")).expanduser().absolute()
        if not directory.is_dir():
            raise UsageError(f"there is no directory {directory}", "name one, or a URL", code="inputs.from")
        return lambda task: tuple(path.as_uri() for path in _in_directory(directory, task))
    if holds_credential(said):
        raise UsageError(
            "the URL of --from holds a credential",
            "put it into a netrc, or name a helper: --credential-helper",
            code="inputs.from",
        )
    if not said.startswith(("http://", "https://")):
        raise UsageError(f"{said[:80]} is neither a directory nor an http URL", code="inputs.from")
    base = said.rstrip("/")
    return lambda task: tuple(_behind(base, task))


def _in_directory(directory: Path, task: Task) -> list[Path]:
    cached = cached_file(directory, task.checksum.algorithm, task.checksum.hex)
    names = [layer / name for layer in layers_of(directory) for name in task.input.files]
    return [path for path in (cached, *names) if path.is_file()]


def _behind(base: str, task: Task) -> list[str]:
    names = [quote(name, safe="%~.-_+") for name in task.input.files[:1]]
    layers = ["", *(f"{LAYER}{number}/" for number in range(1, MIRRORED_LAYERS))]
    cached = f"content_addressable/{task.checksum.algorithm}/{task.checksum.hex}/file"
    return [f"{base}/{each}" for each in (cached, *(layer + name for name in names for layer in layers))]
