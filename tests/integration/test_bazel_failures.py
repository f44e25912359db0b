"""What each Bazel does with the fragment when the cache fails: builds go on, and cost what they cost without.

Real Bazels, each with one server for all; the caches fail over sockets. No duration is held to anything: what
Bazel asked, and what it built, says it.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.process import Completed
from gfattach.fragments import bazelrc
from gfattach.probes.bazel.compression import COMPRESSION_FLAGS, judge_compression
from gfattach.probes.bazel.fallback import judge_fallback
from gfattach.reapi.target import CacheTarget
from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.machine.bazels import BAZELS, BUILD_SECONDS, offline_rc

pytestmark = pytest.mark.bazel

GENRULES = 12

#: The project's own rc has what real ones have: a downloader, lines for test, an instance.
PROJECT_RC = """
build --experimental_remote_downloader=grpc://127.0.0.1:1
build --remote_cache=grpc://127.0.0.1:1
build --remote_instance_name=projects/other
test --remote_upload_local_results
build --spawn_strategy=local
"""


#: What a project's downloader needs said where there is no cache.
DOWNLOADER = "--experimental_remote_downloader="


@dataclass
class Bed:
    """One Bazel, a workspace, and the flags that it knows."""

    bazel: Bazel
    label: str
    server: Server
    accepted: frozenset[str]

    def fragment(self, port: int, mode: bazelrc.OnCacheDown = "local", zstd: bool = False) -> None:
        """Have builds read the fragment for the cache at `port`, behind the project's own rc."""
        target = CacheTarget(parse_endpoint(f"grpc://127.0.0.1:{port}"))
        names = bazelrc.accepted_names(self.accepted)
        self.write_rc(bazelrc.render(target, names, on_cache_down=mode, zstd=zstd))

    def write_rc(self, text: str) -> None:
        own = PROJECT_RC
        if DOWNLOADER not in self.accepted:
            own = own.replace("build --experimental_remote_downloader=grpc://127.0.0.1:1\n", "")
        (self.server.workspace / "rc").write_text(own + offline_rc(self.bazel) + text)

    @property
    def quiet(self) -> list[str]:
        return [DOWNLOADER] if DOWNLOADER in self.accepted else []

    def run(self, command: str, *words: str) -> Completed:
        return self.server.run(command, words, Deadline.after(BUILD_SECONDS))

    def add(self, name: str, of: str) -> str:
        """One more target, which needs the output `of`; its label."""
        with (self.server.workspace / "BUILD").open("a") as file:
            file.write(f'genrule(name="{name}", srcs=["{of}"], outs=["{name}.txt"], cmd="cat $< > $@")\n')
        return f"//:{name}"


@pytest.fixture(scope="module", params=BAZELS)
def bed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    bazel = BAZELS[request.param]()
    root = tmp_path_factory.mktemp("bed")
    workspace = root / "workspace"
    workspace.mkdir()
    for marker in ("WORKSPACE", "MODULE.bazel", "rc"):
        (workspace / marker).touch()
    rules = [f'genrule(name="g{n}", outs=["g{n}.txt"], cmd="echo {n} > $@")\n' for n in range(GENRULES)]
    outs = [f"g{n}.txt" for n in range(GENRULES)]
    rules.append(f'filegroup(name="all_g", srcs={json.dumps(outs)})\n')
    rules.append('genrule(name="dep", srcs=["g0.txt"], outs=["dep.txt"], cmd="cat $< > $@")\n')
    (workspace / "BUILD").write_text("".join(rules))
    with Server(bazel, workspace, root / "work", "bed", rc=[workspace / "rc"]) as server:
        assert server.run("help", [], Deadline.after(BUILD_SECONDS)).good  # started, on a busy machine too
        flags = (*bazelrc.CANDIDATE_FLAGS.values(), *COMPRESSION_FLAGS, *WITHOUT_MODULES)
        kept = root / "work/flags.json"
        accepted = accepted_flags(bazel, flags, work=root / "work", cache=kept, server=server)
        yield Bed(bazel, request.param, server, accepted)


def fill(bed: Bed, port: int) -> None:
    bed.fragment(port)
    done = bed.run("build", "--remote_upload_local_results", "//:all_g", "//:dep")
    assert done.good, done.stderr
    bed.run("clean")


def test_a_result_whose_blobs_are_gone_is_built_here(bed: Bed) -> None:
    faults = Faults()
    with reapi(faults) as (port, _):
        fill(bed, port)
        faults.forgets = True
        done = bed.run("build", "//:dep")
    assert done.good, done.stderr


def test_a_tree_of_hits_goes_on_when_the_cache_dies_and_when_another_comes(bed: Bed) -> None:
    """Outputs that stayed in the cache end every later build (39) with a Bazel from 7 on."""
    with reapi() as (port, _):
        fill(bed, port)
        assert bed.run("build", "//:dep").good
    died = bed.run("build", bed.add("later", "g0.txt"))
    if not judge(bed)["local"]:  # what the agent puts in the fragment's place then
        assert not died.good
        bed.write_rc(bazelrc.away("local"))
        died = bed.run("build", "--remote_cache=", *bed.quiet, "//:later")
    assert died.good, died.stderr
    with reapi() as (port, _):
        bed.fragment(port)
        done = bed.run("build", bed.add("other", "g0.txt"), bed.add("third", "dep.txt"))
    assert done.good, done.stderr


def judge(bed: Bed) -> dict[str, bool]:
    work = bed.server.workspace.parent / "work"
    found = judge_fallback(bed.bazel, work, work / "flags.json", Deadline.after(BUILD_SECONDS))
    assert found.code in ("bazel.fallback.tried", "bazel.fallback.before"), found
    return {name: bool(found.data[name]) for name in ("local", "fail")}


def test_what_it_does_without_its_cache_is_found_by_trying(bed: Bed) -> None:
    assert judge(bed) == {
        "upstream-2.1.0": {"local": False, "fail": True},
        "debian-4.2.3": {"local": True, "fail": True},
    }.get(bed.label, {"local": True, "fail": False})


def test_what_stands_in_the_fragments_place_ends_builds_and_nothing_else(bed: Bed) -> None:
    """Of a Bazel that cannot be told to fail without its cache."""
    (bed.server.workspace / "rc").write_text(
        offline_rc(bed.bazel) + "build --spawn_strategy=local\n" + bazelrc.away("fail")
    )
    ended = bed.run("build", "//:g1")
    assert not ended.good and "the-cache-is-down:gfattach-status" in ended.stderr
    for command, *words in (["info", "workspace"], ["clean"], ["query", "//:g1"], ["cquery", "//:g1"]):
        done = bed.run(command, *words)
        assert done.good, done.stderr


#: Every command, with what makes it end by itself. Those that a Bazel lacks end before and after alike.
COMMANDS: dict[str, list[str]] = {
    "analyze-profile": ["{profile}"],
    "aquery": ["//:g1"],
    "build": ["//:g1"],
    "canonicalize-flags": ["--", "--jobs=4"],
    "clean": [],
    "config": [],
    "coverage": ["--build_tests_only", "//:g1"],
    "cquery": ["//:g1"],
    "dump": ["--packages"],
    "fetch": ["//:g1"],
    "help": ["build"],
    "info": ["workspace"],
    "license": [],
    "mobile-install": ["--nobuild", "//:g1"],
    "mod": ["graph"],
    "modquery": ["graph"],
    "print_action": ["//:g1"],
    "query": ["//:g1"],
    "run": ["--script_path={script}", "//:g1"],
    "sync": ["--only=nothing"],
    "test": ["--build_tests_only", "//:g1"],
    "vendor": ["--vendor_dir={vendor}", "--repo=@nothing"],
    "version": [],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_worked_before_the_attach_works_after_it(bed: Bed, command: str) -> None:
    """With the rc of a project that has a cache and a downloader of its own; the attached cache is dead."""
    root = bed.server.workspace.parent
    room = {"profile": root / "none.gz", "script": root / "script", "vendor": root / "vendor"}
    words = [word.format(**room) for word in COMMANDS[command]]
    bed.write_rc("build --remote_local_fallback\nbuild --remote_retries=0\n")
    before = bed.run(command, *words)
    with socket.socket() as refusing:
        refusing.bind(("127.0.0.1", 0))
        bed.fragment(refusing.getsockname()[1])
        after = bed.run(command, *words)
    assert after.returncode in (0, before.returncode), f"before: {before.stderr}\nafter: {after.stderr}"


def test_compression_is_asked_for_only_where_it_works(bed: Bed) -> None:
    """Debian's 7.7.1 knows the flag and lacks zstd's library: a build would end with 39 at its first hit."""
    work = bed.server.workspace.parent / "work"
    found = judge_compression(bed.bazel, True, work, work / "flags.json", Deadline.after(BUILD_SECONDS))
    expected = {"upstream-2.1.0": "none", "debian-4.2.3": "none"}
    assert found.code == f"bazel.compression.{expected.get(bed.label, 'lacking')}", found


def test_no_line_of_a_project_for_test_uploads(bed: Bed) -> None:
    with reapi() as (port, state):
        bed.fragment(port)
        bed.run("test", "--nobuild_tests_only", bed.add("fresh", "g2.txt"))
        if state.calls["GetActionResult"] == 0:
            bed.run("clean")
            bed.run("test", "//:fresh")
    assert state.calls["GetCapabilities"] > 0
    assert not state.calls["UpdateActionResult"] and not state.calls["Write"]
