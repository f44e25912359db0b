"""Reads a registry's `source.json` and `bazel_registry.json`: where a module's files come from.

The shapes are those of the Bazel Central Registry (bazel.build/external/registry): `url`, `integrity`,
`mirror_urls`, `patches` and `overlay` (name to integrity), `type` ("archive" without one, "git_repository",
"local_path"), `archive_type`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from gfattach.bazel.external.lockfile import ChosenModule


class ModuleFile(Struct, frozen=True):
    """One file of a module: `part` is "" for its archive, "patch NAME" or "overlay PATH"."""

    part: str
    urls: tuple[str, ...]
    integrity: str
    type: str = ""


class ModuleSource(Struct, frozen=True):
    """`kind` is "archive", "git_repository" or "local_path"; `remote` the git remote."""

    kind: str
    remote: str
    files: tuple[ModuleFile, ...]


def read_source(content: bytes, module: ChosenModule, mirrors: Sequence[str] = ()) -> ModuleSource:
    """What `content`, the module's source.json, says. Raises ValueError for what is none."""
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError("source.json is no object")
    kind = str(document.get("type", "archive"))
    base = module.source.removesuffix("/source.json")
    files = [
        ModuleFile(f"{part} {name}", (f"{base}/{directory}/{name}",), str(integrity))
        for part, directory, key in (("patch", "patches", "patches"), ("overlay", "overlay", "overlay"))
        for name, integrity in _items(document.get(key))
    ]
    url = document.get("url")
    if kind == "archive" and isinstance(url, str):
        said = document.get("mirror_urls")
        urls = [*_mirrored(url, mirrors), url, *(map(str, said) if isinstance(said, list) else ())]
        archive_type = str(document.get("archive_type", ""))
        files.insert(0, ModuleFile("", tuple(urls), str(document.get("integrity", "")), archive_type))
    return ModuleSource(kind, str(document.get("remote", "")), tuple(files))


def read_mirrors(content: bytes) -> tuple[str, ...]:
    """The mirrors that a bazel_registry.json names. Raises ValueError for what is none."""
    document = json.loads(content)
    said = document.get("mirrors") if isinstance(document, dict) else None
    return tuple(map(str, said)) if isinstance(said, list) else ()


def _mirrored(url: str, mirrors: Sequence[str]) -> Iterator[str]:
    """The mirrors' URLs: the host and path of the original behind the mirror's own (IndexRegistry)."""
    parts = urlsplit(url)
    for mirror in mirrors:
        yield f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}"


def _items(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        yield from ((str(name), each) for name, each in value.items())
