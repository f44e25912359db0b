"""Mentions of inputs: by the workspace, a lock file, a registry, and by a Bazel that was observed."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from msgspec.structs import replace

from gfattach.bazel.external.distdir import file_names
from gfattach.bazel.external.lockfile import LockFile, is_network
from gfattach.bazel.external.query import Repository
from gfattach.bazel.external.registry import read_mirrors, read_source
from gfattach.bazel.external.repository_cache import cached_file
from gfattach.core.errors import UsageError
from gfattach.core.files import read_bytes
from gfattach.inputs.inventory.observe import Observation
from gfattach.inputs.model.checksum import Checksum
from gfattach.inputs.model.input import Input, Kind, clean_url

#: Rules that fetch by git, and rules that run a downloader of their own, by what their class holds.
_GIT = ("git_repository", "new_git_repository")
_OWN = (
    *("pip_", "whl_library", "npm_", "yarn_install", "pnpm_", "go_repository", "crate_universe", "crates_"),
    *("maven_install", "coursier_", "container_pull", "oci_pull", "nixpkgs_package", "cabal_"),
)

#: Programs that a repository rule runs to fetch something, and by which its downloader is told from a
#: compiler that it looks at.
_FETCHERS = frozenset(
    {
        "curl",
        "wget",
        "aria2c",
        "pip",
        "pip3",
        "npm",
        "yarn",
        "pnpm",
        "go",
        "cargo",
        "mvn",
        "coursier",
        "nix-build",
    }
)

_MODULE = re.compile(rb"\bmodule\s*\((.*?)\)", re.DOTALL)
_ARGUMENT = re.compile(rb"\b(name|version)\s*=\s*[\"']([^\"']*)[\"']")

#: An input, and its URLs as they were written: these are for comparing, and never shown.
Mention = tuple[Input, tuple[str, ...]]

WORKSPACE, MODULE, LOCK, REGISTRY = "WORKSPACE", "MODULE.bazel", "lock file", "registry"
OBSERVED = "observed"


def declared_by_workspace(repositories: Iterable[Repository], source: str) -> Iterator[Mention]:
    """The inputs among the repositories that a WORKSPACE declares, or that a lock file has generated."""
    for each in repositories:
        if each.built_in:
            continue
        if each.rule in _GIT:
            remote = each.texts.get("remote", "")
            yield Input(each.name, Kind.GIT, (clean_url(remote),), sources=(source,)), (remote,)
        elif each.urls:
            output = each.texts.get("downloaded_file_path", "")
            yield _download(each.name, each.urls, each.checksum, output, each.texts.get("type", ""), source)
        elif each.rule.startswith(_OWN):
            yield Input(each.name, Kind.OWN, sources=(source,)), ()


def declared_by_lock(lock: LockFile, read: Callable[[str, str], bytes | None]) -> Iterator[Mention]:
    """The inputs that a lock file leads to: registry files, modules' archives, patches and overlays.

    `read` gives a registry file by URL and sha256 (hex), or None where it cannot be had.
    """
    for url, digest in lock.registry_files.items():
        if digest and is_network(url):
            name = "registry " + url.partition("://")[2].partition("/")[2]
            checksum = Checksum.parse(digest)
            yield Input(name, Kind.REGISTRY, (clean_url(url),), checksum, sources=(LOCK,)), (url,)
    mirrors: dict[str, tuple[str, ...]] = {}
    for module in lock.modules:
        if module.registry not in mirrors:
            url = f"{module.registry}/bazel_registry.json"
            content = read(url, lock.registry_files.get(url) or "")
            mirrors[module.registry] = read_mirrors(content) if content else ()
        content = read(module.source, lock.registry_files[module.source] or "")
        if content is None:
            continue
        source = read_source(content, module, mirrors[module.registry])
        if source.kind == "git_repository":
            yield (
                Input(module.name, Kind.GIT, (clean_url(source.remote),), sources=(REGISTRY,)),
                (source.remote,),
            )
        for file in source.files:
            name = f"{module.name} ({file.part})" if file.part else module.name
            yield _download(name, file.urls, file.integrity, "", file.type, REGISTRY)
    yield from declared_by_workspace(lock.repositories, LOCK)


def observed_inputs(seen: Observation) -> Iterator[Mention]:
    """The inputs that Bazel asked for."""
    first: dict[str, str] = {}
    for each in seen.log.downloads:
        kind = "" if each.extract else each.output
        name = module_name(each.repository)
        mark = each.checksum or " ".join(each.urls)
        if first.setdefault(name, mark) != mark:  # a repository with several files
            name = f"{name} ({' '.join(file_names(each.urls)[:1])})"
        item, urls = _download(name, each.urls, each.checksum, kind, each.type, OBSERVED)
        size = (
            None if item.checksum is None else seen.cached.get((item.checksum.algorithm, item.checksum.hex))
        )
        yield replace(item, size=size, platforms=(seen.platform,)), urls
    ran = {each.repository for each in seen.log.executions if _fetches(each.program, each.names_url)}
    git = {each.repository for each in seen.log.executions if _base(each.program) == "git"}
    for repository in sorted(ran | git):
        kind_of = Kind.GIT if repository in git else Kind.OWN
        yield (
            Input(module_name(repository), kind_of, platforms=(seen.platform,), sources=(OBSERVED,)),
            (),
        )


def registry_files(seen: Observation) -> Iterator[Mention]:
    """What the repository cache holds and no rule asked for: files of a registry, which Bazel fetches itself.

    It writes no event of these. Their names are in the lock file, where there is one, and in what they hold.
    """
    logged = {item.checksum for item, _ in observed_inputs(seen)}
    for (algorithm, digest), size in seen.cached.items():
        checksum = Checksum(algorithm, bytes.fromhex(digest))
        # What came without a checksum is kept under the one that it has, and is no registry's.
        title = "" if checksum in logged else _title(cached_file(seen.cache, algorithm, digest))
        if title:
            name, here = f"registry {title}", (seen.platform,)
            yield Input(name, Kind.REGISTRY, (), checksum, size, platforms=here, sources=(OBSERVED,)), ()


def in_registry(seen: Observation) -> set[Checksum]:
    """The checksums that a source.json gives: those of archives, patches and overlays."""
    found: set[Checksum] = set()
    for algorithm, digest in seen.cached:
        file = cached_file(seen.cache, algorithm, digest)
        try:
            document = json.loads(file.read_bytes()) if file.stat().st_size < 1 << 20 else None
        except (ValueError, OSError):
            continue
        if isinstance(document, dict):
            parts = [document.get(key) for key in ("patches", "overlay")]
            said = [each for part in parts if isinstance(part, dict) for each in part.values()]
            for text in (document.get("integrity"), *said):
                with contextlib.suppress(UsageError):
                    found.add(Checksum.parse(str(text)))
    return found


def known_by_registry(item: Input, promised: set[Checksum]) -> Input:
    """`item`, with the registry among those who name it where it is one of the `promised`."""
    # A module's own MODULE.bazel is fetched once more by the rule that unpacks its archive.
    known = item.checksum in promised or item.files[:1] == ("MODULE.bazel",)
    return replace(item, sources=(*item.sources, REGISTRY)) if known else item


def _title(file: Path) -> str:
    """What a registry file says that it is; "" for what cannot be told."""
    content = read_bytes(file) or b""
    if match := _MODULE.search(content[:65536]):
        said = {key.decode(): value.decode("utf-8", "replace") for key, value in _ARGUMENT.findall(match[1])}
        return f"MODULE.bazel of {said.get('name', '?')} {said.get('version', '')}".rstrip()
    try:
        document = json.loads(content)
    except ValueError:
        return ""
    if isinstance(document, dict) and isinstance(document.get("url"), str):
        return f"source.json for {clean_url(document['url'])}"
    return "bazel_registry.json" if isinstance(document, dict) else ""


def module_name(repository: str) -> str:
    """The name of a repository without what Bazel's modules put behind it (`NAME~`, `NAME~1.0`, `NAME+`)."""
    name, mark, rest = repository.replace("+", "~").partition("~")
    tail = rest.rpartition("~")[2]
    return tail or name if mark and "~" in rest else name


def _download(
    name: str, urls: tuple[str, ...], checksum: str, output: str, type_: str, source: str
) -> Mention:
    clean = tuple(clean_url(url) for url in urls)
    try:
        parsed = Checksum.parse(checksum) if checksum else None
    except UsageError:
        parsed = None
    kind = Kind.UNHASHED if parsed is None else Kind.ARCHIVE
    return Input(name, kind, clean, parsed, files=file_names(urls, output, type_), sources=(source,)), urls


def _fetches(program: str, names_url: bool) -> bool:
    return _base(program) in _FETCHERS or (names_url and _base(program) not in ("git", ""))


def _base(program: str) -> str:
    return program.rpartition("/")[2]
