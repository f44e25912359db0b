"""What the cache says of itself: whether it takes the instance name, what it can do, whether it executes."""

from __future__ import annotations

from typing import Any

from gfattach.core.finding import Finding, Probe, fail, ok, skip, warn
from gfattach.probes.cache.calls import CALL_CODES, CacheInquiry, call_finding
from gfattach.proof.protocol import open_cache, probe_action
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.target import CacheTarget

_INSTANCE_CODES = {
    "cache.instance.ok": "the cache answers under the instance name",
    "cache.instance.refused": "the cache does not know the instance name",
    "cache.instance.required": "the cache wants an instance name, and none was given",
    "cache.instance.path": "the instance name was given for HTTP, where Bazel sends none",
    **CALL_CODES,
}


def _instance(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    try:
        with open_cache(target) as cache:
            if target.endpoint.grpc:
                # A lookup cannot tell an unknown instance from an unknown action: both are not found.
                cache.find_missing([probe_action().action], inquiry.deadline)
            else:
                cache.get_action_result(probe_action().action, inquiry.deadline)
    except ReapiError as error:
        if target.endpoint.grpc and error.kind in (Kind.INVALID, Kind.NOT_FOUND):
            return _refused_instance(target, error)
        return call_finding(error, target, inquiry.deadline)
    named = (
        f"under the instance name {target.instance_name!r}"
        if target.instance_name
        else "without instance name"
    )
    if target.instance_name and not target.endpoint.grpc:
        path = f"{target.endpoint.url}/{target.instance_name.strip('/')}"
        return warn(
            "cache.instance.path",
            f"the cache answers {named}, and over HTTP Bazel sends none",
            "Bazel would look elsewhere than gfattach, and miss",
            f"write it into the endpoint, and leave the name out: {path}",
        )
    return ok("cache.instance.ok", f"the cache answers {named}")


def _refused_instance(target: CacheTarget, error: ReapiError) -> Finding:
    ask = "ask the operator for the name, and give it: --instance NAME, or cache.instance in gfattach.toml"
    if not target.instance_name:
        seen = f"the cache wants an instance name: {error.detail}"
        return fail("cache.instance.required", seen, "every lookup without one would fail", ask)
    return fail(
        "cache.instance.refused",
        f"the cache does not know the instance name {target.instance_name!r}: {error.detail}",
        "every lookup would fail",
        ask,
    )


_CAPABILITIES_CODES = {
    "cache.capabilities.ok": "the server is a REAPI v2 cache that Bazel can use",
    "cache.capabilities.version": "the server does not speak version 2 of the API",
    "cache.capabilities.deprecated": "version 2 of the API is deprecated at this server",
    "cache.capabilities.digest": "the server does not know SHA-256 digests",
    "cache.capabilities.read-only": "this lane was to write, and the server takes no action results",
    "cache.capabilities.none": "the server says nothing of a cache: an executor or another service",
    "cache.capabilities.http": "not asked: over HTTP there are no capabilities",
    **CALL_CODES,
}


def _capabilities(inquiry: CacheInquiry) -> Finding:
    target = inquiry.subject
    if not target.endpoint.grpc:
        return skip("cache.capabilities.http", "an HTTP cache has no capabilities to tell")
    try:
        with open_cache(target) as cache:
            answer = cache.capabilities(inquiry.deadline)
    except ReapiError as error:
        if error.kind is Kind.UNIMPLEMENTED:
            return _no_cache(error.fact)
        return call_finding(error, target, inquiry.deadline)
    if not answer.HasField("cache_capabilities"):
        return _no_cache(f"{target.endpoint.url} says nothing of a cache")
    return judge_capabilities(answer, target)


def judge_capabilities(answer: Any, target: CacheTarget) -> Finding:
    """What the `ServerCapabilities` of a cache mean for a client of `target`."""
    data = told(answer)
    low, high, functions = data["low_api"], data["high_api"], data["digest_functions"]
    low_major, high_major = answer.low_api_version.major, answer.high_api_version.major
    deprecated = (
        answer.HasField("deprecated_api_version") and answer.deprecated_api_version.major <= 2 < low_major
    )
    if not (low_major <= 2 <= high_major or deprecated):
        # An answer that leaves the versions out says 0.0; Bazel refuses that too.
        return fail(
            "cache.capabilities.version",
            f"the server speaks API {low} to {high}, and Bazel speaks 2",
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
            "filling was asked for, and only what others stored will hit; Bazel with uploads ends with 34",
            "ask the operator for a lane that may write",
            **data,
        )
    writes = "writable" if data["update_enabled"] else "read-only"
    if deprecated:
        return warn(
            "cache.capabilities.deprecated",
            f"the server speaks API {low} to {high}, and 2 is deprecated there",
            "a later version of the server will refuse Bazel",
            "tell the operator which Bazel is in use: bazel --version",
            **data,
        )
    return ok(
        "cache.capabilities.ok",
        f"REAPI {low} to {high}, {' '.join(functions) or 'SHA256'}, {writes}",
        **data,
    )


def told(answer: Any) -> dict[str, Any]:
    """What a `ServerCapabilities` says, as data: versions, names, bytes."""
    from gfattach.reapi import remote_cache_pb2

    pb: Any = remote_cache_pb2
    cache = answer.cache_capabilities
    return {
        "low_api": _version(answer.low_api_version),
        "high_api": _version(answer.high_api_version),
        "digest_functions": _names(pb.DigestFunction.Value, cache.digest_functions),
        "compressors": _names(pb.Compressor.Value, cache.supported_compressors),
        "update_enabled": cache.action_cache_update_capabilities.update_enabled,
        "max_batch_bytes": cache.max_batch_total_size_bytes,
        "executes": answer.execution_capabilities.exec_enabled,
    }


def _names(kind: Any, values: Any) -> list[str]:
    """The names of enumerated values; a server may know values that are newer than this table."""
    known = {number: name for name, number in kind.items()}
    return [known.get(value, str(value)) for value in values]


def _version(version: Any) -> str:
    return f"{version.major}.{version.minor}"


def _no_cache(seen: str) -> Finding:
    why = "it speaks gRPC, and is another service or an executor without a cache"
    return fail("cache.capabilities.none", seen, why, "check the endpoint's port with the operator")


_EXECUTOR_CODES = {
    "cache.executor.ok": "the endpoint is a cache and executes nothing",
    "cache.executor.offers": "the endpoint offers to execute actions too",
}


def _executor(inquiry: CacheInquiry) -> Finding:
    if inquiry.known("cache.capabilities", "executes"):
        return warn(
            "cache.executor.offers",
            f"{inquiry.subject.endpoint.url} offers to execute actions too",
            "a build that is sent there runs on others' machines, and a hit there proves no cache alone",
            "gfattach uses it as a cache: --remote_executor stays empty, and a proof checks that",
        )
    return ok("cache.executor.ok", "the endpoint executes nothing")


CAPABILITY_PROBES: tuple[Probe[CacheTarget], ...] = (
    Probe(
        "cache.instance",
        "does the cache answer under the instance name",
        _instance,
        _INSTANCE_CODES,
        ("cache.protocol",),
    ),
    Probe(
        "cache.capabilities",
        "what can the server do",
        _capabilities,
        _CAPABILITIES_CODES,
        ("cache.instance",),
    ),
    Probe("cache.executor", "does the endpoint execute", _executor, _EXECUTOR_CODES, ("cache.capabilities",)),
)
