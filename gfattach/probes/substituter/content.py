"""What a substituter says it is, and what it offers: its info, and the narinfos that are asked for."""

from __future__ import annotations

from gfattach.core.finding import Finding, Inquiry, Probe, fail, ok, warn
from gfattach.core.quote import word
from gfattach.nixcache import narinfo
from gfattach.nixcache.cacheinfo import CacheInfo
from gfattach.nixcache.client import Answer, NixCache
from gfattach.nixcache.errors import NixCacheError
from gfattach.nixcache.narinfo import NarInfo
from gfattach.nixcache.storepath import STORE_DIRECTORY, parse_store_path
from gfattach.nixcache.target import PROBE_CONTENT, PROBE_NAME, SubstituterTarget
from gfattach.probes.substituter.faults import DOCUMENT_FAULTS, fault, fault_codes

#: The priority of cache.nixos.org, next to which a cache is asked earlier or later.
PUBLIC_PRIORITY = 40


def _info(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    endpoint = inquiry.subject.endpoint
    try:
        with NixCache(inquiry.subject) as cache:
            answer = cache.cache_info(inquiry.deadline)
    except NixCacheError as error:
        if error.status in (404, 410) and not error.redirected:
            return fail(
                "substituter.info.absent",
                f"there is no binary cache at {endpoint.url}",
                "Nix takes it for no binary cache, and goes on without it",
                "the path may lack the name of the cache (/main): gfattach site show",
                f"look at it: curl -i {endpoint.url}/nix-cache-info",
            )
        return fault("substituter.info", error, inquiry.subject)
    return _judged_info(answer)


def _judged_info(answer: Answer[CacheInfo]) -> Finding:
    info = answer.value
    data = {
        "store_directory": info.store_directory,
        "priority": info.priority,
        "want_mass_query": info.want_mass_query,
        "hops": list(answer.hops),
        "encodings": [answer.encoding],
    }
    if info.store_directory not in (None, STORE_DIRECTORY):
        return fail(
            "substituter.info.store",
            f"the cache is for stores at {info.store_directory}, not {STORE_DIRECTORY}",
            "no path of it is a path of this machine: Nix says so at each command, and goes on without it",
            "ask the operator for a cache whose StoreDir is /nix/store",
            **data,
        )
    # Nix takes 0 where none is given; of two that are equal it asks first the one that is named first.
    rank = info.priority or 0
    order = "before" if rank < PUBLIC_PRIORITY else "after" if rank > PUBLIC_PRIORITY else "beside"
    priority = "no priority" if info.priority is None else f"priority {info.priority}"
    seen = f"a cache for {STORE_DIRECTORY}, {priority}: asked {order} cache.nixos.org ({PUBLIC_PRIORITY})"
    if not info.want_mass_query:
        return warn(
            "substituter.info.mass-query",
            f"{seen}; it does not want mass queries",
            "Nix leaves it out where it asks for many paths at once, and goes elsewhere for them",
            "operator: add the line WantMassQuery: 1 to nix-cache-info",
            **data,
        )
    return ok("substituter.info.ok", seen, **data)


INFO = Probe(
    name="substituter.info",
    question="is it a binary cache for this store",
    ask=_info,
    codes={
        "substituter.info.ok": "a binary cache for /nix/store",
        "substituter.info.mass-query": "a binary cache for /nix/store that does not want mass queries",
        "substituter.info.absent": "there is no binary cache at that path (404)",
        "substituter.info.store": "a binary cache for another store directory",
        **fault_codes("substituter.info", DOCUMENT_FAULTS),
    },
    needs=("substituter.protocol",),
)


def _narinfo(inquiry: Inquiry[SubstituterTarget]) -> Finding:
    target = inquiry.subject
    found: dict[str, NarInfo] = {}
    absent: list[str] = []
    hops: list[str] = []
    encodings: list[str] = []
    try:
        with NixCache(target) as cache:
            for text in dict.fromkeys(filter(None, (target.probe_path, target.signed_path))):
                answer = cache.narinfo(parse_store_path(text), inquiry.deadline)
                if answer is None:
                    absent.append(text)
                else:
                    found[text] = answer.value
                    hops += answer.hops
                    encodings.append(answer.encoding)
    except NixCacheError as error:
        if _hidden(error):
            return warn(
                "substituter.narinfo.hidden",
                f"{error.hops[-1]} answers 403 AccessDenied",
                "an object store says so of what it does not hold as well as of what one may not read, "
                "and Nix takes both for a miss",
                *publishing(target),
                narinfos={},
                absent=absent,
            )
        return fault("substituter.narinfo", error, target)
    data = {
        "narinfos": {text: narinfo.render(info).decode() for text, info in found.items()},
        "absent": absent,
        "hops": hops,
        "encodings": encodings,
    }
    for text, info in found.items():
        if str(info.store_path) != text:
            return fail(
                "substituter.narinfo.mismatch",
                f"asked for {text}, the cache answers for {info.store_path}",
                "Nix takes nothing that goes by another name",
                f"look at it: curl -i {hops[-1]}",
                **{**data, "narinfos": {}},
            )
    if not found:
        return warn(
            "substituter.narinfo.absent",
            f"attached, and nothing to hit: the cache has not got {' or '.join(absent)}",
            "a proof asks for what everybody knows: without it no hit can be shown before the first build "
            "that uses the cache, or before a path of it is named (--nix-path)",
            *publishing(target),
            **data,
        )
    if target.signed_path in absent:
        return warn(
            "substituter.narinfo.signed-absent",
            f"the cache has the probe path, and not {target.signed_path}",
            "the probe path proves the transport; the key can only be proved by the other",
            "operator: push that path again, or name another in nix.signed_path",
            **data,
        )
    return ok("substituter.narinfo.ok", f"the cache has {' and '.join(found)}", **data)


def _hidden(error: NixCacheError) -> bool:
    """Whether it is how an S3 bucket whose content may not be listed says that it lacks something."""
    return error.status == 403 and "<Code>AccessDenied</Code>" in error.body


def publishing(target: SubstituterTarget) -> tuple[str, ...]:
    """How an operator publishes the probe path: hints."""
    content = PROBE_CONTENT.decode().replace("\n", "\\n")
    expression = f'builtins.toFile "{PROBE_NAME}" "{content}"'
    cache = target.endpoint.path.strip("/") or "CACHE"
    return (
        f"operator: P=$(nix-instantiate --eval --read-write-mode --json -E '{expression}' | tr -d '\"')",
        f"operator: attic push {word(cache)} $P, or: nix copy --to 'STORE-URL?secret-key=FILE' $P",
        "or name a path that the cache has, in gfattach.toml: nix.signed_path",
    )


NARINFO = Probe(
    name="substituter.narinfo",
    question="does it have the paths that prove a hit",
    ask=_narinfo,
    codes={
        "substituter.narinfo.ok": "the cache has what was asked for",
        "substituter.narinfo.absent": "the cache works and has nothing that is asked for (404)",
        "substituter.narinfo.signed-absent": "the cache has the probe path, and not the signed one",
        "substituter.narinfo.hidden": "an object store that tells no missing path from a forbidden one",
        "substituter.narinfo.mismatch": "the cache answers for another path than the one asked for",
        **fault_codes("substituter.narinfo", DOCUMENT_FAULTS),
    },
    needs=("substituter.info",),
)


def known_narinfos(inquiry: Inquiry[SubstituterTarget]) -> list[NarInfo]:
    """The narinfos that the probe `substituter.narinfo` found, the signed path first."""
    texts: dict[str, str] = inquiry.known("substituter.narinfo", "narinfos", {})
    signed = inquiry.subject.signed_path
    return [narinfo.parse(texts[path].encode()) for path in sorted(texts, key=lambda path: path != signed)]
