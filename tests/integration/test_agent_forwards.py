"""Forwards over real sockets to real caches: both ways in, who may use them, and a dead upstream."""

import asyncio
import contextlib
import hashlib
import os
import socket
import stat
import struct
import threading
import time
from pathlib import Path

import pytest

from gfattach.agent.forward.clients import HOLD_SECONDS
from gfattach.agent.forward.listener import Listener, bind_unix
from gfattach.agent.launch import supervisor
from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, Health
from gfattach.core.deadline import Deadline
from gfattach.core.errors import AgentError
from gfattach.trial import supervisor as trial
from tests.harness.caches.trial_clients import Client
from tests.harness.cluster.agents import (
    SECONDS,
    Carrier,
    as_another_user,
    connect,
    desk,
    drain,
    get,
    nix,
    nix_forward,
    wait_for,
)
from tests.harness.machine.budget import budget

__all__ = ["desk", "nix"]

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")


__all__ = ["desk", "nix"]

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")

ROUTES = ("tcp", "unix")
BOTH = pytest.mark.parametrize("route", ROUTES)


class TestWaysIn:
    @BOTH
    def test_a_real_binary_cache_answers_through_both(self, desk, nix, route):
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        assert b"StoreDir: /nix/store" in get(forward, route)
        held = desk.forward()
        assert held.total_connections == 1
        assert held.bytes_sent > 0
        assert held.bytes_received > 0

    def test_a_real_grpc_cache_is_up_and_answers(self, desk):
        state = trial.start(desk.root / "trial", deadline=Deadline.after(SECONDS))
        try:
            upstream = DirectUpstream("127.0.0.1", state.cache_endpoint.port)
            (forward,) = desk.register(ForwardSpec("grpc", upstream, Health("grpc")))
            desk.wait("up", "grpc")
            client = Client(forward.port)
            try:
                assert client.capabilities().cache_capabilities.digest_functions
            finally:
                client.channel.close()
        finally:
            trial.stop(desk.root / "trial")
        assert desk.wait("down", "grpc") < 3.0  # by its connection: it is asked every 5 s

    def test_sockets_are_private_whatever_the_umask_is(self, desk, nix):
        for mask in (0o000, 0o077):
            before = os.umask(mask)
            try:
                (forward,) = desk.register(nix_forward(nix.port))
            finally:
                os.umask(before)
            for path in [*desk.directory.iterdir(), forward.socket_path]:
                assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            assert stat.S_IMODE(desk.directory.stat().st_mode) == 0o700
            supervisor.stop(desk.directory)

    def test_a_path_too_long_for_a_socket_is_stood_in_for_by_a_short_one(self, desk, nix):
        desk.directory = desk.root / ("long" * 30) / "agent"
        (forward,) = desk.register(nix_forward(nix.port))
        assert len(os.fsencode(forward.socket_path)) < 104
        assert stat.S_IMODE(forward.socket_path.parent.stat().st_mode) == 0o700
        desk.wait("up")
        assert b"StoreDir" in get(forward, "unix")
        supervisor.stop(desk.directory)
        assert not forward.socket_path.parent.exists()

    def test_a_megabyte_each_way_arrives_whole_on_many_connections_at_once(self, desk):
        def echo(connection, data):
            while data:
                connection.sendall(data)
                data = connection.recv(1 << 16)

        carrier = Carrier(echo)
        (forward,) = desk.register(carrier.spec())
        desk.wait("up", "carrier")
        content = os.urandom(1 << 20)
        failures = []

        def one(route):
            try:
                with connect(forward, route) as connection:
                    sender = threading.Thread(
                        target=lambda: (connection.sendall(content), connection.shutdown(socket.SHUT_WR))
                    )
                    sender.start()
                    got = drain(connection)
                    sender.join(SECONDS)
                    assert hashlib.sha256(got).digest() == hashlib.sha256(content).digest()
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=one, args=(ROUTES[i % 2],)) for i in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS)
        assert failures == []
        wait_for(lambda: desk.forward("carrier").open_connections == 0)
        assert desk.forward("carrier").bytes_sent == 16 << 20
        assert desk.forward("carrier").bytes_received == 16 << 20
        carrier.close()

    def test_a_forward_that_only_watches_has_no_way_in(self, desk, nix):
        (forward,) = desk.register(nix_forward(nix.port, listen=False))
        assert (forward.port, forward.socket_path) == (None, None)
        desk.wait("up")

    def test_only_loopback_is_listened_on(self, desk, nix):
        with pytest.raises(AgentError) as caught:
            desk.register(nix_forward(nix.port, address="0.0.0.0"))
        assert caught.value.code == "agent.address"


class TestDown:
    @BOTH
    def test_a_connection_is_refused_at_once_and_taken_again_when_it_is_back(self, desk, nix, route):
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        nix.stop()
        desk.wait("down")
        began = time.monotonic()
        with pytest.raises(OSError):
            assert get(forward, route) == b"never"
        assert time.monotonic() - began < HOLD_SECONDS / 2
        assert desk.forward().refused == 1
        assert "refused" in desk.forward().last_error
        nix.start()
        desk.wait("up")
        assert b"StoreDir" in get(forward, route)

    def test_a_cut_in_the_middle_is_an_error_and_never_a_short_answer(self, desk):
        cut = threading.Event()

        def half(connection, data):
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + bytes(100_000))
            cut.wait(SECONDS)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        carrier = Carrier(half)
        (forward,) = desk.register(carrier.spec())
        desk.wait("up", "carrier")
        with connect(forward, "tcp") as connection:
            connection.sendall(b"GET /large HTTP/1.0\r\n\r\n")
            assert connection.recv(1000)
            cut.set()
            with pytest.raises(ConnectionResetError):
                drain(connection)
        carrier.close()
        assert desk.wait("down", "carrier") < budget(3.0)

    def test_a_client_is_held_while_its_upstream_is_away_for_a_moment(self, desk):
        """The port refuses for a while, before health has said so: the connection is not lost."""
        served = []

        def client_hello(connection, data):
            served.append(data)
            connection.sendall(b"hello")

        carrier = Carrier(client_hello)
        (forward,) = desk.register(carrier.spec())
        desk.wait("up", "carrier")
        # Connections that came while it was up are held; stop the agent so that it cannot learn of the end.
        pid = desk.status().pid
        os.kill(pid, 19)
        with connect(forward, "tcp") as connection:
            carrier.close()
            os.kill(pid, 18)
            connection.sendall(b"hi")
            time.sleep(0.3)
            again = Carrier(client_hello, carrier.port)
            assert drain(connection) == b"hello"
        assert served == [b"hi"]
        again.close()


class TestStrangers:
    CLIENT = (
        "import socket,sys\n"
        "c=socket.create_connection(('127.0.0.1',int(sys.argv[1])),5)\n"
        "c.sendall(b'GET /nix-cache-info HTTP/1.0\\r\\n\\r\\n')\n"
        "{ending}"
    )

    @pytest.mark.parametrize(
        ("ending", "counted"),
        [("print(c.recv(100))", 10), ("c.close()", 0)],
        ids=["waits", "is gone before it is looked up"],
    )
    def test_another_user_is_turned_away_at_the_port(self, desk, nix, ending, counted):
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        if not os.access("/usr/bin/python3", os.X_OK):
            pytest.skip("needs a Python that every user can run: apt install python3")
        for _ in range(10):
            done = as_another_user(
                "/usr/bin/python3", "-c", self.CLIENT.format(ending=ending), str(forward.port)
            )
            assert b"StoreDir" not in done.stdout
        wait_for(lambda: desk.forward().rejected_peers >= counted)
        assert desk.forward().total_connections == 0
        assert b"StoreDir" in get(forward, "tcp")

    def test_a_client_that_only_looks_whether_the_port_is_open_is_no_rejected_peer(self, desk, nix):
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        for _ in range(10):
            socket.create_connection((forward.address, forward.port), 5).close()
        assert b"StoreDir" in get(forward, "tcp")
        assert desk.forward().rejected_peers == 0

    def test_another_user_is_turned_away_at_a_socket_that_its_modes_would_let_through(self, tmp_path):
        if not os.access("/usr/bin/python3", os.X_OK):
            pytest.skip("needs a Python that every user can run: apt install python3")
        place = Path(f"/tmp/gfattach-test-{os.getpid()}")
        place.mkdir(mode=0o755)
        path = place / "open.sock"
        script = f"import socket;c=socket.socket(socket.AF_UNIX);c.connect({str(path)!r});print(c.recv(9))"

        async def listen():
            accepted = []
            listener = Listener(bind_unix(path), lambda connection: (accepted.append(1), connection.close()))  # type: ignore[arg-type]
            path.chmod(0o666)
            await asyncio.to_thread(as_another_user, "/usr/bin/python3", "-c", script)
            assert (listener.rejected_peers, accepted) == (1, [])
            with socket.socket(socket.AF_UNIX) as own:
                own.connect(str(path))
                await asyncio.sleep(0.05)
            assert (listener.rejected_peers, accepted) == (1, [1])
            listener.close()

        try:
            asyncio.run(listen())
        finally:
            path.unlink(missing_ok=True)
            place.rmdir()

    def test_a_client_of_ipv6_sockets_that_speaks_ipv4_is_known(self, desk, nix):
        (forward,) = desk.register(nix_forward(nix.port))
        desk.wait("up")
        with socket.socket(socket.AF_INET6) as connection:
            connection.connect((f"::ffff:{forward.address}", forward.port))
            connection.sendall(b"GET /nix-cache-info HTTP/1.0\r\n\r\n")
            assert b"StoreDir" in drain(connection)
        assert desk.forward().rejected_peers == 0


def test_many_connections_that_come_and_go_leave_nothing(desk, nix):
    (forward,) = desk.register(nix_forward(nix.port))
    desk.wait("up")
    pid = desk.status().pid
    before = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    for number in range(200):
        with contextlib.suppress(OSError), connect(forward, ROUTES[number % 2]) as connection:
            if number % 3:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sendall(b"GET /nix-cache-info HTTP/1.0\r\n\r\n")
    wait_for(lambda: desk.forward().open_connections == 0)
    wait_for(lambda: len(list(Path(f"/proc/{pid}/fd").iterdir())) <= before + 2)
    assert b"StoreDir" in get(forward, "tcp")
