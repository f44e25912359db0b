"""Whatever an environment holds: it gets a verdict, and no secret of it is ever shown."""

import json
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gfattach.contract import shells
from gfattach.contract.consumer import PROFILES, ConsumerRequest, consumer_values
from gfattach.contract.environment import Exports, attached, change, detached
from gfattach.contract.hazards.environment import environment_hazards
from gfattach.contract.localfile import render
from gfattach.contract.model.variables import BY_NAME, VARIABLES, Secrecy
from gfattach.contract.rules.executor import executor_reasons
from gfattach.contract.rules.values import disk_reasons
from gfattach.contract.substrate import Substrate, classify
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import GfattachError

CANARY = "hunter2"

SECRETS = [variable.name for variable in VARIABLES if variable.secrecy is Secrecy.SECRET]
ENDPOINTS = [variable.name for variable in VARIABLES if variable.secrecy is Secrecy.ENDPOINT]
PUBLIC = [variable.name for variable in VARIABLES if variable.secrecy is Secrecy.PUBLIC]

anything = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=20).map(lambda raw: os.fsdecode(raw.replace(b"\0", b""))),
    st.sampled_from(["", "true", "1", *Substrate, "local-proof", "port-forward", "${X}", "a=/b:c=d"]),
    st.sampled_from(["grpc://cache.example:1", "http://[::1]", "grpc://[", "gf-reapi-cell.example", "@"]),
)

#: A password in every place of an endpoint where people put one.
endpoints_with_secrets = st.builds(
    lambda scheme, form: scheme + form.replace("*", CANARY),
    st.sampled_from(["grpc://", "https://", "HTTP://", "ftp://", "", "grpc:/", "${S}://"]),
    st.sampled_from(
        [
            "user:*@cache.example:9092",
            "*@cache.example",
            "u:*/x@cache.example",
            "u:*?x@127.0.0.1",
            "u:*#x@h",
            "cache.example/?token=*",
            "cache.example/#*",
            "cache.example:*",
            "[*]/x",
            "u:p@*@h",
            "attic-cache-dev/?t=*@x",
            "cache.example ?t=*",
        ]
    ),
)
secrets = st.sampled_from(
    [
        CANARY,
        f"x-token={CANARY}",
        f"{CANARY}=x",
        f"Authorization: Bearer {CANARY}",
        f"x=${{{CANARY}}}",
        f"a=b\n\n={CANARY}\n",
        f"access-tokens = github.com={CANARY}",
        f"extra-substituters = https://u:{CANARY}@attic.tinyland.example/main\n# {CANARY}\n",
        f"!include /{CANARY}\nnetrc-file = {CANARY}",
    ]
)


def environments(values):
    return st.fixed_dictionaries({}, optional=values)


any_environment = environments(
    dict.fromkeys([*BY_NAME, "GFATTACH_SET", "GFATTACH_FILE_SET", "PATH"], anything)
)
secret_environment = environments(
    dict.fromkeys(SECRETS, secrets)
    | dict.fromkeys(ENDPOINTS, endpoints_with_secrets)
    | {f"GFATTACH_SAVED_{name}": secrets for name in SECRETS}
    | {f"GFATTACH_SAVED_{name}": endpoints_with_secrets for name in ENDPOINTS}
    | {name: st.sampled_from(["true", "x", *Substrate, "local-proof", "pull_request"]) for name in PUBLIC}
    | {
        "GFATTACH_SET": st.sampled_from(
            [
                json.dumps(dict.fromkeys(BY_NAME)),
                json.dumps(dict.fromkeys(BY_NAME, "")),
                '{"NIX_CONFIG":"!include /w/nix.conf"}',
                "{",
            ]
        )
    }
)
manifests = st.one_of(
    st.none(),
    st.just({}),
    st.builds(
        lambda mode: {"enrollment": {"substrateMode": mode}},
        st.one_of(st.sampled_from([*Substrate, "", None, 1, True]), st.lists(st.text()), st.text()),
    ),
    st.builds(lambda enrollment: {"enrollment": enrollment}, st.one_of(st.text(), st.none(), st.integers())),
)

relaxed = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)


@relaxed
@given(any_environment, manifests, st.booleans())
@example({"BAZEL_REMOTE_CACHE": "http://[::1"}, None, True)
def test_every_environment_gets_a_verdict(environment, manifest, strict):
    verdict = classify(environment, manifest=manifest, strict=strict)
    assert verdict.accepted == (verdict.exit_code == 0) == (verdict.script_exit_code == 0)
    assert verdict.substrate in set(Substrate)
    assert json.loads(json.dumps(verdict.record()))["exit_code"] == verdict.exit_code
    for reason in verdict.reasons:
        assert reason.seen and reason.why and reason.hints
    environment_hazards(environment, manifest)
    executor_reasons(environment)
    disk_reasons(environment, is_directory=lambda path: False, is_file=lambda path: False)


@given(any_environment)
def test_strict_refuses_whatever_is_refused_without_it(environment):
    lax = {reason.code for reason in classify(environment).reasons}
    assert lax <= {reason.code for reason in classify(environment, strict=True).reasons}


@given(any_environment)
def test_an_empty_variable_is_an_unset_one(environment):
    without = {name: value for name, value in environment.items() if value}
    assert classify(environment) == classify(without)


def everything_shown(environment):
    """All texts that the contract makes of an environment."""
    manifest = {"enrollment": {"substrateMode": "executor-backed"}}
    verdict = classify(environment, manifest=manifest, strict=True)
    yield repr(verdict)
    yield json.dumps(verdict.record())
    yield repr(environment_hazards(environment, manifest))
    yield repr(executor_reasons(environment))
    yield repr(disk_reasons(environment, is_directory=lambda path: False, is_file=lambda path: False))
    yield from errors_of(verdict.demand)
    exports = Exports(cache=parse_endpoint("grpc://127.0.0.1:4711"))
    for after in (attached(environment, exports), detached(environment)):
        changes = change(environment, after)
        yield shells.sh(changes)
        yield shells.fish(changes)
        yield shells.json_text(changes)
        yield from errors_of(lambda changes=changes: shells.github(changes, environment))
    for profile in PROFILES:
        yield from errors_of(
            lambda profile=profile: render(consumer_values(ConsumerRequest(profile), environment))
        )


def errors_of(call):
    """What a call returns, or what its failure says."""
    try:
        yield str(call())
    except GfattachError as error:
        yield f"{error.fact} {error.hints}"


@relaxed
@given(secret_environment)
def test_no_secret_is_ever_shown(environment):
    for text in everything_shown(environment):
        assert CANARY not in text


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_is_set_is_shown_to_be_set(name):
    assert classify({name: CANARY}).variables[name] == "set"


def test_a_header_of_a_call_is_refused_without_being_shown():
    for option in ("remote_header", "remote_cache_header", "remote_exec_header"):
        request = ConsumerRequest("cluster-cache", cache_endpoint="grpc://h:1", **{option: f"a={CANARY}"})
        (text,) = errors_of(lambda request=request: consumer_values(request, {}))
        assert "secret" in text and CANARY not in text
