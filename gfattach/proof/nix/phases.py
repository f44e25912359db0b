"""Proves a first hit with Nix: store paths realised in an empty store, from one cache only.

Nothing of the user's has a part: the store, the configuration, the caches and the netrc are made for
the phase and thrown away with it; no daemon is asked and no trust is needed. What counts as a hit
and what voids a phase is said in `gfattach.proof.nix.realisation`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.core.errors import NixError, UsageError
from gfattach.core.quote import word
from gfattach.fragments.nixconf import substituter_url
from gfattach.nix import narinfo_cache, netrc
from gfattach.nix.activity import Activity, ActivityLog, ActivityType
from gfattach.nix.isolated import IsolatedStore
from gfattach.nix.program import Nix, nix_store, run, unusable, waits_when_limited
from gfattach.nixcache.errors import FormatError
from gfattach.nixcache.storepath import STORE_DIRECTORY, parse_base_name
from gfattach.nixcache.target import SubstituterTarget
from gfattach.proof.evidence import Phase, PhaseName
from gfattach.proof.nix.evidence import phase_of
from gfattach.proof.nix.realisation import Realisation
from gfattach.proof.protocol import withheld

#: Seconds that a connection may take, and an open one may be silent: a dead cache is said to be dead
#: well within any deadline.
CONNECT_SECONDS = 5
STALLED_SECONDS = 15

#: What curl goes by; it goes along to caches elsewhere. This machine's own address is none for a proxy,
#: whose 127.0.0.1 is another machine.
_PROXY_VARIABLES = (
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
)

Progress = Callable[[str], None]


def _silent(text: str) -> None:
    """Nothing is shown."""


def hit(
    nix: Nix,
    target: SubstituterTarget,
    work: Path,
    paths: Sequence[str] = (),
    *,
    deadline: Deadline,
    progress: Progress = _silent,
    environ: Mapping[str, str],
) -> Phase:
    """Realise the target's paths and `paths` in an empty store below `work`, from the target alone.

    Raises UsageError for a path that is none or a substituter that asks for no signatures,
    UnprovedError when nothing came and it was not for want of a path, NixError for a Nix that cannot
    be used (see `leg_of`), ProgramMissingError for one without nix-store, StorageError.
    """
    return _phase(PhaseName.HIT, nix, target, work, paths, deadline, progress, environ)


def control(
    nix: Nix,
    target: SubstituterTarget,
    work: Path,
    paths: Sequence[str] = (),
    *,
    deadline: Deadline,
    progress: Progress = _silent,
    environ: Mapping[str, str],
) -> Phase:
    """The same with the endpoint withheld: a port of this machine that refuses stands in for it.

    Nothing may come. Raises what `hit` raises.
    """
    with withheld(target.endpoint) as endpoint:
        refusing = replace(target, endpoint=endpoint, headers=())
        return _phase(PhaseName.CONTROL, nix, refusing, work, paths, deadline, progress, environ)


def wanted_paths(target: SubstituterTarget, paths: Sequence[str]) -> tuple[str, ...]:
    """The store paths of a proof, each once. Raises UsageError."""
    published = [path for path in (target.probe_path, target.signed_path) if path]
    return store_paths((*published, *paths))


def store_paths(texts: Sequence[str]) -> tuple[str, ...]:
    """The store paths that `texts` are, or are within, each once. Raises UsageError."""
    return tuple(dict.fromkeys(_store_path(text) for text in texts))


def _store_path(text: str) -> str:
    """The store path that `text` is, or is within."""
    rest = text.removeprefix(f"{STORE_DIRECTORY}/")
    try:
        path = parse_base_name(rest.partition("/")[0]) if rest != text else None
    except FormatError:
        path = None
    if path is None:
        raise UsageError(
            f"{text[:200]!r} is not a store path",
            "name one as in: nix-store --query --outputs or readlink result",
            code="nix.path",
        )
    if path.name.endswith(".drv"):
        raise UsageError(
            f"{path} is a derivation, and a cache serves what it makes",
            f"name its outputs: nix-store --query --outputs {word(str(path))}",
            code="nix.path",
        )
    return str(path)


def _phase(
    name: PhaseName,
    nix: Nix,
    target: SubstituterTarget,
    work: Path,
    paths: Sequence[str],
    deadline: Deadline,
    progress: Progress,
    environ: Mapping[str, str],
) -> Phase:
    uri = substituter_url(target.endpoint)
    if "?" in uri:
        raise UsageError(
            f"the substituter {uri.partition('?')[0]} has a query, which could ask for no signatures",
            "name it without one",
            code="nix.query",
        )
    wanted = wanted_paths(target, paths)
    program = nix_store(nix)
    credentials, left_out = netrc.from_headers(target.endpoint.host, target.headers)
    settings = {
        "substituters": uri,
        "trusted-public-keys": " ".join(target.public_keys),
        "connect-timeout": str(CONNECT_SECONDS),
        "download-attempts": "2" if name is PhaseName.HIT and not waits_when_limited(nix) else "1",
        "stalled-download-timeout": str(STALLED_SECONDS),
    }
    with IsolatedStore(
        work, settings, netrc=credentials, variables=_variables(target, environ), environ=environ
    ) as store:
        log = ActivityLog(on_start=_narrator(progress))
        args = (str(program), "--store", store.uri, "--realise", *wanted)
        started = time.monotonic()
        try:
            done = process.run(
                (*args, "--log-format", "internal-json", "-v"),
                deadline,
                env=store.environment,
                on_stderr_line=log.feed,
            )
        except OSError as error:
            raise unusable(program, error) from error
        return phase_of(
            Realisation(
                name=name,
                uri=uri,
                paths=wanted,
                spare=target.probe_path,
                keys=frozenset(key.partition(":")[0] for key in target.public_keys),
                started=started,
                seconds=done.seconds,
                exit_code=done.returncode,
                log=log,
                valid=_valid(program, store, wanted, done, deadline),
                offered={path: _offer(store, path, uri) for path in wanted},
                lacking=() if done.good else _lacking(store, log, wanted),
                detail={"nix": nix.label, "headers_left_out": list(left_out)},
            )
        )


def _variables(target: SubstituterTarget, environ: Mapping[str, str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    if not target.endpoint.localhost:
        chosen |= {name: environ[name] for name in _PROXY_VARIABLES if name in environ}
    if target.ca_file is not None:
        chosen["NIX_SSL_CERT_FILE"] = str(target.ca_file)
    return chosen


def _narrator(progress: Progress) -> Callable[[Activity], None]:
    def tell(activity: Activity) -> None:
        if activity.type is ActivityType.SUBSTITUTE:
            progress(f"Nix takes {activity.field(0).rpartition('/')[2]}")

    return tell


def _valid(
    program: Path, store: IsolatedStore, wanted: tuple[str, ...], done: process.Completed, deadline: Deadline
) -> frozenset[str]:
    """Which of `wanted` the store holds. An exit code of 0 says all of them."""
    if done.good:
        return frozenset(wanted)
    there = [path for path in wanted if (store.root / path.lstrip("/")).exists()]
    if not there:
        return frozenset()
    args = ("--store", store.uri, "--check-validity", "--print-invalid", *there)
    try:
        answer = run(program, args, deadline.within(CONNECT_SECONDS), store.environment)
    except NixError:
        return frozenset()
    return frozenset(there) - frozenset(answer.stdout.split()) if answer.good else frozenset()


def _lacking(store: IsolatedStore, log: ActivityLog, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """What Nix asked for besides, because `wanted` refers to it, and the cache has not got."""
    absent: set[str] = set()
    for file in narinfo_cache.find_files(store.cache_directory):
        with contextlib.suppress(narinfo_cache.NarInfoCacheError):
            absent |= narinfo_cache.absent(file)
    asked = dict.fromkeys(query.field(0) for query in log.of(ActivityType.QUERY))
    others = (path for path in asked if path not in wanted)
    return tuple(path for path in others if path.rpartition("/")[2].partition("-")[0] in absent)


def _offer(store: IsolatedStore, path: str, uri: str) -> narinfo_cache.Entry | None:
    """What the cache said of `path`, as the store's Nix remembers it."""
    for file in narinfo_cache.find_files(store.cache_directory):
        try:
            entries = narinfo_cache.lookup(file, path)
        except narinfo_cache.NarInfoCacheError:
            continue
        if entries:
            return next((entry for entry in entries if entry.url.rstrip("/") == uri), entries[0])
    return None
