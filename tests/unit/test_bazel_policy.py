"""Which flags an invocation policy sets, as text and in base64; and that anything else is no policy."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.bazel.options.policy import settings


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ("", []),
        ("flag_policies{flag_name:'a' set_value{flag_value:'b'}}", [("a", "b")]),
        ('flag_policies: < set_value <flag_value: ["b", "c"]>, flag_name: "a">', [("a", "b"), ("a", "c")]),
        ("flag_policies{flag_name:'\\x61' 'b' set_value{flag_value:\"c\" behavior:FINAL append:true}}",
         [("ab", "c")]),
        ("# a word\nflag_policies{flag_name:'a' commands:'build' use_default{}}", []),
        ("flag_policies{flag_name:'a' allow_values{allowed_values:'x' new_value:'b'}}", [("a", "b")]),
        ("flag_policies{flag_name:'a' disallow_values{disallowed_values:'x' use_default{}}}", []),
        ("CgsKAWEaBgoBYgoBYw==", [("a", "b"), ("a", "c")]),
        ("CgsKAWEaBgoBYgoBYw", [("a", "b"), ("a", "c")]),
    ],
)  # fmt: skip
def test_what_a_policy_may_set(policy, found):
    assert list(settings(policy)) == found


@pytest.mark.parametrize(
    "policy",
    ["flag_policies{", "flag_policies{flag_name:'a}", "{}", "flag_policies:'a'", "é", "Ch8=", "flag_policies{"
     "flag_name{} set_value{flag_value:'b'}}", "x{" * 5000, "////"],
)  # fmt: skip
def test_what_is_no_policy_is_not_taken_for_one_that_sets_nothing(policy):
    with pytest.raises(ValueError):
        list(settings(policy))


@given(st.text() | st.binary().map(lambda content: base64.b64encode(content).decode()))
def test_any_text_is_a_policy_or_a_value_error(policy):
    with contextlib.suppress(ValueError):
        assert all(isinstance(word, str) for pair in settings(policy) for word in pair)
