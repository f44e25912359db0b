"""Reads `MODULE.bazel.lock`: registry files with their checksums, and what module extensions generated.

Format numbers seen: 3 (7.0), 11 (7.3), 13 (7.7.1), 24 (8.x), 28 (9.2). A Bazel passes over a file of another
number without a word and resolves anew, so that the file is a hint and never the last word. Before 7.2 it has
the graph of modules, with the archive and the patches of each; since then those whose `source.json` is in it
were chosen. Debian's 7.7.1 writes an object with nothing in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from gfattach.bazel.external.query import Repository
from gfattach.core.files import read_json

LOCK_NAME = "MODULE.bazel.lock"

_SOURCE = re.compile(r"(?P<registry>.*)/modules/(?P<name>[^/]+)/(?P<version>[^/]+)/source\.json\Z")


class ChosenModule(Struct, frozen=True):
    """A module whose `source.json` the lock file has: `registry` is the registry's URL, without a slash."""

    registry: str
    name: str
    version: str

    @property
    def source(self) -> str:
        """The URL of its source.json."""
        return f"{self.registry}/modules/{self.name}/{self.version}/source.json"


class LockFile(Struct, frozen=True):
    """`registry_files` maps URLs to sha256 in hex, None for a file that the registry did not have."""

    version: int
    registry_files: Mapping[str, str | None]
    repositories: tuple[Repository, ...]

    @property
    def modules(self) -> tuple[ChosenModule, ...]:
        """The modules that were chosen and have a source.json."""
        found = (_SOURCE.fullmatch(url) for url, digest in self.registry_files.items() if digest)
        return tuple(ChosenModule(each["registry"], each["name"], each["version"]) for each in found if each)


def read_lock(workspace: Path) -> LockFile | None:
    """The workspace's lock file; None where there is none, or it is of a shape that is not known.

    Raises StorageError.
    """
    document = read_json(workspace / LOCK_NAME)
    if not isinstance(document, dict) or not isinstance(document.get("lockFileVersion"), int):
        return None
    files = document.get("registryFileHashes")
    hashes = {
        str(url): digest if isinstance(digest, str) else None
        for url, digest in (files.items() if isinstance(files, dict) else ())
    }
    repositories = (*_graph(document.get("moduleDepGraph")), *_generated(document.get("moduleExtensions")))
    return LockFile(document["lockFileVersion"], hashes, repositories)


def _graph(modules: Any) -> Iterator[Repository]:
    """The repositories of modules, and the patches that their registry has for them, in files before 7.2."""
    for module in modules.values() if isinstance(modules, dict) else ():
        spec = module.get("repoSpec") if isinstance(module, dict) else None
        if not isinstance(spec, dict) or not isinstance(spec.get("attributes"), dict):
            continue  # the root, or a module that is overridden
        name = str(module.get("name", ""))
        yield _repository(name, spec)
        patches = spec["attributes"].get("remote_patches")
        for url, integrity in patches.items() if isinstance(patches, dict) else ():
            file = f"{name} ({str(url).rpartition('/')[2]})"
            yield Repository(file, "http_file", LOCK_NAME, {"url": str(url), "integrity": str(integrity)})


def _generated(extensions: Any) -> Iterator[Repository]:
    for factors in extensions.values() if isinstance(extensions, dict) else ():
        for said in factors.values() if isinstance(factors, dict) else ():
            specs = said.get("generatedRepoSpecs") if isinstance(said, dict) else None
            for name, spec in specs.items() if isinstance(specs, dict) else ():
                if isinstance(spec, dict) and isinstance(spec.get("attributes"), dict):
                    yield _repository(str(name), spec)


def _repository(name: str, spec: Mapping[str, Any]) -> Repository:
    rule = str(spec.get("ruleClassName") or str(spec.get("repoRuleId", "")).rpartition("%")[2])
    attributes = spec["attributes"]
    texts = {key: value for key, value in attributes.items() if isinstance(value, str)}
    lists = {
        key: [str(item) for item in value] for key, value in attributes.items() if isinstance(value, list)
    }
    return Repository(name, rule, LOCK_NAME, texts, lists)


def is_network(url: str) -> bool:
    """Whether a registry file comes over the network, and not from this machine's files."""
    return urlsplit(url).scheme in ("http", "https")
