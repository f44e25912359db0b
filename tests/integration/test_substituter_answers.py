"""What a substituter answers, in the stage's words: statuses, redirects, refusals, compressed files."""

import lzma

import pytest

from gfattach.nixcache.hashes import Hash
from tests.harness.machine import faulty_servers as faults
from tests.harness.substituters.binary_caches import (
    ARCHIVE,
    KEY,
    SIGNED,
    answer,
    hang_up,
    redirect,
    serving,
    signed,
    signed_info,
)
from tests.harness.substituters.cases import CASES
from tests.harness.substituters.cases_content import ELSEWHERE
from tests.harness.substituters.stage import BAD_HOST, HTML, PATHS, ask, authority, rig

__all__ = ["authority", "rig"]


def test_401_and_403_and_404_are_told_apart(rig):
    codes = {}
    for status in (401, 403, 404):
        findings = ask(rig.cache(rig.good(narinfo=answer(b"", status))))
        codes[status] = findings["substituter.narinfo"].code.rpartition(".")[2]
    assert codes == {401: "unauthorised", 403: "forbidden", 404: "absent"}


def test_a_redirect_that_works_is_named_with_its_host(rig):
    archive = lzma.compress(ARCHIVE)
    elsewhere = rig.stack.enter_context(serving({"*": answer(archive)}))
    location = redirect(f"http://127.0.0.1:{elsewhere}/object?X-Amz-Signature=s3cret")
    finding = ask(rig.cache(rig.good(nar=location)))["substituter.nar"]
    assert finding.code == "substituter.nar.ok"
    assert f"127.0.0.1:{elsewhere}" in finding.seen
    assert finding.data["hops"][str(SIGNED)][-1] == f"http://127.0.0.1:{elsewhere}/object?…"


@pytest.mark.parametrize("name", sorted(PATHS))
def test_a_redirect_into_the_cluster_names_the_store_that_is_hidden_there(rig, name):
    finding = ask(rig.cache(rig.good(**{name: ELSEWHERE})))[f"substituter.{name}"]
    assert finding.code == f"substituter.{name}.in-cluster"
    assert "minio.storage.invalid" in finding.seen and "minio.storage.invalid" in finding.hints[0]


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("info", redirect("/login")),
        ("narinfo", redirect("/login")),
    ],
)
def test_a_redirect_to_a_login_page_is_a_login_page(rig, name, reply):
    finding = ask(rig.cache(rig.good(**{name: reply}) | {"/login": HTML}))[f"substituter.{name}"]
    assert finding.code == f"substituter.{name}.login"
    assert "/login" in finding.seen


@pytest.mark.parametrize(
    "refusal",
    [
        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n<center>The plain HTTP request was sent to HTTPS port</center>",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
    ids=["go", "nginx", "alert"],
)
def test_servers_that_refuse_plain_http_in_words_of_their_own_speak_tls(rig, refusal):
    finding = ask(rig.talking(faults.saying(refusal)))["substituter.protocol"]
    assert finding.code == "substituter.protocol.tls-for-plain"
    assert finding.hints[0].endswith(f"https://{rig_authority(finding)}")


def rig_authority(finding):
    return finding.seen.split()[0]


def test_a_400_of_another_kind_is_http(rig):
    """Attic answers so where the name that it is asked by is not among its allowed hosts."""
    target = rig.cache({"*": BAD_HOST})
    finding = ask(target)
    assert finding["substituter.protocol"].code == "substituter.protocol.ok"
    assert finding["substituter.info"].code == "substituter.info.bad-host"
    assert f'"{target.endpoint.authority}"' in finding["substituter.info"].hints[0]


def test_a_compressed_file_that_cannot_be_opened_is_still_compared(rig):
    """Where the content cannot be seen, the hash of the file is all there is."""
    wrong = Hash("sha256", bytes(32))
    for changes, end in (({"file_hash": wrong}, "hash"), ({"file_size": 1}, "size")):
        target = rig.published(signed(signed_info(compression="lz4", **changes), KEY))
        assert ask(target)["substituter.nar"].code == f"substituter.nar.{end}"


def test_a_wrong_file_hash_is_no_matter_where_the_nar_is_right(rig):
    """Nix does not look at it either."""
    target = rig.published(signed(signed_info(file_hash=Hash("sha256", bytes(32))), KEY))
    assert ask(target)["substituter.nar"].code == "substituter.nar.ok"


def test_a_forward_whose_upstream_is_gone_says_where_to_look(rig):
    finding = ask(rig.talking(hang_up, real_host="attic.nix-cache.svc"))["substituter.protocol"]
    assert "gfattach logs" in finding.hints[0] and "gfattach status" in finding.hints[1]


def test_a_name_inside_the_cluster_is_met_with_a_forward(rig):
    finding = ask(CASES["substituter.resolve.cluster"](rig))["substituter.resolve"]
    assert "gfattach up" in finding.hints[0]
