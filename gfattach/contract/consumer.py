"""The call of the field's enrolment tool: a profile and its endpoints in, an environment out.

The enrolment script of the field calls a program named `flywheel-consumer-env` with the profile
first and these options behind it. The program itself is not public: what it writes is taken from
the script that calls it and from that script's tests, and said in docs/contract.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from gfattach.contract.model.terms import Reason
from gfattach.contract.model.variables import value_of
from gfattach.contract.substrate import classify
from gfattach.core.errors import RefusedError, UsageError

#: The profiles of the call, and the profile state that each becomes.
PROFILES: Mapping[str, str] = {
    "unattached": "unattached",
    "shared-cache-backed": "shared-cache-backed",
    "cluster-cache": "shared-cache-backed",
    "executor-backed": "executor-backed",
    "cluster-executor": "executor-backed",
    "port-forward-cache": "local-proof",
    "port-forward-executor": "local-proof",
}

_WITH_EXECUTOR = ("executor-backed", "cluster-executor", "port-forward-executor")

#: What an executor's environment lacks until the executor's own lane adds it.
_ADDED_LATER = "contract.executor.proof-image"


class ConsumerRequest(Struct, frozen=True):
    """The call's arguments, one field an option (`--cache-endpoint` and so on); None: not given.

    Endpoints that are not given are taken from the environment of the call.
    """

    profile: str
    cache_endpoint: str | None = None
    executor_endpoint: str | None = None
    instance_name: str | None = None
    credential_helper: str | None = None
    credential_helper_token_file: str | None = None
    remote_header: str | None = None
    remote_cache_header: str | None = None
    remote_exec_header: str | None = None
    platform: str | None = None


def consumer_values(request: ConsumerRequest, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that `request` amounts to.

    Raises UsageError for an unknown profile, an endpoint that is missing, and a header,
    which is a secret; RefusedError for an environment that the contract would refuse. Only the
    digest of an executor's image may be missing.
    """
    if request.profile not in PROFILES:
        raise UsageError(
            f"there is no profile {request.profile!r}",
            f"there are: {', '.join(PROFILES)}",
            code="contract.consumer.profile",
        )
    _refuse_headers(request)
    values = _unattached() if request.profile == "unattached" else _backed(request, environment)
    # Variables of the call's own shell that are not written, such as runner labels, are not judged.
    judged = {name: value_of(environment, name) for name in ("GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST",)}
    reasons = [r for r in classify(judged | values).reasons if r.code != _ADDED_LATER]
    if reasons:
        raise _refused(request, reasons)
    return values


def _unattached() -> dict[str, str]:
    return {
        "GF_FLYWHEEL_PROFILE_STATE": "unattached",
        "GF_BAZEL_SUBSTRATE_MODE": "compatibility-local-only",
        "BAZEL_REMOTE_CACHE": "",
        "BAZEL_REMOTE_EXECUTOR": "",
    }


def _backed(request: ConsumerRequest, environment: Mapping[str, str]) -> dict[str, str]:
    executes = request.profile in _WITH_EXECUTOR
    state = PROFILES[request.profile]
    cache = _endpoint(request.cache_endpoint, environment, "BAZEL_REMOTE_CACHE", "--cache-endpoint")
    executor = ""
    if executes:
        executor = _endpoint(
            request.executor_endpoint, environment, "BAZEL_REMOTE_EXECUTOR", "--executor-endpoint"
        )
    values = {
        "GF_FLYWHEEL_PROFILE_STATE": state,
        "GF_BAZEL_SUBSTRATE_MODE": "executor-backed" if executes else "shared-cache-backed",
        "BAZEL_REMOTE_CACHE": cache,
        "BAZEL_REMOTE_EXECUTOR": executor,
        "GF_BAZEL_REMOTE_UPLOAD": "false",
        "BAZEL_REMOTE_UPLOAD": "false",
    }
    if state == "local-proof":
        values["GF_BAZEL_LOCAL_PROOF"] = "port-forward"
        values["GF_BAZEL_ALLOW_LOCALHOST_PROOF"] = "true"
    if executor and executor != cache:
        # Both were named, one by one: that is what the variable says.
        values["GF_BAZEL_ALLOW_SEPARATE_EXECUTOR_CACHE"] = "true"
    optional = {
        "BAZEL_REMOTE_INSTANCE_NAME": request.instance_name,
        "BAZEL_CREDENTIAL_HELPER": request.credential_helper,
        "GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE": request.credential_helper_token_file,
        "GF_BAZEL_REMOTE_EXECUTION_PLATFORM": request.platform,
    }
    return values | {name: value for name, value in optional.items() if value}


def _endpoint(given: str | None, environment: Mapping[str, str], variable: str, option: str) -> str:
    endpoint = given or value_of(environment, variable)
    if not endpoint:
        raise UsageError(
            f"the profile needs an endpoint, and neither {option} nor {variable} names one",
            f"name it: {option} grpc://HOST:PORT",
            'or attach first: gfattach up && eval "$(gfattach env)"',
            code="contract.consumer.endpoint",
        )
    return endpoint


def _refuse_headers(request: ConsumerRequest) -> None:
    given = {
        "--remote-header": request.remote_header,
        "--remote-cache-header": request.remote_cache_header,
        "--remote-exec-header": request.remote_exec_header,
    }
    for option, value in given.items():
        if value:
            raise UsageError(
                f"{option} is a secret, and a file on disk is no place for it",
                f"export BAZEL_{option[2:].replace('-', '_').upper()} in the shell that needs it",
                code="contract.consumer.secret",
            )


def _refused(request: ConsumerRequest, reasons: list[Reason]) -> RefusedError:
    first, *others = reasons
    return RefusedError(
        f"the profile {request.profile} would be refused: {first.seen}",
        first.why,
        *first.hints,
        *(f"also: {reason.seen} ({reason.code})" for reason in others),
        code=first.code,
    )
