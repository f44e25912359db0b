"""The Bazel fragment: an rc file that points Bazel at a cache, and fits the Bazel at hand."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from gfattach.bazel.rc.grammar import quote
from gfattach.core.errors import UsageError
from gfattach.fragments.template import render as render_template
from gfattach.reapi.target import CacheTarget

#: What a build does when the cache cannot be reached.
OnCacheDown = Literal["local", "fail"]

#: Seconds that one call to the cache may take. It bounds large transfers too: not below 60.
TIMEOUT_SECONDS = 60

#: Attempts after the first, where a build goes on without the cache: none. A Bazel from 7 on makes them for
#: each action: 300 genrules beside a dead cache take 2.9 s without it, 47.3 s with two retries, 2.6 s with
#: none (7.7.1). What is lost is a hit where a connection breaks: that action is built here.
RETRIES = {"local": 0, "fail": 2}

#: An error of a build, and of nothing else: info, clean and query go on. It is in the way of no option of
#: anyone's: strategies add up, by mnemonic, and nothing has this one. The value is what Bazel then says.
_ENDS = "--strategy=GfattachCache=the-cache-is-down:gfattach-status"
_GOES_ON = "--strategy=GfattachCache=local"

#: Every flag that a fragment may hold, by name, as it would stand on a command line: to ask a Bazel which
#: of them it knows.
CANDIDATE_FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "remote_cache": "--remote_cache=grpc://127.0.0.1:1",
        "remote_executor": "--remote_executor=",
        "remote_proxy": "--remote_proxy=unix:/nowhere",
        "remote_instance_name": "--remote_instance_name=main",
        "remote_upload_local_results": "--noremote_upload_local_results",
        "experimental_build_event_upload_strategy": "--experimental_build_event_upload_strategy=local",
        "remote_timeout": f"--remote_timeout={TIMEOUT_SECONDS}",
        "remote_retries": "--remote_retries=0",
        "remote_download_outputs": "--remote_download_outputs=all",
        "experimental_remote_downloader": "--experimental_remote_downloader=",
        "remote_local_fallback": "--remote_local_fallback",
        "incompatible_remote_local_fallback_for_remote_cache": (
            "--incompatible_remote_local_fallback_for_remote_cache"
        ),
        "grpc_keepalive_time": "--grpc_keepalive_time=30s",
        "grpc_keepalive_timeout": "--grpc_keepalive_timeout=20s",
        "tls_certificate": "--tls_certificate=/nowhere",
        "tls_client_certificate": "--tls_client_certificate=/nowhere",
        "tls_client_key": "--tls_client_key=/nowhere",
        "remote_cache_compression": "--remote_cache_compression",
        "experimental_remote_cache_compression": "--experimental_remote_cache_compression",
        "credential_helper": "--credential_helper=cache.example=/nowhere",
        "experimental_credential_helper": "--experimental_credential_helper=cache.example=/nowhere",
    }
)

#: Flags that every Bazel from 2.1 to 9 has: `help flags-as-proto` of 2.1.0 and of 4.2.3, and the option
#: classes in the sources of 9 (RemoteOptions, CommonRemoteOptions, AuthAndTLSOptions and
#: BuildEventProtocolOptions).
UNIVERSAL_FLAGS = frozenset(
    {
        "remote_cache",
        "remote_executor",
        "remote_proxy",
        "remote_instance_name",
        "remote_upload_local_results",
        "experimental_build_event_upload_strategy",
        "remote_timeout",
        "remote_retries",
        "remote_local_fallback",
        "tls_certificate",
    }
)

#: Flags without which a fragment would not reach the cache, or would not keep from writing to it: a Bazel
#: that lacks one that is needed gets no fragment.
_INDISPENSABLE = frozenset(
    {
        "remote_cache",
        "remote_executor",
        "remote_proxy",
        "remote_instance_name",
        "remote_upload_local_results",
        "tls_certificate",
        "tls_client_certificate",
        "tls_client_key",
    }
)


def accepted_names(flags: Iterable[str]) -> frozenset[str]:
    """The names of those candidates that stand, as texts, among `flags`: what `render` takes as `accepts`."""
    texts = frozenset(flags)
    return frozenset(name for name, text in CANDIDATE_FLAGS.items() if text in texts)


def render(
    target: CacheTarget,
    accepts: Container[str] | None,
    *,
    on_cache_down: OnCacheDown = "local",
    credential_helper: Path | None = None,
    zstd: bool = False,
) -> str:
    """The fragment that points a Bazel at `target`.

    `accepts` are the names of the flags that the Bazel knows; None stands for a Bazel that nobody
    could ask, and yields what all know. `credential_helper` is an absolute path; `zstd` says that
    the server's capabilities name that compressor. Headers of the target are never written.

    It only ever reads: where uploads are allowed, `gfattach bazel` asks for them at each build. Raises
    UsageError when the Bazel lacks a flag that reaching this cache needs, or a value cannot stand in an
    rc file.
    """
    known = _Known(UNIVERSAL_FLAGS if accepts is None else accepts, anyone=accepts is None)
    grpc, tls = target.endpoint.grpc, target.endpoint.tls
    helper = None if credential_helper is None else f"{_scope(target)}={credential_helper}"
    values = {
        "endpoint": target.endpoint.url,
        "remote_cache": known.flag("remote_cache", target.endpoint.url),
        "no_remote_cache": known.flag("remote_cache", ""),
        "no_remote_downloader": known.flag("experimental_remote_downloader", ""),
        # Without TLS the port of the same forward will do.
        "remote_proxy": known.flag("remote_proxy", target.socket and f"unix:{target.socket}", needed=tls),
        # Also the empty one: a project's own rc may name another.
        "remote_instance_name": known.flag(
            "remote_instance_name", target.instance_name if grpc else None, needed=bool(target.instance_name)
        ),
        "tls_certificate": known.flag("tls_certificate", target.tls.ca_file if tls else None),
        "tls_client_certificate": known.flag(
            "tls_client_certificate", target.tls.certificate if tls else None
        ),
        "tls_client_key": known.flag("tls_client_key", target.tls.key if tls else None),
        "credential_helper": known.flag("credential_helper", helper),
        "remote_executor": known.flag("remote_executor", ""),
        "noremote_upload_local_results": known.switch("remote_upload_local_results", True, on=False),
        "experimental_build_event_upload_strategy": known.flag(
            "experimental_build_event_upload_strategy", "local"
        ),
        "remote_timeout": known.flag("remote_timeout", str(TIMEOUT_SECONDS)),
        "remote_retries": known.flag("remote_retries", str(RETRIES[on_cache_down])),
        "remote_download_outputs": known.flag("remote_download_outputs", "all"),
        "grpc_keepalive_time": known.flag("grpc_keepalive_time", "30s" if grpc else None),
        "grpc_keepalive_timeout": known.flag("grpc_keepalive_timeout", "20s" if grpc else None),
        "remote_local_fallback": known.switch("remote_local_fallback", on_cache_down == "local"),
        "incompatible_remote_local_fallback_for_remote_cache": known.switch(
            "incompatible_remote_local_fallback_for_remote_cache", on_cache_down == "local"
        ),
        "noremote_local_fallback": known.switch("remote_local_fallback", on_cache_down == "fail", on=False),
        "remote_cache_compression": known.switch("remote_cache_compression", zstd and grpc),
    }
    # The older name of a flag is used when the newer one is not known.
    values["experimental_credential_helper"] = (
        known.flag("experimental_credential_helper", helper) if values["credential_helper"] is None else None
    )
    values["experimental_remote_cache_compression"] = known.switch(
        "experimental_remote_cache_compression",
        zstd and grpc and values["remote_cache_compression"] is None,
    )
    return render_template("bazelrc", values)


def away(on_cache_down: OnCacheDown) -> str:
    """What stands in the fragment's place while the cache is away, for a Bazel whose options do not do it."""
    if on_cache_down == "local":
        return "# The cache does not answer: Bazel is kept from it until it does.\n"
    return (
        "# The cache does not answer, and builds are to fail without it (gfattach up --on-cache-down fail).\n"
        f"build {_ENDS}\ncquery {_GOES_ON}\naquery {_GOES_ON}\n"
    )


class _Known:
    """The flags that a Bazel knows; `anyone` when it is not one Bazel but all."""

    def __init__(self, names: Container[str], *, anyone: bool) -> None:
        self._names = names
        self._anyone = anyone

    def flag(self, name: str, value: str | Path | None, *, needed: bool = True) -> str | None:
        """`--name=value`; None without a value, and for an unknown flag that can be done without."""
        if value is None or not (name in self._names or (needed and self._writes(name))):
            return None
        return quote(f"--{name}={value}")

    def switch(self, name: str, wanted: bool, *, on: bool = True) -> str | None:
        """`--name` or `--noname`; None when it is not wanted or not known."""
        return f"--{'' if on else 'no'}{name}" if wanted and self._writes(name) else None

    def _writes(self, name: str) -> bool:
        if name in self._names:
            return True
        if name not in _INDISPENSABLE:
            return False
        if self._anyone:
            # Most know it. One that does not says so itself, which is better than a cache that is
            # silently out of reach.
            return True
        raise UsageError(
            f"this Bazel has no --{name}, which this cache cannot be used without",
            "use a newer Bazel: name it with --bazel or BAZEL_BIN",
            code="fragment.flag",
        )


def _scope(target: CacheTarget) -> str:
    """For whom the credential helper is asked: Bazel takes the name of a host, and no IPv6 address."""
    if ":" in target.endpoint.host:
        raise UsageError(
            f"a token for {target.endpoint.url} cannot be scoped: Bazel's credential helpers know names only",
            "give the cache a name",
            code="fragment.scope",
        )
    return target.endpoint.host
