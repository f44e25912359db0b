"""What the cache does: a lookup, a blob there and back; and what it says of its health and its size."""

from __future__ import annotations

import statistics
import time
from uuid import uuid4

from gfattach.core.finding import Finding, Probe, fail, ok, skip, warn
from gfattach.probes.cache.calls import CALL_CODES, CacheInquiry, call_finding
from gfattach.proof.protocol import open_cache, probe_action
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.target import CacheTarget

#: How often the lookup is asked after the first time, which also connects; the median is reported.
#: Fewer where half of the deadline is used up.
LOOKUPS = 5

#: A lookup slower than this makes small actions slower than building them (milliseconds).
SLOW_LOOKUP_MS = 150.0

_LOOKUP_CODES = {
    "cache.lookup.ok": "action-cache lookups are answered quickly",
    "cache.lookup.slow": "action-cache lookups are slow",
    **CALL_CODES,
}


def _lookup(inquiry: CacheInquiry) -> Finding:
    target, action, found, times = inquiry.subject, probe_action().action, None, list[float]()
    enough = inquiry.deadline.remaining() / 2
    try:
        with open_cache(target) as cache:
            while len(times) <= LOOKUPS and (not times or inquiry.deadline.remaining() > enough):
                before = time.monotonic()
                found = cache.get_action_result(action, inquiry.deadline)
                times.append((time.monotonic() - before) * 1000)
    except ReapiError as error:
        return call_finding(error, target, inquiry.deadline)
    median = statistics.median(times[1:] or times)
    data = {"median_ms": round(median, 3), "first_ms": round(times[0], 3), "found": found is not None}
    seen = f"a lookup takes {median:.1f} ms (median of {len(times[1:] or times)})"
    if median > SLOW_LOOKUP_MS:
        why = "every action waits for one: small actions are quicker built than fetched"
        return warn(
            "cache.lookup.slow",
            seen,
            why,
            f"see how far it is: ping {target.endpoint.host}",
            "let Bazel ask more at once: build --jobs=200 with --remote_max_connections=200",
            **data,
        )
    return ok("cache.lookup.ok", seen, **data)


_OUTPUTS_CODES = {
    "cache.outputs.ok": "the outputs that the action cache answers with can be read",
    "cache.outputs.none": "not asked: nobody has stored the probe action",
    "cache.outputs.gone": "the action cache answers with an output that is gone",
    "cache.outputs.changed": "an output of the probe action is not what its digest says",
    **CALL_CODES,
}


def _outputs(inquiry: CacheInquiry) -> Finding:
    """Read what the action cache answers with for the one action that everybody may have stored."""
    target = inquiry.subject
    try:
        with open_cache(target) as cache:
            result = cache.get_action_result(probe_action().action, inquiry.deadline)
            if result is None:
                return skip("cache.outputs.none", "the probe action is not stored: there is nothing to read")
            for file in result.output_files:
                cache.read(Digest.read(file.digest), inquiry.deadline)
    except ReapiError as error:
        if error.kind is Kind.NOT_FOUND:
            return warn(
                "cache.outputs.gone",
                "the action cache answers for the probe action, and its output is gone",
                "a Bazel from 7 on ends such a build (39) unless it fetches all outputs, as the fragment "
                "has it do; older ones build it here",
                "ask the operator whether the action cache checks that outputs are there",
                "Buildbarn does with completenessChecking; bazel-remote unless --disable_grpc_ac_deps_check",
                "store the probe again: gfattach site warm --upload",
            )
        if error.kind is Kind.CORRUPT:
            return warn(
                "cache.outputs.changed",
                "an output of the probe action is not what its digest says",
                "Bazel refuses such an output, and builds it here",
                "ask the operator to look at the storage of the cache",
            )
        return call_finding(error, target, inquiry.deadline)
    return ok("cache.outputs.ok", f"what it answers with can be read ({len(result.output_files)} outputs)")


_BLOB_CODES = {
    "cache.blob.ok": "a blob that was stored came back the same",
    "cache.blob.lost": "a blob that was stored is not there",
    "cache.blob.reading": "not asked: this attachment only reads",
    **CALL_CODES,
}


def _blob(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    if not target.may_write:
        return skip("cache.blob.reading", "no blob is stored: this attachment only reads")
    # A blob that is there already would not be stored again, and prove nothing.
    blob = f"gfattach blob probe v1 {uuid4()}\n".encode()
    before = time.monotonic()
    try:
        with open_cache(target) as cache:
            cache.write(blob, inquiry.deadline)
            written = time.monotonic()
            cache.read(Digest.of(blob), inquiry.deadline)
    except ReapiError as error:
        if error.kind is Kind.NOT_FOUND:
            return fail(
                "cache.blob.lost",
                "a blob was stored, and is not found a moment later",
                "several servers without common storage, or a full disk, lose what builds store",
                "ask the operator whether all replicas share one storage",
            )
        return call_finding(error, target, inquiry.deadline)
    write_ms, read_ms = (written - before) * 1000, (time.monotonic() - written) * 1000
    return ok(
        "cache.blob.ok",
        f"a blob was stored in {write_ms:.1f} ms and came back in {read_ms:.1f} ms",
        write_ms=round(write_ms, 3),
        read_ms=round(read_ms, 3),
    )


_HEALTH_CODES = {
    "cache.health.ok": "the server's health service says that it serves",
    "cache.health.not-serving": "the server's health service says that it does not serve",
    "cache.health.none": "no answer: the server tells nothing of its health",
    "cache.health.http": "not asked: over HTTP there is no health service",
}


def _health(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    if not target.endpoint.grpc:
        return skip("cache.health.http", "an HTTP cache has no health service")
    try:
        with open_cache(target) as cache:
            serving = cache.serving(inquiry.deadline)
    except ReapiError as error:
        # Whatever is wrong with the cache itself is another probe's finding.
        return skip("cache.health.none", f"the server tells nothing of its health ({error.kind.value})")
    if not serving:
        return warn(
            "cache.health.not-serving",
            "the server says that it does not serve",
            "it answers and is not ready: starting, stopping, or its disk is gone",
            "ask the operator what the pods say of it",
        )
    return ok("cache.health.ok", "the server says that it serves")


_STATUS_CODES = {
    "cache.status.ok": "the server's status page says what it holds",
    "cache.status.none": "no answer: there is no status page",
    "cache.status.grpc": "not asked: a gRPC endpoint has no status page",
}


def _status(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    if target.endpoint.grpc:
        hint = "bazel-remote has one on its HTTP port (8080): /status"
        return skip("cache.status.grpc", "a gRPC endpoint has no status page", hint)
    try:
        with open_cache(target) as cache:
            said = cache.status(inquiry.deadline)
    except ReapiError as error:
        return skip("cache.status.none", f"there is no status page to read: {error.fact}")
    if said is None:
        return skip("cache.status.none", "what is at /status is no status page of a cache")
    size, limit, count = (_number(said.get(key)) for key in ("CurrSize", "MaxSize", "NumFiles"))
    of_limit = f" of {_gib(limit)}" if limit else ""
    return ok(
        "cache.status.ok",
        f"the server holds {count} files, {_gib(size)}{of_limit}",
        size=size,
        limit=limit,
        files=count,
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"


CONTENT_PROBES: tuple[Probe[CacheTarget], ...] = (
    Probe("cache.lookup", "how long does a lookup take", _lookup, _LOOKUP_CODES, ("cache.instance",)),
    Probe(
        "cache.outputs",
        "is there what the action cache answers with",
        _outputs,
        _OUTPUTS_CODES,
        ("cache.lookup",),
    ),
    Probe("cache.blob", "does a blob come back", _blob, _BLOB_CODES, ("cache.lookup",)),
    Probe("cache.health", "does the server say that it serves", _health, _HEALTH_CODES, ("cache.protocol",)),
    Probe("cache.status", "what does the server hold", _status, _STATUS_CODES, ("cache.protocol",)),
)
