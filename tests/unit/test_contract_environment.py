"""What an attachment lays over an environment, and that it is taken back exactly."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gfattach.contract.environment import (
    FILE_MEMORY,
    MEMORY,
    SAVED,
    Assign,
    Exports,
    Reference,
    attached,
    change,
    contract_values,
    detached,
    include_line,
)
from gfattach.contract.localfile import local_values
from gfattach.contract.model.variables import BY_NAME
from gfattach.contract.substrate import classify
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.errors import UsageError

FORWARD = parse_endpoint("grpc://127.0.0.1:49152")
OTHER_FORWARD = parse_endpoint("http://127.0.0.1:49153")
DIRECT = parse_endpoint("grpcs://bazel-cache.example:443")
FRAGMENT = Path("/w/.gfattach/nix.conf")

values = st.text(alphabet="ab \n'\"$", max_size=6)
users_environments = st.dictionaries(st.sampled_from([*BY_NAME, "PATH"]), values, max_size=8)
exports = st.builds(
    Exports,
    cache=st.sampled_from([None, FORWARD, OTHER_FORWARD, DIRECT]),
    nix_fragment=st.sampled_from([None, FRAGMENT, Path("/other/nix.conf")]),
)


def test_a_forward_is_the_environment_that_every_script_of_the_field_accepts():
    assert attached({}, Exports(cache=FORWARD)) == {
        "GF_FLYWHEEL_PROFILE_STATE": "local-proof",
        "GF_BAZEL_SUBSTRATE_MODE": "shared-cache-backed",
        "GF_BAZEL_LOCAL_PROOF": "port-forward",
        "GF_BAZEL_ALLOW_LOCALHOST_PROOF": "true",
        "GF_BAZEL_REMOTE_UPLOAD": "false",
        "BAZEL_REMOTE_UPLOAD": "false",
        "BAZEL_REMOTE_CACHE": "grpc://127.0.0.1:49152",
        MEMORY: attached({}, Exports(cache=FORWARD))[MEMORY],
    }


def test_a_direct_endpoint_is_the_shared_cache_itself():
    environment = attached({"GF_BAZEL_LOCAL_PROOF": "port-forward"}, Exports(cache=DIRECT))
    assert environment["GF_FLYWHEEL_PROFILE_STATE"] == "shared-cache-backed"
    assert environment["BAZEL_REMOTE_CACHE"] == "grpcs://bazel-cache.example:443"
    assert "GF_BAZEL_LOCAL_PROOF" not in environment
    assert "GF_BAZEL_ALLOW_LOCALHOST_PROOF" not in environment


def test_an_executor_and_what_belongs_to_it_are_gone_while_attached():
    before = {
        "BAZEL_REMOTE_EXECUTOR": "grpc://cell.example:1",
        "BAZEL_REMOTE_EXECUTOR_CACHE": "grpc://cas.example:1",
        "BAZEL_REMOTE_EXEC_HEADER": "a=b",
        "GF_BAZEL_RUNNER_LABELS": "ubuntu-latest",
    }
    after = attached(before, Exports(cache=FORWARD))
    assert not set(before) & set(after)
    assert classify(after, strict=True).accepted
    assert detached(after) == before


def test_the_user_s_nix_config_is_kept_in_front_of_the_fragment():
    before = {"NIX_CONFIG": "cores = 2\n"}
    after = attached(before, Exports(nix_fragment=FRAGMENT))
    assert after["NIX_CONFIG"] == "cores = 2\n\n!include /w/.gfattach/nix.conf"
    assert detached(after) == before


def test_a_fragment_that_the_user_includes_already_is_not_included_twice():
    before = {"NIX_CONFIG": f"!include {FRAGMENT}\ncores = 2"}
    assert attached(before, Exports(nix_fragment=FRAGMENT)) == before


@pytest.mark.parametrize("path", ["relative/nix.conf", "/a b/nix.conf", "/a#b/nix.conf", "/a\nb", "/a\tb"])
def test_a_fragment_that_nix_cannot_include_is_an_error(path):
    with pytest.raises(UsageError) as caught:
        include_line(Path(path))
    assert caught.value.code == "contract.env.nix-path"


@given(users_environments, exports)
@example({"NIX_CONFIG": ""}, Exports(nix_fragment=FRAGMENT))
@example({"NIX_CONFIG": "\n"}, Exports(nix_fragment=FRAGMENT))
def test_what_was_attached_is_taken_back_to_the_byte(environment, laid_over):
    assert detached(attached(environment, laid_over)) == environment


@given(users_environments, exports, exports)
def test_attaching_again_is_as_attaching_once(environment, first, second):
    assert attached(attached(environment, first), second) == attached(environment, second)


@given(users_environments)
def test_an_environment_that_was_never_attached_stays_as_it_is(environment):
    assert detached(environment) == environment
    assert change(environment, detached(environment)) == ()


@given(users_environments, exports, st.sampled_from(["BAZEL_REMOTE_CACHE", "NIX_CONFIG", "BAZEL_BIN"]))
def test_a_variable_that_somebody_changed_since_is_theirs(environment, laid_over, name):
    inside = {**attached(environment, laid_over), name: "mine"}
    assert detached(inside) == {**environment, name: "mine"}


@given(users_environments)
def test_whatever_stood_there_an_attached_environment_is_accepted_but_for_what_is_not_gfattach_s(environment):
    after = attached(environment, Exports(cache=FORWARD))
    own = set(contract_values(FORWARD))
    assert not own & {reason.variable for reason in classify(after).reasons}


def applied(before, changes):
    """What the changes make of an environment, one after the other, as a shell does it."""
    result = dict(before)
    for each in changes:
        if each.parts is None:
            del result[each.name]
        else:
            parts = (result[p.name] if isinstance(p, Reference) else p for p in each.parts)
            result[each.name] = "".join(parts)
    return result


@given(users_environments, exports, exports, st.sampled_from(["", "BAZEL_REMOTE_CACHE", "NIX_CONFIG"]))
def test_the_changes_make_the_one_of_the_other(environment, first, second, touched):
    inside = attached(environment, first) | ({touched: "mine"} if touched else {})
    for before, after in (
        (environment, attached(environment, first)),
        (inside, attached(inside, second)),
        (inside, detached(inside)),
    ):
        assert applied(before, change(before, after)) == after


def test_a_value_of_the_user_s_is_referred_to_and_never_spelled_out():
    before = {"NIX_CONFIG": "access-tokens = x", "BAZEL_REMOTE_EXEC_HEADER": "a=b"}
    changes = change(before, attached(before, Exports(FORWARD, FRAGMENT)))
    assert Assign("NIX_CONFIG", (Reference("NIX_CONFIG"), f"\n!include {FRAGMENT}")) in changes
    assert Assign(f"{SAVED}NIX_CONFIG", (Reference("NIX_CONFIG"),)) in changes
    assert Assign("BAZEL_REMOTE_EXEC_HEADER", None) in changes


@pytest.mark.parametrize("memory", ["{", "[]", "1", '{"NIX_CONFIG":1}', '{"PATH":"/bin"}', "[" * 100_000])
@pytest.mark.parametrize("name", [MEMORY, FILE_MEMORY])
def test_a_damaged_memory_is_dropped_and_touches_nothing(name, memory):
    before = {"PATH": "/bin", "NIX_CONFIG": "cores = 2", name: memory}
    assert detached(before) == {"PATH": "/bin", "NIX_CONFIG": "cores = 2"}


def test_what_a_shell_took_from_the_local_file_is_taken_back_too():
    sourced = {"PATH": "/bin", **local_values(FORWARD)}
    assert detached(sourced) == {"PATH": "/bin"}


def test_the_local_file_over_an_attached_shell_is_taken_back_with_it():
    before = {"BAZEL_REMOTE_CACHE": "grpc://mine.example:1", "NIX_CONFIG": "cores = 2"}
    inside = attached(before, Exports(FORWARD, FRAGMENT)) | local_values(OTHER_FORWARD)
    assert detached(inside) == before


def test_what_is_remembered_names_no_secret():
    before = {"NIX_CONFIG": "access-tokens = x=hunter2", "BAZEL_REMOTE_EXEC_HEADER": "a=hunter2"}
    memory = attached(before, Exports(FORWARD, FRAGMENT))[MEMORY]
    assert "hunter2" not in memory
    assert json.loads(memory)["BAZEL_REMOTE_EXEC_HEADER"] is None
