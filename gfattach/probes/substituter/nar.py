"""Whether a substituter's files can be fetched, and are what its narinfos say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok, skip, warn
from gfattach.nixcache.client import FetchedNar, NixCache
from gfattach.nixcache.errors import Kind, NixCacheError
from gfattach.nixcache.narinfo import NarInfo
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.substituter.content import known_narinfos, publishing
from gfattach.probes.substituter.faults import fault, fault_codes

#: Bytes of the largest NAR that is fetched to see whether NARs can be fetched.
NAR_LIMIT = 16 * 1024 * 1024


def _nar(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    infos = known_narinfos(inquiry)
    if not infos:
        return skip("substituter.nar.nothing", "not asked: the cache has nothing to fetch")
    small = [info for info in infos if info.nar_size <= NAR_LIMIT]
    if not small:
        return warn(
            "substituter.nar.large",
            f"not fetched: the NAR of {infos[0].store_path} has {infos[0].nar_size} bytes",
            f"only up to {NAR_LIMIT} bytes are fetched to see whether NARs can be fetched",
            *publishing(inquiry.subject),
        )
    hops: dict[str, list[str]] = {}
    encodings: list[str] = []
    unchecked: list[NarInfo] = []
    with NixCache(inquiry.subject) as cache:
        for info in small:
            try:
                answer = cache.nar(info, inquiry.deadline, 2 * NAR_LIMIT)
            except NixCacheError as error:
                return _unfetched(info, error, inquiry.subject)
            if (bad := _different(info, answer.value)) is not None:
                return bad
            if answer.value.nar_hash is None:
                unchecked.append(info)
            hops[str(info.store_path)] = list(answer.hops)
            encodings.append(answer.encoding)
    by = sorted({steps[-1].split("/")[2] for steps in hops.values() if len(steps) > 1})
    route = f", by way of {', '.join(by)}" if by else ""
    if unchecked:
        return _unseen(f"{unchecked[0].compression} cannot be undone on this machine{route}", hops, encodings)
    count = "its NAR is" if len(small) == 1 else f"{len(small)} NARs are"
    return ok("substituter.nar.ok", f"{count} what the narinfo says{route}", hops=hops, encodings=encodings)


def _unseen(what: str, hops: Mapping[str, Sequence[str]], encodings: Sequence[str]) -> Finding:
    """Nix undoes what it knows by itself, and its own proof shows that."""
    return skip(
        "substituter.nar.compression",
        f"fetched and not checked: {what}",
        "nothing need be done, where Nix itself takes the path",
        hops=hops,
        encodings=encodings,
    )


def _different(info: NarInfo, fetched: FetchedNar) -> Finding | None:
    """The finding for a NAR that is not the one that `info` describes; None when it is."""
    # The compressed file says something only where its content could not be seen.
    unseen = fetched.nar_hash is None
    file_size, file_hash = (fetched.file_size, fetched.file_hash) if unseen else (None, None)
    pairs = (
        ("size", "bytes", info.nar_size, fetched.nar_size),
        ("hash", "", info.nar_hash, fetched.nar_hash),
        ("size", "bytes, compressed,", info.file_size, file_size),
        ("hash", "", info.file_hash, file_hash),
    )
    for end, unit, said, got in pairs:
        if said is not None and got is not None and said != got:
            what = f"{got} {unit} where the narinfo says {said}" if end == "size" else f"{got}, not {said}"
            return fail(
                f"substituter.nar.{end}",
                f"the NAR of {info.store_path} is another: {what}",
                "Nix refuses what is not the NAR that was signed, and ends the build",
                "operator: remove the path from the cache and push it again",
                path=str(info.store_path),
            )
    return None


def _unfetched(info: NarInfo, error: NixCacheError, target: SubstituterTarget) -> Finding:
    again = "operator: remove the path from the cache and push it again"
    if error.status in (404, 410) and not error.redirected:
        return fail(
            "substituter.nar.absent",
            f"the cache promises {info.store_path}, and has not got its NAR",
            "Nix has chosen the cache by then: it builds the path here, or ends the build where it cannot",
            again,
            f"look at it: curl -I {error.hops[0]}",
        )
    if error.kind is Kind.TRUNCATED:
        return fail(
            "substituter.nar.truncated",
            f"the NAR of {info.store_path} is cut off: {error.fact}",
            "Nix ends the build; a proxy with a limit of size or time before the cache looks like this too",
            f"look at it: curl -o /dev/null {error.hops[-1]}",
            again,
        )
    if error.kind is Kind.COMPRESSION:
        return _unseen(error.fact, {str(info.store_path): list(error.hops)}, [])
    if error.kind in (Kind.CORRUPT, Kind.TOO_LARGE, Kind.MALFORMED, Kind.HTML):
        return fail(
            "substituter.nar.corrupt",
            f"the NAR of {info.store_path} cannot be read: {error.fact}",
            "Nix refuses it, and ends the build",
            again,
        )
    return fault("substituter.nar", error, target)


NAR = Probe(
    name="substituter.nar",
    question="can its files be fetched, and are they what it says",
    ask=_nar,
    codes={
        "substituter.nar.ok": "fetched, decompressed, and of the size and hash that the narinfo says",
        "substituter.nar.nothing": "there is nothing to fetch",
        "substituter.nar.large": "every path that was found is too large to fetch for a check",
        "substituter.nar.compression": "fetched, and not checked: the compression cannot be undone here",
        "substituter.nar.absent": "the narinfo is there and its NAR is not (404)",
        "substituter.nar.truncated": "the NAR ends before its end",
        "substituter.nar.corrupt": "the NAR cannot be decompressed",
        "substituter.nar.size": "the NAR has another size than the narinfo says",
        "substituter.nar.hash": "the NAR has another hash than the narinfo says",
        **fault_codes("substituter.nar"),
    },
    needs=("substituter.narinfo",),
    seconds=10.0,
)
