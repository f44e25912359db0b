"""What the decision table cannot hold: the site, the disk, the manifest's file, and proofs of a cache."""

import pytest

from gfattach.contract.model.codes import NO_EXECUTOR
from gfattach.contract.model.manifest import read_manifest
from gfattach.contract.nix_state import NixState, nix_state
from gfattach.contract.rules.executor import executor_reasons
from gfattach.contract.rules.values import disk_reasons, injected_repositories, needs_reapi_token
from gfattach.contract.substrate import classify
from gfattach.core.errors import RefusedError, UsageError
from gfattach.site.load import load_site

CACHE = {"BAZEL_REMOTE_CACHE": "grpc://cache.example:9092"}


@pytest.fixture(autouse=True)
def no_user_configuration(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.mark.parametrize(("policy", "codes"), [("never", ["contract.upload.site"]), ("trusted", [])])
def test_uploads_need_the_site_s_leave(policy, codes):
    site = load_site({"cache.upload": policy}, {}, None)
    environment = CACHE | {"GF_BAZEL_REMOTE_UPLOAD": "true"}
    assert [reason.code for reason in classify(environment, may_upload=site.may_upload).reasons] == codes


def test_every_reason_is_in_the_error_and_the_first_one_names_it():
    environment = CACHE | {"GF_BAZEL_SUBSTRATE_MODE": "x", "GF_BAZEL_REMOTE_UPLOAD": "on"}
    with pytest.raises(RefusedError) as caught:
        classify(environment).demand()
    assert caught.value.code == "contract.mode.unknown"
    assert any("contract.upload.value" in hint for hint in caught.value.hints)
    classify(CACHE).demand()


@pytest.mark.parametrize(
    ("environment", "context"),
    [
        ({}, "developer-machine"),
        ({"CI": "1"}, "ci"),
        ({"CI": "true", "GITHUB_ACTIONS": "true"}, "github-actions"),
        ({"GITHUB_ACTIONS": "1"}, "developer-machine"),
    ],
)
def test_where_an_environment_was_found(environment, context):
    assert classify(environment).context == context


def test_a_directory_to_inject_has_to_be_there():
    environment = {"GF_BAZEL_INJECT_REPOSITORIES": "a=/there:b=/gone:c=relative"}
    reasons = disk_reasons(environment, is_directory=lambda path: path == "/there", is_file=lambda path: True)
    assert [reason.code for reason in reasons] == ["contract.inject.missing"]
    assert "/gone" in reasons[0].seen
    assert injected_repositories(environment) == (("a", "/there"), ("b", "/gone"))


@pytest.mark.parametrize(
    ("endpoint", "needs"),
    [
        ("grpc://gf-reapi-cell:8980", True),
        ("grpc://gf-reapi-cell-2:8980", True),
        ("grpc://gf-reapi-cell-2.example:8980", False),
        ("grpc://cell.gf-rbe.svc:8980", True),
        ("grpc://cell.gf-rbe.svc.cluster.local:8980", True),
        ("grpc://cache.example:9092", False),
        ("grpc://gf-rbe.svcs.example:1", False),
        ("", False),
    ],
)
def test_a_reapi_cell_asks_for_a_token(endpoint, needs):
    assert needs_reapi_token(endpoint) is needs
    environment = {"BAZEL_REMOTE_CACHE": endpoint}
    reasons = disk_reasons(environment, is_directory=lambda path: False, is_file=lambda path: False)
    assert [reason.code for reason in reasons] == ["contract.reapi-token.missing"] * needs


@pytest.mark.parametrize(
    ("environment", "there", "codes"),
    [
        ({}, "/var/run/secrets/tokens/gf-reapi-cell-token", []),
        ({"GF_REAPI_CREDENTIAL_HELPER_TOKEN": "hunter2"}, "", []),
        ({"GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE": "/t"}, "/t", []),
        ({"GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE": "/t"}, "/other", ["contract.reapi-token.missing"]),
    ],
)
def test_a_token_comes_from_a_file_or_a_variable(environment, there, codes):
    reasons = disk_reasons(
        {"BAZEL_REMOTE_CACHE": "grpc://gf-reapi-cell:8980", **environment},
        is_directory=lambda path: False,
        is_file=lambda path: path == there,
    )
    assert [reason.code for reason in reasons] == codes


@pytest.mark.parametrize(
    ("environment", "code"),
    [
        ({"BAZEL_REMOTE_EXECUTOR": "grpc://cell.example:1"}, "contract.no-executor.endpoint"),
        ({"BAZEL_REMOTE_EXECUTOR_CACHE": "grpc://cas.example:1"}, "contract.no-executor.endpoint"),
        ({"GF_BAZEL_SUBSTRATE_MODE": "executor-backed"}, "contract.no-executor.mode"),
        ({"GF_FLYWHEEL_PROFILE_STATE": "executor-backed"}, "contract.no-executor.profile"),
        ({"GF_RBE_PROOF_MODE": "explicit"}, "contract.no-executor.rbe-proof"),
        ({"BAZEL_REMOTE_EXEC_HEADER": "x-token=hunter2"}, "contract.no-executor.header"),
    ],
)
def test_a_proof_of_a_cache_is_refused_where_something_asks_for_an_executor(environment, code):
    (reason,) = executor_reasons(CACHE | environment)
    assert reason.code == code and code in NO_EXECUTOR
    assert reason.variable in environment
    assert "hunter2" not in repr(reason)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"BAZEL_REMOTE_EXECUTOR": ""},
        {"GF_BAZEL_SUBSTRATE_MODE": "shared-cache-backed"},
        {"GF_FLYWHEEL_PROFILE_STATE": "local-proof", "GF_BAZEL_LOCAL_PROOF": "port-forward"},
        {"BAZEL_REMOTE_HEADER": "x-token=a", "BAZEL_REMOTE_CACHE_HEADER": "x-token=a"},
        {"GF_BAZEL_REMOTE_EXECUTION_PLATFORM": "gloriousflywheel-rbe-linux-x86_64"},
        {"GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST": "sha256:1"},
    ],
)
def test_a_cache_alone_is_no_reason_to_refuse_a_proof(environment):
    assert executor_reasons(CACHE | environment) == ()


def test_a_manifest_that_is_not_there_declares_nothing(tmp_path):
    assert read_manifest(tmp_path) is None


def test_a_manifest_is_read_as_it_stands(tmp_path):
    (tmp_path / "tinyland.repo.json").write_text('{"enrollment": {"substrateMode": "x"}, "other": 1}')
    assert read_manifest(tmp_path) == {"enrollment": {"substrateMode": "x"}, "other": 1}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'"x"', b"\xff", b'{"enrollment": []}', b"[" * 100_000, b" " * 1024 * 1024 + b"{}"],
)
def test_a_manifest_that_is_none_is_an_error_that_names_the_file(tmp_path, content):
    file = tmp_path / "tinyland.repo.json"
    file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read_manifest(tmp_path)
    assert caught.value.code == "contract.manifest.unreadable"
    assert str(file) in caught.value.fact


SERVER = {"ATTIC_SERVER": "https://nix.example/", "ATTIC_PUBLIC_KEY": "main:K"}
EXTRA = "extra-substituters = https://nix.example/main\nextra-trusted-public-keys = other:X main:K"


@pytest.mark.parametrize(
    ("environment", "state"),
    [
        ({}, NixState.NOT_ATTACHED),
        ({"NIX_CONFIG": "cores = 2"}, NixState.NOT_ATTACHED),
        ({"ATTIC_SERVER": "https://nix.example"}, NixState.PARTIAL),
        ({"ATTIC_PUBLIC_KEY": "main:K"}, NixState.PARTIAL),
        (SERVER, NixState.PARTIAL),
        (SERVER | {"NIX_CONFIG": EXTRA}, NixState.ATTACHED),
        (SERVER | {"NIX_CONFIG": EXTRA.replace("extra-", "")}, NixState.PARTIAL),
        (SERVER | {"NIX_CONFIG": EXTRA.replace("\n", "\n# ")}, NixState.PARTIAL),
        (SERVER | {"NIX_CONFIG": EXTRA, "ATTIC_CACHE": "other"}, NixState.PARTIAL),
        (SERVER | {"NIX_CONFIG": f"cores = 2\n{EXTRA}", "ATTIC_CACHE": "main"}, NixState.ATTACHED),
        (SERVER | {"NIX_CONFIG": "!include /w/nix.conf"}, NixState.INCLUDED),
        ({"NIX_CONFIG": "include /w/nix.conf"}, NixState.INCLUDED),
        ({"ATTIC_SERVER": "https://attic.tinyland.example"}, NixState.STALE),
        (SERVER | {"NIX_CONFIG": f"{EXTRA}\nsubstituters = http://x.fuzzy-dev/main"}, NixState.STALE),
    ],
)
def test_how_far_the_nix_cache_is_attached(environment, state):
    assert nix_state(environment) is state
    assert classify(environment).nix is state
