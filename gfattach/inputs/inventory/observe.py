"""The observation: a Bazel that starts with nothing, and what it then asks for.

An empty output base and an empty repository cache make Bazel ask for every input of the targets on this
platform. What it asked for is in its workspace rules log, what it went to the network for in its event file,
and what it has got in the repository cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from gfattach.bazel.external.fetches import Fetches, read_fetches
from gfattach.bazel.external.repository_cache import cached
from gfattach.bazel.external.workspace_log import WorkspaceLog, read_workspace_log
from gfattach.bazel.logs.events import private_files
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.files import make_private_directory
from gfattach.core.process import Completed
from gfattach.inputs.inventory.workbench import Workbench
from gfattach.inputs.model.checksum import Checksum
from gfattach.inputs.model.host import platform_name

#: Seconds that an observation may take: real workspaces load hundreds of archives.
OBSERVE_SECONDS = 3600.0

#: What no observation may use: caches that would hide an input, servers that would be told of it, links into
#: the workspace.
_WITHOUT = ("--remote_cache=", "--remote_executor=", "--disk_cache=", "--bes_backend=", "--symlink_prefix=/")

#: What keeps a Bazel with modules to its lock file.
LOCKED = "--lockfile_mode=error"

_ERROR = re.compile(r"\bERROR: |^Error in ")

#: What Bazel says where a pattern matches nothing because the whole workspace has no package, and after that.
_NONE_AT_ALL = "no targets found beneath ''"
_FOLLOWS = ("errors parsing the target pattern", "Build did NOT complete successfully")

_WANTED = re.compile(r"Checksum was [0-9a-fA-F]+ but wanted ([0-9a-fA-F]+)")


class Supply(Struct, frozen=True):
    """What a Bazel may take inputs from. `seed` copies files into its empty repository cache first."""

    distdirs: tuple[Path, ...] = ()
    downloads: bool = True
    seed: Callable[[Path], None] | None = None
    #: Whether modules are taken from the lock file alone.
    locked: bool = False


class Observation(Struct, frozen=True):
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
            done.good or _without_targets(done),
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
    return " | ".join(_errors(done)[:4]) or done.last_words()


def _errors(done: Completed) -> list[str]:
    """Bazel's errors, each once."""
    marked = (
        line.partition("ERROR: ")[2] or line for line in done.stderr.splitlines() if _ERROR.search(line)
    )
    # Where a rule failed, its lines of Starlark stand between what failed and why.
    errors = (line.strip() for line in marked if not line.rstrip().endswith(":") and "Traceback" not in line)
    return [*dict.fromkeys(errors)]


def _without_targets(done: Completed) -> bool:
    """Whether Bazel ended with an error for no other reason than that the workspace has no target at all."""
    errors = _errors(done)
    beneath = [error for error in errors if error.endswith(_NONE_AT_ALL)]
    others = (error for error in errors if error not in beneath)
    return bool(beneath) and all(any(said in error for said in _FOLLOWS) for error in others)


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
