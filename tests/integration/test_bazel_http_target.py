"""The user's own targets and a cache that is spoken to over HTTP, of whose calls Bazel keeps no log."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.proof.bazel.phases import measure_target
from gfattach.proof.evidence import Phase
from gfattach.proof.measure import describe
from gfattach.proof.verdict import Verdict, judge
from gfattach.reapi.target import CacheTarget
from tests.harness.caches.bazel_caches import http_cache
from tests.harness.machine.bazel_failures import refused
from tests.harness.machine.bazels import BAZELS, BUILD_SECONDS, newest, offline_rc
from tests.harness.programs.upstream import VERSION as UPSTREAM_VERSION

pytestmark = pytest.mark.bazel

#: Tags that keep an action from a remote cache.
TAGS = ("no-cache", "no-remote", "no-remote-cache", "local")

_RULE = 'genrule(name = "{0}", outs = ["{0}.txt"], cmd = "echo {0} > $@", tags = [{1}])\n'


@dataclass
class Project:
    """A workspace of one genrule that may be cached, and one for each tag that keeps it from caches."""

    bazel: Bazel
    root: Path
    url: str
    asked: list[str]
    environ: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("workspace", "home"):
            (self.root / name).mkdir()
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(self.root / "home"), "USER": "dev"}
        (self.root / "home/.bazelrc").write_text(offline_rc(self.bazel))
        self.workspace = self.root / "workspace"
        for marker in ("WORKSPACE", "MODULE.bazel"):
            (self.workspace / marker).touch()
        rules = [_RULE.format("plain", "")] + [_RULE.format(f"kept-{tag}", f'"{tag}"') for tag in self.tags]
        (self.workspace / "BUILD").write_text("".join(rules))

    @property
    def tags(self) -> tuple[str, ...]:
        """Those of TAGS that this Bazel's execution log tells: 2.1.0's does not tell one of them."""
        return tuple(
            tag for tag in TAGS if self.bazel.version != UPSTREAM_VERSION or tag != "no-remote-cache"
        )

    def fill(self) -> None:
        """Store what may be stored, as a lane that may write."""
        with Server(self.bazel, self.workspace, self.root / "work", "fill", environ=self.environ) as server:
            words = ["//:all", f"--remote_cache={self.url}", "--remote_upload_local_results"]
            done = server.run("build", words, Deadline.after(BUILD_SECONDS))
            assert done.good, done.stderr

    def measure(self, *labels: str, url: str = "") -> Phase:
        return measure_target(
            self.bazel,
            self.workspace,
            labels,
            (),
            CacheTarget(parse_endpoint(url or self.url)),
            work=self.root / "work",
            deadline=Deadline.after(BUILD_SECONDS),
            flag_cache=self.root / "flags.json",
            environ=self.environ,
        )


#: The oldest, whose execution log tells less, and the newest.
_ENDS = {label: BAZELS[label] for label in (next(iter(BAZELS)), list(BAZELS)[-1])}


@pytest.fixture(scope="module", params=list(_ENDS.values()), ids=list(_ENDS))
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    make: Callable[[], Bazel] = request.param
    asked: list[str] = []
    with http_cache(asked) as url:
        made = Project(make(), tmp_path_factory.mktemp("project"), url, asked)
        made.fill()
        yield made


def test_what_a_tag_keeps_from_caches_is_no_miss(project: Project) -> None:
    """Counted is what the server was asked for, and Bazel's own word on what it served."""
    project.asked.clear()
    phase = project.measure("//:all")
    actions = {path for path in project.asked if path.startswith("/ac/")}
    assert phase.violations == ()
    assert (phase.asked, phase.hits, len(actions)) == (1, 1, 1)
    assert phase.detail["never_asked"] == len(project.tags)
    assert judge(phase.client, [phase]).verdict is Verdict.PROVED
    assert f"{len(project.tags)} that may not be cached ran here" in describe(phase).seen


def test_targets_that_never_ask_a_cache_are_named_as_such(tmp_path: Path) -> None:
    asked: list[str] = []
    with http_cache(asked) as url:
        phase = Project(newest(), tmp_path, url, asked).measure("//:kept-no-cache")
    assert (phase.asked, phase.hits, asked) == (0, 0, [])
    verdict = judge(phase.client, [phase])
    assert verdict.verdict is Verdict.NOTHING_TO_HIT
    assert verdict.reason == "no action of these targets may be cached: 1 action ran here without a question"


def test_a_cache_that_bazel_could_not_read_from_is_not_an_empty_one(tmp_path: Path) -> None:
    """Bazel goes on without it and ends with 0: what it warned of is the answer."""
    with refused() as endpoint:
        url = f"http://{endpoint.rpartition('/')[2]}"
        phase = Project(newest(), tmp_path, url, []).measure("//:plain")
    [violation] = phase.violations
    assert violation.startswith(f"not attached: Bazel could not use {url}: Connection refused")
    assert judge(phase.client, [phase]).verdict is Verdict.VOID
