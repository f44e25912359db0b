"""Who is at the other end of a connection: by netlink, and by the kernel's table where that is not had."""

from __future__ import annotations

import os
import socket

import pytest

from gfattach.core.peer import inet_diag, peer, tcp_table


def _unsupported(*_):
    raise inet_diag.Unsupported("made so")


def _knows_nothing(*_):
    return None


@pytest.mark.skipif(not peer.TCP_PEERS_KNOWN, reason="this system does not tell whose a TCP socket is")
class TestPeer:
    @pytest.fixture(autouse=True, params=["netlink", "no netlink", "netlink without TCP"])
    def source(self, request, monkeypatch):
        """Where the answer comes from: the tests below hold whichever it is."""
        if request.param == "netlink":
            try:
                inet_diag.find(("127.0.0.1", 1), ("127.0.0.1", 2))
            except inet_diag.Unsupported as error:
                pytest.skip(f"this kernel does not answer by netlink: {error}")
            monkeypatch.setattr(tcp_table, "find", lambda *_: pytest.fail("the table was read"))
        else:
            lacks = _unsupported if request.param == "no netlink" else _knows_nothing
            monkeypatch.setattr(inet_diag, "find", lacks)

    @pytest.fixture
    def pair(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            accepted, _ = server.accept()
            with client, accepted:
                yield client, accepted

    def test_this_user_is_known(self, pair):
        client, accepted = pair
        assert peer.owner(client.getsockname(), accepted.getsockname()) == os.geteuid()
        assert not peer.abandoned(accepted)

    def test_who_has_stopped_sending_is_there_and_who_has_closed_is_not(self, pair):
        client, accepted = pair
        client.shutdown(socket.SHUT_WR)
        assert not peer.abandoned(accepted)
        client.close()
        assert peer.abandoned(accepted)

    def test_a_closed_socket_is_nobodys_although_the_kernel_says_roots(self, pair):
        client, accepted = pair
        ours, theirs = accepted.getsockname(), accepted.getpeername()
        client.sendall(b"a request")
        client.close()
        assert peer.owner(theirs, ours) is None

    def test_an_ipv6_client_is_known(self):
        try:
            server = socket.create_server(("::1", 0), family=socket.AF_INET6)
        except OSError:
            pytest.skip("this machine has no IPv6 on loopback")
        with server, socket.create_connection(server.getsockname()[:2]) as client:
            accepted, _ = server.accept()
            with accepted:
                assert peer.owner(client.getsockname()[:2], accepted.getsockname()[:2]) == os.geteuid()

    def test_a_client_that_speaks_ipv4_over_an_ipv6_socket_is_known(self):
        with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET6) as client:
            try:
                client.connect(("::ffff:127.0.0.1", server.getsockname()[1]))
            except OSError:
                pytest.skip("this machine has no IPv6")
            accepted, theirs = server.accept()
            with accepted:
                assert peer.owner(theirs, accepted.getsockname()) == os.geteuid()

    def test_a_listener_at_the_clients_port_is_not_the_client(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            assert peer.owner(server.getsockname(), ("127.0.0.1", 9)) is None

    def test_the_owner_and_root_are_trusted_and_nobody_else(self):
        assert peer.trusted(os.geteuid())
        assert peer.trusted(0)
        assert not peer.trusted(os.geteuid() + 1)
        assert not peer.trusted(None)

    def test_root_is_trusted_by_others_and_does_not_trust_them(self, monkeypatch):
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert [peer.trusted(uid) for uid in (0, 1000, 1001)] == [True, True, False]
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert [peer.trusted(uid) for uid in (0, 1000)] == [True, False]
