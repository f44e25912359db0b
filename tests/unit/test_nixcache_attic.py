"""What Attic says of a cache, and what its tokens hold: read from whatever comes, without a fault."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.core.endpoint import parse_endpoint
from gfattach.nixcache import attic
from gfattach.nixcache.errors import FormatError

#: As `attic cache info` gets it (the fields of attic's CacheConfig; the key is made up).
ANSWER: dict[str, Any] = {
    "substituter_endpoint": "https://cache.example/main",
    "api_endpoint": "https://cache.example/",
    "public_key": "main:" + "A" * 43 + "=",
    "is_public": False,
    "store_dir": "/nix/store",
    "priority": 41,
    "upstream_cache_key_names": ["cache.nixos.org-1"],
    "retention_period": "Global",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


def token(payload):
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return f"e30.{body}.c2ln"


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ("https://h/main", "https://h:443/_api/v1/cache-config/main"),
        ("http://h:8080/attic/main", "http://h:8080/attic/_api/v1/cache-config/main"),
        ("https://h", None),
    ],
)
def test_the_description_stands_below_the_server_by_the_name_of_the_cache(cache, expected):
    assert attic.config_url(parse_endpoint(cache)) == expected


def test_what_attic_says_is_read():
    config = attic.parse_config(json.dumps(ANSWER).encode())
    assert config == attic.CacheConfig(ANSWER["public_key"], "https://cache.example/main", False, 41)


def test_fields_of_another_kind_are_as_good_as_missing():
    document = {**ANSWER, "public_key": 7, "is_public": "yes", "substituter_endpoint": None}
    assert attic.parse_config(json.dumps(document).encode()) == attic.CacheConfig(None, None, None, 41)


@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_description_is_a_format_error_and_nothing_else(content):
    with contextlib.suppress(FormatError):
        attic.parse_config(content)


def test_the_rights_of_a_token_are_those_for_the_cache():
    caches = {"main": {"r": 1}, "ma*": {"w": True}, "other": {"d": 1, "cc": 1}}
    held = attic.rights_of(token({"exp": 1_700_000_000, attic.RIGHTS_CLAIM: {"caches": caches}}), "main")
    assert held == {"r", "w"}  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("text", ["", "s3cret", "a.b.c", token({"exp": 1.5, "sub": "me"})])
def test_a_token_of_somebody_else_says_nothing_of_rights(text):
    assert attic.rights_of(text, "main") is None


@given(st.text(max_size=200) | json_values.map(token))
def test_no_text_is_a_fault(text):
    held = attic.rights_of(text, "main")
    assert held is None or held <= set(attic.RIGHTS)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, '{"message":"General request error: Bad Host"}', True),
        (400, "no", False),
        (404, "Bad Host", False),
    ],
)
def test_a_name_that_is_not_allowed_is_told_by_status_and_words(status, body, expected):
    assert attic.bad_host(status, body) is expected
