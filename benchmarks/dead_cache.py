"""What a build costs beside a cache that is dead, or that takes the token for expired: 300 genrules.

    python -m benchmarks.dead_cache [ROUNDS] [BAZEL]

The token is one that is missing, one that the credential helper hands out and the cache refuses, and one that
has run out by its own claims, which the helper hands out no more. With the fragment that `gfattach up`
writes, on each Bazel of the tests, beside the same build without a cache. Each build is of the whole tree, by
a server that runs. What Bazel needs once a build to see that the cache is away, as a build of one genrule
shows it, is taken off: what is left is paid for each action. A Bazel that ends without its cache, whatever
its options, is named: of it the agent empties the fragment.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, Results
from benchmarks.timing import in_turn, rounds_asked
from gfattach.attach.bazel.token import HELPER_FLAGS
from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.process import Completed
from gfattach.credential.helper import write_helper
from gfattach.fragments import bazelrc
from gfattach.reapi.target import CacheTarget
from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.machine.bazel_failures import refused
from tests.harness.machine.bazels import BAZELS, offline_rc
from tests.harness.machine.credentials import jwt

GENRULES = 300

#: How often the time of the same build without a cache one may take.
LIMIT = 1.5

#: Seconds for one build; without a limit of its own a dead cache has cost a minute.
SECONDS = 600.0

#: How a build ends that was to use a cache and cannot.
_REMOTE_ERROR = 34


#: Whom the token is for; the cache's port stands for a forward to it.
HOST = "cache.example"

#: Tokens of the credential helper that are good no more, by what is so of the build: one that only the cache
#: knows of, and one that says so itself.
HELPED = {
    "an expired token of the credential helper": "expired-as-only-the-cache-knows",
    "a token that the credential helper refuses": jwt(exp=1),
}


@dataclass(frozen=True)
class Cache:
    """A cache at `port`, for which the credential helper has `token`; the default is none at all."""

    port: int | None = None
    token: str = ""


@dataclass(frozen=True)
class Workspace:
    """A workspace of genrules, and a Bazel of which a server runs there."""

    server: Server
    offline: str
    accepted: frozenset[str]

    def goes_on(self, cache: Cache) -> bool:
        """Whether a build goes on with the fragment for `cache`."""
        self.use(cache)
        return self.run("build", "//:g0").returncode != _REMOTE_ERROR

    def build(self, target: str, cache: Cache) -> float:
        """Seconds for all of `target`, none of it built before, with the fragment for `cache`."""
        self.use(cache)
        self.run("clean")
        done = self.run("build", target)
        if not done.good:
            sys.exit(f"bazel build ended with {done.returncode}\n{done.stderr}")
        return done.seconds

    def use(self, cache: Cache) -> None:
        """Have builds read the fragment for `cache`."""
        text = "build --spawn_strategy=local\n" + self.offline
        if cache.port is not None:
            target = CacheTarget(parse_endpoint(f"grpc://127.0.0.1:{cache.port}"))
            names = bazelrc.accepted_names(self.accepted)
            helper = self.helper(cache.token, cache.port) if cache.token else None
            text += bazelrc.render(target, names, on_cache_down="local", credential_helper=helper)
        (self.server.workspace / "rc").write_text(text)

    def helper(self, token: str, port: int) -> Path:
        """gfattach's credential helper as `up` writes it for a forward at `port`, with `token` stored."""
        environ = {**self.server.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
        login = [sys.executable, "-m", "gfattach", "credential", "login", HOST, "--store", "file"]
        subprocess.run(login, input=b"good-until-now", stdout=subprocess.DEVNULL, env=environ, check=True)
        # What has run out is not stored by the command.
        [kept] = Path(environ["HOME"]).rglob("tokens.json")
        kept.write_text(json.dumps({HOST: token}))
        return write_helper(self.server.workspace.parent / f"helper-{port}", HOST, port)

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
        accepted = accepted_flags(
            bazel, flags, work=root / "work", server=server, deadline=Deadline.after(SECONDS)
        )
        yield Workspace(server, offline_rc(bazel), accepted)


def measure(label: str, rounds: int) -> Results:
    """The figures of one Bazel."""
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(tempfile.TemporaryDirectory(prefix="gfattach-bench."))
        made = stack.enter_context(workspace(label, Path(root)))
        dead = int(stack.enter_context(refused()).rpartition(":")[2])
        refusing, _ = stack.enter_context(reapi(Faults(token="another than any build has")))
        caches = {"": Cache(), "a dead cache": Cache(dead), "an expired token": Cache(refusing)}
        if not made.accepted.isdisjoint(bazelrc.CANDIDATE_FLAGS[name] for name in HELPER_FLAGS):
            for name, token in HELPED.items():
                port, _ = stack.enter_context(reapi(Faults(token="another than any build has")))
                caches[name] = Cache(port, token)
        ends = [name for name, cache in caches.items() if not made.goes_on(cache)]
        caches = {name: cache for name, cache in caches.items() if name not in ends}
        commands: dict[str, Callable[[], float]] = {}
        for name, cache in caches.items():
            for target in ("//:all", "//:g0"):
                commands[f"{name} {target}"] = partial(made.build, target, cache)
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
    labels = sys.argv[2:] or list(BAZELS)
    found = [measure(label, rounds) for label in labels]
    figures = [figure for each in found for figure in each.figures]
    return Results(figures, notes=[note for each in found for note in each.notes]).show()


if __name__ == "__main__":
    sys.exit(main())
