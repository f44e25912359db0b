"""What is held with a forward: its port, the file that follows it, its health, and what sharing it means."""

import os
import socket
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gfattach.agent.control.holder import LINGER_SECONDS
from gfattach.agent.forward.listener import bind_tcp, bind_unix
from gfattach.agent.forward.ports import Ports
from gfattach.agent.launch import supervisor
from gfattach.agent.model.spec import (
    DirectUpstream,
    ForwardSpec,
    GuardedFile,
    Health,
    PodUpstream,
    Registration,
)
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError
from gfattach.trial.nix_server import NixCacheServer
from tests.harness.cluster.agents import SECONDS, Carrier, connect, desk, get, nix, nix_forward, wait_for
from tests.harness.machine.budget import budget
from tests.harness.machine.ports import free_port

__all__ = ["desk", "nix"]

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")


class TestPorts:
    def test_a_port_is_the_same_after_a_new_start(self, desk, nix):
        (first,) = desk.register(nix_forward(nix.port))
        supervisor.stop(desk.directory)
        (again,) = desk.register(nix_forward(nix.port))
        assert (again.port, again.socket_path) == (first.port, first.socket_path)

    def test_a_used_port_that_is_taken_is_an_error_until_the_forward_is_given_up(self, desk, nix):
        (first,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        get(first, "tcp")
        supervisor.stop(desk.directory)
        with socket.create_server(("127.0.0.1", first.port)):
            with pytest.raises(AgentError) as caught:
                desk.register(nix_forward(nix.port))
            assert caught.value.code == "agent.port"
            assert str(first.port) in caught.value.fact
            desk.ensure().unregister(desk.record, Deadline.after(SECONDS))
            (other,) = desk.register(nix_forward(nix.port))
            assert other.port != first.port

    def test_a_port_that_nobody_ever_used_is_replaced(self, desk, nix):
        (first,) = desk.register(nix_forward(nix.port))
        supervisor.stop(desk.directory)
        with socket.create_server(("127.0.0.1", first.port)):
            (other,) = desk.register(nix_forward(nix.port))
        assert other.port != first.port

    def test_a_dead_socket_is_replaced_and_a_living_one_is_not(self, tmp_path):
        path = tmp_path / "one.sock"
        first = bind_unix(path)
        with pytest.raises(AgentError) as caught:
            bind_unix(path)
        assert caught.value.code == "agent.socket"
        first.close()
        assert path.exists()
        bind_unix(path).close()

    def test_damaged_memory_of_ports_is_no_obstacle(self, tmp_path):
        for content in (b"", b"[]", b'{"nix": 5}', b'{"nix": {"port": 99999999, "used": true}}', b"\xff\xfe"):
            (tmp_path / "ports.json").write_bytes(content)
            bind_tcp("nix", "127.0.0.1", Ports(tmp_path, tmp_path)).close()


class TestRegistrations:
    def test_two_forwards_of_one_name_are_refused_and_neither_is_opened(self, desk, nix):
        with pytest.raises(AgentError, match="two forwards have one name"):
            desk.register(nix_forward(nix.port), nix_forward(nix.port + 1))
        assert desk.status().forwards == ()

    def test_a_forward_into_a_cluster_is_refused_by_an_agent_without_one(self, desk):
        spec = ForwardSpec("pods", PodUpstream("nix-cache", "attic", "http"), Health("nix", "/main"))
        with pytest.raises(AgentError) as caught:
            desk.register(spec)
        assert caught.value.code == "agent.no-cluster" and "pods" in caught.value.fact

    def test_a_record_that_is_not_there_is_refused_and_so_is_one_that_is_there_by_chance(self, desk, nix):
        """The agent runs in the root directory, and a relative path is one from wherever somebody else is."""
        for record in (Path("/nonexistent/attachment.json"), desk.record.relative_to("/")):
            wanted = Registration(record, (nix_forward(nix.port),))
            with pytest.raises(AgentError) as caught:
                desk.ensure().register(wanted, Deadline.after(SECONDS))
            assert caught.value.code == "agent.record"
        assert desk.status().forwards == ()


class TestGuard:
    @pytest.fixture
    def guarded(self, desk, nix):
        file = GuardedFile(desk.root / "nix.conf", "nix", "extra-substituters = x\n", "# down\n")
        file.path.write_text(file.full)
        desk.register(nix_forward(nix.port), guarded=(file,))
        desk.wait("up")
        return file

    def test_it_is_emptied_and_restored_with_the_upstream_within_two_seconds(self, guarded, nix):
        for _ in range(2):
            nix.stop()
            assert wait_for(lambda: guarded.path.read_text() == guarded.empty) < budget(2)
            nix.start()
            assert wait_for(lambda: guarded.path.read_text() == guarded.full) < budget(2)
        assert stat.S_IMODE(guarded.path.stat().st_mode) == 0o600

    def test_an_edited_file_is_left_alone(self, guarded, desk, nix):
        guarded.path.write_text("mine\n")
        nix.stop()
        desk.wait("down")
        assert guarded.path.read_text() == "mine\n"

    def test_a_removed_file_stays_removed(self, guarded, desk, nix):
        guarded.path.unlink()
        nix.stop()
        desk.wait("down")
        nix.start()
        desk.wait("up")
        assert not guarded.path.exists()

    @pytest.mark.parametrize("number", [2, 15], ids=["interrupted", "terminated"])
    def test_it_is_emptied_when_the_agent_ends_and_restored_by_the_next(self, guarded, desk, number):
        os.kill(desk.status().pid, number)
        assert wait_for(lambda: guarded.path.read_text() == guarded.empty) < budget(2)
        desk.ensure()
        assert wait_for(lambda: guarded.path.read_text() == guarded.full) < budget(2)

    def test_it_is_emptied_with_its_registration(self, guarded, desk):
        desk.ensure().unregister(desk.record, Deadline.after(SECONDS))
        assert guarded.path.read_text() == guarded.empty

    def test_who_has_read_it_is_served_for_a_moment_longer_and_nobody_after_that(self, guarded, desk):
        """From when the file was written, by its time, to the first connection that is refused."""
        port = desk.forward().port
        with ThreadPoolExecutor(1) as pool:
            ending = pool.submit(desk.ensure().unregister, desk.record, Deadline.after(SECONDS))
            with pytest.raises(ConnectionRefusedError):
                while True:
                    socket.create_connection(("127.0.0.1", port), SECONDS).close()
            refused = time.time()
            ending.result()
        assert guarded.path.read_text() == guarded.empty
        assert refused - guarded.path.stat().st_mtime > 0.9 * LINGER_SECONDS

    def test_one_that_is_wanted_again_meanwhile_leads_where_it_is_to_lead_now(self, guarded, desk, tmp_path):
        """Another attachment has a forward of that name, to another upstream."""
        with NixCacheServer(tmp_path / "other") as other, ThreadPoolExecutor(1) as pool:
            ending = pool.submit(desk.ensure().unregister, desk.record, Deadline.after(SECONDS))
            wait_for(lambda: guarded.path.read_text() == guarded.empty)
            (again,) = desk.register(nix_forward(other.port))
            ending.result()
            desk.wait("up")
            before = other.last_use
            with connect(again, "tcp") as connection:
                connection.sendall(
                    b"GET /none.narinfo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                )
                assert b" 404 " in connection.makefile("rb").read()
            assert other.last_use > before


class TestHealth:
    def test_a_port_that_takes_connections_and_says_nothing_is_down(self, desk):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            desk.register(nix_forward(silent.getsockname()[1]))
            desk.wait("down")
            assert "no answer" in desk.forward().last_error

    def test_another_server_at_the_port_is_down(self, desk, nix):
        upstream = DirectUpstream("127.0.0.1", nix.port)
        desk.register(ForwardSpec("grpc", upstream, Health("grpc")))
        desk.wait("down", "grpc")
        assert "HTTP/2" in desk.forward("grpc").last_error

    def test_one_connection_serves_many_questions(self, desk):
        asked = []

        def count(connection, data):
            asked.append(data)

        carrier = Carrier(count)
        spec = carrier.spec()
        desk.register(spec)
        desk.wait("up", "carrier")
        time.sleep(0.2)
        assert len(carrier._open) == 1
        carrier.close()
        assert desk.wait("down", "carrier") < 3.0  # it is asked every 5 s


class TestStopped:
    def test_after_five_seconds_of_standstill_it_works_on(self, desk, nix):
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        pid = desk.status().pid
        os.kill(pid, 19)
        time.sleep(5)
        os.kill(pid, 18)
        assert b"StoreDir" in get(forward, "tcp")
        desk.wait("up")
        wait_for(lambda: "asleep" in (desk.directory / "agent.log").read_text())


def test_a_forward_that_is_registered_anew_keeps_its_port_and_gets_another_upstream(desk, nix):
    (first,) = desk.register(nix_forward(free_port()))
    desk.wait("down")
    (again,) = desk.register(nix_forward(nix.port))
    assert again.port == first.port
    desk.wait("up")
    assert b"StoreDir" in get(again, "unix")
    assert desk.register() == ()
    assert desk.status().forwards == ()
    assert not again.socket_path.exists()


def test_two_attachments_share_a_forward_until_the_last_is_gone(desk, nix):
    (forward,) = desk.register(nix_forward(nix.port))
    other = desk.root / "other.json"
    other.write_text("{}")
    client = desk.ensure()
    (shared,) = client.register(Registration(other, (nix_forward(nix.port),)), Deadline.after(SECONDS))
    assert shared.port == forward.port
    desk.wait("up")
    desk.record.unlink()
    wait_for(lambda: desk.status().records == (other,))
    assert b"StoreDir" in get(forward, "tcp")
    assert client.unregister(other, Deadline.after(SECONDS))
    assert not client.unregister(other, Deadline.after(SECONDS))
    with pytest.raises(ConnectionRefusedError):
        connect(forward, "tcp")


def test_a_name_means_one_upstream(desk, nix):
    desk.register(nix_forward(nix.port))
    other = desk.root / "other.json"
    other.write_text("{}")
    with pytest.raises(AgentError) as caught:
        desk.ensure().register(Registration(other, (nix_forward(free_port()),)), Deadline.after(SECONDS))
    assert caught.value.code == "agent.conflict"
