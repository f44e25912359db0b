"""What is taken out of everything that is shown: secrets by shape, by the name before them, and by value."""

import json
import random
import re
import time

import pytest

from gfattach.core import redact as module
from gfattach.core.redact import MASK, redact, redacted, register

SECRET = "c4naryS3cretValue12345"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.AbCdEf-_123"


@pytest.fixture(autouse=True)
def nothing_is_registered(monkeypatch):
    monkeypatch.setattr(module, "_known", set())


SECRETS = [
    f"Authorization: Bearer {SECRET}",
    f"Proxy-Authorization: Digest username=a, response={SECRET}",
    f'{{"Authorization": ["Bearer {SECRET}"]}}',
    f"[('authorization', 'Bearer {SECRET}'), ('x', 'y')]",
    f"{{'authorization': b'Bearer {SECRET}'}}",
    f"Bearer {SECRET}",
    f"the server refused bearer {SECRET}.",
    f"basic {SECRET}==",
    f"--remote_header=x-api={SECRET} --keep_going",
    f"'--remote_header=x-api=two {SECRET}'",
    f"'build' options: --remote_header=x-api=a --remote_cache_header=x-b={SECRET} --remote_header=c={SECRET}",
    f"BAZEL_REMOTE_HEADER=x-api=a BAZEL_REMOTE_CACHE_HEADER=x-api={SECRET}",
    f'build "--remote_cache_header=authorization=Bearer {SECRET}"',
    f"--bes_header 'x-api={SECRET}'",
    f"BAZEL_REMOTE_EXEC_HEADER=x={SECRET}",
    f"ATTIC_TOKEN={SECRET}",
    f"export GF_REAPI_CREDENTIAL_HELPER_TOKEN='{SECRET}'",
    f"token: {SECRET}",
    f'"refreshToken": "{SECRET}"',
    f'{{\\"password\\": \\"{SECRET}\\"}}',
    f"https://cache.example/x?access_token={SECRET}&x=1",
    f"--token {SECRET}",
    f"client-key-data: {SECRET}",
    f"machine cache.example login me password {SECRET}",
    f"machine cache.example password {SECRET} login me",
    f"machine cache.example account me PASSWORD {SECRET}",
    f"secret main-1:{SECRET * 3}{SECRET[:20]}==",
    f"https://me:{SECRET}@cache.example/x",
    f"https://{SECRET}@cache.example/x",
    f"https://me@work:{SECRET}@cache.example/x",
    f"Set-Cookie: session={SECRET}; Path=/",
    f"cookie={SECRET}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
    f"-----BEGIN EC PRIVATE KEY-----\\n{SECRET}\\n-----END EC PRIVATE KEY-----",
    f"ghp_{SECRET}",
    f"a%20glpat-{SECRET}",
    f"github_pat_{SECRET}",
]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_goes_and_a_second_pass_changes_nothing(text):
    once = redact(f"before {text}\nafter")
    assert SECRET not in once and MASK in once
    assert once.startswith("before ")
    assert redact(once) == once


@pytest.mark.parametrize("frame", ["{}", "x={}.", "\\n{}\\n", "%20{}", "('{}',)", "{}\n{}", "Bearer {}"])
def test_a_jwt_goes_wherever_it_stands_and_though_it_is_cut_off(frame):
    assert JWT not in redact(frame.replace("{}", JWT))
    assert JWT[:30] not in redact(frame.replace("{}", JWT[:30]))


@pytest.mark.parametrize(
    "text",
    [
        "a secret: ask the operator for it",
        "the cache asks for basic authentication, or for bearer tokens",
        "GF_REAPI_CREDENTIAL_HELPER_TOKEN_FILE=/var/run/secrets/tokens/gf-reapi-cell-token",
        "build --credential_helper=cache.example=/home/me/.gfattach/credential-helper",
        "https://github.com/a/b@v1.2",
        "/nix/store/ahgq43xbag538xns9db82sb0a2nax7a8-gfattach-probe-v1",
        "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
        "main-1:3fT1DbWAMEZxHJ7jLuVE4JTvI3iJ3bXDkn2K9Q0Y2dM=",
        "grpcs://cache.example:443",
        "PWD=/home/me OLDPWD=/home",
        "store a new one: gfattach credential login cache.example",
        "[credential.token.space]",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_what_stands_around_a_secret_stays():
    assert (
        redact(f"--remote_header=x-api={SECRET} --keep_going") == f"--remote_header=x-api={MASK} --keep_going"
    )
    assert redact(f"a=1&token={SECRET}&b=2") == f"a=1&token={MASK}&b=2"
    assert redact(f"https://me:{SECRET}@cache.example/x") == f"https://{MASK}@cache.example/x"


@pytest.mark.parametrize("value", ["plain-opaque-words", 'a"b\\c d/é+', "https://x/y?z", "tab\there"])
def test_a_registered_value_goes_in_every_form_that_programs_print(value):
    from urllib.parse import quote

    register(f" {value}\n")
    for form in (value, json.dumps(value), repr(value), quote(value), quote(value, safe="")):
        assert MASK in redact(f"x {form} y")
        assert value not in redact(f"x {form} y")


def test_a_short_value_is_not_registered_because_it_would_take_words_apart():
    register("a")
    register("")
    assert redact("a cat") == "a cat"


def test_the_longer_of_two_registered_values_goes_whole():
    register("abcdefgh")
    register("abcdefgh-and-more")
    assert redact("x abcdefgh-and-more y") == f"x {MASK} y"


def test_a_document_keeps_its_form_and_loses_texts_under_a_secrets_name():
    document = {
        "token": "abc",
        "tokens": ["abc", {"deep": f"Bearer {SECRET}"}],
        "token_file": "/x",
        "headers": {"authorization": "abc", "x": "y"},
        "rotated_token": 3,
        "secret": True,
        "none": None,
        "list": (f"password={SECRET}", 1.5),
    }
    assert redacted(document) == {
        "token": MASK,
        "tokens": [MASK, {"deep": f"Bearer {MASK}"}],
        "token_file": "/x",
        "headers": {"authorization": MASK, "x": "y"},
        "rotated_token": 3,
        "secret": True,
        "none": None,
        "list": [f"password={MASK}", 1.5],
    }
    assert document["token"] == "abc"


def repeats(parsed):
    """Every repeat of a parsed pattern: whether it is possessive, its bounds, and what it repeats."""
    for operation, argument in parsed:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield name, argument[1], argument[2]
            yield from repeats(argument[2])
        elif name == "SUBPATTERN":
            yield from repeats(argument[3])
        elif name == "BRANCH":
            for branch in argument[1]:
                yield from repeats(branch)
        elif name in ("ASSERT", "ASSERT_NOT"):
            yield from repeats(argument[1])
        elif name == "ATOMIC_GROUP":
            yield from repeats(argument)


def test_no_pattern_can_take_more_than_linear_work():
    """The work is bounded by construction: a repeat without a bound never gives back what it took.

    The one exception is the body of a private key, which always ends in a match and is not begun again.
    """
    parser = re._parser  # type: ignore[attr-defined]
    seen = 0
    for pattern, _ in module._rules():
        for kind, most, body in repeats(parser.parse(pattern.pattern, pattern.flags)):
            if most is not parser.MAXREPEAT:
                assert int(most) <= 200
                continue
            seen += 1
            lazy_key = kind == "MIN_REPEAT" and "PRIVATE KEY" in pattern.pattern
            assert kind == "POSSESSIVE_REPEAT" or lazy_key, pattern.pattern
            assert len(body) <= 2
    assert seen > 10


HOSTILE = [
    *("-----BEGIN PRIVATE KEY-----", "eyJ", "eyJaaaaaaaaaaaaaaaa.", "://", "://a", "://@", "token=", "token"),
    *("--", "--a_", "login a password ", "Bearer ", "authorization:", "glpat-", "a", "%20", '"', "'", "\\n"),
    *("--remote_header=a=", 'cookie="', 'password "', "BAZEL_REMOTE_", "-----BEGIN ", " ", "@"),
]


@pytest.mark.parametrize("unit", HOSTILE)
def test_the_work_grows_with_the_text_and_not_with_its_square(unit):
    """Counted in this thread's own processor time, eightfold text against its own eighth."""

    def work(characters):
        text = (unit * characters)[:characters]
        least = 1e9
        for _ in range(3):
            before = time.thread_time_ns()
            redact(text)
            least = min(least, time.thread_time_ns() - before)
        return least

    assert work(32_000) < 24 * max(work(4_000), 20_000)


def test_it_takes_any_text():
    chance = random.Random(20)
    parts = [*HOSTILE, *SECRETS, "\0", "\n", "é", "\ud800", JWT, ":", "=", ",", "{"]
    for _ in range(300):
        text = "".join(chance.choices(parts, k=12))
        assert redact(redact(text)) == redact(text)


def test_a_path_that_ends_like_a_secrets_name_says_what_is_wrong_with_it():
    fact = "cannot write /home/dev/.local/state/gfattach/credentials: read-only file system"
    assert redact(fact) == fact
    assert "abc" not in redact("https://host/token: abcDEF0123456789")
