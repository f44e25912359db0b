"""What a build costs beside a cache that is dead, or that takes the token for expired: 300 genrules.

    python -m benchmarks.dead_cache [ROUNDS]

With the fragment that `gfattach up` writes, on each Bazel of the tests, beside the same build without a
cache. Each build is of the whole tree, by a server that runs. What Bazel needs once a build to see that the
cache is away, as a build of one genrule shows it, is taken off: what is left is paid for each action. A Bazel
that ends without its cache, whatever its options, is named: of it the agent empties the fragment.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, Results
from benchmarks.timing import in_turn, rounds_asked
from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.process import Completed
from gfattach.fragments import bazelrc
from gfattach.reapi.target import CacheTarget
from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.machine.bazel_failures import refused
from tests.harness.machine.bazels import BAZELS, offline_rc

GENRULES = 300

#: How often the time of the same build without a cache one may take.
LIMIT = 1.5

#: Seconds for one build; without a limit of its own a dead cache has cost a minute.
SECONDS = 600.0

#: How a build ends that was to use a cache and cannot.
_REMOTE_ERROR = 34


@dataclass(frozen=True)
class Workspace:
    """A workspace of genrules, and a Bazel of which a server runs there."""

    server: Server
    offline: str
    accepted: frozenset[str]

    def goes_on(self, port: int | None) -> bool:
        """Whether a build goes on with the fragment for the cache at `port`."""
        self.use(port)
        return self.run("build", "//:g0").returncode != _REMOTE_ERROR

    def build(self, target: str, port: int | None) -> float:
        """Seconds for all of `target`, none of it built before, with the fragment for the cache at `port`."""
        self.use(port)
        self.run("clean")
        done = self.run("build", target)
        if not done.good:
            sys.exit(f"bazel build ended with {done.returncode}\n{done.stderr}")
        return done.seconds

    def use(self, port: int | None) -> None:
        """Have builds read the fragment for the cache at `port`; None for no cache."""
        text = "build --spawn_strategy=local\n" + self.offline
        if port is not None:
            cache = CacheTarget(parse_endpoint(f"grpc://127.0.0.1:{port}"))
            names = bazelrc.accepted_names(self.accepted)
            text += bazelrc.render(cache, names, on_cache_down="local")
        (self.server.workspace / "rc").write_text(text)

    def run(self, command: str, *words: str) -> Completed:
        return self.server.run(command, words, Deadline.after(SECONDS))


@contextlib.contextmanager
def workspace(label: str, root: Path) -> Iterator[Workspace]:
    bazel = BAZELS[label]()
    place = root / "workspace"
    place.mkdir(parents=True)
    for marker in ("WORKSPACE", "MODULE.bazel", "rc"):
        (place / marker).touch()
    rules = (f'genrule(name="g{n}", outs=["g{n}.txt"], cmd="echo {n} > $@")\n' for n in range(GENRULES))
    (place / "BUILD").write_text("".join(rules))
    with Server(bazel, place, root / "work", "dead-cache", rc=[place / "rc"]) as server:
        flags = (*bazelrc.CANDIDATE_FLAGS.values(), *WITHOUT_MODULES)
        accepted = accepted_flags(bazel, flags, work=root / "work", server=server)
        yield Workspace(server, offline_rc(bazel), accepted)


def measure(label: str, rounds: int) -> Results:
    """The figures of one Bazel."""
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="gfattach-bench."))
        made = stack.enter_context(workspace(label, Path(root)))
        dead = int(stack.enter_context(refused()).rpartition(":")[2])
        refusing, _ = stack.enter_context(reapi(Faults(token="another than any build has")))
        caches = {"": None, "a dead cache": dead, "an expired token": refusing}
        ends = [name for name, port in caches.items() if not made.goes_on(port)]
        caches = {name: port for name, port in caches.items() if name not in ends}
        commands: dict[str, Callable[[], float]] = {}
        for name, port in caches.items():
            for target in ("//:all", "//:g0"):
                commands[f"{name} {target}"] = partial(made.build, target, port)
        times = in_turn(commands, rounds)
    results = Results(notes=[f"{label} ends beside {name}: the agent empties its fragment" for name in ends])
    for name in [name for name in caches if name]:
        at_once = zip(times[f"{name} //:g0"], times[" //:g0"], strict=True)
        starts = [max(0.0, with_it - without) for with_it, without in at_once]
        actions = [taken - start for taken, start in zip(times[f"{name} //:all"], starts, strict=True)]
        words = f"{label}: {GENRULES} genrules beside {name}"
        results.figures.append(Figure(words, actions, "s", times[" //:all"], LIMIT))
        results.figures.append(Figure(f"{label}: once a build, beside {name}", starts, "s"))
    return results


def main() -> int:
    rounds = rounds_asked(3)
    found = [measure(label, rounds) for label in BAZELS]
    figures = [figure for each in found for figure in each.figures]
    return Results(figures, notes=[note for each in found for note in each.notes]).show()


if __name__ == "__main__":
    sys.exit(main())
