"""The call of the enrolment tool: what the field's enrolment script passes, and what it looks for."""

import pytest

from gfattach.contract.consumer import PROFILES, ConsumerRequest, consumer_values
from gfattach.contract.localfile import render
from gfattach.contract.substrate import classify
from gfattach.core.errors import RefusedError, UsageError

CACHE = "grpcs://cache.example.internal:9092"
CELL = "grpcs://cell.example.internal:8980"


def test_a_shared_cache_with_its_credential_helper():
    request = ConsumerRequest(
        "shared-cache-backed",
        cache_endpoint=CACHE,
        instance_name="default",
        credential_helper="bazel-cache.example.internal=/nix/store/example/bin/helper",
        credential_helper_token_file="/run/user/1000/token.jwt",
    )
    lines = render(consumer_values(request, {})).splitlines()
    assert "export GF_FLYWHEEL_PROFILE_STATE=shared-cache-backed" in lines
    assert "export GF_BAZEL_SUBSTRATE_MODE=shared-cache-backed" in lines
    assert f"export BAZEL_REMOTE_CACHE={CACHE}" in lines
    assert "export BAZEL_REMOTE_INSTANCE_NAME=default" in lines
    assert (
        "export BAZEL_CREDENTIAL_HELPER=bazel-cache.example.internal=/nix/store/example/bin/helper" in lines
    )
    assert "export GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE=/run/user/1000/token.jwt" in lines
    assert "export GF_BAZEL_REMOTE_UPLOAD=false" in lines


def test_an_executor_lacks_nothing_but_the_digest_that_its_own_lane_adds():
    request = ConsumerRequest(
        "executor-backed", cache_endpoint=CELL, executor_endpoint=CELL, platform="linux-x86_64"
    )
    values = consumer_values(request, {})
    assert values["BAZEL_REMOTE_EXECUTOR"] == CELL
    assert values["GF_BAZEL_REMOTE_EXECUTION_PLATFORM"] == "linux-x86_64"
    assert [reason.code for reason in classify(values).reasons] == ["contract.executor.proof-image"]


@pytest.mark.parametrize("profile", PROFILES)
def test_what_a_profile_writes_is_what_the_contract_accepts(profile):
    local = profile.startswith("port-forward")
    cache = "grpc://127.0.0.1:19092" if local else CACHE
    request = ConsumerRequest(profile, cache_endpoint=cache, executor_endpoint=cache)
    values = consumer_values(request, {})
    verdict = classify(values | {"GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST": "sha256:1"})
    assert verdict.accepted
    assert values["GF_FLYWHEEL_PROFILE_STATE"] == PROFILES[profile]
    assert ("BAZEL_REMOTE_EXECUTOR" in values and bool(values["BAZEL_REMOTE_EXECUTOR"])) == (
        "executor" in profile
    )


def test_an_executor_beside_another_cache_is_said_to_be_meant():
    request = ConsumerRequest("cluster-executor", cache_endpoint=CACHE, executor_endpoint=CELL)
    assert consumer_values(request, {})["GF_BAZEL_ALLOW_SEPARATE_EXECUTOR_CACHE"] == "true"


def test_an_endpoint_that_is_not_given_is_the_environment_s():
    values = consumer_values(ConsumerRequest("cluster-cache"), {"BAZEL_REMOTE_CACHE": CACHE})
    assert values["BAZEL_REMOTE_CACHE"] == CACHE


def test_an_endpoint_that_nobody_names_is_asked_for():
    with pytest.raises(UsageError) as caught:
        consumer_values(ConsumerRequest("cluster-cache"), {})
    assert caught.value.code == "contract.consumer.endpoint"
    assert "--cache-endpoint" in caught.value.fact


def test_a_profile_that_nobody_knows_is_an_error_that_names_those_there_are():
    with pytest.raises(UsageError) as caught:
        consumer_values(ConsumerRequest("attached"), {})
    assert caught.value.code == "contract.consumer.profile"
    assert all(profile in caught.value.hints[0] for profile in PROFILES)


@pytest.mark.parametrize(
    ("profile", "endpoint", "code"),
    [
        ("cluster-cache", "grpc://127.0.0.1:1", "contract.endpoint.localhost"),
        ("cluster-cache", "cache.example", "contract.endpoint.scheme"),
        ("port-forward-cache", "${CACHE}", "contract.endpoint.placeholder"),
        ("shared-cache-backed", "https://attic.tinyland.example", "contract.endpoint.stale"),
        ("shared-cache-backed", "https://u:hunter2@cache.example", "contract.endpoint.userinfo"),
    ],
)
def test_what_the_contract_would_refuse_is_not_written(profile, endpoint, code):
    with pytest.raises(RefusedError) as caught:
        consumer_values(ConsumerRequest(profile, cache_endpoint=endpoint), {})
    assert caught.value.code == code
    assert "hunter2" not in f"{caught.value.fact} {caught.value.hints}"


def test_what_else_the_calling_shell_holds_is_not_judged():
    environment = {"GF_BAZEL_SUBSTRATE_MODE": "executor-backed", "GF_BAZEL_REMOTE_UPLOAD": "on"}
    assert consumer_values(ConsumerRequest("cluster-cache", cache_endpoint=CACHE), environment)


@pytest.mark.parametrize("header", ["remote_header", "remote_cache_header", "remote_exec_header"])
def test_a_header_is_a_secret_and_not_written(header):
    request = ConsumerRequest("cluster-cache", cache_endpoint=CACHE, **{header: "x-token=hunter2"})
    with pytest.raises(UsageError) as caught:
        consumer_values(request, {})
    assert caught.value.code == "contract.consumer.secret"
    assert any(f"export BAZEL_{header.upper()}" in hint for hint in caught.value.hints)
