"""The client of a binary cache against real sockets: what it sends where, and when it gives up."""

import bz2
import gzip
import lzma
import shutil
import socket
import subprocess
import time

import pytest
from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import parse_endpoint
from gfattach.nixcache.client import NixCache
from gfattach.nixcache.errors import Kind, NixCacheError
from gfattach.nixcache.nar import hash_of
from gfattach.nixcache.target import SubstituterTarget
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.budget import budget
from tests.harness.substituters.binary_caches import (
    ARCHIVE,
    INFO,
    PROBE,
    SIGNED,
    answer,
    described,
    hang,
    hang_up,
    probe_info,
    publishing,
    redirect,
    serving,
    signed_info,
)

SECRET = (("Authorization", "Bearer s3cret"),)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return faults.Authority(tmp_path_factory.mktemp("authority"))


def cache_at(port, scheme="http", environ=None, path="", **target):
    endpoint = parse_endpoint(f"{scheme}://127.0.0.1:{port}{path}")
    return NixCache(SubstituterTarget(endpoint, **target), {} if environ is None else environ)


def soon(seconds=20.0):
    return Deadline.after(seconds)


def failure(call):
    with pytest.raises(NixCacheError) as error:
        call()
    return error.value


@pytest.mark.parametrize("status", [404, 410])
def test_a_path_that_a_server_says_it_has_not_got_or_not_any_more_is_none(status):
    with serving({"*": answer(b"no such path", status)}) as port, cache_at(port) as cache:
        assert cache.narinfo(PROBE, soon()) is None


@pytest.mark.parametrize("status", [400, 403, 409, 500])
def test_any_other_refusal_is_no_word_on_the_path(status):
    with serving({"*": answer(b"no", status)}) as port, cache_at(port) as cache:
        assert failure(lambda: cache.narinfo(PROBE, soon())).status == status


def test_a_good_cache_is_read_whole():
    infos = probe_info(), signed_info()
    with serving(publishing(*infos)) as port, cache_at(port) as cache:
        assert cache.cache_info(soon()).value.priority == 30
        for info in infos:
            answered = cache.narinfo(info.store_path, soon())
            assert answered.value == info
            fetched = cache.nar(info, soon())
            assert (fetched.value.nar_hash, fetched.value.nar_size) == (info.nar_hash, info.nar_size)
            assert (fetched.value.file_hash, fetched.value.file_size) == (info.file_hash, info.file_size)
            assert fetched.hops == (f"http://127.0.0.1:{port}/{info.url}",)
        assert cache.narinfo(replace(PROBE, digest="0" * 32), soon()) is None


def test_a_cache_below_a_path_is_asked_below_it():
    requests = []
    routes = {"/main/nix-cache-info": answer(INFO)}
    with serving(routes, requests=requests) as port, cache_at(port, path="/main") as cache:
        cache.cache_info(soon())
    assert requests[0].startswith(b"GET /main/nix-cache-info HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("compression", "compress"),
    [("none", bytes), ("xz", lzma.compress), ("bzip2", bz2.compress), ("gzip", gzip.compress)],
)
def test_a_nar_is_measured_under_its_compression(compression, compress):
    file = compress(ARCHIVE)
    info = signed_info(**described(ARCHIVE, file, compression))
    with serving({f"/{info.url}": answer(file)}) as port, cache_at(port) as cache:
        fetched = cache.nar(info, soon()).value
    assert (fetched.nar_hash, fetched.file_hash) == (info.nar_hash, info.file_hash)


@pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is missing: apt-get install zstd")
def test_a_nar_in_zstd_is_measured():
    file = subprocess.run(["zstd", "-cq"], input=ARCHIVE, capture_output=True, check=True).stdout
    info = signed_info(**described(ARCHIVE, file, "zstd"))
    with serving({f"/{info.url}": answer(file)}) as port, cache_at(port) as cache:
        assert cache.nar(info, soon()).value.nar_hash == info.nar_hash


def test_a_nar_in_what_cannot_be_undone_is_fetched_and_not_judged():
    info = signed_info(compression="lz4")
    with serving({f"/{info.url}": answer(b"whatever")}) as port, cache_at(port) as cache:
        fetched = cache.nar(info, soon()).value
    assert (fetched.file_size, fetched.file_hash) == (8, hash_of(b"whatever"))
    assert (fetched.nar_size, fetched.nar_hash) == (None, None)


def test_an_encoding_of_the_transport_is_undone_first():
    info = signed_info()
    routes = {
        "/nix-cache-info": answer(gzip.compress(INFO), Content_Encoding="gzip"),
        f"/{info.url}": answer(gzip.compress(lzma.compress(ARCHIVE)), Content_Encoding="gzip"),
    }
    with serving(routes) as port, cache_at(port) as cache:
        assert cache.cache_info(soon()).value.want_mass_query
        assert cache.nar(info, soon()).value.file_hash == info.file_hash


def test_headers_go_to_the_cache_and_to_nobody_else():
    """A presigned object store at another origin must not learn the token, nor one on another port."""
    here, there = [], []
    with serving({"/object": answer(lzma.compress(ARCHIVE))}, requests=there) as elsewhere:
        routes = {
            "/nar/signed.nar.xz": redirect("/again"),
            "/again": redirect(f"http://127.0.0.1:{elsewhere}/object"),
        }
        with serving(routes, requests=here) as port, cache_at(port, headers=SECRET) as cache:
            fetched = cache.nar(signed_info(), soon())
    assert len(here) == 2 and all(b"Bearer s3cret" in head for head in here)
    assert len(there) == 1 and b"s3cret" not in there[0]
    assert len(fetched.hops) == 3


def test_a_cookie_of_the_cache_goes_nowhere():
    there = []
    with serving({"*": answer(INFO)}, requests=there) as elsewhere:
        jump = answer(status=302, Location=f"http://127.0.0.1:{elsewhere}/x", Set_Cookie="session=s3cret")
        with serving({"*": jump}) as port, cache_at(port) as cache:
            cache.cache_info(soon())
    assert b"s3cret" not in there[0]


def test_hops_hold_nothing_secret():
    with serving({"*": answer(b"", 403)}) as elsewhere:
        location = f"http://user:s3cret@127.0.0.1:{elsewhere}/object?X-Amz-Signature=s3cret"
        with serving({"*": redirect(location)}) as port, cache_at(port) as cache:
            error = failure(lambda: cache.cache_info(soon()))
    assert error.hops == (
        f"http://127.0.0.1:{port}/nix-cache-info",
        f"http://127.0.0.1:{elsewhere}/object?…",
    )
    assert error.status == 403 and error.redirected
    assert "s3cret" not in f"{error} {error.hints} {error.hops}"


def test_an_absolute_address_in_a_narinfo_is_taken_without_the_headers():
    there = []
    with serving({"/x.nar": answer(ARCHIVE)}, requests=there) as elsewhere:
        info = signed_info(url=f"http://127.0.0.1:{elsewhere}/x.nar", **described(ARCHIVE, ARCHIVE, "none"))
        with serving({}) as port, cache_at(port, headers=SECRET) as cache:
            assert cache.nar(info, soon()).value.nar_hash == info.nar_hash
    assert b"s3cret" not in there[0]


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (redirect("/nix-cache-info"), Kind.REDIRECT),
        (redirect("ftp://127.0.0.1/x"), Kind.REDIRECT),
        (redirect("http://127.0.0.1:99999999/x"), Kind.REDIRECT),
        (redirect("http://127.0.0.1:port/x"), Kind.REDIRECT),
        (redirect("http://no-such-host.invalid/x?sig=1"), Kind.DNS),
        (answer(status=304), Kind.STATUS),
        (answer(b"no\n", 401), Kind.STATUS),
        (answer(b"<html>", 200), Kind.HTML),
        (answer(b"hello", 200), Kind.MALFORMED),
        (answer(b"hello", kind="text/html"), Kind.HTML),
        (answer(b"a" * 70_000, 200), Kind.TOO_LARGE),
        (answer(INFO, length=len(INFO) + 9), Kind.TRUNCATED),
        (answer(b"x", Content_Encoding="gzip"), Kind.TRUNCATED),
        (answer(b"x" * 99, Content_Encoding="gzip"), Kind.CORRUPT),
        (answer(b"x", Content_Encoding="new"), Kind.COMPRESSION),
        (b"SSH-2.0-OpenSSH_9\r\n", Kind.BROKEN),
        (hang_up, Kind.BROKEN),
        (b"HTTP/1.1 200 OK\r\nContent-", Kind.BROKEN),
    ],
)
def test_what_an_answer_can_be_instead(reply, kind):
    with serving({"*": reply}) as port, cache_at(port) as cache:
        error = failure(lambda: cache.cache_info(soon()))
    assert error.kind is kind
    assert error.hops[0] == f"http://127.0.0.1:{port}/nix-cache-info"
    assert (
        str(port) in error.fact
        or error.redirected
        or kind
        in (
            Kind.MALFORMED,
            Kind.TRUNCATED,
            Kind.CORRUPT,
            Kind.COMPRESSION,
        )
    )


def test_nothing_there_is_a_refusal():
    with faults.refusing() as port, cache_at(port) as cache:
        assert failure(lambda: cache.cache_info(soon())).kind is Kind.REFUSED


def test_no_way_there_is_unreachable():
    cache = NixCache(SubstituterTarget(parse_endpoint("http://224.0.0.1:80")), {})
    with cache:
        assert failure(lambda: cache.cache_info(soon())).kind is Kind.UNREACHABLE


def drip(connection):
    """A byte now and then: no read of it ever waits long enough to be called slow."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(400):
        connection.sendall(b"X")
        time.sleep(0.05)


def drip_body(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    drip(connection)


@pytest.mark.parametrize("reply", [hang, drip, drip_body])
def test_an_answer_that_does_not_end_is_left_at_the_deadline(reply):
    with serving({"*": reply}) as port, cache_at(port) as cache:
        started = time.monotonic()
        assert failure(lambda: cache.cache_info(soon(0.5))).kind is Kind.TIMEOUT
        assert time.monotonic() - started < budget(15)


def test_a_handshake_that_does_not_end_is_left_at_the_deadline(authority):
    """A TLS server that drips its handshake: the library alone would wait for as long as it drips."""

    def handle(connection):
        connection.recv(4096)
        connection.sendall(b"\x16\x03\x03\x40\x00\x02")
        for _ in range(400):
            connection.sendall(b"\0")
            time.sleep(0.05)

    with faults.talking(handle) as port, cache_at(port, "https", ca_file=authority.ca) as cache:
        started = time.monotonic()
        assert failure(lambda: cache.cache_info(soon(0.5))).kind is Kind.TIMEOUT
        assert time.monotonic() - started < budget(15)


def test_a_deadline_that_has_passed_asks_nothing_more():
    with serving({"*": answer(INFO)}) as port, cache_at(port) as cache:
        assert failure(lambda: cache.cache_info(soon(0))).kind is Kind.TIMEOUT
        assert cache.cache_info(soon()).value.want_mass_query


def test_a_nar_beyond_the_limit_is_left():
    """Neither the file nor what it becomes may be larger, whatever either of them claims to be."""
    bomb = lzma.compress(bytes(3_000_000))
    for file, compression in ((bytes(200_000), "none"), (bomb, "xz")):
        info = signed_info(compression=compression)
        with serving({f"/{info.url}": answer(file)}) as port, cache_at(port) as cache:
            assert failure(lambda c=cache, i=info: c.nar(i, soon(), 100_000)).kind is Kind.TOO_LARGE


def test_tls_is_checked_against_the_authority_that_is_named(authority):
    with serving({"*": answer(INFO)}, authority.context("127.0.0.1")) as port:
        with cache_at(port, "https", ca_file=authority.ca) as cache:
            assert cache.cache_info(soon()).value.priority == 30
        with cache_at(port, "https") as cache:
            assert failure(lambda: cache.cache_info(soon())).kind is Kind.TLS
        with cache_at(port, "https", {"NIX_SSL_CERT_FILE": str(authority.ca)}) as cache:
            assert cache.cache_info(soon()).value.priority == 30


def test_a_file_of_authorities_that_is_none_is_named(tmp_path):
    for content in (None, b"no certificate"):
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_bytes(content)
        with cache_at(1, "https", ca_file=path) as cache:
            error = failure(lambda c=cache: c.cache_info(soon()))
        assert error.kind is Kind.CA_FILE and str(path) in error.fact


def test_a_header_that_cannot_be_sent_is_not_shown():
    for value in ("s3cret\r\nX: y", "s3cret é"):
        with serving({"*": answer(INFO)}) as port, cache_at(port, headers=(("X-Token", value),)) as cache:
            error = failure(lambda c=cache: c.cache_info(soon()))
        assert error.kind is Kind.REQUEST
        assert "s3cret" not in f"{error} {error.hints}"


def test_a_proxy_of_the_environment_carries_what_is_elsewhere_and_nothing_that_is_here():
    requests = []
    with serving({"/nix-cache-info": answer(INFO)}, requests=requests) as proxy:
        environ = {"http_proxy": f"http://user:s3cret@127.0.0.1:{proxy}"}
        elsewhere = SubstituterTarget(parse_endpoint("http://cache.invalid"))
        with NixCache(elsewhere, environ) as cache:
            assert cache.cache_info(soon()).value.priority == 30
        assert requests.pop().startswith(b"GET http://cache.invalid/nix-cache-info ")
        with serving({"*": answer(INFO)}) as port, cache_at(port, environ=environ) as cache:
            cache.cache_info(soon())
        assert requests == []


def test_a_proxy_that_cannot_be_used_is_named_without_its_password():
    elsewhere = SubstituterTarget(parse_endpoint("http://cache.invalid"))
    with faults.refusing() as nobody:
        for proxy in (f"http://user:s3cret@127.0.0.1:{nobody}", "gopher://user:s3cret@127.0.0.1:9"):
            with NixCache(elsewhere, {"http_proxy": proxy}) as cache:
                error = failure(lambda c=cache: c.cache_info(soon()))
            assert error.kind is Kind.PROXY
            assert "s3cret" not in f"{error} {error.hints} {error.hops}"


def test_a_netrc_of_the_user_is_not_read(tmp_path, monkeypatch):
    """Nix takes its own netrc-file, so a password from ~/.netrc would make a check pass that Nix fails."""
    requests = []
    (tmp_path / ".netrc").write_text("default login me password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with serving({"*": answer(INFO)}, requests=requests) as port, cache_at(port) as cache:
        cache.cache_info(soon())
    assert b"Authorization" not in requests[0]


def test_a_closed_cache_leaves_no_connection_open():
    closed = []

    def until_closed(connection: socket.socket) -> None:
        connection.sendall(answer(INFO).replace(b"Connection: close", b"X: y"))
        closed.append(connection.recv(1))

    with serving({"*": until_closed}) as port:
        with cache_at(port) as cache:
            cache.cache_info(soon())
            assert closed == []
        deadline = soon()
        while not closed and not deadline.expired:
            time.sleep(0.01)
    assert closed == [b""]


def test_what_is_asked_for_is_named_by_its_digest():
    requests = []
    with serving({}, requests=requests) as port, cache_at(port) as cache:
        assert cache.narinfo(SIGNED, soon()) is None
    assert requests[0].startswith(f"GET /{SIGNED.digest}.narinfo ".encode())
