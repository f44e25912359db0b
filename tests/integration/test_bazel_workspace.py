"""Real Bazels on a user's own workspace, and what they say of themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gfattach.bazel.capabilities.flags import accepted_flags
from gfattach.bazel.options.preflight import effective_options
from gfattach.bazel.probe_workspace import ACTIONS, LABEL, write_probe
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.core.errors import BazelError, RefusedError
from gfattach.core.finding import Status
from gfattach.probes.bazel.stage import STAGE, BazelSubject
from gfattach.proof.bazel.options import ProofOptions
from gfattach.proof.bazel.phases import measure_target
from gfattach.proof.evidence import Phase
from gfattach.reapi.target import CacheTarget
from gfattach.trial.cache_server import CacheServer
from tests.harness.machine.bazels import BAZELS, BUILD_SECONDS, debian, offline_rc

pytestmark = pytest.mark.bazel

#: Unknown to both, or known to one: 4.2.3 has client certificates, 2.1.0 does not yet.
FLAGS = ("--remote_retries=1", "--credential_helper=x", "--tls_client_certificate=x", "--remote_timeout=soon")


def deadline() -> Deadline:
    return Deadline.after(BUILD_SECONDS)


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each Bazel said of its flags: asked once."""
    return tmp_path_factory.mktemp("flags") / "flags.json"


@dataclass
class Home:
    """A user with a workspace whose rc uploads, and keeps a disk cache that holds everything."""

    bazel: Bazel
    workspace: Path
    environ: Mapping[str, str]
    work: Path
    flags: Path
    files: set[str]

    def measure(self, cache: CacheServer) -> Phase:
        target = CacheTarget(Endpoint("grpc", "127.0.0.1", cache.port))
        return measure_target(
            self.bazel,
            self.workspace,
            [LABEL],
            [],
            target,
            work=self.work,
            deadline=deadline(),
            flag_cache=self.flags,
            environ=self.environ,
        )


@pytest.fixture(scope="module", params=BAZELS)
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, flags: Path) -> Home:
    bazel = BAZELS[request.param]()
    root = tmp_path_factory.mktemp("home")
    workspace = write_probe(root / "workspace").directory
    environ = {"PATH": os.environ["PATH"], "HOME": str(root), "USER": "dev"}
    rc = f"""
build --disk_cache={root / "disk"}
build --config=upload
build:upload --remote_upload_local_results
build --remote_cache=grpc://127.0.0.1:1
startup --output_user_root={root / "root"}
{offline_rc(bazel)}"""
    (workspace / ".bazelrc").write_text(rc)
    files = {path.name for path in workspace.iterdir()}
    return Home(bazel, workspace, environ, root / "work", flags, files)


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CacheServer, CacheServer]]:
    """One that stays empty, and one that is filled."""
    root = tmp_path_factory.mktemp("caches")
    made = CacheServer(root / "empty"), CacheServer(root / "full")
    for cache in made:
        cache.start()
    yield made
    for cache in made:
        cache.stop()


@pytest.fixture(scope="module")
def measured(home: Home, caches: tuple[CacheServer, CacheServer]) -> tuple[Phase, Phase]:
    """What each cache serves of a target that the user has built, into the disk cache and the full one."""
    empty, full = caches
    with Server(home.bazel, home.workspace, home.work, "own", environ=home.environ) as own:
        for options in (
            ["--remote_cache="],
            ["--disk_cache=", f"--remote_cache=grpc://127.0.0.1:{full.port}"],
        ):
            built = own.run("build", ["--symlink_prefix=/", *options, LABEL], deadline())
            assert built.good, built.stderr
            own.run("clean", ["--remote_cache="], deadline())
    return home.measure(empty), home.measure(full)


def test_a_disk_cache_in_the_users_rc_is_never_counted_as_a_hit(measured: tuple[Phase, Phase]) -> None:
    """The disk cache holds everything, the remote one nothing: all is built, nothing is hit."""
    cold, _ = measured
    assert (cold.asked, cold.hits, cold.local, cold.violations) == (ACTIONS, 0, ACTIONS, ())


def test_what_the_cache_holds_of_a_users_target_is_counted(measured: tuple[Phase, Phase]) -> None:
    _, filled = measured
    assert (filled.hits, filled.local, filled.violations) == (ACTIONS, 0, ())
    assert filled.first_hit is not None
    assert filled.detail["targets"] == [LABEL]


def test_a_measurement_uploads_nothing_although_the_rc_says_so(measured: tuple[Phase, Phase]) -> None:
    calls = [call for phase in measured for call in phase.rpcs]
    assert not [call for call in calls if call.startswith(("Update", "Write", "BatchUpdate"))]


def test_a_measurement_leaves_the_workspace_as_it_was(home: Home, measured: tuple[Phase, Phase]) -> None:
    assert {path.name for path in home.workspace.iterdir()} == home.files


def test_an_executor_in_the_users_rc_is_refused_before_anything_is_built(
    home: Home, caches: tuple[CacheServer, CacheServer]
) -> None:
    """Also from within a config within a config."""
    rc = home.workspace / ".bazelrc"
    plain = rc.read_text()
    rc.write_text(plain + "build --config=a\nbuild:a --config=b\nbuild:b --remote_executor=grpc://farm:1\n")
    try:
        with pytest.raises(RefusedError) as caught:
            home.measure(caches[0])
    finally:
        rc.write_text(plain)
    assert "--remote_executor=grpc://farm:1" in caught.value.fact


def test_rc_files_that_bazel_does_not_take_are_named_as_the_cause(home: Home) -> None:
    rc = home.workspace / ".bazelrc"
    plain = rc.read_text()
    rc.write_text(plain + "build --no_such_flag\n")
    try:
        with Server(home.bazel, home.workspace, home.work, "rc", environ=home.environ) as server:
            with pytest.raises(BazelError) as caught:
                effective_options(server, home.work / "phase", deadline())
            rc.write_text(plain)
            options = effective_options(server, home.work / "phase", deadline())
    finally:
        rc.write_text(plain)
    assert caught.value.code == "bazel.rc" and "no_such_flag" in caught.value.hints[0]
    assert options.effective("remote_cache") == "grpc://127.0.0.1:1"
    assert options.effective("remote_upload_local_results") in ("1", "true")
    assert options.effective("nobuild") is None and options.effective("remote_executor") is None


@pytest.mark.parametrize(("name", "known"), [("debian-4.2.3", {0, 2}), ("upstream-2.1.0", {0})])
def test_the_flags_that_each_bazel_knows(name: str, known: set[int], tmp_path: Path, flags: Path) -> None:
    """A flag with a value that it does not take is not one that it accepts."""
    accepted = accepted_flags(BAZELS[name](), FLAGS, work=tmp_path, cache=flags)
    assert accepted == {FLAGS[n] for n in known}


def test_debians_bazel_is_recognised_and_its_silent_crash_explained(tmp_path: Path) -> None:
    """It has no label, no natives, and on TLS no word on the console (exit 37)."""
    bazel = debian()
    if bazel.native_transport:
        pytest.skip("this Bazel has netty's natives: use Debian's bazel-bootstrap 4.2.3")
    assert bazel.version is None and "--trust_install_base" in bazel.startup
    probe = write_probe(tmp_path / "probe")
    with (
        Server(bazel, probe.directory, tmp_path / "work", "crash") as server,
        pytest.raises(BazelError) as caught,
    ):
        server.run("build", ["--remote_cache=grpcs://127.0.0.1:1", LABEL], deadline())
    assert caught.value.code == "bazel.crashed"
    assert "ALPN" in caught.value.hints[0]


def test_the_stage_finds_a_real_bazel_well(tmp_path: Path) -> None:
    """And leaves what the proof wants to know of its flags where the proof looks for it."""
    bazel = debian()
    cache = tmp_path / "flags.json"
    subject = BazelSubject(str(bazel.path), None, tmp_path / "work", FLAGS, cache, dict(os.environ))
    found = Run().stage(STAGE, subject).findings
    assert [finding.status for finding in found.values()] == [Status.OK] * len(STAGE.probes)
    assert found["bazel.starts"].code == "bazel.starts.ok"
    assert "--credential_helper=x" in found["bazel.flags"].data["refused"]
    again = accepted_flags(
        bazel, ProofOptions.candidates(), work=tmp_path / "unused", cache=cache, deadline=Deadline.after(0)
    )
    assert "--remote_retries=1" in again
    assert not (tmp_path / "unused").exists()
