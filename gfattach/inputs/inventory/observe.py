"""The observation: a Bazel that starts with nothing, and what it then asks for.

An empty output base and an empty repository cache make Bazel ask for every input of the targets on this
platform. What it asked for is in its workspace rules log, what it went to the network for in its event file,
and what it has got in the repository cache.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gfattach.bazel.external.fetches import Fetches, read_fetches
from gfattach.bazel.external.lockfile import LOCK_NAME
from gfattach.bazel.external.repository_cache import cached
from gfattach.bazel.external.workspace_log import LOG_FLAGS, WorkspaceLog, read_workspace_log
from gfattach.bazel.logs.events import private_files
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError
from gfattach.core.files import locked, make_private_directory, read_bytes, remove, remove_tree, write_atomic
from gfattach.core.process import Completed
from gfattach.inputs.model.checksum import Checksum

#: Seconds that an observation may take: real workspaces load hundreds of archives.
OBSERVE_SECONDS = 3600.0

#: Names of the flag that keeps Bazel from the network, the present one first.
DISABLE_FLAGS = ("--repository_disable_download", "--experimental_repository_disable_download")

#: What no observation may use: caches that would hide an input, servers that would be told of it, links into
#: the workspace.
_WITHOUT = ("--remote_cache=", "--remote_executor=", "--disk_cache=", "--bes_backend=", "--symlink_prefix=/")

#: What keeps a Bazel with modules to its lock file.
LOCKED = "--lockfile_mode=error"

_DOCUMENTED = re.compile(r"^\s+--(?:\[no\])?([A-Za-z0-9_]+)", re.MULTILINE)
_ERROR = re.compile(r"\bERROR: |^Error in ")
_WANTED = re.compile(r"Checksum was [0-9a-fA-F]+ but wanted ([0-9a-fA-F]+)")

#: What Bazel writes into a workspace by itself.
_WRITTEN = ("MODULE.bazel", LOCK_NAME)


@dataclass(frozen=True)
class Supply:
    """What a Bazel may take inputs from. `seed` copies files into its empty repository cache first."""

    distdirs: tuple[Path, ...] = ()
    downloads: bool = True
    seed: Callable[[Path], None] | None = None
    #: Whether modules are taken from the lock file alone.
    locked: bool = False


@dataclass(frozen=True)
class Observation:
    """What was seen. `complete` says that every target could be analysed (or built).

    `cache` is the repository cache, which goes with the workbench; `cached` is what it holds, by algorithm
    and digest (hex), with sizes; `needed_by` maps each target pattern to the repositories below it; `said`
    are Bazel's last words.
    """

    complete: bool
    cache: Path
    log: WorkspaceLog
    fetches: Fetches
    cached: Mapping[tuple[str, str], int]
    platform: str
    said: str
    needed_by: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: What `query //external:*` gave, where that was asked.
    external: str | None = None
    #: Checksums (hex) under which upstream gave other bytes.
    mismatched: frozenset[str] = frozenset()

    def size_of(self, checksum: Checksum | None) -> int | None:
        """Bytes of what the repository cache has under `checksum`; None where it has nothing."""
        return None if checksum is None else self.cached.get((checksum.algorithm, checksum.hex))


@dataclass
class Workbench:
    """Where observations of one workspace are made: its Bazel, its flags, a private directory."""

    bazel: Bazel
    workspace: Path
    work: Path
    environment: Mapping[str, str]
    #: The names of the flags of `build` that this Bazel documents, once it was asked.
    flags: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()
    #: What starts Bazel in its place, with Bazel's path and words behind it: a namespace without a network.
    launcher: tuple[str, ...] = ()
    servers: int = 0

    def knows(self, flag: str) -> bool:
        """Whether this Bazel documents `flag`, written with or without a value."""
        return flag.partition("=")[0] in self.flags

    def learn(self, server: Server, deadline: Deadline) -> None:
        """Ask for the flags, once: help needs no registry, and no server of its own. Raises BazelError."""
        if not self.flags:
            done = self.run(server, "help", ["build", "--long"], deadline)
            self.flags = frozenset(f"--{name}" for name in _DOCUMENTED.findall(done.stdout))

    def disable_flag(self) -> str:
        """How this Bazel calls the flag that forbids downloads. Raises BazelError where it has none."""
        found = next((flag for flag in DISABLE_FLAGS if self.knows(flag)), None)
        if found is None:
            raise BazelError(
                f"{self.bazel.label} has no flag that forbids downloads",
                "use Bazel 4 or later",
                code="inputs.bazel",
            )
        return found

    def log_flag(self) -> str:
        """How it calls the flag for the workspace rules log. Raises BazelError where it has none."""
        found = next((flag for flag in LOG_FLAGS if self.knows(flag)), None)
        if found is None:
            raise BazelError(
                f"{self.bazel.label} writes no workspace rules log",
                "use Bazel 4 or later",
                code="inputs.bazel",
            )
        return found

    @contextmanager
    def server(self) -> Iterator[Server]:
        """A server with an output base that nothing was fetched into."""
        self.servers += 1
        with Server(
            self.bazel, self.workspace, self.work, f"observe-{self.servers}", environ=self.environment
        ) as server:
            yield server

    def run(
        self,
        server: Server,
        command: str,
        args: Sequence[str],
        deadline: Deadline,
        on_line: Callable[[str, float], None] | None = None,
    ) -> Completed:
        """Run one command on `server`, through the launcher where there is one."""
        if not self.launcher:
            return server.run(command, args, deadline, on_stderr_line=on_line)
        words = [*self.launcher[1:], str(self.bazel.path), *server.words(command, args)]
        return server.run_words(Path(self.launcher[0]), words, command, deadline, on_stderr_line=on_line)


@contextmanager
def workbench(
    bazel: Bazel, workspace: Path, work: Path, environment: Mapping[str, str], options: Sequence[str] = ()
) -> Iterator[Workbench]:
    """A workbench whose directory is this command's alone, and gone afterwards.

    Raises BazelError and StorageError.
    """
    make_private_directory(work.parent)
    with locked(work.with_name(f"{work.name}.lock")):
        try:
            with _unchanged(workspace):
                yield Workbench(bazel, workspace, work, environment, options=tuple(options))
        finally:
            remove_tree(work)


@contextmanager
def _unchanged(workspace: Path) -> Iterator[None]:
    """Put back what a Bazel with modules writes into a workspace by itself: to look changes nothing."""
    before = {name: read_bytes(workspace / name) for name in _WRITTEN}
    try:
        yield
    finally:
        for name, content in before.items():
            path = workspace / name
            if content is None:
                remove(path)
            elif read_bytes(path) != content:
                write_atomic(path, content, mode=path.stat().st_mode & 0o777 if path.exists() else 0o644)


def observe(
    bench: Workbench,
    targets: Sequence[str],
    supply: Supply,
    *,
    build: bool = False,
    progress: Callable[[str], None] = lambda text: None,
    attribute: bool = False,
) -> Observation:
    """What `targets` need, asked of a Bazel with nothing but `supply`; `build` goes on to build them.

    `attribute` asks besides which repositories are below each target pattern, and which the WORKSPACE
    declares. Raises BazelError and StorageError.
    """
    deadline = Deadline.after(OBSERVE_SECONDS)
    cache = make_private_directory(bench.work / f"repository-cache-{bench.servers + 1}")
    if supply.seed is not None:
        supply.seed(cache)
    with (
        bench.server() as server,
        private_files(bench.work / "notes", "events.json", "workspace.log") as (events, log),
    ):
        bench.learn(server, deadline)
        options = [
            f"--repository_cache={cache}",
            *(f"--distdir={each}" for each in supply.distdirs),
            *([] if supply.downloads else [bench.disable_flag()]),
            *([LOCKED] if supply.locked and bench.knows(LOCKED) else []),
            *bench.options,
        ]
        line = [
            "--keep_going",
            *([] if build else ["--nobuild"]),
            *_WITHOUT,
            f"--build_event_json_file={events}",
            f"{bench.log_flag()}={log}",
            *options,
            "--",
            *targets,
        ]

        shown: list[str] = []

        def show(text: str, moment: float) -> None:
            said = text.strip()[:100]
            if said.startswith(("Fetching", "Analyzing", "Loading: ")) and said not in shown:
                shown[:] = [said]
                progress(said)

        done = bench.run(server, "build", line, deadline, show)
        held, needed, external = cached(cache), {}, None
        if attribute:  # behind the count: a question may fetch what the targets do not need
            needed = {each: _below(bench, server, each, options, deadline) for each in targets}
            external = _external(bench, server, options, deadline)
        return Observation(
            done.good,
            cache,
            read_workspace_log(log),
            read_fetches(events),
            held,
            platform_name(),
            _said(done),
            needed,
            external,
            _mismatched(done),
        )


def ask_external(bench: Workbench) -> str | None:
    """The output of `query //external:*`; None where there is no WORKSPACE that can be read."""
    cache = make_private_directory(bench.work / "repository-cache-declared")
    with bench.server() as server:
        options = [f"--repository_cache={cache}", *bench.options]
        return _external(bench, server, options, Deadline.after(OBSERVE_SECONDS))


def _external(bench: Workbench, server: Server, options: Sequence[str], deadline: Deadline) -> str | None:
    line = [*options, "--keep_going", "--output=xml", "kind(rule, //external:*)"]
    done = bench.run(server, "query", line, deadline)
    return done.stdout if done.stdout.lstrip().startswith("<") else None


def _said(done: Completed) -> str:
    """Bazel's errors, or else its last words, on one line."""
    marked = (
        line.partition("ERROR: ")[2] or line for line in done.stderr.splitlines() if _ERROR.search(line)
    )
    # Where a rule failed, its lines of Starlark stand between what failed and why.
    errors = (line.strip() for line in marked if not line.rstrip().endswith(":") and "Traceback" not in line)
    return " | ".join([*dict.fromkeys(errors)][:4]) or done.last_words()


def _mismatched(done: Completed) -> frozenset[str]:
    """The checksums (hex) under which upstream gave other bytes: no event tells these from no answer."""
    return frozenset(wanted.lower() for wanted in _WANTED.findall(done.stderr))


def _below(
    bench: Workbench, server: Server, target: str, options: Sequence[str], deadline: Deadline
) -> frozenset[str]:
    """The repositories that `target` is loaded and built from, every branch of a select among them."""
    question = f"buildfiles(deps({target})) + deps({target})"
    done = bench.run(server, "query", [*options, "--keep_going", question], deadline)
    labels = (line.strip() for line in done.stdout.splitlines())
    return frozenset(label.lstrip("@").partition("//")[0] for label in labels if label.startswith("@"))


def platform_name() -> str:
    """The platform that is observed, as the contract names it: `linux-x86_64`."""
    import platform

    return f"{sys.platform}-{platform.machine()}"
