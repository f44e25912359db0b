"""The first hit with real Bazels: what one stored another hits, and withheld it is gone.

Servers are costly to start, so each Bazel goes through its phases once, and the tests look at
what was measured.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gfattach.bazel.probe_workspace import ACTIONS
from gfattach.bazel.program.binary import Bazel
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint, parse_endpoint
from gfattach.proof.bazel.phases import BazelPhases
from gfattach.proof.evidence import Phase, PhaseName
from gfattach.proof.verdict import Verdict, judge
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.trial.cache_server import CacheServer
from tests.harness.caches.bazel_caches import http_cache, make_certificate, tls_socket
from tests.harness.machine.bazels import BAZELS, BUILD_SECONDS, debian, upstream

pytestmark = pytest.mark.bazel

NONCE = "0123456789abcdef"


def deadline() -> Deadline:
    return Deadline.after(BUILD_SECONDS)


@dataclass
class Proof:
    """One Bazel's phases, in the order in which they ran, and what was there when they had."""

    bazel: Bazel
    cache: CacheServer
    flags: Path
    fill: Phase
    warm: Phase
    control: Phase
    elsewhere: Phase
    left_behind: list[Path]

    @property
    def phases(self) -> list[Phase]:
        return [self.fill, self.warm, self.control, self.elsewhere]


def target_of(cache: CacheServer, *, may_write: bool = False) -> CacheTarget:
    return CacheTarget(Endpoint("grpc", "127.0.0.1", cache.port), may_write=may_write)


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each Bazel said of its flags: asked once."""
    return tmp_path_factory.mktemp("flags") / "flags.json"


@pytest.fixture(scope="module", params=BAZELS)
def proof(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, flags: Path
) -> Iterator[Proof]:
    bazel = BAZELS[request.param]()
    root = tmp_path_factory.mktemp("proof")
    cache = CacheServer(root / "cache")
    cache.start()
    try:
        writing = target_of(cache, may_write=True)
        with BazelPhases(bazel, writing, root / "here", nonce=NONCE, flag_cache=flags) as phases:
            fill = phases.fill(deadline())
            warm = phases.hit(deadline(), warm=True)
            control = phases.control(deadline())
        left_behind = [p for name in ("bases", "phase") for p in (root / "here" / name).iterdir()]
        elsewhere = _hit_elsewhere(bazel, cache, root, flags)
        yield Proof(bazel, cache, flags, fill, warm, control, elsewhere, left_behind)
    finally:
        cache.stop()


def _hit_elsewhere(bazel: Bazel, cache: CacheServer, root: Path, flags: Path) -> Phase:
    """A cold hit as on another machine: other directories, another user, another PATH."""
    other = root / "another" / "place"
    tools = root / "tools"
    tools.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        patch.setenv("HOME", str(root / "nobody"))
        patch.setenv("USER", "somebody-else")
        patch.setenv("CC", "/opt/cc")
        patch.setenv("LANG", "tr_TR.UTF-8")
        with BazelPhases(bazel, target_of(cache), other, nonce=NONCE, flag_cache=flags) as phases:
            return phases.hit(deadline())


def test_nothing_is_hit_before_it_was_stored(proof: Proof) -> None:
    assert (proof.fill.asked, proof.fill.hits, proof.fill.local) == (ACTIONS, 0, ACTIONS)
    assert proof.fill.rpcs["UpdateActionResult OK"] == ACTIONS


def test_what_was_stored_is_hit_by_a_warm_server(proof: Proof) -> None:
    assert proof.warm.warm is True
    assert proof.warm.hits >= 0.95 * ACTIONS
    assert proof.warm.local == ACTIONS - proof.warm.hits


def test_what_was_stored_is_hit_by_a_cold_server_of_another_user_in_another_place(proof: Proof) -> None:
    """The keys depend on nothing of the machine: not on HOME, user, PATH, environment or directories."""
    assert proof.elsewhere.warm is False
    assert proof.elsewhere.hits == ACTIONS
    assert proof.elsewhere.detail["actions"] == proof.fill.detail["actions"]


def test_a_leg_that_reads_stores_nothing(proof: Proof) -> None:
    for phase in (proof.warm, proof.elsewhere):
        assert not [call for call in phase.rpcs if call.startswith(("Update", "Write", "BatchUpdate"))]


def test_with_the_endpoint_withheld_everything_is_built_here(proof: Proof) -> None:
    assert (proof.control.hits, proof.control.local, proof.control.asked) == (0, ACTIONS, ACTIONS)
    assert proof.control.first_hit is None
    assert proof.control.detail["withheld"] in ("a port that refuses", "no endpoint")


def test_nothing_voids_the_legs_and_together_they_prove(proof: Proof) -> None:
    assert [phase.violations for phase in proof.phases] == [()] * len(proof.phases)
    assert judge(proof.fill.client, proof.phases).verdict is Verdict.PROVED


def test_the_first_hit_lies_within_its_leg(proof: Proof) -> None:
    for phase in (proof.warm, proof.elsewhere):
        assert phase.first_hit is not None
        assert phase.started < phase.first_hit < phase.started + phase.seconds
        assert phase.started + phase.seconds < time.monotonic()


def test_the_evidence_names_bazel_its_actions_and_its_own_count(proof: Proof) -> None:
    detail = proof.warm.record(proof.fill.started)
    assert detail["bazel"] == proof.bazel.label
    assert len(detail["actions"]) == ACTIONS
    assert f"{ACTIONS} remote cache hit" in detail["processes"]
    assert detail["exit_code"] == 0


def test_no_server_no_output_base_and_no_event_file_is_left_behind(proof: Proof) -> None:
    assert proof.left_behind == []


def test_a_cache_that_nobody_filled_is_asked_and_hits_nothing(proof: Proof, tmp_path: Path) -> None:
    """And a port where nothing listens is no cache: the phase is void, and ends at once."""
    gone = CacheTarget(parse_endpoint("grpc://127.0.0.1:1"))
    empty = target_of(proof.cache)
    with BazelPhases(proof.bazel, empty, tmp_path / "w", nonce="f00d", flag_cache=proof.flags) as phases:
        phase = phases.hit(deadline())
        assert (phase.asked, phase.hits, phase.first_hit, phase.violations) == (ACTIONS, 0, None, ())
        assert judge(phase.client, [phase]).verdict is Verdict.NOTHING_TO_HIT
    with BazelPhases(proof.bazel, gone, tmp_path / "w", flag_cache=proof.flags) as phases:
        phase = phases.hit(deadline(), warm=True)
        assert phase.name is PhaseName.HIT and phase.hits == 0
        assert phase.violations[0].startswith("not attached: grpc://127.0.0.1:1")
        builds_on = int((proof.bazel.version or "0").partition(".")[0]) >= 7  # without its cache
        assert (phase.detail["exit_code"] == 0) is builds_on


def test_an_http_cache_is_proved_by_bazels_own_count(tmp_path: Path, flags: Path) -> None:
    bazel = debian()
    with http_cache() as url:
        target = CacheTarget(parse_endpoint(url), may_write=True)
        with BazelPhases(bazel, target, tmp_path / "w", nonce=NONCE, flag_cache=flags) as phases:
            fill = phases.fill(deadline())
            hit = phases.hit(deadline(), warm=True)
            control = phases.control(deadline())
    assert (fill.hits, hit.hits, control.hits) == (0, ACTIONS, 0)
    assert judge(hit.client, [fill, hit, control]).verdict is Verdict.PROVED
    assert hit.rpcs == {} and "no log of calls" in hit.detail["source"]
    assert hit.first_hit is not None and hit.started < hit.first_hit <= hit.started + hit.seconds


def test_tls_through_a_unix_socket_keeps_the_real_name(tmp_path: Path, flags: Path) -> None:
    """`cache.invalid` resolves nowhere; its certificate is verified, and a wrong one is refused."""
    bazel = upstream()
    certificate, key = make_certificate(tmp_path, "cache.invalid")
    cache = CacheServer(tmp_path / "cache")
    cache.start()
    try:
        with tls_socket(tmp_path / "s", cache.port, certificate, key) as path:

            def target(name: str) -> CacheTarget:
                endpoint = Endpoint("grpcs", name, 9092)
                return CacheTarget(endpoint, may_write=True, tls=TlsFiles(certificate), socket=path)

            with BazelPhases(
                bazel, target("cache.invalid"), tmp_path / "w", nonce=NONCE, flag_cache=flags
            ) as phases:
                assert phases.fill(deadline()).violations == ()
                hit = phases.hit(deadline(), warm=True)
                assert (hit.hits, hit.violations) == (ACTIONS, ())
            with BazelPhases(
                bazel, target("other.invalid"), tmp_path / "w", nonce=NONCE, flag_cache=flags
            ) as phases:
                assert phases.hit(deadline(), warm=True).violations[0].startswith("not attached")
    finally:
        cache.stop()
