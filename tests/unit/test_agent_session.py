"""The agent's one connection to its cluster: when it is resolved, and when it is left alone."""

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from gfattach.agent.upstream.session import ClusterSession
from gfattach.cluster.connection import ClusterConnection, ClusterRef
from gfattach.cluster.kubeconfig import resolve as resolving
from gfattach.cluster.kubeconfig.exec_cache import ExecCredential
from gfattach.core.errors import ClusterError

REFUSED = ClusterError("401", code="cluster.api.unauthorized")
UNREACHABLE = ClusterError("no answer", code="cluster.dial.silent")


class Resolver:
    """Stands where a kubeconfig is read and a plugin is run."""

    def __init__(self):
        self.calls = []
        self.answer = lambda: ClusterConnection("h", 6443, "ns")

    def resolve(self, ref, deadline, environ=None, options=None):
        self.calls.append(options.anew)
        self.environ, self.handed = environ, options.handed
        return self.answer()


@pytest.fixture
def resolver(monkeypatch):
    made = Resolver()
    monkeypatch.setattr(resolving, "resolve", made.resolve)
    return made


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config"
    path.write_text("one")
    return path


def session(file):
    return ClusterSession(ClusterRef((file,), "c"))


def test_it_is_resolved_once_for_all_who_ask_at_once(resolver, file):
    async def run():
        held = session(file)
        found = await asyncio.gather(*(held.connection() for _ in range(5)))
        assert len({id(each) for each in found}) == 1

    asyncio.run(run())
    assert resolver.calls == [False]


def test_a_credential_about_to_expire_is_renewed(resolver, file):
    async def run():
        held = session(file)
        soon = datetime.now(UTC) + timedelta(seconds=0.2)
        resolver.answer = lambda: ClusterConnection("h", 6443, "ns", expires=soon)
        await held.connection()
        time.sleep(0.15)
        resolver.answer = lambda: ClusterConnection("h", 6443, "ns")
        assert (await held.connection()).expires is None

    asyncio.run(run())
    assert resolver.calls == [False, False]


def test_a_refused_credential_is_fetched_anew_at_once_and_then_not_in_haste(resolver, file):
    async def run():
        held = session(file)
        assert held.failed(await held.connection(), REFUSED)
        second = await held.connection()
        assert not held.failed(second, REFUSED)
        with pytest.raises(ClusterError, match="401"):
            await held.connection()

    asyncio.run(run())
    assert resolver.calls == [False, True]


def test_two_who_are_refused_together_fetch_one(resolver, file):
    async def run():
        held = session(file)
        used = await held.connection()
        assert held.failed(used, REFUSED)
        assert held.failed(used, REFUSED)
        fresh = await held.connection()
        assert held.failed(used, REFUSED)
        assert await held.connection() is fresh

    asyncio.run(run())
    assert resolver.calls == [False, True]


def test_once_it_worked_the_next_refusal_is_a_first_one(resolver, file):
    async def run():
        held = session(file)
        for _ in range(3):
            assert held.failed(await held.connection(), REFUSED)
            await held.connection()
            held.worked()

    asyncio.run(run())
    assert len(resolver.calls) == 4


def test_a_cluster_that_is_away_runs_no_plugin(resolver, file):
    async def run():
        held = session(file)
        for _ in range(5):
            assert not held.failed(await held.connection(), UNREACHABLE)

    asyncio.run(run())
    assert len(resolver.calls) == 1


def test_a_kubeconfig_that_was_changed_is_read_anew(resolver, file):
    async def run():
        held = session(file)
        used = await held.connection()
        file.write_text("another")
        assert held.failed(used, UNREACHABLE)
        await held.connection()

    asyncio.run(run())
    assert len(resolver.calls) == 2


def test_what_cannot_be_resolved_is_tried_less_and_less_often_unless_the_file_changes(resolver, file):
    def fail():
        raise ClusterError("plugin exited 3", code="cluster.credential.plugin")

    async def run():
        held = session(file)
        resolver.answer = fail
        for _ in range(5):
            with pytest.raises(ClusterError, match="plugin exited 3"):
                await held.connection()
        assert len(resolver.calls) == 1
        file.write_text("mended")
        resolver.answer = lambda: ClusterConnection("h", 6443, "ns")
        await held.connection()

    asyncio.run(run())
    assert resolver.calls == [False, True]


def test_a_slow_plugin_serves_whoever_comes_later(resolver, file):
    ready = threading.Event()

    def slow():
        assert ready.wait(10)
        return ClusterConnection("h", 6443, "ns")

    async def run():
        held = session(file)
        resolver.answer = slow
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(held.connection(), 0.05)
        ready.set()
        assert await asyncio.wait_for(held.connection(), 5)

    asyncio.run(run())
    assert len(resolver.calls) == 1


FORBIDDEN = ClusterError("may not", code="cluster.forward.forbidden")


def renewable(**options):
    return ClusterConnection("h", 6443, "ns", renewable=True, **options)


def test_a_right_that_is_missing_is_asked_for_once_more_with_a_fresh_credential(resolver, file):
    async def run():
        held = session(file)
        resolver.answer = renewable
        assert held.failed(await held.connection(), FORBIDDEN)
        assert not held.failed(await held.connection(), FORBIDDEN)
        assert not held.failed(await held.connection(), FORBIDDEN)

    asyncio.run(run())
    assert resolver.calls == [False, True]


def test_a_credential_that_no_plugin_hands_out_is_not_asked_for_again_for_want_of_a_right(resolver, file):
    async def run():
        held = session(file)
        assert not held.failed(await held.connection(), FORBIDDEN)

    asyncio.run(run())
    assert resolver.calls == [False]


class TestAdopting:
    """What a command has just used with success is what the agent uses from then on."""

    @pytest.mark.parametrize("handed", [ExecCredential("t"), None])
    def test_what_had_failed_is_forgotten_and_what_is_adopted_is_used_at_once(self, resolver, file, handed):
        def fail():
            raise ClusterError("exited with 254: expired", code="cluster.credential.plugin-failed")

        async def run():
            held = session(file)
            resolver.answer = fail
            for _ in range(3):
                with pytest.raises(ClusterError):
                    await held.connection()
            held.adopt({"AWS_SESSION_TOKEN": "good"}, handed)
            resolver.answer = lambda: ClusterConnection("h", 6443, "ns")
            await held.connection()

        asyncio.run(run())
        assert resolver.calls == [False, False]
        assert (resolver.environ, resolver.handed) == ({"AWS_SESSION_TOKEN": "good"}, handed)

    def test_who_waits_for_a_plugin_of_the_environment_before_gets_what_the_new_one_comes_to(
        self, resolver, file
    ):
        released = threading.Event()
        good = ClusterConnection("good", 6443, "ns")

        def slow():
            assert released.wait(20)
            return ClusterConnection("old", 6443, "ns")

        async def run():
            held = session(file)
            resolver.answer = slow
            waiting = asyncio.create_task(held.connection())
            while not resolver.calls:
                await asyncio.sleep(0.01)
            resolver.answer = lambda: good
            held.adopt({"A": "b"}, None)
            assert await asyncio.wait_for(waiting, 20) is good
            released.set()
            await asyncio.sleep(0.1)
            assert await held.connection() is good

        asyncio.run(run())

    def test_the_same_once_more_changes_nothing(self, resolver, file):
        async def run():
            held = session(file)
            held.adopt({"A": "b"}, ExecCredential("t"))
            first = await held.connection()
            held.adopt({"A": "b"}, ExecCredential("t"))
            assert await held.connection() is first

        asyncio.run(run())
        assert len(resolver.calls) == 1


def test_everything_is_resolved_anew_when_the_file_of_the_authorities_was_written_anew(
    resolver, file, tmp_path
):
    """As of a service account, or of a k3s: the kubeconfig that names it stays as it is."""
    authority = tmp_path / "ca.crt"
    authority.write_text("one")
    resolver.answer = lambda: ClusterConnection("h", 6443, "ns", authority_file=authority)

    async def run():
        held = session(file)
        first = await held.connection()
        assert not held.failed(first, UNREACHABLE)
        authority.write_text("another")
        assert held.failed(first, UNREACHABLE)
        second = await held.connection()
        assert not held.failed(second, UNREACHABLE)

    asyncio.run(run())
    assert resolver.calls == [False, False]
