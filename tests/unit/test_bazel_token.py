"""How Bazel comes to the cache's token: by a helper, or by a header in the private rc of one run."""

import os
import stat
from functools import partial

import pytest

from gfattach.attach.bazel import token
from gfattach.attach.bazel.token import with_token
from gfattach.core.context import Context
from gfattach.core.endpoint import parse_endpoint
from gfattach.credential import index
from gfattach.credential.file_store import FileStore
from gfattach.fragments.bazelrc import CANDIDATE_FLAGS, accepted_names, render
from gfattach.reapi.target import CacheTarget
from tests.harness.machine.credentials import place  # noqa: F401

pytestmark = pytest.mark.usefixtures("place")

HOST = "cache.example"
offer = partial(token.offer, environ=os.environ)
NEWER = frozenset(CANDIDATE_FLAGS.values())
MIDDLE = NEWER - {CANDIDATE_FLAGS["credential_helper"]}
OLDER = MIDDLE - {CANDIDATE_FLAGS["experimental_credential_helper"]}


@pytest.fixture
def stored(place):  # noqa: F811
    FileStore().save(HOST, "canary-token")
    index.put(index.Entry(HOST, "file", None))


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("accepted", "flag"), [(NEWER, "--credential_helper"), (MIDDLE, "--experimental_credential_helper")]
)
def test_a_bazel_that_knows_helpers_is_given_one_under_its_own_name_for_the_flag(tmp_path, accepted, flag):
    made = offer(HOST, tmp_path / "home", accepted, environ=os.environ)
    assert (made.finding.code, made.finding.status) == ("credential.bazel.helper", "ok")
    assert stat.S_IMODE(made.helper.stat().st_mode) == 0o700
    target = CacheTarget(parse_endpoint(f"grpcs://{HOST}:443"))
    fragment = render(target, accepted_names(accepted), credential_helper=made.helper)
    assert f"build {flag}={HOST}={made.helper}\n" in fragment
    assert fragment.count("credential_helper=") == 1
    assert "canary" not in fragment + made.helper.read_text()


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("accepted", [OLDER, None])
def test_a_bazel_that_knows_none_is_named_with_what_to_do(tmp_path, accepted):
    made = offer(HOST, tmp_path / "home", accepted, label="Bazel 4.2.3", environ=os.environ)
    assert made.helper is None and not (tmp_path / "home").exists()
    (tmp_path / "home").mkdir()
    (tmp_path / "home/credential-helper").touch()
    offer(HOST, tmp_path / "home", accepted, environ=os.environ)
    assert not (tmp_path / "home/credential-helper").exists()  # of an earlier attach, with a newer Bazel
    assert (made.finding.code, made.finding.status) == ("credential.bazel.no-helper", "warn")
    assert "Bazel 4.2.3" in made.finding.seen
    assert any("gfattach bazel build" in hint for hint in made.finding.hints)


def test_without_a_token_there_is_nothing_to_say(tmp_path):
    made = offer(HOST, tmp_path, NEWER, environ=os.environ)
    assert (made.helper, made.finding) == (None, None)
    assert with_token({"A": "b"}, HOST, None) == {"A": "b"}


def test_a_source_that_cannot_be_read_is_a_failed_finding(tmp_path, monkeypatch):
    monkeypatch.setenv("GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("BAZEL_REMOTE_CACHE", "grpcs://gf-reapi-cell-1")
    made = offer("gf-reapi-cell-1", tmp_path, NEWER, environ=os.environ)
    assert (made.finding.code, made.finding.status) == ("credential.file.missing", "fail")


@pytest.mark.usefixtures("stored")
def test_the_helper_of_a_forward_knows_whose_token_is_meant(tmp_path):
    made = offer(HOST, tmp_path, NEWER, dialled="127.0.0.1", port=49152, environ=os.environ)
    assert made.helper.read_text().endswith(f'"$@" --host {HOST} --port 49152\n')
    assert "--host" not in offer(HOST, tmp_path, NEWER, dialled=HOST, environ=os.environ).helper.read_text()


@pytest.mark.usefixtures("stored")
def test_the_token_joins_the_headers_where_there_is_no_other_way(tmp_path):
    fragment = tmp_path / "bazelrc"
    fragment.write_text("build --remote_cache=grpc://x\n# build --credential_helper=a=b\n")
    made = with_token({"BAZEL_REMOTE_CACHE_HEADER": "x-a=b"}, HOST, fragment)
    assert made == {"BAZEL_REMOTE_CACHE_HEADER": "x-a=b\nauthorization=Bearer canary-token"}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("flag", ["credential_helper", "experimental_credential_helper"])
def test_a_fragment_with_a_helper_is_way_enough(tmp_path, flag):
    fragment = tmp_path / "bazelrc"
    fragment.write_text(f"build --{flag}={HOST}=/x\n")
    assert with_token({}, HOST, fragment) == {}


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "environment",
    [
        {"BAZEL_CREDENTIAL_HELPER": "/x"},
        {"BAZEL_REMOTE_HEADER": "Authorization=Bearer mine"},
        {"BAZEL_REMOTE_CACHE_HEADER": "x=y\nauthorization=Bearer mine"},
    ],
)
def test_what_a_person_says_comes_before(environment):
    assert with_token(environment, HOST, None) == environment


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(("command", "given"), [("build", True), ("info", False)])
def test_gfattach_bazel_puts_the_token_into_the_private_rc_of_what_builds(
    tmp_path, monkeypatch, command, given
):
    """And hands the variable that holds a token on no more, where a header has it."""
    from gfattach.attach.bazel import command as bazel_command

    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "WORKSPACE").touch()
    program = tmp_path / "bazel"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(workspace)
    for name in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        (tmp_path / name).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("BAZEL_BIN", str(program))
    monkeypatch.setenv("BAZEL_REMOTE_CACHE", f"grpcs://{HOST}:1")
    monkeypatch.setenv("GF_REAPI_CREDENTIAL_HELPER_TOKEN", "canary-cell")
    asked = []
    monkeypatch.setattr(
        bazel_command, "_names", lambda needed, *_: asked.extend(needed) or {n: n for n in needed}
    )
    replacement = bazel_command.prepare([command, "//x"], Context.of_process())
    files = list((tmp_path / "XDG_RUNTIME_DIR/gfattach").glob("*"))
    assert not any("canary" in word for word in replacement.arguments)
    assert ("GF_REAPI_CREDENTIAL_HELPER_TOKEN" in replacement.environment) is not given
    if not given:
        assert files == [] and asked == []
        return
    (file,) = files
    assert asked == ["remote_cache_header", "experimental_build_event_upload_strategy"]
    assert "--remote_cache_header=authorization=Bearer canary-token" in file.read_text()
    assert f"--bazelrc={file}" in replacement.arguments
    assert "BAZEL_REMOTE_CACHE_HEADER" not in replacement.environment
