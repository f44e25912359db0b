"""`inputs fetch`: the contract's inputs into a distdir, a repository cache, or both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.bazel.external.distdir import layers_of
from gfattach.core.engine import Run
from gfattach.core.errors import ExitCode, UsageError
from gfattach.core.finding import Finding, fail, ok, warn
from gfattach.inputs.contract.document import read_contract
from gfattach.inputs.materialise.credentials import Credentials, helpers_of
from gfattach.inputs.materialise.download import Tally
from gfattach.inputs.materialise.fetch import JOBS, Fetcher, Result, State, client_factory
from gfattach.inputs.materialise.plan import Task, plan_distdir, plan_repository_cache
from gfattach.inputs.materialise.sources import Source, source_of, upstream
from gfattach.inputs.model.host import platform_name
from gfattach.inputs.model.input import Input
from gfattach.inputs.place import InputsOptions

#: Seconds between two words on how far it is.
SHOWN_EVERY = 1.0


class FetchOptions(Struct, frozen=True):
    """One fetch. `distdir` and `repository_cache` are where to; `source` is `--from`, "" for upstream."""

    inputs: InputsOptions
    distdir: Path | None
    repository_cache: Path | None
    source: str = ""
    helpers: tuple[str, ...] = ()
    jobs: int = JOBS
    seconds: float = 3600.0
    ca_file: Path | None = None
    every_platform: bool = False


class Fetched(Struct, frozen=True):
    """What a fetch came to. `uncoverable` are inputs that no destination can hold; `layers` the distdirs."""

    results: tuple[Result, ...]
    uncoverable: tuple[Input, ...]
    layers: tuple[Path, ...]
    repository_cache: Path | None
    seconds: float

    @property
    def received(self) -> int:
        """Bytes that were transferred."""
        return sum(each.received for each in self.results)

    @property
    def bad(self) -> tuple[Result, ...]:
        """What is not there now."""
        return tuple(each for each in self.results if each.state not in (State.FETCHED, State.KEPT))

    @property
    def exit_code(self) -> ExitCode:
        """1 where something could not be had."""
        return ExitCode.FAILED if self.bad else ExitCode.GOOD

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        return {
            "files": [
                {
                    "name": each.task.input.name,
                    "place": str(each.task.place),
                    "integrity": each.task.checksum.sri,
                    "state": each.state.value,
                    "size": each.size,
                    "received": each.received,
                    "why": each.why,
                }
                for each in self.results
            ],
            "received": self.received,
            "transfer_seconds": round(self.seconds, 3),
            "distdirs": [str(each) for each in self.layers],
            "repository_cache": None if self.repository_cache is None else str(self.repository_cache),
            "uncoverable": [each.name for each in self.uncoverable],
        }


def fetch_inputs(options: FetchOptions, run: Run) -> Fetched:
    """Fetch. Raises UsageError, CredentialError and StorageError; a file that cannot be had is no error."""
    if options.distdir is None and options.repository_cache is None:
        raise UsageError(
            "nothing says where to fetch to",
            "name a directory: gfattach inputs fetch --distdir DIR",
            "or a repository cache: --repository-cache DIR",
            code="inputs.fetch.nowhere",
        )
    contract = read_contract(options.inputs.contract_file)
    inputs = contract.inputs if options.every_platform else contract.on(platform_name())
    source = source_of(options.source) if options.source else upstream
    helpers = helpers_of(options.helpers, options.inputs.environ)
    credentials = Credentials(helpers, options.inputs.environ)
    clients = client_factory(credentials.headers, options.inputs.environ, options.ca_file)
    run.account("start", "read the contract")
    results: list[Result] = []
    started = time.monotonic()
    layers: tuple[Path, ...] = ()
    cache: Path | None = None

    def fetch(tasks: Sequence[Task], place: Path, source: Source) -> Callable[..., Mapping[str, Finding]]:
        def work(progress: Callable[[str], None]) -> Mapping[str, Finding]:
            fetcher = Fetcher(source, clients, options.jobs, options.seconds)
            done = fetcher.run(tasks, place, shower(progress))
            results.extend(done)
            return dict(findings(place, done))

        return work

    if options.distdir is not None:
        place = options.inputs.directory / options.distdir
        tasks = plan_distdir(inputs, place)
        run.step("distdir", f"fetch {len(tasks)} files into {place}", fetch(tasks, place, source))
        layers = layers_of(place)
    if options.repository_cache is not None:
        cache = options.inputs.directory / options.repository_cache
        tasks = plan_repository_cache(inputs, cache)
        first = source if options.distdir is None else _before(source_of(str(place)), source)
        run.step("cache-fetch", f"fetch {len(tasks)} files into {cache}", fetch(tasks, cache, first))
    able = "by_repository_cache" if cache is not None else "by_distdir"
    uncoverable = tuple(each for each in inputs if not getattr(each, able))
    return Fetched(tuple(results), uncoverable, layers, cache, time.monotonic() - started)


def _before(local: Source, other: Source) -> Source:
    """What was fetched a moment ago comes first."""
    return lambda task: (*local(task), *other(task))


def shower(progress: Callable[[str], None]) -> Callable[[Tally], None]:
    """What shows how far a fetch is, now and then."""
    shown = [time.monotonic()]

    def show(tally: Tally) -> None:
        now = time.monotonic()
        if now - shown[0] >= SHOWN_EVERY:
            shown[0] = now
            progress(f"{tally.done} of {tally.files} files · {tally.received / 1e6:.1f} MB")

    return show


def findings(place: Path, results: Sequence[Result]) -> Iterator[tuple[str, Finding]]:
    """A finding for the whole, and one for each file that is not there now."""
    kept = sum(each.state is State.KEPT for each in results)
    new = sum(each.state is State.FETCHED for each in results)
    bad = [each for each in results if each.state not in (State.FETCHED, State.KEPT)]
    seen = f"{new} fetched, {kept} were there, {len(bad)} could not be had"
    why = "a build that takes nothing but this ends there"
    whole = f"{place}: {seen}"
    yield "fetch", warn("inputs.fetched", whole, why) if bad else ok("inputs.fetched", whole)
    for each in bad:
        yield (
            f"fetch.{each.task.input.name}",
            _failed(each),
        )


def _failed(result: Result) -> Finding:
    seen = f"{result.task.input.name}: {result.why}"
    match result.state:
        case State.OCCUPIED:
            why = "nothing is written over: look at it, and remove it or fetch into another directory"
            return fail("inputs.fetch.occupied", seen, why)
        case State.WRONG_BYTES:
            why = "Bazel would refuse it too: the checksum is what was declared"
            return fail("inputs.fetch.wrong-bytes", seen, why)
        case State.UNREACHABLE:
            hint = "from where it is: gfattach inputs fetch --from DIR|URL"
            return fail("inputs.fetch.unreachable", seen, "a build that may not download ends there", hint)
        case State.STOPPED:
            return fail("inputs.fetch.stopped", seen, "what has come is kept")
    return fail("inputs.fetch.failed", seen, "the others were fetched all the same")
