"""Health asked of real servers, gRPC and HTTP, plain and over TLS, right and wrong."""

import asyncio
import contextlib
import socket
import ssl
import time

import grpc
import pytest

from gfattach.agent.health.check import ANSWER_SECONDS, HealthCheck
from gfattach.agent.model.spec import DirectUpstream, Health
from gfattach.agent.upstream.upstream import DirectRoute
from gfattach.core.deadline import Deadline
from tests.harness.caches.reapi_server import Faults, reapi
from tests.harness.machine import faulty_servers as faults


def ask(port, health, times=1):
    """What the upstream at `port` is found to be, for each of so many questions; "" is well."""

    async def all_of_them():
        route = DirectRoute(DirectUpstream("127.0.0.1", port))

        async def dial():
            return (await route.dial(Deadline.after(ANSWER_SECONDS))).channel

        check = HealthCheck(health, route.authority, dial, lambda: None)
        try:
            return [await check.ask() for _ in range(times)]
        finally:
            check.drop()

    return asyncio.run(all_of_them())


class TestGrpc:
    def test_a_cache_is_well_again_and_again_on_one_connection(self):
        with reapi() as (port, state):
            assert ask(port, Health("grpc"), 5) == [""] * 5
            assert state.calls["GetCapabilities"] == 5

    @pytest.mark.parametrize("status", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED])
    def test_one_that_asks_for_a_token_is_well(self, status):
        with reapi(Faults(failing={"GetCapabilities": status})) as (port, _):
            assert ask(port, Health("grpc"), 3) == [""] * 3

    @pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
    def test_one_that_fails_is_not(self, status):
        with reapi(Faults(failing={"GetCapabilities": status})) as (port, _):
            for said in ask(port, Health("grpc"), 3):
                assert f"gRPC status {status.value[0]}" in said

    def test_a_server_without_the_method_is_not(self):
        with reapi(Faults(without=frozenset({"GetCapabilities"}))) as (port, _):
            assert "gRPC status 12 (unimplemented)" in ask(port, Health("grpc"))[0]

    def test_a_slow_one_is_not_and_the_next_question_is_a_new_one(self):
        with reapi(Faults(slow={"GetCapabilities": 30.0})) as (port, state):
            began = time.monotonic()
            assert "no answer within 2 s" in ask(port, Health("grpc"))[0]
            assert time.monotonic() - began < ANSWER_SECONDS + 5
            state.faults.slow = {}
            assert ask(port, Health("grpc")) == [""]


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path):
        return faults.Authority(tmp_path)

    def health(self, authority, name="cache.example"):
        return Health("grpc", tls=True, server_name=name, ca_file=authority.ca)

    def test_its_name_and_authority_are_checked(self, authority, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        with reapi(credentials=authority.credentials("cache.example")) as (port, _):
            assert ask(port, self.health(authority), 3) == [""] * 3
            assert "mismatch" in ask(port, self.health(authority, "another.example"))[0]
            assert "certificate signature failure" in ask(port, self.health(faults.Authority(other)))[0]

    def test_an_expired_certificate_is_not_well(self, authority):
        with reapi(credentials=authority.credentials("old.example", days=-1)) as (port, _):
            assert "expired" in ask(port, self.health(authority, "old.example"))[0]

    def test_a_server_that_wants_a_certificate_is_alive(self, authority):
        context = authority.context("mutual.example", alpn=("h2",), mutual=True)

        def handshake(connection):
            with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as secured:
                with contextlib.suppress(ssl.SSLError):
                    secured.do_handshake()
                while socket.socket.recv(secured, 65536):
                    pass  # unread bytes would reset the connection, and the alert be lost

        with faults.talking(handshake) as port:
            assert ask(port, self.health(authority, "mutual.example"), 3) == [""] * 3

    def test_one_that_speaks_plainly_is_not_well(self, authority):
        with reapi() as (port, _):
            assert ask(port, self.health(authority))[0]


class TestOther:
    def test_a_port_that_refuses(self):
        with faults.refusing() as port:
            assert "refused" in ask(port, Health("nix"))[0]

    @pytest.mark.parametrize("kind", ["grpc", "http", "nix"])
    @pytest.mark.parametrize(
        "words", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n", bytes(64)]
    )
    def test_whatever_a_server_says_is_an_answer_in_words(self, kind, words):
        with faults.talking(faults.saying(words)) as port:
            assert all(ask(port, Health(kind, "/x"), 3))

    def test_a_connection_that_breaks_between_questions_is_told(self):
        told = []

        async def wait():
            route = DirectRoute(DirectUpstream("127.0.0.1", port))

            async def dial():
                return (await route.dial(Deadline.after(ANSWER_SECONDS))).channel

            check = HealthCheck(Health("grpc"), route.authority, dial, lambda: told.append(time.monotonic()))
            assert await check.ask() == ""
            ended.close()
            while not told:
                await asyncio.sleep(0.01)
            check.drop()

        with contextlib.ExitStack() as ended:
            port, _ = ended.enter_context(reapi())
            asyncio.run(asyncio.wait_for(wait(), 15))
        assert len(told) == 1
