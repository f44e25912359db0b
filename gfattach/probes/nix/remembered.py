"""What Nix remembers of a substituter: paths that it takes for missing, signatures that it takes for those of
today."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from gfattach.core.finding import Finding, Inquiry, Probe, ok, skip, warn
from gfattach.core.quote import command, word
from gfattach.nix import narinfo_cache
from gfattach.nix.narinfo_cache import Entry, NarInfoCacheError
from gfattach.nix.uri import same_cache
from gfattach.nixcache.client import NixCache
from gfattach.nixcache.errors import FormatError, NixCacheError
from gfattach.nixcache.hashes import parse_hash
from gfattach.nixcache.narinfo import NarInfo
from gfattach.nixcache.signature import PublicKey, fingerprint, parse_public_key, parse_signature, verify
from gfattach.nixcache.storepath import parse_base_name, parse_store_path
from gfattach.probes.nix.subject import NixSubject, settings_of, through_daemon

#: Where a daemon keeps what it remembers.
ROOT_HOME = pwd.getpwuid(0).pw_dir

#: Seconds for which Nix believes what it remembers, unless it is told otherwise.
MISSING_SECONDS, PRESENT_SECONDS = 3600, 30 * 86400

#: Paths of which the cache is asked what it says of them now.
ASKED_AGAIN = 3


class Memory(Struct, frozen=True):
    """The files in which Nix, or its daemon, remembers caches, below `directory`."""

    directory: Path
    files: tuple[Path, ...]
    daemon: bool

    def forgetting(self, file: Path) -> str:
        """The command that has it forget what is in `file`."""
        sudo = ("sudo",) if self.daemon and os.getuid() != 0 else ()
        return command(*sudo, "rm", "-f", *narinfo_cache.beside(file))


def _memory(inquiry: Inquiry[NixSubject]) -> Memory | Finding:
    """The memory of who asks the caches; the finding that it cannot be seen."""
    daemon = through_daemon(inquiry)
    # The daemon runs as root and asks the caches, so what counts is what root remembers.
    environ = {"HOME": ROOT_HOME} if daemon else inquiry.subject.environment
    directory = narinfo_cache.cache_directory(environ)
    if not os.access(directory, os.R_OK | os.X_OK) and (daemon or directory.exists()):
        return skip(
            "nix.negative-cache.unseen",
            f"what Nix remembers of caches cannot be seen by this user: {directory}",
            f"sudo ls -l {word(directory)}",
        )
    return Memory(directory, tuple(narinfo_cache.find_files(directory)), daemon)


def _unreadable(code: str, file: Path, error: NarInfoCacheError) -> Finding:
    return warn(
        code,
        f"{file} cannot be read: {error}",
        "Nix keeps there what caches answered; a damaged one can make it pass over a cache",
        f"it can be removed without loss while no Nix runs: rm {word(file)}",
    )


def _ask_negative_cache(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    if subject.target is None:
        return skip("nix.negative-cache.nothing", "no substituter was named")
    memory = _memory(inquiry)
    if isinstance(memory, Finding):
        return memory
    ttl = settings_of(inquiry, attached=True).setting("narinfo-cache-negative-ttl", MISSING_SECONDS)
    paths = [path for path in (subject.target.probe_path, subject.target.signed_path) if path]
    for file in memory.files:
        try:
            for path in paths:
                for entry in narinfo_cache.lookup(file, path):
                    age = int(time.time()) - entry.asked
                    if not entry.present and same_cache(entry.url, subject.url) and age < ttl:
                        return _stale(path, file, age, ttl)
        except NarInfoCacheError as error:
            return _unreadable("nix.negative-cache.unreadable", file, error)
    return ok("nix.negative-cache.ok", "Nix remembers nothing against this cache's paths")


def _stale(path: str, file: Path, age: int, ttl: int) -> Finding:
    return warn(
        "nix.negative-cache.stale",
        f"Nix remembers from {age} s ago that the cache has not got {path}, and asks again in {ttl - age} s",
        "what was pushed since then seems to be missing",
        f"nix-store --realise {word(path)} --option narinfo-cache-negative-ttl 0",
        file=str(file),
        path=path,
        age=age,
    )


def _ask_signatures(inquiry: Inquiry[NixSubject]) -> Finding:
    subject = inquiry.subject
    if subject.target is None or not subject.target.public_keys:
        return ok("nix.remembered.ok", "no key of a substituter was named, to compare signatures with")
    memory = _memory(inquiry)
    if isinstance(memory, Finding):
        return skip("nix.remembered.unseen", memory.seen, *memory.hints)
    settings = settings_of(inquiry, attached=True)
    keys = tuple(_usable((*settings.words("trusted-public-keys"), *subject.target.public_keys)))
    ttl = settings.setting("narinfo-cache-positive-ttl", PRESENT_SECONDS)
    now = time.time()
    for file in memory.files:
        try:
            entries = [each for each in narinfo_cache.latest(file) if same_cache(each.url, subject.url)]
        except NarInfoCacheError as error:
            return _unreadable("nix.remembered.unreadable", file, error)
        believed = [each for each in entries if now - each.asked < ttl and not each.content_addressed]
        refused = [each for each in believed if not _signed(each, keys)]
        if refused and _good_now(inquiry, refused[:ASKED_AGAIN], keys):
            return _changed(memory, file, refused, int(ttl - (now - refused[0].asked)))
        if entries:
            break  # an older format is of a Nix that is used no more
    return ok("nix.remembered.ok", "what Nix remembers of this cache's signatures is what its keys sign")


def _usable(texts: Sequence[str]) -> Iterator[PublicKey]:
    for text in dict.fromkeys(texts):
        try:
            yield parse_public_key(text)
        except FormatError:
            continue


def _signed(entry: Entry, keys: Sequence[PublicKey]) -> bool:
    """Whether Nix takes what it remembers: of keys of one name it goes by the first."""
    try:
        info = NarInfo(
            store_path=parse_store_path(entry.path),
            url="",
            compression="",
            nar_hash=parse_hash(entry.nar_hash),
            nar_size=entry.nar_size,
            references=tuple(parse_base_name(name) for name in entry.references),
        )
    except FormatError:
        return True  # not to be judged here
    return _vouched(info, entry.signatures, keys)


def _vouched(info: NarInfo, signatures: Sequence[str], keys: Sequence[PublicKey]) -> bool:
    message = fingerprint(info)
    first = {key.name: key for key in reversed(keys)}
    for text in signatures:
        try:
            signature = parse_signature(text)
        except FormatError:
            continue
        if signature.name in first and verify(first[signature.name], message, signature):
            return True
    return False


def _good_now(inquiry: Inquiry[NixSubject], refused: Sequence[Entry], keys: Sequence[PublicKey]) -> bool:
    """Whether the cache signs one of these now by a key that is trusted, or has it no more: else it is not
    the memory that is at fault.
    """
    assert inquiry.subject.target is not None
    try:
        with NixCache(inquiry.subject.target, inquiry.subject.environment) as cache:
            for entry in refused:
                answer = cache.narinfo(parse_store_path(entry.path), inquiry.deadline)
                if answer is None or _vouched(answer.value, answer.value.signatures, keys):
                    return True
    except NixCacheError:
        return False
    return False


def _changed(memory: Memory, file: Path, refused: Sequence[Entry], left: int) -> Finding:
    names = {text.partition(":")[0] for entry in refused for text in entry.signatures}
    whose = f"signatures by {', '.join(sorted(names))}" if names else "no signature"
    count = f"{len(refused)} paths" if len(refused) > 1 else "a path"
    who = "the daemon of Nix" if memory.daemon else "Nix"
    return warn(
        "nix.remembered.other-key",
        f"{who} remembers {count} of this cache with {whose}, which no trusted key has made",
        f"it goes by that for {max(1, left // 3600)} h more, whatever the cache signs with now: it refuses "
        "each as not signed by any of the keys, and builds it here or ends",
        f"have it forget, while no Nix runs; it learns anew: {memory.forgetting(file)}",
        "or for one command alone: --option narinfo-cache-positive-ttl 0",
        file=str(file),
        paths=[entry.path for entry in refused[:ASKED_AGAIN]],
        signers=sorted(names),
    )


NEGATIVE_CACHE: Probe[NixSubject] = Probe(
    "nix.negative-cache",
    "does it remember that the paths were missing?",
    _ask_negative_cache,
    codes={
        "nix.negative-cache.ok": "no negative answer is remembered",
        "nix.negative-cache.stale": "a negative answer is remembered, and hides what was pushed since",
        "nix.negative-cache.unreadable": "what Nix remembers cannot be read",
        "nix.negative-cache.unseen": "what the daemon remembers cannot be seen by this user",
        "nix.negative-cache.nothing": "no substituter was named",
    },
    needs=("nix.mode",),
)

REMEMBERED: Probe[NixSubject] = Probe(
    "nix.remembered",
    "does it remember signatures of another key?",
    _ask_signatures,
    codes={
        "nix.remembered.ok": "what is remembered of the cache is signed by a trusted key",
        "nix.remembered.other-key": "what is remembered is signed by no trusted key, and refused",
        "nix.remembered.unreadable": "what Nix remembers cannot be read",
        "nix.remembered.unseen": "what the daemon remembers cannot be seen by this user",
    },
    needs=("nix.mode",),
)
