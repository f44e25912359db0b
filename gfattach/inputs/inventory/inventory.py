"""The inventory: what was declared and what was observed, put together, and what disagrees."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gfattach.bazel.external.distdir import file_names
from gfattach.bazel.external.lockfile import LockFile, is_network
from gfattach.bazel.external.query import Repository
from gfattach.bazel.external.registry import read_mirrors, read_source
from gfattach.bazel.external.repository_cache import cached_file
from gfattach.core.errors import UsageError
from gfattach.core.files import read_bytes
from gfattach.inputs.inventory.observe import Observation
from gfattach.inputs.model.checksum import Checksum
from gfattach.inputs.model.input import Input, Kind, clean_url, holds_credential

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


@dataclass(frozen=True)
class Disagreement:
    """Something that two sources say differently of one input, or that only one of them knows."""

    name: str
    what: str


@dataclass(frozen=True)
class Inventory:
    """`inputs` in the order of names. `complete` says that the observation saw everything.

    `unreachable` maps names to why an input could not be had from upstream, `credentials` are the names of
    those with a credential in a URL.
    """

    inputs: tuple[Input, ...]
    disagreements: tuple[Disagreement, ...]
    complete: bool
    observed: bool
    unreachable: Mapping[str, str]
    credentials: tuple[str, ...]
    said: str = ""

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        return {
            "complete": self.complete,
            "observed": self.observed,
            "inputs": [
                {
                    **each.as_json(),
                    "sources": list(each.sources),
                    "generated_archive": each.generated,
                    "unreachable": self.unreachable.get(each.name),
                    "credential_in_url": each.name in self.credentials,
                }
                for each in self.inputs
            ],
            "disagreements": [{"name": each.name, "what": each.what} for each in self.disagreements],
        }

    @property
    def needed(self) -> tuple[Input, ...]:
        """Those that the targets need: what was observed, or everything where nothing was."""
        if not self.observed:
            return self.inputs
        return tuple(each for each in self.inputs if OBSERVED in each.sources or each.kind is Kind.REGISTRY)


def put_together(declared: Iterable[Mention], seen: Observation | None) -> Inventory:
    """One inventory from what is declared (each with its URLs as they were written) and what was seen."""
    merged: dict[tuple[object, ...], Input] = {}
    written: dict[tuple[object, ...], tuple[str, ...]] = {}
    observed = [] if seen is None else [*observed_inputs(seen), *registry_files(seen)]
    promised = set() if seen is None else _in_registry(seen)
    observed = [(_known_by_registry(item, promised), urls) for item, urls in observed]
    for item, urls in (*declared, *observed):
        known = merged.get(item.identity)
        merged[item.identity] = item if known is None else known.merged(item)
        written.setdefault(item.identity, urls)
    inputs = tuple(
        sorted(merged.values(), key=lambda each: (each.name, each.identity[1:] and str(each.checksum)))
    )
    if seen is not None and seen.needed_by:
        inputs = tuple(_attributed(each, seen) for each in inputs)
    credentials = {
        merged[key].name for key, urls in written.items() if any(holds_credential(url) for url in urls)
    }
    return Inventory(
        inputs,
        tuple(_disagreements(inputs, seen)),
        seen is not None and seen.complete,
        seen is not None,
        {} if seen is None else dict(_unreachable(merged, written, seen)),
        tuple(sorted(credentials)),
        "" if seen is None or seen.complete else seen.said,
    )


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


def _in_registry(seen: Observation) -> set[Checksum]:
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


def _known_by_registry(item: Input, promised: set[Checksum]) -> Input:
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


def _attributed(item: Input, seen: Observation) -> Input:
    targets = (
        target
        for target, repositories in seen.needed_by.items()
        if any(module_name(each) == item.repository for each in repositories)
    )
    return replace(item, targets=tuple(targets))


def _disagreements(inputs: Iterable[Input], seen: Observation | None) -> Iterator[Disagreement]:
    by_name: dict[str, list[Input]] = {}
    for each in inputs:
        by_name.setdefault(each.name, []).append(each)
    for name, same in by_name.items():
        sums = {each.checksum.sri: each for each in same if each.checksum is not None}
        if len(sums) > 1:
            said = " · ".join(f"{', '.join(each.sources)}: {sri}" for sri, each in sums.items())
            yield Disagreement(name, f"its checksum is said differently: {said}")
    if seen is None:
        return
    for each in inputs:
        if OBSERVED not in each.sources and each.kind is not Kind.REGISTRY:
            why = (
                "these targets on this platform do not need it"
                if seen.complete
                else "the observation ended early"
            )
            yield Disagreement(each.name, f"declared ({', '.join(each.sources)}) and not observed: {why}")
        elif each.sources == (OBSERVED,) and each.kind is not Kind.REGISTRY:
            yield Disagreement(
                each.name, "observed and not declared: a rule of its own, or an extension, asks for it"
            )


def _unreachable(
    merged: Mapping[tuple[object, ...], Input],
    written: Mapping[tuple[object, ...], tuple[str, ...]],
    seen: Observation,
) -> Iterator[tuple[str, str]]:
    for key, urls in written.items():
        item = merged[key]
        tried = [seen.fetches.urls[url] for url in urls if url in seen.fetches.urls]
        if item.checksum is not None and item.checksum.hex in seen.mismatched and not any(tried):
            hint = ": a regenerated archive?" if item.generated else ""
            yield item.name, f"upstream gave other bytes than its checksum says{hint}"
        elif tried and not any(tried):
            yield item.name, "upstream did not give it"
