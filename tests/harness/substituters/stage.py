"""Where caches of every kind are arranged for the stage "substituter", and how the stage is asked about one.

A module that uses `rig` imports its fixtures by name, `authority` too.
"""

import contextlib

import httpx  # noqa: F401  a first import would count against the shortened deadlines
import pytest
from msgspec.structs import replace

from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Stage
from gfattach.nixcache.signature import PublicKey
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.substituter.stage import STAGE
from tests.harness.machine import faulty_servers as faults
from tests.harness.substituters.binary_caches import (
    KEY,
    OTHER_KEY,
    SIGNED,
    answer,
    publishing,
    serving,
    signed,
    signed_info,
)

TRUSTED = str(KEY.public_key)
PATHS = {
    "info": "/nix-cache-info",
    "narinfo": f"/{SIGNED.digest}.narinfo",
    "nar": "/nar/signed.nar.xz",
}
HTML = answer(b"<!doctype html><title>Sign in</title>", kind="text/html")
#: How Attic refuses a name that is not among its allowed hosts.
BAD_HOST = answer(
    b'{"code":400,"error":"RequestError","message":"General request error: Bad Host"}',
    400,
    "application/json",
)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return faults.Authority(tmp_path_factory.mktemp("authority"))


class Rig:
    """What a case arranges a cache with; all of it ends with the test."""

    def __init__(self, stack, tmp_path, authority, monkeypatch) -> None:
        self.stack = stack
        self.tmp_path = tmp_path
        self.authority = authority
        self.monkeypatch = monkeypatch
        self.seconds = 20.0
        self.path = SIGNED

    def target(self, port: int, scheme: str = "http", host: str = "127.0.0.1", **options):
        options = {"public_keys": (TRUSTED,), "probe_path": str(self.path)} | options
        return SubstituterTarget(Endpoint(scheme, host, port), **options)

    def cache(self, routes, scheme: str = "http", context=None, **options):
        """A target whose cache has `routes`."""
        if scheme == "https":
            context = context or self.authority.context("127.0.0.1")
            options = {"ca_file": self.authority.ca} | options
        return self.target(self.stack.enter_context(serving(routes, context)), scheme, **options)

    def published(self, *infos, **options):
        """A target whose cache has `infos` and their NARs; the signed path is what is asked for."""
        return self.cache(publishing(*infos), **options)

    def good(self, **changes):
        """The routes of a cache with the signed path, some of them changed (by the end of a probe's name)."""
        routes = publishing(signed(signed_info(), KEY))
        return routes | {PATHS[name]: reply for name, reply in changes.items()}

    def talking(self, handle, **options):
        """A target at a bare socket."""
        return self.target(self.stack.enter_context(faults.talking(handle)), **options)

    def soon(self) -> None:
        """Shorten the deadlines: what is silent is silent however long one waits."""
        self.seconds = 1.0

    def proxied(self, proxy) -> None:
        self.monkeypatch.setenv("http_proxy", proxy)


# Signatures.

SAME_KEY_OTHER_NAME = str(PublicKey("renamed-1", KEY.public_key.raw))
OTHER_KEY_SAME_NAME = str(PublicKey(KEY.name, OTHER_KEY.public_key.raw))


@pytest.fixture
def rig(tmp_path, authority, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "SSL_CERT_FILE", "NIX_SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with contextlib.ExitStack() as stack:
        yield Rig(stack, tmp_path, authority, monkeypatch)


def ask(target, seconds: float = 20.0):
    probes = tuple(replace(probe, seconds=seconds) for probe in STAGE.probes)
    return Run().stage(Stage(STAGE.name, STAGE.title, probes), target).findings
