"""Cases of the stage "cache" by what a cache says of itself and does, over gRPC and HTTP."""

import json

import grpc

from gfattach.reapi import remote_cache_pb2 as pb
from tests.harness.caches.cases import Bench, Case, filled, serving
from tests.harness.caches.cases_reach import talking_http2
from tests.harness.caches.reapi_server import METHODS, NOT_SERVING, capable
from tests.harness.machine import faulty_servers as faults

EVERY_REAPI_METHOD = frozenset(METHODS) - {"Check"}


API_3 = pb.ServerCapabilities(
    cache_capabilities=pb.CacheCapabilities(),
    low_api_version=pb.SemVer(major=3),
    high_api_version=pb.SemVer(major=3),
)
DEPRECATED = pb.ServerCapabilities()
DEPRECATED.CopyFrom(API_3)
DEPRECATED.deprecated_api_version.major = 2
EXECUTING = capable()
EXECUTING.execution_capabilities.exec_enabled = True
READ_ONLY = capable(action_cache_update_capabilities=pb.ActionCacheUpdateCapabilities())

GONE = "cache.outputs.gone"

ANSWERS = [
    # what the cache says of itself
    Case(
        "a good cache",
        lambda b: serving(),
        {
            "cache.protocol.ok",
            "cache.instance.ok",
            "cache.capabilities.ok",
            "cache.executor.ok",
            "cache.lookup.ok",
            "cache.blob.reading",
            "cache.health.ok",
            "cache.status.grpc",
        },
    ),
    Case("a server of API 3", lambda b: serving(capabilities=API_3), {"cache.capabilities.version"}),
    Case(
        "a server where API 2 is deprecated",
        lambda b: serving(capabilities=DEPRECATED),
        {"cache.capabilities.deprecated"},
    ),
    Case(
        "a server without SHA-256",
        lambda b: serving(capabilities=capable(digest_functions=[pb.DigestFunction.BLAKE3])),
        {"cache.capabilities.digest"},
    ),
    Case(
        "a server that takes no results from the lane that was to write",
        lambda b: serving(capabilities=READ_ONLY),
        {"cache.capabilities.read-only", "cache.blob.ok"},
        {"may_write": True},
    ),
    Case(
        "an executor without a cache",
        lambda b: serving(capabilities=pb.ServerCapabilities(low_api_version=pb.SemVer(major=2))),
        {"cache.capabilities.none"},
    ),
    Case(
        "a cache that executes",
        lambda b: serving(capabilities=EXECUTING),
        {"cache.executor.offers", "cache.capabilities.ok"},
    ),
    Case(
        "a wrong instance name",
        lambda b: serving(instances=frozenset({"main"})),
        {"cache.instance.refused"},
        {"instance_name": "mian"},
    ),
    Case(
        "no instance name where one is wanted",
        lambda b: serving(instances=frozenset({"main"})),
        {"cache.instance.required"},
    ),
    Case(
        "the right instance name",
        lambda b: serving(instances=frozenset({"main"})),
        {"cache.instance.ok", "cache.capabilities.ok", "cache.blob.ok"},
        {"instance_name": "main", "may_write": True},
    ),
    # what the cache does
    Case(
        "another gRPC service",
        lambda b: serving(without=EVERY_REAPI_METHOD),
        {"cache.call.unimplemented", "cache.health.ok"},
    ),
    Case("no token", lambda b: serving(token="s3cret"), {"cache.call.unauthenticated"}),
    Case(
        "a token",
        lambda b: serving(token="s3cret"),
        {"cache.capabilities.ok", "cache.lookup.ok"},
        {"headers": (("Authorization", "Bearer s3cret"),)},
    ),
    Case(
        "no permission",
        lambda b: serving(failing={"GetActionResult": grpc.StatusCode.PERMISSION_DENIED}),
        {"cache.call.permission"},
    ),
    Case("a login page behind HTTP/2", lambda b: faults.talking(talking_http2), {"cache.call.page"}),
    Case(
        "a broken server",
        lambda b: serving(failing={"GetActionResult": grpc.StatusCode.INTERNAL}),
        {"cache.call.failed"},
    ),
    Case(
        "a server that goes",
        lambda b: serving(failing={"GetActionResult": grpc.StatusCode.UNAVAILABLE}),
        {"cache.call.unavailable"},
    ),
    Case("a slow server", lambda b: serving(slow={"GetActionResult": 0.2}), {"cache.lookup.slow"}),
    Case("a server that hangs", lambda b: serving(slow={"GetActionResult": 60.0}), {"cache.call.deadline"}),
    Case(
        "a server that changes what it keeps",
        lambda b: serving(corrupts=True),
        {"cache.call.corrupt"},
        {"may_write": True},
    ),
    Case("a cache that was filled", lambda b: filled(), {"cache.outputs.ok", "cache.lookup.ok"}),
    Case("an action cache that answers for what is gone", lambda b: filled(forgets=True), {GONE}),
    Case("a storage that changes outputs", lambda b: filled(corrupts=True), {"cache.outputs.changed"}),
    Case(
        "a server that loses what it keeps",
        lambda b: serving(forgets=True),
        {"cache.blob.lost"},
        {"may_write": True},
    ),
    Case("a server that does not serve", lambda b: serving(health=NOT_SERVING), {"cache.health.not-serving"}),
    Case(
        "a server without a health service",
        lambda b: serving(without=frozenset({"Check"})),
        {"cache.health.none", "cache.lookup.ok"},
    ),
    # HTTP caches
    Case(
        "an HTTP cache",
        lambda b: faults.http({"/status": (200, "application/json", json.dumps({"CurrSize": 1}).encode())}),
        {
            "cache.protocol.ok",
            "cache.instance.ok",
            "cache.capabilities.http",
            "cache.lookup.ok",
            "cache.blob.ok",
            "cache.health.http",
            "cache.status.ok",
        },
        {"may_write": True},
        scheme="http",
    ),
    Case(
        "an HTTP cache whose error pages are for people",
        lambda b: faults.http({"*": (404, "text/html", b"<html>404</html>")}),
        {"cache.protocol.ok", "cache.lookup.ok", "cache.status.none"},
        scheme="http",
    ),
    Case(
        "an HTTP cache over TLS",
        lambda b: faults.http({}, b.ours.context("127.0.0.1")),
        {"cache.protocol.ok", "cache.lookup.ok", "cache.status.none"},
        scheme="https",
        tls=Bench.trusting,
    ),
    Case(
        "an HTTP cache and an instance name",
        lambda b: faults.http({}),
        {"cache.instance.path", "cache.lookup.ok"},
        {"instance_name": "main"},
        scheme="http",
    ),
    Case(
        "an HTTP cache that wants a token",
        lambda b: faults.http({"*": (401, "text/html", b"<html>401</html>")}),
        {"cache.protocol.ok", "cache.call.unauthenticated"},
        scheme="http",
    ),
]
