"""Waiting for an agent's forwards: it answers at the moment at which they are as they were asked for."""

from __future__ import annotations

import threading
import time

import pytest

from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, Health, Registration
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError
from tests.harness.cluster.agents import desk, nix, nix_forward
from tests.harness.machine.budget import budget
from tests.harness.machine.ports import free_port

__all__ = ["desk", "nix"]

SETTLED = ("up", "down")


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline.after(seconds)


def states(status) -> dict[str, str]:
    return {forward.name: forward.state for forward in status.forwards}


class TestWaiting:
    def test_it_ends_when_each_has_its_first_verdict(self, desk, nix):
        desk.register(nix_forward(nix.port), nix_forward(free_port(), "dead"))
        status = desk.ensure().awaited(("nix", "dead"), SETTLED, 15.0, soon())
        assert states(status) == {"nix": "up", "dead": "down"}

    def test_only_those_that_are_named_are_waited_for(self, desk, nix):
        desk.register(nix_forward(nix.port), nix_forward(free_port(), "dead"))
        assert states(desk.ensure().awaited(["nix"], ["up"], 15.0, soon()))["nix"] == "up"

    def test_it_ends_after_its_time_with_what_is_so_then(self, desk):
        desk.register(nix_forward(free_port(), "dead"))
        began = time.monotonic()
        status = desk.ensure().awaited(["dead"], ["up"], 0.3, soon())
        assert 0.25 < time.monotonic() - began < budget(5.0)
        assert states(status)["dead"] == "down"

    def test_what_nobody_holds_is_not_waited_for(self, desk, nix):
        desk.register(nix_forward(nix.port))
        began = time.monotonic()
        desk.ensure().awaited(["other"], ["up"], 15.0, soon())
        assert time.monotonic() - began < budget(5.0)

    def test_it_ends_when_the_forward_is_given_up(self, desk, nix):
        other = desk.root / "other.json"
        other.write_text("{}")
        dead = ForwardSpec("dead", DirectUpstream("127.0.0.1", free_port()), Health("nix"))
        client = desk.ensure()
        desk.register(nix_forward(nix.port))
        client.register(Registration(other, (dead,)), soon())
        began = time.monotonic()
        later = threading.Timer(0.3, client.unregister, [other, soon()])
        later.start()
        status = client.awaited(["dead"], ["up"], 15.0, soon())
        later.join()
        assert time.monotonic() - began < budget(5.0)
        assert "dead" not in states(status)

    def test_the_others_are_answered_meanwhile(self, desk):
        desk.register(nix_forward(free_port(), "dead"))
        client = desk.ensure()
        waiting = threading.Thread(target=client.awaited, args=(["dead"], ["up"], 15.0, soon()))
        waiting.start()
        began = time.monotonic()
        client.status(soon())
        assert time.monotonic() - began < budget(5.0)
        assert waiting.is_alive()
        desk.register()
        waiting.join()

    def test_a_request_that_says_no_time_is_refused(self, desk):
        with pytest.raises(AgentError) as caught:
            desk.ensure().awaited(["x"], ["up"], "long", soon())
        assert caught.value.code == "agent.request"
