"""The options of a proof with Bazel: what every phase is run with, whatever the rc files say.

They stand last on the command line, so they win. What not every Bazel knows is asked of the
program first (`gfattach.bazel.capabilities.flags`).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from gfattach.bazel.logs.grpc_log import LOG_FLAGS
from gfattach.bazel.options.preflight import QUIET_WHERE_KNOWN
from gfattach.bazel.program.binary import Bazel
from gfattach.core.errors import BazelError
from gfattach.reapi.target import CacheTarget

#: Seconds that one call may take. It bounds transfers of large blobs too: never below 60.
REMOTE_TIMEOUT = 60

#: Known to every Bazel from 2 on. The second keeps Bazel from uploading the files that its events
#: mention, which it does even when it is told not to upload results (and which makes 2.1.0 hang at
#: the end of a build that also writes the log of calls).
_ALWAYS = (
    "--remote_executor=",
    "--nobuild_event_json_file_path_conversion",
    "--disk_cache=",
    "--remote_accept_cached",
    f"--remote_timeout={REMOTE_TIMEOUT}",
    "--bes_backend=",
    "--color=no",
    "--curses=no",
    "--show_result=0",
)

#: Taken where they are known: few retries, an end that waits for uploads.
_WHERE_KNOWN = (
    "--remote_retries=1",
    "--noremote_cache_async",
    "--noexperimental_remote_cache_async",
    "--experimental_build_event_upload_strategy=local",
)

#: A phase that asks the cache ends at once when there is none, instead of building all of it here.
_ASK = "--noremote_local_fallback"

#: A phase whose endpoint is withheld builds here.
_WITHHELD = ("--remote_local_fallback", "--incompatible_remote_local_fallback_for_remote_cache")

#: The probe needs no module and no repository; these keep Bazel 6 to 8 from looking for its own.
_PROBE = ("--noenable_bzlmod", "--enable_workspace", "--lockfile_mode=off")
_PROBE_ALWAYS = ("--spawn_strategy=local",)

#: A user's workspace keeps its `bazel-*` links; the first one that is known is taken.
_NO_LINKS = ("--experimental_convenience_symlinks=ignore", "--symlink_prefix=/")

#: What of the user's own may be cached, where there is no log of calls: Bazel writes it of each spawn.
_SPAWN_LOG = "--execution_log_json_file"


class Access(enum.Enum):
    """What a phase may do with the cache."""

    WRITE = "write"
    READ = "read"
    WITHHELD = "withheld"


class ProofOptions(Struct, frozen=True):
    """The options for one Bazel: `accepted` are those of `candidates()` that it knows."""

    accepted: frozenset[str]

    @staticmethod
    def candidates() -> tuple[str, ...]:
        """What has to be asked of a Bazel before its options can be chosen."""
        logs = tuple(f"{flag}=/dev/null" for flag in LOG_FLAGS)
        logs += (f"{_SPAWN_LOG}=/dev/null",)
        return (*logs, *_WHERE_KNOWN, *_WITHHELD, *_PROBE, *_NO_LINKS, *QUIET_WHERE_KNOWN)

    @property
    def log_flag(self) -> str | None:
        """The flag that asks for the log of calls, under the name that this Bazel knows."""
        return next((flag for flag in LOG_FLAGS if f"{flag}=/dev/null" in self.accepted), None)

    def spawn_log(self, file: Path) -> list[str]:
        """What has the spawns written to `file`; nothing for a Bazel that cannot."""
        return [f"{_SPAWN_LOG}={file}"] if f"{_SPAWN_LOG}=/dev/null" in self.accepted else []

    def common(self, access: Access, events: Path, log: Path) -> list[str]:
        """What every phase has, the endpoint left out. `events` and `log` are the files to write."""
        options = [*_ALWAYS, f"--build_event_json_file={events}", *self._known(_WHERE_KNOWN)]
        if self.log_flag is not None:
            options.append(f"{self.log_flag}={log}")
        upload = (
            "--remote_upload_local_results" if access is Access.WRITE else "--noremote_upload_local_results"
        )
        fallback = self._known(_WITHHELD) if access is Access.WITHHELD else [_ASK]
        return [*options, upload, *fallback, *self._known(_NO_LINKS)[:1]]

    def probe(self) -> list[str]:
        """What the probe's own workspace has besides."""
        return [*_PROBE_ALWAYS, *self._known(_PROBE)]

    def _known(self, options: Sequence[str]) -> list[str]:
        return [option for option in options if option in self.accepted]


def endpoint_options(target: CacheTarget, bazel: Bazel) -> list[str]:
    """How Bazel is pointed at `target`.

    A unix socket is taken where there is one, and the endpoint keeps its name; a plaintext endpoint on this
    machine is dialled by a Bazel that can go by none. Raises BazelError (`bazel.transport`) when this
    Bazel can do neither TLS nor unix sockets and would crash on them.
    """
    endpoint = target.endpoint
    dialled = not endpoint.tls and endpoint.localhost and not bazel.native_transport
    socket = None if dialled else target.socket
    if (endpoint.tls or socket is not None) and not bazel.native_transport:
        raise BazelError(
            f"this Bazel ({bazel.path}, {bazel.label}) can do neither TLS nor unix sockets: its build lacks "
            "netty's native libraries",
            f"{endpoint.url} needs one of them",
            "use a Bazel from its makers: https://bazel.build/install/bazelisk",
            code="bazel.transport",
        )
    options = [f"--remote_cache={endpoint.url}", f"--remote_instance_name={target.instance_name}"]
    if socket is not None:
        options.append(f"--remote_proxy=unix:{socket}")
    elif endpoint.grpc:
        # A fragment among the rc files may name a socket. An HTTP cache takes no empty proxy (4.2.3
        # crashes on it).
        options.append("--remote_proxy=")
    if endpoint.tls:
        for flag, file in (
            ("--tls_certificate", target.tls.ca_file),
            ("--tls_client_certificate", target.tls.certificate),
            ("--tls_client_key", target.tls.key),
        ):
            if file is not None:
                options.append(f"{flag}={file}")
    return options
