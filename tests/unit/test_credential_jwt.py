"""What a token says of itself, read without verifying it."""

import base64

import pytest

from gfattach.core.errors import CredentialError
from gfattach.credential.jwt import Claims, demand_valid, duration, read_claims, rfc3339
from tests.harness.machine.credentials import jwt

NOW = 1_800_000_000


def test_expiry_not_before_subject_audience_and_scopes_are_read():
    token = jwt(exp=NOW + 0.9, nbf=NOW - 5, sub="ci", aud=["cache", "nix"], scope="read write")
    assert read_claims(token) == Claims(NOW, NOW - 5, "ci", ("cache", "nix"), ("read", "write"))
    assert read_claims(jwt(aud="cache", scp=["read"])) == Claims(audience=("cache",), scopes=("read",))


@pytest.mark.parametrize(
    "token",
    [
        "opaque",
        "a.b",
        "a.b.c",
        "a.!!!!.c",
        "....",
        "a." + base64.urlsafe_b64encode(b"[1]").decode() + ".c",
        "a." + base64.urlsafe_b64encode(b"[" * 100_000).decode() + ".c",
        "a." + base64.urlsafe_b64encode(b"\xff\xfe").decode() + ".c",
    ],
)
def test_what_is_no_jwt_says_nothing_and_is_fine(token):
    assert read_claims(token) is None
    demand_valid(read_claims(token), "cache.example", "stdin", NOW)


@pytest.mark.parametrize("value", [True, "soon", -1, 1e300, float("nan"), float("inf"), [1], None, 10**400])
def test_a_time_that_is_none_is_not_believed(value):
    assert read_claims(jwt(exp=value)) == Claims()


def test_claims_are_cut_and_hold_nothing_that_a_terminal_would_act_on():
    claims = read_claims(jwt(sub="a\x1b[31m" + "b" * 1000, aud=["c"] * 100))
    assert "\x1b" not in claims.subject and len(claims.subject) <= 200 and len(claims.audience) == 20


@pytest.mark.parametrize(
    ("left", "said"), [(59, "expires in 59 s"), (0, "expired 0 s ago"), (-3700, "expired 1 h 1 min ago")]
)
def test_a_token_with_less_than_a_minute_left_is_refused(left, said):
    with pytest.raises(CredentialError) as caught:
        demand_valid(Claims(expires=NOW + left), "cache.example", "the keyring", NOW)
    assert caught.value.code == "credential.expired"
    assert caught.value.fact == f"the token for cache.example from the keyring {said}"
    assert "gfattach credential login cache.example" in caught.value.hints[0]


def test_a_token_with_a_minute_left_passes():
    demand_valid(Claims(expires=NOW + 60), "cache.example", "stdin", NOW)


def test_a_token_that_is_not_good_yet_is_refused_beyond_a_minute_of_skew():
    demand_valid(Claims(not_before=NOW + 60), "cache.example", "stdin", NOW)
    with pytest.raises(CredentialError) as caught:
        demand_valid(Claims(not_before=NOW + 61), "cache.example", "stdin", NOW)
    assert caught.value.code == "credential.not-yet"
    assert "date -u" in caught.value.hints[0]


def test_times_are_written_as_bazel_and_people_read_them():
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert [duration(s) for s in (5, 65, 7260, 90000)] == ["5 s", "1 min 5 s", "2 h 1 min", "1 d 1 h"]
