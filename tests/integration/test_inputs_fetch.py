"""`gfattach inputs fetch` against an upstream on loopback: verified, resumed, never written over."""

import json
import re
import stat

import pytest

from gfattach.bazel.external.repository_cache import cached_file
from tests.harness.inputs.contracts import archive, checksum, write
from tests.harness.inputs.upstream import serving
from tests.harness.machine.developer import findings

CONTENT = {name: (name * 50_000).encode() for name in ("one", "two", "three")}


@pytest.fixture
def upstream():
    with serving() as served:
        yield served


def declare(machine, *inputs):
    return write(machine.workspace / "gfattach-inputs.json", *inputs)


def fetch(machine, *args, code=0):
    return machine.json("inputs", "fetch", *args, code=code)


def states(document):
    return {each["name"]: each["state"] for each in document["result"]["files"]}


def codes(document):
    return {found["code"] for found in findings(document).values()}


def files(directory):
    return {
        str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_colliding_names_go_into_layers_and_a_second_fetch_asks_for_nothing(machine, upstream):
    urls = {name: upstream.put(f"/{name}/archive/v1.0.tar.gz", CONTENT[name]) for name in ("one", "two")}
    other = upstream.put("/three.zip", CONTENT["three"])
    declare(
        machine,
        *(archive(name, CONTENT[name], url) for name, url in urls.items()),
        archive("three", CONTENT["three"], upstream.base + "/gone.zip", other, algorithm="sha512"),
    )
    made = fetch(machine, "--distdir", "d")
    directory = machine.workspace / "d"
    assert states(made) == dict.fromkeys(CONTENT, "fetched")
    assert files(directory) == {
        "v1.0.tar.gz": CONTENT["one"],
        "layer-1/v1.0.tar.gz": CONTENT["two"],
        "gone.zip": CONTENT["three"],
    }
    assert made["result"]["distdirs"] == [str(directory), str(directory / "layer-1")]
    upstream.requests.clear()
    assert states(fetch(machine, "--distdir", "d")) == dict.fromkeys(CONTENT, "kept")
    assert upstream.requests == []


def test_a_repository_cache_has_bazels_layout_and_is_filled_from_a_distdir_without_a_request(
    machine, upstream
):
    url = upstream.put("/one.zip", CONTENT["one"])
    declare(machine, archive("one", CONTENT["one"], url))
    fetch(machine, "--distdir", "d")
    upstream.requests.clear()
    made = fetch(machine, "--repository-cache", "r", "--from", "d")
    file = cached_file(machine.workspace / "r", "sha256", checksum(CONTENT["one"]).hex)
    assert states(made) == {"one": "fetched"} and upstream.requests == []
    assert file.read_bytes() == CONTENT["one"] and [*file.parent.glob("id-*")] != []
    again = fetch(machine, "--distdir", "e", "--from", "r")
    assert states(again) == {"one": "fetched"} and upstream.requests == []


def test_a_mirror_behind_a_url_gives_the_same_bytes(machine, upstream):
    upstream.put("/mirror/layer-1/v1.0.zip", CONTENT["one"])
    upstream.put("/mirror/v1.0.zip", CONTENT["two"])
    gone = "https://127.0.0.1:1/v1.0.zip"
    declare(machine, archive("one", CONTENT["one"], gone), archive("two", CONTENT["two"], gone + "?x"))
    made = fetch(machine, "--distdir", "d", "--from", upstream.base + "/mirror")
    assert states(made) == {"one": "fetched", "two": "fetched"}


@pytest.mark.parametrize("generated", [True, False])
def test_wrong_bytes_are_never_named_and_a_tag_archive_may_be_regenerated(machine, upstream, generated):
    path = "/o/r/archive/refs/tags/v1.tar.gz" if generated else "/v1.tar.gz"
    declare(machine, archive("one", CONTENT["one"], upstream.put(path, CONTENT["two"])))
    made = fetch(machine, "--distdir", "d", code=1)
    assert states(made) == {"one": "wrong bytes"} and "inputs.fetch.wrong-bytes" in codes(made)
    assert ("regenerated archive?" in made["result"]["files"][0]["why"]) is generated
    assert not [path for path in files(machine.workspace / "d") if "partial" not in path]


def test_more_bytes_than_were_declared_end_the_download(machine, upstream):
    upstream.put("/one.zip", CONTENT["one"])
    declare(machine, archive("one", b"x", upstream.base + "/one.zip", size=1))
    made = fetch(machine, "--distdir", "d", code=1)
    assert "more than the 1 bytes" in made["result"]["files"][0]["why"]


@pytest.mark.parametrize("what", ["file", "link", "directory link"])
def test_what_stands_in_the_way_stays_and_is_named(machine, upstream, what):
    url = upstream.put("/a/v1.zip", CONTENT["one"])
    other = upstream.put("/b/v1.zip", CONTENT["two"])
    declare(machine, archive("one", CONTENT["one"], url), archive("two", CONTENT["two"], other))
    directory, elsewhere = machine.workspace / "d", machine.workspace / "elsewhere"
    directory.mkdir()
    elsewhere.mkdir()
    if what == "file":
        (directory / "v1.zip").write_bytes(b"mine")
    elif what == "link":
        (elsewhere / "mine").write_bytes(b"mine")
        (directory / "v1.zip").symlink_to(elsewhere / "mine")
    else:
        (directory / "layer-1").symlink_to(elsewhere)
    made = fetch(machine, "--distdir", "d", code=1)
    assert "occupied" in states(made).values() or "failed" in states(made).values()
    assert [path.name for path in elsewhere.iterdir()] == (["mine"] if what == "link" else [])
    if what != "directory link":
        assert (directory / "v1.zip").read_bytes() == b"mine"


def test_a_download_that_breaks_off_goes_on_where_it_was(machine, upstream):
    url = upstream.put("/one.zip", CONTENT["one"], breaks=[70_000, 20_000])
    declare(machine, archive("one", CONTENT["one"], url))
    made = fetch(machine, "--distdir", "d")
    assert states(made) == {"one": "fetched"}
    asked = [headers.get("Range") for _, headers in upstream.requests]
    assert asked == [None, "bytes=70000-", "bytes=90000-"]
    assert made["result"]["received"] == len(CONTENT["one"])


def test_a_server_without_ranges_is_read_from_the_beginning(machine, upstream):
    url = upstream.put("/one.zip", CONTENT["one"], breaks=[70_000], ranges=False)
    declare(machine, archive("one", CONTENT["one"], url))
    assert states(fetch(machine, "--distdir", "d")) == {"one": "fetched"}


def test_a_beginning_of_other_bytes_is_left_behind(machine, upstream):
    url = upstream.put("/one.zip", CONTENT["one"])
    declare(machine, archive("one", CONTENT["one"], url))
    partial = machine.workspace / "d/.gfattach-partial"
    partial.mkdir(parents=True)
    begun = partial / f"sha256-{checksum(CONTENT['one']).hex}"
    for beginning in (b"x" * 1000, b"x" * len(CONTENT["one"]), b"x" * 1_000_000, CONTENT["one"]):
        begun.write_bytes(beginning)
        assert states(fetch(machine, "--distdir", "d")) == {"one": "fetched"}
        assert files(machine.workspace / "d") == {"one.zip": CONTENT["one"]}
        (machine.workspace / "d/one.zip").unlink()
        partial.mkdir()


def test_an_input_that_cannot_be_had_is_named_and_the_others_are_there(machine, upstream):
    urls = [upstream.base + "/gone.zip", upstream.put("/broken.zip", b"", status=403)]
    declare(
        machine,
        archive("gone", b"gone", *urls),
        archive("one", CONTENT["one"], upstream.put("/one.zip", CONTENT["one"])),
    )
    made = fetch(machine, "--distdir", "d", code=1)
    assert states(made) == {"gone": "unreachable", "one": "fetched"}
    why = made["result"]["files"][0]["why"]
    assert "HTTP 404" in why and "HTTP 403" in why
    assert findings(made)["fetch.gone"]["code"] == "inputs.fetch.unreachable"


def test_redirects_are_followed_and_not_without_end(machine, upstream):
    upstream.put("/one.zip", CONTENT["one"])
    upstream.put("/loop", b"", redirect="/loop")
    away = upstream.put("/away", b"", redirect="/one.zip")
    declare(
        machine,
        archive("one", CONTENT["one"], away),
        archive("loop", b"loop", upstream.base + "/loop"),
    )
    assert states(fetch(machine, "--distdir", "d", code=1)) == {"one": "fetched", "loop": "unreachable"}


CANARY = "canary-9f3c1d7e"


@pytest.fixture
def private(machine, upstream):
    """A private input: its upstream wants a login."""
    url = upstream.put("/private.zip", CONTENT["one"], login=f"user:{CANARY}")
    declare(machine, archive("private", CONTENT["one"], url))
    return url


def nothing_leaks(machine, *outputs):
    for output in outputs:
        assert CANARY not in json.dumps(output)
    for path in machine.root.rglob("*"):
        if path.is_file() and path.name not in (".netrc", "helper"):
            assert CANARY.encode() not in path.read_bytes(), path


def test_a_private_input_without_a_credential_names_what_would_be_sent(machine, private):
    made = fetch(machine, "--distdir", "d", code=1)
    assert "a netrc entry for 127.0.0.1, or --credential-helper" in made["result"]["files"][0]["why"]


def test_a_private_input_comes_by_netrc_and_the_secret_is_nowhere(machine, private):
    netrc = machine.root / "home/.netrc"
    netrc.parent.mkdir(exist_ok=True)
    netrc.write_text(f"machine 127.0.0.1 login user password {CANARY}\n")
    netrc.chmod(0o600)
    made = fetch(machine, "--distdir", "d")
    assert states(made) == {"private": "fetched"}
    nothing_leaks(machine, made)


def helper_of(machine, body):
    helper = machine.root / "helper"
    helper.write_text(f"#!/bin/sh\n{body}\n")
    helper.chmod(stat.S_IRWXU)
    return helper


def test_a_private_input_comes_by_a_credential_helper(machine, private):
    import base64

    word = base64.b64encode(f"user:{CANARY}".encode()).decode()
    helper = helper_of(
        machine, f"""cat >/dev/null; echo '{{"headers": {{"Authorization": ["Basic {word}"]}}}}'"""
    )
    made = fetch(machine, "--distdir", "d", "--credential-helper", f"127.0.0.1={helper}")
    assert states(made) == {"private": "fetched"}
    assert word not in json.dumps(made)
    machine.variables["BAZEL_CREDENTIAL_HELPER"] = f"other.example={helper}"
    assert states(fetch(machine, "--distdir", "e", code=1)) == {"private": "unreachable"}


@pytest.mark.parametrize("body", ["exit 3", "echo no json", "echo '[]'", "echo '{\"headers\": 3}'"])
def test_a_credential_helper_that_fails_is_named(machine, private, body):
    helper = helper_of(machine, f"cat >/dev/null; {body}")
    made = fetch(machine, "--distdir", "d", "--credential-helper", str(helper), code=1)
    assert f"the credential helper {helper} cannot be used" in made["result"]["files"][0]["why"]


def test_a_credential_is_not_carried_to_another_host(machine, upstream):
    with serving() as elsewhere:
        target = elsewhere.put("/one.zip", CONTENT["one"]).replace("127.0.0.1", "localhost")
        url = upstream.put("/away", b"", redirect=target, login=f"user:{CANARY}")
        declare(machine, archive("one", CONTENT["one"], url))
        netrc = machine.root / "home/.netrc"
        netrc.parent.mkdir(exist_ok=True)
        netrc.write_text(f"machine 127.0.0.1 login user password {CANARY}\n")
        netrc.chmod(0o600)
        assert states(fetch(machine, "--distdir", "d")) == {"one": "fetched"}
        assert all("Authorization" not in headers for _, headers in elsewhere.requests)


def test_a_bad_netrc_is_named_by_its_line_without_its_words(machine, private):
    netrc = machine.root / "home/.netrc"
    netrc.parent.mkdir(exist_ok=True)
    netrc.write_text(f"machine 127.0.0.1 login user password {CANARY}\n{CANARY}\n")
    netrc.chmod(0o600)
    made = fetch(machine, "--distdir", "d", code=1)
    assert re.match(f"{netrc}:[23] cannot be read as a netrc", made["result"]["files"][0]["why"])
    nothing_leaks(machine, made)


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        ([], "inputs.fetch.nowhere", 2),
        (["--distdir", "d", "--from", "none"], "inputs.from", 2),
        (["--distdir", "d", "--from", f"https://user:{CANARY}@h/x"], "inputs.from", 2),
        (["--distdir", "d", "--from", "ftp://h/x"], "inputs.from", 2),
        (["--distdir", "d", "--credential-helper", "relative"], "inputs.credential.helper", 2),
        (["--distdir", "d", "--contract", "none.json"], "inputs.contract.missing", 2),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_fetched(machine, private, words, code, exit_code):
    made = fetch(machine, *words, code=exit_code)
    assert made["error"]["code"] == code
    assert CANARY not in json.dumps(made) and not (machine.workspace / "d").exists()


def test_a_place_that_cannot_be_written_to_is_named(machine, private):
    (machine.workspace / "file").touch()
    assert fetch(machine, "--distdir", "file/d", code=2)["error"]["code"] == "storage"
