"""The options of one `gfattach rbe prove`, and those that its builds are run with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from gfattach.bazel.logs.grpc_log import LOG_FLAGS
from gfattach.proof.execution.facts import PLATFORM_PROPERTY
from gfattach.proof.execution.nonce import VARIABLE

#: The flags that ask for an execution log, by format, the present name first.
_LOGS = {
    "json": ("--execution_log_json_file",),
    "compact": ("--execution_log_compact_file", "--experimental_execution_log_compact_file"),
}

#: Where the nonce goes: into the environment of actions, of tools' actions, and of tests.
_NONCE = f"--action_env={VARIABLE}={{nonce}}"
_TOOLS_NONCE = f"--host_action_env={VARIABLE}={{nonce}}"
_TEST_NONCE = f"--test_env={VARIABLE}={{nonce}}"

#: What every build of a proof has, whatever the rc files say: nothing kept from before, nothing run here.
_ALWAYS = (
    "--disk_cache=",
    "--spawn_strategy=remote",
    "--noremote_local_fallback",
    "--noremote_upload_local_results",
    "--remote_timeout=3600",
    "--bes_backend=",
    "--nobuild_event_json_file_path_conversion",
    "--color=no",
    "--curses=no",
    "--show_result=0",
)

_WHERE_KNOWN = (
    "--remote_retries=1",
    "--experimental_build_event_upload_strategy=local",
    "--noremote_cache_async",
)

_NO_LINKS = ("--experimental_convenience_symlinks=ignore", "--symlink_prefix=/")


class ProveOptions(Struct, frozen=True):
    """One proof.

    `command` is build, test or coverage; `evidence` the directory to write, None for one of its own;
    `nonce_flags` are further options in which `{nonce}` is replaced; `bazel_arguments` stand before all that
    a proof needs. `service` is `[NAMESPACE/]NAME[:PORT]` of the executor in the cluster that `cluster` says,
    and `workers` a label selector of its worker pods, None for those of the Service.
    """

    workspace: Path | None
    label: str
    manifest: Path | None = None
    command: str = "build"
    allow_candidate: bool = False
    evidence: Path | None = None
    bazel: str | None = None
    log_format: str = "json"
    authority: str | None = None
    private_inputs: Sequence[tuple[str, str]] = ()
    nonce_flags: Sequence[str] = ()
    bazel_arguments: Sequence[str] = ()
    service: str | None = None
    workers: str | None = None
    ca_file: Path | None = None
    cluster: Mapping[str, object] | None = None
    seconds: float = 3600.0


class BuildOptions(Struct, frozen=True):
    """The options for one Bazel: `accepted` are those of `candidates` that it knows."""

    accepted: frozenset[str]
    log_format: str
    platform: str
    endpoint: Sequence[str]
    extra: Sequence[str] = ()
    nonce_flags: Sequence[str] = ()

    @staticmethod
    def candidates(log_format: str) -> tuple[str, ...]:
        """What has to be asked of a Bazel before its options can be chosen."""
        logs = tuple(f"{flag}=/dev/null" for flag in (*LOG_FLAGS, *_LOGS[log_format]))
        return (*logs, *_WHERE_KNOWN, *_NO_LINKS, _TOOLS_NONCE)

    @property
    def log_flag(self) -> str | None:
        """The flag that asks for the execution log; None where this Bazel has none of that format."""
        return self._first(_LOGS[self.log_format])

    @property
    def calls_flag(self) -> str | None:
        """The flag that asks for the log of remote calls."""
        return self._first(LOG_FLAGS)

    def arguments(
        self, command: str, nonce: str, files: Mapping[str, Path], executor: str, *, accept_cached: bool
    ) -> list[str]:
        """What stands behind `command` and before the label. `files` are those to write, by role."""
        templates = [_NONCE, *([_TOOLS_NONCE] if _TOOLS_NONCE in self.accepted else []), *self.nonce_flags]
        if command != "build":
            templates.append(_TEST_NONCE)
        return [
            *self.extra,
            *self.endpoint,
            f"--remote_executor={executor}",
            f"--remote_default_exec_properties={PLATFORM_PROPERTY}={self.platform}",
            *_ALWAYS,
            *(option for option in _WHERE_KNOWN if option in self.accepted),
            *[option for option in _NO_LINKS if option in self.accepted][:1],
            f"--{'' if accept_cached else 'no'}remote_accept_cached",
            *(["--nocache_test_results"] if command != "build" else []),
            *(template.replace("{nonce}", nonce) for template in templates),
            f"--build_event_json_file={files['build-events']}",
            *([f"{self.log_flag}={files['execution-log']}"] if self.log_flag else []),
            *([f"{self.calls_flag}={files['remote-calls']}"] if self.calls_flag else []),
        ]

    def _first(self, flags: Sequence[str]) -> str | None:
        return next((flag for flag in flags if f"{flag}=/dev/null" in self.accepted), None)
