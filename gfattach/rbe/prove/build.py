"""Runs one build of a proof in a fresh output base, and keeps what Bazel writes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from gfattach.bazel.logs.call_excerpt import keep_calls
from gfattach.bazel.logs.event_excerpt import keep_excerpt
from gfattach.bazel.messages import error_line
from gfattach.bazel.program.binary import ZSTD_HINT, Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError
from gfattach.core.files import read_bytes, remove, write_atomic
from gfattach.core.redact import redact
from gfattach.proof.execution.facts import BuildFacts, read_build
from gfattach.rbe.evidence import document as documents
from gfattach.rbe.prove.options import BuildOptions

#: What to do about a Bazel that crashes where it would write the compact log.
_WITHOUT_ZSTD = (ZSTD_HINT, "or have the other log written: --execution-log json")

#: What a module-aware Bazel writes into a workspace that it builds in.
_LOCK_FILE = "MODULE.bazel.lock"

#: The names of the files of a build, by role. A control's have its name before them.
NAMES = {
    documents.EXECUTION_LOG: "execution-log",
    documents.CALLS: "remote-calls.log",
    documents.EVENTS: "build-events.json",
    documents.CONSOLE: "console.txt",
}


class Builder(Struct, frozen=True):
    """Who builds, what and where: the same for all builds of a proof."""

    bazel: Bazel
    workspace: Path
    work: Path
    environ: Mapping[str, str]
    rc: Sequence[Path]
    options: BuildOptions
    command: str
    label: str
    directory: Path
    executor: str
    deadline: Deadline

    def build(
        self,
        prefix: str,
        nonce: str,
        progress: Callable[[str], None],
        *,
        accept_cached: bool = False,
        executor: str | None = None,
    ) -> Built:
        """Build the label with `nonce` and keep the files under names that begin with `prefix`.

        `executor` is another one than the proof's. Raises BazelError and StorageError.
        """
        files = {role: self.directory / f"{prefix}{name}" for role, name in NAMES.items()}
        raw = {role: self.work / f"{prefix}{NAMES[role]}" for role in (documents.EVENTS, documents.CALLS)}
        arguments = self.options.arguments(
            self.command,
            nonce,
            {**files, **raw},
            self.executor if executor is None else executor,
            accept_cached=accept_cached,
        )
        kept = read_bytes(self.workspace / _LOCK_FILE)
        name = prefix.rstrip("-") or "proof"
        with Server(self.bazel, self.workspace, self.work, name, environ=self.environ, rc=self.rc) as server:
            try:
                answer = server.run(
                    self.command,
                    [*arguments, "--", self.label],
                    self.deadline,
                    on_stderr_line=lambda line, moment: _tell(line, progress),
                )
            except BazelError as error:
                if self.options.log_format == "compact" and _lacks_zstd(error):
                    raise BazelError(error.fact, *error.hints, *_WITHOUT_ZSTD, code=error.code) from error
                raise
            finally:
                _put_back(self.workspace / _LOCK_FILE, kept)
        write_atomic(files[documents.CONSOLE], redact(answer.stderr).encode())
        keep_excerpt(raw[documents.EVENTS], files[documents.EVENTS])
        keep_calls(raw[documents.CALLS], files[documents.CALLS])
        for path in raw.values():
            remove(path)
        written = {role: path for role, path in files.items() if path.exists()}
        for path in written.values():
            path.chmod(0o600)
        complaint = redact(error_line(answer.stderr)) if answer.returncode else ""
        return Built(answer.returncode or 0, written, read_build(written, self.label, nonce), complaint)


class Built(Struct, frozen=True):
    """A build that ended: its exit code, its files by role, what they say, and Bazel's first error."""

    exit_code: int
    files: Mapping[str, Path]
    facts: BuildFacts
    complaint: str = ""


def _lacks_zstd(error: BazelError) -> bool:
    return error.code == "bazel.crashed" and any("zstd" in hint for hint in error.hints)


def _tell(line: str, progress: Callable[[str], None]) -> None:
    """Show what Bazel says that it is doing."""
    text = line.strip()
    if text.startswith(("[", "Loading", "Analyzing", "INFO: Analyzed", "INFO: Build")):
        progress(redact(text)[:200])


def _put_back(path: Path, content: bytes | None) -> None:
    if read_bytes(path) == content:
        return
    if content is None:
        remove(path)
    else:
        write_atomic(path, content, mode=path.stat().st_mode & 0o777)
