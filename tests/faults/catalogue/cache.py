"""Faults of a Bazel cache that is dialled directly: names, ports, protocols, what it says and does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tests.faults.bed import Bed
from tests.faults.fault import Seed, faults
from tests.harness.caches.cases import Case
from tests.harness.caches.cases_answers import ANSWERS
from tests.harness.caches.cases_reach import ROUTES
from tests.harness.machine import faulty_servers

_CASES: dict[str, Case] = {case.name: case for case in (*ROUTES, *ANSWERS)}


def case(name: str) -> Seed:
    """The cache of that case of the stage "cache", where it needs no certificates."""
    found = _CASES[name]

    def seed(bed: Bed) -> None:
        port = bed.stack.enter_context(found.server(None))  # type: ignore[arg-type]
        url = f"{found.scheme}://{found.options.get('host', '127.0.0.1')}:{port}"
        instance = found.options.get("instance_name")
        bed.arguments += ["--cache", url, *(["--instance", instance] if instance else [])]

    return seed


def server(make: Callable[[], AbstractContextManager[Any]], scheme: str = "grpc") -> Seed:
    """A cache at the port that `make` yields."""

    def seed(bed: Bed) -> None:
        bed.arguments += ["--cache", f"{scheme}://127.0.0.1:{bed.stack.enter_context(make())}"]

    return seed


FAULTS = faults(
    "cache",
    {
        "nothing listens": (case("nothing listens"), "cache.port.refused"),
        "a name that no resolver takes": (case("a name that no resolver takes"), "cache.resolve.unknown"),
        "a name of inside the cluster": (case("a name of inside the cluster"), "cache.resolve.cluster"),
        "no route to it": (case("no way there"), "cache.port.unreachable"),
        "a silent port": (case("a silent port"), "cache.protocol.silent"),
        "a port that hangs up": (case("a port that hangs up"), "cache.protocol.closed"),
        "an ssh server": (case("an ssh server"), "cache.protocol.unknown"),
        "a login page": (case("a login page"), "cache.protocol.page"),
        "a login page over HTTP": (case("a login page over HTTP"), "cache.protocol.page"),
        "a redirect to a login": (case("a redirect to a login"), "cache.protocol.page"),
        "a gateway with nothing behind it": (
            case("a gateway with nothing behind it"), "cache.protocol.gateway"
        ),
        "HTTP for gRPC": (case("HTTP for gRPC"), "cache.protocol.http-for-grpc"),
        "gRPC for HTTP": (case("gRPC for HTTP"), "cache.protocol.grpc-for-http"),
        "a login page behind HTTP/2": (case("a login page behind HTTP/2"), "cache.call.page"),
        "a server of API 3": (case("a server of API 3"), "cache.capabilities.version"),
        "API 2 is deprecated": (case("a server where API 2 is deprecated"), "cache.capabilities.deprecated"),
        "a server without SHA-256": (case("a server without SHA-256"), "cache.capabilities.digest"),
        "an executor without a cache": (case("an executor without a cache"), "cache.capabilities.none"),
        "a wrong instance name": (case("a wrong instance name"), "cache.instance.refused"),
        "no instance name where one is wanted": (
            case("no instance name where one is wanted"), "cache.instance.required"
        ),
        "another gRPC service": (case("another gRPC service"), "cache.call.unimplemented"),
        "no token": (case("no token"), "cache.call.unauthenticated"),
        "no permission": (case("no permission"), "cache.call.permission"),
        "a broken server": (case("a broken server"), "cache.call.failed"),
        "a server that goes": (case("a server that goes"), "cache.call.unavailable"),
        "a slow server": (case("a slow server"), "cache.lookup.slow"),
        "a server that hangs": (case("a server that hangs"), "cache.call.deadline"),
        "a server that does not serve": (case("a server that does not serve"), "cache.health.not-serving"),
        "a cache that executes": (case("a cache that executes"), "cache.executor.offers"),
        "an HTTP cache without a cache": (
            server(lambda: faulty_servers.http({"*": (500, "text/plain", b"broken")}), "http"),
            "cache.protocol.gateway|cache.call.failed",
        ),
    },
)  # fmt: skip
