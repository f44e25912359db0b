"""Where a token is read from, what is refused there, and that no error repeats it."""

import io
import os
from pathlib import Path

import pytest

from gfattach.contract.model.variables import BY_NAME
from gfattach.core.errors import CredentialError
from gfattach.core.redact import MASK, redact
from gfattach.credential import sources
from gfattach.credential.hosts import host_of, is_cell, is_loopback
from gfattach.credential.scope import demand_within, scope_of
from gfattach.credential.tokens import find
from tests.harness.machine.credentials import place  # noqa: F401

pytestmark = pytest.mark.usefixtures("place")

CELL = "gf-reapi-cell-2"


def code_of(call, *args):
    with pytest.raises(CredentialError) as caught:
        call(*args)
    assert "canary" not in caught.value.fact + "".join(caught.value.hints)
    return caught.value.code


@pytest.mark.parametrize("content", [b"canary-token", b"canary-token\n", b"  canary-token\r\n\n"])
def test_white_space_around_a_token_does_not_count(content):
    token = sources.check(content, "stdin")
    assert token.value == "canary-token"
    assert "canary" not in repr(token)
    assert redact("x canary-token y") == f"x {MASK} y"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "credential.token.empty"),
        (b" \n", "credential.token.empty"),
        (b"canary\ncanary", "credential.token.space"),
        (b"Bearer canary", "credential.token.space"),
        (b"canary\x00", "credential.token.binary"),
        (b"\x89PNG canary"[:4] + b"canary", "credential.token.binary"),
        ("canaryé".encode(), "credential.token.binary"),
        (b"canary" * 20_000, "credential.token.long"),
    ],
)
def test_what_no_header_can_carry_is_refused_and_not_repeated(content, code):
    assert code_of(sources.check, content, "stdin") == code
    assert code_of(sources.from_stream, io.BytesIO(content)) == code


def test_a_file_is_read_through_a_link_as_mounted_secrets_are(tmp_path):
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data/token").write_text("canary-token\n")
    (tmp_path / "token").symlink_to("..data/token")
    token = sources.from_file(tmp_path / "token")
    assert (token.value, token.origin) == ("canary-token", f"the file {tmp_path}/token")


def test_what_is_no_readable_file_is_named_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert code_of(sources.from_file, tmp_path / "none") == "credential.file.missing"
    for odd in (tmp_path / "pipe", tmp_path, tmp_path / "loop", tmp_path / "a\0b", tmp_path / ("x" * 300)):
        assert code_of(sources.from_file, odd) == "credential.file.unreadable"


def test_a_file_that_cannot_be_read_is_named():
    """A process's own memory has nothing at its beginning: root cannot read it either."""
    assert code_of(sources.from_file, Path("/proc/self/mem")) == "credential.file.unreadable"


def test_a_variable_that_is_not_set_is_named():
    assert code_of(sources.from_variable, {"OTHER": "canary"}, "CACHE_TOKEN") == "credential.variable"
    assert sources.from_variable({"CACHE_TOKEN": "canary-token"}, "CACHE_TOKEN").value == "canary-token"


def test_the_variables_for_cells_count_for_cells_alone(tmp_path):
    (tmp_path / "token").write_text("from-file")
    by_file = {sources.FILE_VARIABLE: str(tmp_path / "token"), "BAZEL_REMOTE_EXECUTOR": f"grpcs://{CELL}"}
    by_value = {sources.TOKEN_VARIABLE: "from-variable", "BAZEL_REMOTE_CACHE": f"grpcs://{CELL}:8980"}
    assert sources.cell_variables(CELL, by_file).value == "from-file"
    assert sources.cell_variables(CELL, by_value).value == "from-variable"
    assert sources.cell_variables("cache.example", {**by_file, **by_value}) is None
    assert sources.cell_variables(CELL, {}) is None
    assert code_of(sources.cell_variables, CELL, {**by_file, **by_value}) == "credential.cell.both"


def test_the_file_that_the_platform_mounts_is_for_cells_alone(tmp_path, monkeypatch):
    mounted = tmp_path / "gf-reapi-cell-token"
    monkeypatch.setattr(sources, "DEFAULT_FILE", mounted)
    environ = {"BAZEL_REMOTE_CACHE": f"grpcs://{CELL}"}
    assert sources.cell_file(CELL, environ) is None
    mounted.write_text("mounted-token")
    assert sources.cell_file(CELL, environ).value == "mounted-token"
    assert sources.cell_file("cache.example", environ) is None


@pytest.mark.parametrize(
    "host",
    [
        "gf-reapi-cell.evil.example",
        "gf-reapi-cell.gf-rbe.svc.evil.example",
        "a.gf-rbe.svc.evil.example",
        "gf-reapi-cellx",
        "gf-reapi-cell-a.b",
        "x.y.gf-rbe.svc",
    ],
)
def test_a_longer_name_is_no_cell_whoever_names_it(host):
    environ = {
        sources.TOKEN_VARIABLE: "canary",
        "BAZEL_REMOTE_CACHE": f"grpcs://{host}",
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
    }
    assert sources.cell_variables(host, environ, vouched=True) is None


def test_a_cells_name_that_only_a_repository_or_a_configmap_chose_is_sent_nothing():
    environ = {sources.TOKEN_VARIABLE: "canary"}
    for host in (CELL, "gf-reapi-cell", "gf-reapi-cell.gf-rbe.svc"):
        assert sources.cell_variables(host, environ) is None
        assert sources.cell_variables(host, environ, vouched=True).value == "canary"
    inside = {**environ, "KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert sources.cell_variables("gf-reapi-cell.gf-rbe.svc", inside).value == "canary"
    assert sources.cell_variables("gf-reapi-cell", inside) is None


@pytest.mark.parametrize(
    ("stored", "asked", "sent"),
    [
        ("cache.example", "grpcs://cache.example:8980", True),
        ("cache.example", "https://cache.example", True),
        ("cache.example", "cache.example", True),
        ("cache.example", "grpc://cache.example:9092", False),
        ("cache.example", "http://cache.example", False),
        ("cache.example:443", "grpcs://cache.example", True),
        ("cache.example:443", "grpcs://cache.example:8980", False),
        ("grpc://cache.example:9092", "grpc://cache.example:9092", True),
        ("grpc://cache.example:9092", "grpc://cache.example:9093", False),
        ("127.0.0.1", "grpc://127.0.0.1:9092", True),
    ],
)
def test_a_token_goes_to_the_scheme_and_port_that_it_was_stored_for(stored, asked, sent):
    if sent:
        demand_within(scope_of(stored), asked)
        return
    with pytest.raises(CredentialError) as caught:
        demand_within(scope_of(stored), asked)
    assert caught.value.code == "credential.scope"
    [hint] = caught.value.hints
    wider = hint.rpartition(" ")[2]
    assert hint.endswith(f"gfattach credential login {wider}")
    demand_within(scope_of(wider), asked)


def test_the_token_of_a_cell_never_goes_over_plaintext_beyond_this_machine():
    environ = {sources.TOKEN_VARIABLE: "canary-token", "BAZEL_REMOTE_CACHE": f"grpc://{CELL}:8980"}
    assert find(f"grpcs://{CELL}:8980", environ).token == "canary-token"
    assert code_of(find, f"grpc://{CELL}:8980", environ) == "credential.scope"


def test_names_and_default_are_the_contracts():
    assert BY_NAME[sources.FILE_VARIABLE].default == str(sources.DEFAULT_FILE)
    assert sources.TOKEN_VARIABLE in BY_NAME


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("cache.example", "cache.example"),
        ("Cache.Example.", "cache.example"),
        ("cache.example:8980", "cache.example"),
        ("grpcs://cache.example:443/build.bazel.remote.execution.v2.Capabilities", "cache.example"),
        ("https://cache.example?x", "cache.example"),
        ("https://[::1]:80/x", "::1"),
        ("127.0.3.4", "127.0.3.4"),
        ("::1", "::1"),
    ],
)
def test_a_host_is_known_from_what_bazel_and_people_write(text, host):
    assert host_of(text) == host


@pytest.mark.parametrize(
    "text", ["", "://", "a b", "me:canary@cache.example", "unix:/run/canary", "canary=="]
)
def test_what_is_no_host_is_refused_and_not_repeated(text):
    assert code_of(host_of, text) == "credential.host"


def test_cells_and_this_machine_are_told_from_others():
    assert [is_cell(h) for h in ("gf-reapi-cell", "a.gf-rbe.svc", "a.gf-rbe.svc.cluster.local")] == [True] * 3
    assert [is_cell(h) for h in ("x.gf-reapi-cell", "gf-rbe.svc", "a.gf-rbe.svcs")] == [False] * 3
    assert [is_loopback(h) for h in ("127.0.0.1", "127.9.8.7", "::1", "localhost")] == [True] * 4
    assert [is_loopback(h) for h in ("127.0.0.1.example", "cache.example", "128.0.0.1")] == [False] * 3
