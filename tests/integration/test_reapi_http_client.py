"""The HTTP client of a cache, over real sockets: where it asks, what it takes, how it fails."""

import time

import pytest

from gfattach.core.deadline import Deadline
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import Kind
from tests.harness.caches.reapi_requests import ACTION, CONTENT, LARGE, RESULT, failing_with, http_at, soon
from tests.harness.machine import faulty_servers as faults

# over HTTP


def test_over_http_a_result_and_a_blob_are_where_bazel_looks_for_them():
    heard = []
    with faults.http({}, heard=heard) as port, http_at(port, path="/bazel") as cache:
        assert cache.get_action_result(ACTION, soon()) is None
        cache.update_action_result(ACTION, RESULT, soon())
        assert cache.get_action_result(ACTION, soon()) == RESULT
        cache.write(LARGE, soon())
        assert cache.read(Digest.of(LARGE), soon()) == LARGE
    action, blob = f"/bazel/ac/{ACTION.hash}", f"/bazel/cas/{Digest.of(LARGE).hash}"
    asked = [(method, path) for method, path, _ in heard]
    assert asked == [("GET", action), ("PUT", action), ("GET", action), ("PUT", blob), ("GET", blob)]


def test_over_http_the_instance_name_stands_before_the_key_and_not_before_the_status():
    heard = []
    status = {"/status": (200, "application/json", b'{"CurrSize": 5}')}
    with faults.http(status, heard=heard) as port, http_at(port, instance_name="team/one") as cache:
        cache.get_action_result(ACTION, soon())
        assert cache.status(soon()) == {"CurrSize": 5}
    assert [path for _, path, _ in heard] == [f"/team/one/ac/{ACTION.hash}", "/status"]


def test_over_http_headers_go_with_every_call():
    heard = []
    with (
        faults.http({}, heard=heard) as port,
        http_at(port, headers=(("Authorization", "Bearer x"),)) as cache,
    ):
        cache.get_action_result(ACTION, soon())
        cache.write(CONTENT, soon())
    assert [word for _, _, word in heard] == ["Bearer x", "Bearer x"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, Kind.OTHER),
        (400, Kind.INVALID),
        (401, Kind.UNAUTHENTICATED),
        (403, Kind.PERMISSION),
        (405, Kind.UNIMPLEMENTED),
        (407, Kind.UNAUTHENTICATED),
        (413, Kind.EXHAUSTED),
        (418, Kind.OTHER),
        (429, Kind.EXHAUSTED),
        (500, Kind.OTHER),
        (502, Kind.UNAVAILABLE),
        (503, Kind.UNAVAILABLE),
        (504, Kind.DEADLINE),
        (507, Kind.EXHAUSTED),
    ],
)
def test_over_http_a_status_becomes_an_error_of_its_kind(status, kind):
    with faults.http({"*": (status, "text/plain", b"no")}) as port, http_at(port) as cache:
        with failing_with(kind) as caught:
            cache.get_action_result(ACTION, soon())
    assert f"HTTP {status}" in caught.value.fact


def test_over_http_a_redirect_is_not_followed_because_bazel_does_not():
    heard = []
    with (
        faults.http({}, heard=heard) as elsewhere,
        faults.http(
            {"*": (307, "text/plain", b"")}, headers={"Location": f"http://127.0.0.1:{elsewhere}/"}
        ) as port,
        http_at(port) as cache,
        failing_with(Kind.OTHER),
    ):
        cache.get_action_result(ACTION, soon())
    assert not heard


@pytest.mark.parametrize("page", [b"<html>log in</html>", b"{}", b"\xff\xff\xff"])
def test_over_http_what_is_no_action_result_is_not_taken_for_one(page):
    with (
        faults.http({"*": (200, "text/html", page)}) as port,
        http_at(port) as cache,
        failing_with(Kind.OTHER),
    ):
        cache.get_action_result(ACTION, soon())


def test_over_http_content_that_is_not_what_its_digest_says_is_corrupt():
    with (
        faults.http({"*": (200, "application/octet-stream", b"else")}) as port,
        http_at(port) as cache,
        failing_with(Kind.CORRUPT),
    ):
        cache.read(Digest.of(CONTENT), soon())


def test_over_http_a_blob_that_is_not_there_is_not_found():
    with faults.http({}) as port, http_at(port) as cache, failing_with(Kind.NOT_FOUND):
        cache.read(Digest.of(CONTENT), soon())


@pytest.mark.parametrize("page", [b"not json", b"[1]"])
def test_over_http_a_page_that_is_no_status_is_none(page):
    with faults.http({"/status": (200, "application/json", page)}) as port, http_at(port) as cache:
        assert cache.status(soon()) is None


def test_over_http_a_silent_server_is_left_at_the_deadline():
    with faults.talking(faults.silent) as port, http_at(port) as cache, failing_with(Kind.DEADLINE):
        cache.get_action_result(ACTION, Deadline.after(0.3))


def test_over_http_an_answer_that_drips_is_left_at_the_deadline():
    """Each byte comes in time, and the whole never does."""

    def drip(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            connection.sendall(b"x")
            time.sleep(0.05)

    with faults.talking(drip) as port, http_at(port) as cache, failing_with(Kind.DEADLINE):
        cache.get_action_result(ACTION, Deadline.after(0.5))


def test_over_http_an_answer_without_end_is_cut_off():
    def flood(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n")
        while True:
            connection.sendall(bytes(1024 * 1024))

    with faults.talking(flood) as port, http_at(port) as cache, failing_with(Kind.EXHAUSTED):
        cache.get_action_result(ACTION, soon())


def test_over_http_a_port_that_refuses_is_unavailable():
    with faults.refusing() as port, http_at(port) as cache, failing_with(Kind.UNAVAILABLE):
        cache.get_action_result(ACTION, soon())


def test_over_http_a_unix_socket_leads_to_the_endpoint(tmp_path):
    path = tmp_path / "s"

    def answer(connection):
        request = connection.recv(65536)
        assert b"Host: cache.example:8080\r\n" in request
        connection.sendall(b"HTTP/1.1 404 no\r\nContent-Length: 0\r\n\r\n")

    with faults.talking(answer, path), http_at(8080, host="cache.example", socket=path) as cache:
        assert cache.get_action_result(ACTION, soon()) is None
