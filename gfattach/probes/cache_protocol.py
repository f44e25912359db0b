"""What the cache itself answers: capabilities, executor, instance, lookups, a blob, health, status."""

from __future__ import annotations

import statistics
import time
from typing import Any

from gfattach.finding import Finding, Inquiry, Probe, fail, ok, skip, warn
from gfattach.firsthit.protocol import open_cache, probe_action
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.target import CacheTarget

CacheInquiry = Inquiry[CacheTarget]

#: How often the lookup is asked; the median is reported.
LOOKUPS = 5

#: A lookup slower than this makes small actions slower than building them (milliseconds).
SLOW_LOOKUP_MS = 150.0

_CALL_CODES = {
    "cache.call.unavailable": "the connection broke, or was never made",
    "cache.call.deadline": "a call was not answered in time",
    "cache.call.unauthenticated": "the cache wants a token that was not given, or has expired",
    "cache.call.permission": "the token is known and may not do this",
    "cache.call.failed": "the cache answered a call with an error",
}


def _called(error: ReapiError) -> Finding:
    """The finding for a call that did not succeed."""
    if error.kind is Kind.UNAVAILABLE:
        why = "the port is open and the conversation breaks off: the far end restarts, or a proxy cuts it"
        return fail("cache.call.unavailable", error.fact, why, "run it again in a few seconds")
    if error.kind is Kind.DEADLINE:
        why = "Bazel would wait 60 s for each such call"
        return fail(
            "cache.call.deadline", error.fact, why, "ask the operator whether the server is overloaded"
        )
    if error.kind is Kind.UNAUTHENTICATED:
        why = "Bazel would end with UNAUTHENTICATED"
        return fail("cache.call.unauthenticated", error.fact, why, "ask the site's operator for a token")
    if error.kind is Kind.PERMISSION:
        why = "who you are is known, and is not allowed to do this"
        return fail("cache.call.permission", error.fact, why, "ask the site's operator for this permission")
    return fail("cache.call.failed", error.fact, "a cache for Bazel answers this call", "check the endpoint")


_CAPABILITIES_CODES = {
    "cache.capabilities.good": "the server is a REAPI v2 cache that Bazel can use",
    "cache.capabilities.version": "the server does not speak version 2 of the API",
    "cache.capabilities.digest": "the server does not know SHA-256 digests",
    "cache.capabilities.read-only": "this lane was to write, and the server takes no action results",
    "cache.capabilities.none": "the server says nothing of a cache: an executor or another service",
    "cache.capabilities.http": "not asked: over HTTP there are no capabilities",
    **_CALL_CODES,
}


def _capabilities(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    if not target.endpoint.grpc:
        return skip("cache.capabilities.http", "an HTTP cache has no capabilities to tell")
    from gfattach.reapi import remote_cache_pb2

    pb: Any = remote_cache_pb2
    try:
        with open_cache(target) as cache:
            answer = cache.capabilities(inquiry.deadline)
    except ReapiError as error:
        if error.kind is Kind.UNIMPLEMENTED:
            why = "it speaks gRPC and is another service"
            return fail("cache.capabilities.none", f"{error.fact}", why, "check the endpoint's port")
        return _called(error)
    if not answer.HasField("cache_capabilities"):
        return fail(
            "cache.capabilities.none",
            f"{target.endpoint.url} says nothing of a cache",
            "Bazel needs a cache there",
            "check the endpoint with the operator",
        )
    said = answer.cache_capabilities
    low, high = (answer.low_api_version, answer.high_api_version)
    functions = [pb.DigestFunction.Value.Name(value) for value in said.digest_functions]
    compressors = [pb.Compressor.Value.Name(value) for value in said.supported_compressors]
    data = {
        "low_api": _version(low),
        "high_api": _version(high),
        "digest_functions": functions,
        "compressors": compressors,
        "update_enabled": said.action_cache_update_capabilities.update_enabled,
        "max_batch_bytes": said.max_batch_total_size_bytes,
        "executes": answer.execution_capabilities.exec_enabled,
    }
    if not low.major <= 2 <= high.major:
        return fail(
            "cache.capabilities.version",
            f"the server speaks API {_version(low)} to {_version(high)}, and Bazel speaks 2",
            "Bazel would refuse it",
            "ask the operator for a server that speaks REAPI v2",
            **data,
        )
    if functions and "SHA256" not in functions:
        return fail(
            "cache.capabilities.digest",
            f"the server knows {', '.join(functions)}, and not SHA256",
            "Bazel names content by SHA-256 unless told otherwise",
            "ask the operator to enable SHA256",
            **data,
        )
    if target.may_write and not data["update_enabled"]:
        return warn(
            "cache.capabilities.read-only",
            "the server takes no action results from this client",
            "filling was asked for, and only what others stored will hit",
            "ask the operator for a lane that may write",
            **data,
        )
    writes = "writable" if data["update_enabled"] else "read-only"
    return ok(
        "cache.capabilities.good",
        f"REAPI {_version(low)} to {_version(high)}, {' '.join(functions) or 'SHA256'}, {writes}",
        **data,
    )


def _version(version: Any) -> str:
    return f"{version.major}.{version.minor}"


_EXECUTOR_CODES = {
    "cache.executor.none": "the endpoint is a cache and executes nothing",
    "cache.executor.offers": "the endpoint offers to execute actions too",
}


def _executor(inquiry: CacheInquiry) -> Finding:
    if inquiry.known("cache.capabilities", "executes"):
        return warn(
            "cache.executor.offers",
            f"{inquiry.subject.endpoint.url} offers to execute actions too",
            "gfattach uses it as a cache alone: --remote_executor stays empty, and a proof checks that",
        )
    return ok("cache.executor.none", "the endpoint executes nothing")


_LOOKUP_CODES = {
    "cache.lookup.quick": "action-cache lookups are answered quickly",
    "cache.lookup.slow": "action-cache lookups are slow",
    "cache.lookup.instance": "the instance name is not accepted",
    **_CALL_CODES,
}


def _lookup(inquiry: CacheInquiry) -> Finding:
    target, action, found, times = inquiry.subject, probe_action().action, None, []
    try:
        with open_cache(target) as cache:
            for _ in range(LOOKUPS):
                before = time.monotonic()
                found = cache.get_action_result(action, inquiry.deadline)
                times.append((time.monotonic() - before) * 1000)
    except ReapiError as error:
        if error.kind is Kind.INVALID:
            return fail(
                "cache.lookup.instance",
                f"the instance name {target.instance_name!r} is not accepted: {error.detail}",
                "every lookup would fail",
                "ask the operator for the name; it goes into cache.instance",
            )
        return _called(error)
    median = statistics.median(times)
    data = {"median_ms": round(median, 3), "first_ms": round(times[0], 3), "found": found is not None}
    instance = f" in instance {target.instance_name!r}" if target.instance_name else ""
    seen = f"a lookup{instance} takes {median:.1f} ms (median of {LOOKUPS})"
    if median > SLOW_LOOKUP_MS:
        why = "every action waits for one: small actions are quicker built than fetched"
        return warn("cache.lookup.slow", seen, why, f"see the way there: ping {target.endpoint.host}", **data)
    return ok("cache.lookup.quick", seen, **data)


_BLOB_CODES = {
    "cache.blob.returned": "a blob that was stored came back the same",
    "cache.blob.reading": "not asked: this attachment only reads",
    **_CALL_CODES,
}


def _blob(inquiry: CacheInquiry) -> Finding:
    if not inquiry.subject.may_write:
        return skip("cache.blob.reading", "no blob is stored: this attachment only reads")
    from gfattach.reapi.digest import Digest

    blob = b"gfattach blob probe v1\n"
    before = time.monotonic()
    try:
        with open_cache(inquiry.subject) as cache:
            cache.write(blob, inquiry.deadline)
            cache.read(Digest.of(blob), inquiry.deadline)
    except ReapiError as error:
        return _called(error)
    took = (time.monotonic() - before) * 1000
    return ok("cache.blob.returned", f"a blob was stored and came back in {took:.1f} ms", ms=round(took, 3))


_HEALTH_CODES = {
    "cache.health.serving": "the server's health service says that it serves",
    "cache.health.not-serving": "the server's health service says that it does not serve",
    "cache.health.none": "not asked: the server has no health service",
    **_CALL_CODES,
}


def _health(inquiry: CacheInquiry) -> Finding:
    if not inquiry.subject.endpoint.grpc:
        return skip("cache.health.none", "an HTTP cache has no health service")
    try:
        with open_cache(inquiry.subject) as cache:
            serving = cache.serving(inquiry.deadline)
    except ReapiError as error:
        if error.kind in (Kind.UNIMPLEMENTED, Kind.NOT_FOUND, Kind.PERMISSION, Kind.UNAUTHENTICATED):
            return skip("cache.health.none", "the server tells nobody of its health")
        return _called(error)
    if not serving:
        why = "it answers and is not ready: starting, stopping, or its disk is gone"
        return fail(
            "cache.health.not-serving", "the server says that it does not serve", why, "ask the operator"
        )
    return ok("cache.health.serving", "the server says that it serves")


_STATUS_CODES = {
    "cache.status.told": "the server's status page says what it holds",
    "cache.status.none": "not asked: no status page",
}


def _status(inquiry: CacheInquiry) -> Finding:
    if inquiry.subject.endpoint.grpc:
        return skip("cache.status.none", "a gRPC endpoint has no status page")
    try:
        with open_cache(inquiry.subject) as cache:
            said = cache.status(inquiry.deadline)
    except ReapiError:
        said = None
    if said is None:
        return skip("cache.status.none", "the server has no status page")
    size, count = said.get("CurrSize"), said.get("NumFiles")
    return ok("cache.status.told", f"the server holds {count} files, {size} bytes", size=size, files=count)


PROTOCOL_PROBES: tuple[Probe[CacheTarget], ...] = (
    Probe(
        "cache.capabilities",
        "what can the server do",
        _capabilities,
        _CAPABILITIES_CODES,
        ("cache.protocol",),
    ),
    Probe("cache.executor", "does the endpoint execute", _executor, _EXECUTOR_CODES, ("cache.capabilities",)),
    Probe("cache.lookup", "how long does a lookup take", _lookup, _LOOKUP_CODES, ("cache.protocol",)),
    Probe("cache.blob", "does a blob come back", _blob, _BLOB_CODES, ("cache.lookup",)),
    Probe("cache.health", "does the server say that it serves", _health, _HEALTH_CODES, ("cache.protocol",)),
    Probe("cache.status", "what does the server hold", _status, _STATUS_CODES, ("cache.protocol",)),
)
