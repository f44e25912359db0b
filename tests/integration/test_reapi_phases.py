"""The phases at the level of the protocol: fill, hit, and hit nothing where the endpoint is withheld."""

import socket
import time
from contextlib import contextmanager

import grpc
import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.errors import RefusedError
from gfattach.proof import protocol
from gfattach.proof.evidence import Client, PhaseName
from gfattach.proof.measure import describe
from gfattach.proof.verdict import Verdict, judge
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.trial.cache_server import CacheServer
from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.faulty_servers import Authority


def soon():
    return Deadline.after(20)


def target(port, scheme="grpc", **options):
    return CacheTarget(Endpoint(scheme, "127.0.0.1", port), **({"may_write": True} | options))


@contextmanager
def over_grpc(tmp_path):
    with reapi() as (port, _):
        yield target(port)


@contextmanager
def over_tls(tmp_path):
    authority = Authority(tmp_path)
    with reapi(credentials=authority.credentials("127.0.0.1")) as (port, _):
        yield target(port, "grpcs", tls=TlsFiles(authority.ca))


@contextmanager
def over_http(tmp_path):
    with faults.http({}) as port:
        yield target(port, "http")


@contextmanager
def over_https(tmp_path):
    authority = Authority(tmp_path)
    with faults.http({}, authority.context("127.0.0.1")) as port:
        yield target(port, "https", tls=TlsFiles(authority.ca))


@contextmanager
def over_a_socket(tmp_path):
    path = tmp_path / "s"
    with reapi(socket=str(path)):
        yield CacheTarget(Endpoint("grpc", "cache.example", 9092), may_write=True, socket=path)


@contextmanager
def embedded(tmp_path):
    server = CacheServer(tmp_path / "cache")
    server.start()
    try:
        yield target(server.port)
    finally:
        server.stop()


@pytest.fixture(
    params=[over_grpc, over_tls, over_http, over_https, over_a_socket, embedded], ids=lambda f: f.__name__
)
def cache(request, tmp_path):
    with request.param(tmp_path) as reached:
        yield reached


def test_what_was_filled_is_hit_and_vanishes_with_the_endpoint(cache):
    before = protocol.hit(cache, soon())
    filled = protocol.fill(cache, soon())
    after = protocol.hit(cache, soon())
    control = protocol.control(cache, soon())
    assert [phase.hits for phase in (before, filled, after, control)] == [0, 0, 1, 0]
    assert [phase.detail["outcome"] for phase in (before, filled, after, control)] == [
        "not found",
        "not found",
        "served",
        "withheld",
    ]
    assert judge(Client.PROTOCOL, [filled, after, control]).verdict is Verdict.PROVED
    assert judge(Client.PROTOCOL, [before]).verdict is Verdict.NOTHING_TO_HIT


def test_a_leg_says_when_what_was_asked_and_what_came(cache):
    moment = time.monotonic()
    protocol.fill(cache, soon())
    phase = protocol.hit(cache, soon())
    assert (phase.client, phase.name, phase.asked, phase.local, phase.warm) == (
        Client.PROTOCOL,
        PhaseName.HIT,
        1,
        0,
        None,
    )
    assert phase.rpcs == {"GetActionResult OK": 1, "Read OK": 1}
    assert moment <= phase.started <= phase.first_hit <= phase.started + phase.seconds <= time.monotonic()
    assert describe(phase).code == "firsthit.hit"


def test_what_is_there_already_is_not_stored_again(cache):
    first, again = protocol.fill(cache, soon()), protocol.fill(cache, soon())
    assert first.rpcs == {"GetActionResult NOT_FOUND": 1, "Write OK": 3, "UpdateActionResult OK": 1}
    assert again.rpcs == {"GetActionResult OK": 1, "Read OK": 1} and again.hits == 1


def test_a_nonce_makes_an_action_that_nobody_has_filled(cache):
    protocol.fill(cache, soon(), "one")
    assert protocol.hit(cache, soon(), "one").hits == 1
    assert protocol.hit(cache, soon(), "two").hits == 0
    assert protocol.hit(cache, soon()).hits == 0


def test_the_probe_action_is_the_same_for_everybody():
    """Whatever changes these digests makes every cache that was filled before a miss."""
    probe = protocol.probe_action()
    assert f"{probe.action.hash}/{probe.action.size}" == (
        "bf2e0aa80ae5a871d5e2a45cab2a4106fc3d0eaf17d7ca0f07ad9e4fb3296efa/138"
    )
    assert protocol.probe_action("x").action != probe.action != protocol.probe_action("y").action
    assert protocol.probe_action("x") == protocol.probe_action("x")


def test_a_reader_fills_nothing_and_asks_nothing():
    with reapi() as (port, state):
        with pytest.raises(RefusedError) as caught:
            protocol.fill(target(port, may_write=False), soon())
        assert caught.value.code == "cache.read-only" and caught.value.hints
        assert not state.calls


def test_a_reader_hits():
    with reapi() as (port, _):
        protocol.fill(target(port), soon())
        assert protocol.hit(target(port, may_write=False), soon()).hits == 1


def test_a_result_whose_output_is_gone_is_no_hit_and_is_mended_by_filling():
    """Evicted blobs are why a build with hits may still build."""
    with reapi() as (port, state):
        protocol.fill(target(port), soon())
        state.blobs.clear()
        gone = protocol.hit(target(port), soon())
        mended = protocol.fill(target(port), soon())
        after = protocol.hit(target(port), soon())
    assert (gone.hits, gone.violations, gone.detail["outcome"]) == (0, (), "output gone")
    assert gone.rpcs == {"GetActionResult OK": 1, "Read NOT_FOUND": 1}
    assert (mended.hits, after.hits) == (0, 1)


def test_an_output_that_was_changed_is_no_hit_and_voids_the_proof():
    with reapi() as (port, state):
        protocol.fill(target(port), soon())
        state.faults.corrupts = True
        phase = protocol.hit(target(port), soon())
    assert phase.hits == 0 and phase.first_hit is None and phase.detail["outcome"] == "output changed"
    assert judge(Client.PROTOCOL, [phase]).verdict is Verdict.VOID


def test_another_result_for_the_probe_action_is_no_hit_and_voids_the_proof():
    with reapi() as (port, state):
        protocol.fill(target(port), soon())
        [result] = state.actions.values()
        result.output_files[0].digest.CopyFrom(protocol.probe_action("other").result.output_files[0].digest)
        phase = protocol.hit(target(port), soon())
    assert phase.hits == 0 and phase.detail["outcome"] == "another result"
    assert judge(Client.PROTOCOL, [phase]).verdict is Verdict.VOID


def test_the_control_never_talks_to_the_cache_and_carries_no_header():
    with reapi() as (port, state):
        protocol.fill(target(port), soon())
        state.calls.clear()
        phase = protocol.control(target(port, headers=(("authorization", "Bearer x"),)), soon())
        assert not state.calls
    assert (phase.name, phase.hits, phase.first_hit) == (PhaseName.CONTROL, 0, None)
    assert phase.rpcs == {"GetActionResult UNAVAILABLE": 1}


def test_a_withheld_endpoint_is_like_the_real_one_and_nobody_else_can_have_it():
    real = Endpoint("grpcs", "cache.example", 443, "/path")
    with protocol.withheld(real) as nowhere:
        assert (nowhere.scheme, nowhere.host, nowhere.path) == ("grpcs", "127.0.0.1", "/path")
        with pytest.raises(OSError), socket.create_server(("127.0.0.1", nowhere.port)):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", nowhere.port))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(grpc.StatusCode.UNAUTHENTICATED, Kind.UNAUTHENTICATED), (grpc.StatusCode.INTERNAL, Kind.OTHER)],
)
def test_a_cache_that_answers_with_an_error_is_an_error_and_no_miss(status, kind):
    with reapi(Faults(failing={"GetActionResult": status})) as (port, _):
        for phase in (protocol.hit, protocol.fill):
            with pytest.raises(ReapiError) as caught:
                phase(target(port), soon())
            assert caught.value.kind is kind


def test_a_cache_that_refuses_to_be_written_to_is_an_error():
    with reapi(Faults(failing={"UpdateActionResult": grpc.StatusCode.PERMISSION_DENIED})) as (port, _):
        with pytest.raises(ReapiError) as caught:
            protocol.fill(target(port), soon())
    assert caught.value.kind is Kind.PERMISSION


def test_a_cache_that_hangs_is_an_error_at_the_deadline():
    with reapi(Faults(slow={"GetActionResult": 60.0})) as (port, _), pytest.raises(ReapiError) as caught:
        protocol.hit(target(port), Deadline.after(0.3))
    assert caught.value.kind is Kind.DEADLINE


def test_instances_do_not_share_what_they_hold():
    with reapi() as (port, _):
        protocol.fill(target(port, instance_name="one"), soon())
        assert protocol.hit(target(port, instance_name="one"), soon()).hits == 1
        assert protocol.hit(target(port, instance_name="two"), soon()).hits == 0
