"""Which phases of Bazel are worth their time."""

from gfattach.attach.bazel.client import BazelMeasures
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.engine import Run
from gfattach.proof.evidence import Client, Phase, PhaseName
from gfattach.proof.measure import Measurement
from gfattach.reapi.target import CacheTarget

TARGET = CacheTarget(parse_endpoint("grpc://127.0.0.1:1"))


class Counted:
    """Phases of a Bazel that serves `hits` of 20 from the cache, and how often it was asked."""

    def __init__(self, hits):
        self.hits = hits
        self.asked = 0

    def hit(self, deadline, *, warm):
        self.asked += 1
        return Phase(Client.BAZEL, PhaseName.HIT, 0.0, 1.0, 20, self.hits, 20 - self.hits, warm=warm)


def test_a_warm_server_is_measured_where_a_cold_one_was_served():
    for hits, times in ((20, 2), (1, 2), (0, 1)):
        phases, measurement = Counted(hits), Measurement(Run())
        measurement.measure(
            "hit",
            "ask the cache for it",
            lambda progress, phases=phases: phases.hit(None, warm=False),  # type: ignore[misc]
        )
        BazelMeasures(TARGET, phases, measurement).hit_again(warm=True)  # type: ignore[arg-type]
        assert (hits, phases.asked) == (hits, times)
