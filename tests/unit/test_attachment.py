"""The record of an attachment: what is written comes back, and what cannot be used says what to do."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from gfattach.attach.model import record as attachment
from gfattach.attach.model.record import Attachment, RecordError
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import ExitCode, StorageError
from gfattach.core.paths import Home, state_directory
from gfattach.nixcache.target import SubstituterTarget
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.site.trusted import Trusted

FULL = Attachment(
    kind="direct",
    created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    version="0.0.9",
    cache=CacheTarget(
        parse_endpoint("grpcs://cache.example"),
        instance_name="main",
        may_write=True,
        tls=TlsFiles(Path("/ca.pem"), Path("/crt.pem"), Path("/key.pem")),
        socket=Path("/run/s"),
    ),
    substituter=SubstituterTarget(
        parse_endpoint("https://nix.example/main"),
        ("main:AAAA=",),
        signed_path="/nix/store/x",
        ca_file=Path("/ca"),
        object_store="interim_only",
    ),
    bazelrc=Path("/w/ü b/bazelrc"),
    nix_conf=Path("/w/nix.conf"),
    links=(Path("/w/user.bazelrc"),),
    trial=Path("/w/trial"),
    first_hit={"seconds": 1.84, "phases": [{"client": "bazel"}]},
)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path / "w")


def make_home(workspace):
    (workspace / ".gfattach").mkdir(parents=True)
    home = Home(workspace / ".gfattach", workspace)
    home.state.mkdir(parents=True)
    return home


def at(home):
    """FULL with every place where an attach of `home` puts it."""
    assert home.workspace is not None
    return replace(
        FULL,
        bazelrc=home.directory / "bazelrc",
        nix_conf=home.directory / "nix.conf",
        links=(home.workspace / "user.bazelrc",),
        trial=home.trial,
        agent=state_directory() / "agents" / "0badcafe",
        trusted=(Trusted("nix.public_keys", "main:AAAA=", "the ConfigMap nix-cache/gfattach-site"),),
        left_out=("nix",),
    )


@pytest.mark.parametrize("full", [True, False], ids=["full", "empty"])
def test_what_is_saved_is_loaded(home, full):
    record = at(home) if full else Attachment.begin("trial")
    attachment.save(home, record)
    assert attachment.load(home) == record


def test_one_that_begins_now_says_so_in_utc():
    begun = Attachment.begin("trial")
    assert abs((datetime.now(UTC) - begun.created).total_seconds()) < 60
    assert begun.created.utcoffset().total_seconds() == 0


def test_the_record_is_private_and_holds_no_header(home):
    cache = CacheTarget(parse_endpoint("grpc://h:1"), headers=(("authorization", "Bearer s3cret"),))
    substituter = SubstituterTarget(
        parse_endpoint("http://h:2"), headers=(("authorization", "Basic s3cret"),)
    )
    attachment.save(home, Attachment.begin("direct", cache=cache, substituter=substituter))
    assert "s3cret" not in home.record.read_text()
    assert stat.S_IMODE(home.record.stat().st_mode) == 0o600
    assert attachment.load(home).cache.headers == ()


def test_without_a_record_there_is_no_attachment(home):
    assert attachment.load(home) is None
    assert not attachment.forget(home)


def damage(document, *path, value):
    for key in path[:-1]:
        document = document[key]
    document[path[-1]] = value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kind",), "borrowed"),
        (("created",), "yesterday"),
        (("created",), "2026-01-02T03:04:05"),
        (("created",), 5),
        (("gfattach",), None),
        (("cache", "endpoint"), "gopher://x"),
        (("cache", "endpoint"), 7),
        (("cache", "ca_file"), 7),
        (("cache",), []),
        (("substituter", "public_keys"), 7),
        (("fragments",), None),
        (("links",), 7),
        (("links",), [7]),
        (("first_hit",), 7),
        (("trusted",), 7),
        (("trusted",), [{"key": "site.name", "value": "x", "source": "y"}]),
        (("agent",), "/srv/precious"),
        (("agent",), "/"),
        (("trial",), "/srv/precious"),
        (("fragments", "bazelrc"), "/etc/passwd"),
        (("fragments", "nix.conf"), "/etc/nix/nix.conf"),
        (("links",), ["/etc/bazel.bazelrc"]),
    ],
)
def test_a_damaged_value_is_a_typed_error_that_names_the_next_command(home, path, value):
    attachment.save(home, at(home))
    document = json.loads(home.record.read_text())
    damage(document, *path, value=value)
    home.record.write_text(json.dumps(document))
    with pytest.raises(RecordError) as caught:
        attachment.load(home)
    assert caught.value.code == "attachment.damaged"
    assert caught.value.exit_code == ExitCode.USAGE
    assert "gfattach down" in " ".join(caught.value.hints)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"null", b"{}", b"\xff\xfe", b'{"schema": 1}'])
def test_a_damaged_file_is_a_typed_error_too(home, content):
    home.record.write_bytes(content)
    with pytest.raises(RecordError, match="damaged"):
        attachment.load(home)


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_a_record_of_another_schema_is_told_from_a_damaged_one(home, schema):
    home.record.write_text(json.dumps({"schema": schema}))
    with pytest.raises(RecordError) as caught:
        attachment.load(home)
    assert caught.value.code == "attachment.version"
    assert "gfattach down" in " ".join(caught.value.hints)


def test_a_record_that_cannot_be_read_is_a_storage_error(home):
    home.record.mkdir()
    with pytest.raises(StorageError):
        attachment.load(home)


def test_a_damaged_record_can_be_forgotten(home):
    attachment.save(home, at(home))
    home.record.write_bytes(b"{")
    assert attachment.forget(home)
    assert attachment.load(home) is None


def test_a_record_that_is_nested_without_end_is_damaged(home):
    home.record.write_bytes(b"[" * 100_000)
    with pytest.raises(RecordError) as caught:
        attachment.load(home)
    assert caught.value.code == "attachment.damaged"
