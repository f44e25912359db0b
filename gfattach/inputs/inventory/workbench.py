"""The workbench of a command: the Bazel at hand, in its workspace, with a private directory beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from gfattach.bazel.external.lockfile import LOCK_NAME
from gfattach.bazel.external.workspace_log import LOG_FLAGS
from gfattach.bazel.program.binary import IDENTIFY_SECONDS, INSTALL_HINT, Bazel, identify, locate
from gfattach.bazel.server.run import Server
from gfattach.contract.model.variables import HEADER_VARIABLES
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, ProgramMissingError
from gfattach.core.files import locked, make_private_directory, read_bytes, remove, remove_tree, write_atomic
from gfattach.core.process import Completed
from gfattach.credential.sources import TOKEN_VARIABLE
from gfattach.inputs.place import InputsOptions
from gfattach.site.allow import demand_wrapper

#: Names of the flag that keeps Bazel from the network, the present one first.
DISABLE_FLAGS = ("--repository_disable_download", "--experimental_repository_disable_download")

_DOCUMENTED = re.compile(r"^\s+--(?:\[no\])?([A-Za-z0-9_]+)", re.MULTILINE)

#: What Bazel writes into a workspace by itself.
_WRITTEN = ("MODULE.bazel", LOCK_NAME)


class Workbench(Struct):
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
def bench_of(options: InputsOptions) -> Iterator[Workbench]:
    """A workbench with the Bazel at hand.

    Raises RefusedError (`site.unallowed`), ProgramMissingError, UsageError, BazelError and StorageError.
    """
    root = options.root
    demand_wrapper(root)
    program = locate(options.bazel, options.environ)
    if program is None:
        raise ProgramMissingError("there is no Bazel on PATH, and BAZEL_BIN names none", INSTALL_HINT)
    bazel = identify(program, Deadline.after(IDENTIFY_SECONDS), workspace=root, environ=options.environ)
    secrets = {*HEADER_VARIABLES, TOKEN_VARIABLE}
    environment = {name: value for name, value in options.environ.items() if name not in secrets}
    home = options.home
    work = home.work.with_name(f"{home.key}-inputs")
    with _workbench(bazel, root, work, environment, options.bazel_options) as bench:
        yield bench


@contextmanager
def _workbench(
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
