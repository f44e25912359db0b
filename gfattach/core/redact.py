"""Secrets taken out of what is shown or kept: the last gate before a terminal, a log or a file.

Nothing that gfattach knows to be a secret is meant to get as far as here; this is for what other
programs say (an error with a header in it, a URL with a password). It takes out by shape and by the
name that stands before a value, and `register` adds exact values. Too much is taken out rather than
too little.

Every pattern is linear in the length of the text, whatever the text is: repeats without a bound are
possessive or cannot overlap their next start. They are compiled when the first text comes by.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from gfattach.core.quote import visible

#: What stands in place of a secret.
MASK = "***"

#: Characters that a registered value needs: a shorter one would take words apart and hide nothing.
SHORTEST = 6

#: Characters that every program prints as they are.
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.~-")

_known: set[str] = set()

#: Names before a value: headers whose whole value is a secret, and words that end a key's name.
_HEADERS = r"(?:proxy-)?authorization|(?:set-)?cookie2?"
_NAMES = (
    r"tokens?|passwords?|passwd|passphrase|[_-]pwd|secrets?|api[_-]?keys?|access[_-]?keys?(?:[_-]id)?"
    r"|private[_-]?keys?|client[_-]key[_-]data|credentials?|session[_-]?id|x-amz-(?:signature|security-token)"
)
_SCHEMES = r"(?:bearer|basic|digest|negotiate|ntlm|token)"

_Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]


def register(secret: str) -> None:
    """Take the exact text `secret` out of everything from now on, in the forms that programs print it in.

    White space around it does not count. Texts below `SHORTEST` characters are left alone.
    """
    bare = secret.strip()
    if len(bare) < SHORTEST:
        return
    _known.add(bare)
    if not _PLAIN.issuperset(bare):
        from json import dumps
        from urllib.parse import quote

        _known.update({quote(bare, safe=""), quote(bare), dumps(bare)[1:-1], repr(bare)[1:-1]})


def redact(text: str) -> str:
    """`text` without what is a secret by its shape, by the name before it, or by being registered; and with
    what a terminal would obey made visible (`quote.visible`).
    """
    text = visible(text)
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    for pattern, replacement in _rules():
        text = pattern.sub(replacement, text)
    return text


def redacted(document: Any) -> Any:
    """A JSON-able value with every text in it redacted, the texts under a secret's name wholly so."""
    if isinstance(document, str):
        return redact(document)
    if isinstance(document, Mapping):
        return {
            redact(key) if isinstance(key, str) else key: _masked(value)
            if isinstance(key, str) and _secret_key().search(key)
            else redacted(value)
            for key, value in document.items()
        }
    if isinstance(document, list | tuple):
        return [redacted(item) for item in document]
    return document


def _masked(value: Any) -> Any:
    """`value` with its texts masked; numbers and truth values say nothing and stay."""
    if isinstance(value, str):
        return MASK if value else value
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return redacted(value)


def _without_value(found: re.Match[str]) -> str:
    name, between, value = found.groups()
    mark = value[: 2 if value.startswith("\\") else 1]
    if mark in ('"', "'", '\\"'):
        return f"{name}{between}{mark}{MASK}{mark}" if len(value) > 2 * len(mark) else found.group()
    if ":" in between and (_is_prose(found, value) or _is_path(found, value)):
        return found.group()
    return f"{name}{between}{MASK}"


def _without_credential(found: re.Match[str]) -> str:
    word = found[3].rstrip(".,;:")
    if word.isalpha() and (word.islower() or word.istitle()) and len(word) < 20:
        return found.group()  # "basic authentication", "bearer tokens"
    return f"{found[1]}{found[2]}{MASK}{found[3][len(word) :]}"


def _is_prose(found: re.Match[str], value: str) -> bool:
    """Whether a sentence goes on behind the colon: a plain word, and another behind it."""
    return value.isalpha() and found.string[found.end() : found.end() + 1] in (" ", ",", ";")


def _is_path(found: re.Match[str], value: str) -> bool:
    """Whether the name ends a path, and what is wrong with that file follows: `/credentials: read-only`."""
    before = found.string[: found.start()][-1:]
    return before == "/" and value.islower() and value.replace("-", "").isalpha()


@functools.cache
def _rules() -> tuple[_Rule, ...]:
    """Patterns and what stands in place of each, in the order in which they are applied."""
    begin = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
    pem = r"PRIVATE KEY(?: BLOCK)?-----"
    return (
        (
            re.compile(rf"(-----BEGIN [A-Z0-9 ]{{0,40}}{pem}).*?(-----END [A-Z0-9 ]{{0,40}}{pem}|\Z)", re.S),
            rf"\1{MASK}\2",
        ),
        # `Authorization: x`, `"authorization": ["x"]`, `('cookie', 'x')`, `authorization=x`: to the quote
        # or the end of the line, for a scheme may have parts.
        (
            re.compile(
                rf"\b({_HEADERS})(\\?[\"']?\s{{0,4}}[:=,]\s{{0,4}}[\[(]?(?:b?\\?[\"'])?)([^\"'\\\r\n]++)",
                re.I,
            ),
            rf"\1\2{MASK}",
        ),
        # A flag's header, up to white space, or with a quote before it to the next quote.
        (
            re.compile(
                r"(?P<quote>[\"'])?(?P<flag>(?:--[a-z_]{0,40}header|BAZEL_REMOTE_[A-Z_]{0,8}HEADER)"
                r"(?:=|[ \t]{1,4})[\"']?[^=\s\"']{1,200}=)"
                rf"(?:{_SCHEMES}\s{{1,4}})?[^\s\"'\\]*+(?(quote)[^\"'\r\n]*+)",
                re.I,
            ),
            lambda found: f"{found['quote'] or ''}{found['flag']}{MASK}",
        ),
        (
            re.compile(
                rf"({_NAMES})(\\?[\"']?\s{{0,4}}[:=]\s{{0,4}}b?)"
                r"(\\?\"[^\"\r\n]*+\"?|'[^'\r\n]*+'?|[^\s\"'&,;]++)",
                re.I,
            ),
            _without_value,
        ),
        (re.compile(rf"(--[a-z_-]{{0,40}}(?:{_NAMES})[ \t]{{1,4}})([^\s-]\S*+)", re.I), rf"\1{MASK}"),
        # A netrc's entry.
        (
            re.compile(r"\b((?:login|account|machine)\s{1,40}\S{1,200}\s{1,40}password\s{1,40})(\S++)", re.I),
            rf"\1{MASK}",
        ),
        # The key that signs for a Nix cache, 64 bytes, where the one that is shown has 32.
        (re.compile(begin + r"(?!sha512:)([A-Za-z0-9._-]{1,200}:)[A-Za-z0-9+/]{86}=="), rf"\1{MASK}"),
        (
            re.compile(rf"\b({_SCHEMES})(\s{{1,4}})([A-Za-z0-9._~+/=-]{{6,}}+)", re.I),
            _without_credential,
        ),
        # A JWT, whole or cut off, and tokens that begin with their issuer's mark.
        (re.compile(begin + r"eyJ[A-Za-z0-9_-]{12,}+(?:\.[A-Za-z0-9_-]*+){0,4}+"), MASK),
        (
            re.compile(
                begin + r"(?:gh[a-z]_[A-Za-z0-9]{16,}+|github_pat_[A-Za-z0-9_]{20,}+"
                r"|gl[a-z]{2,6}-[A-Za-z0-9_.-]{16,}+|xox[a-z]-[A-Za-z0-9-]{10,}+|(?:AKIA|ASIA)[A-Z0-9]{16}"
                r"|sk-[A-Za-z0-9_-]{20,}+|dapi[a-f0-9]{32}|npm_[A-Za-z0-9]{30,}+|pypi-[A-Za-z0-9_-]{30,}+"
                r"|hv[sb]\.[A-Za-z0-9_-]{20,}+|sha256~[A-Za-z0-9_-]{30,}+)"
            ),
            MASK,
        ),
        # What stands before the @ of a URL.
        (re.compile(r"://[^\s/\"'<>@]*+@(?:[^\s/\"'<>@]*+@)*+"), f"://{MASK}@"),
    )


@functools.cache
def _secret_key() -> re.Pattern[str]:
    """A key of a document whose text is a secret by its name."""
    return re.compile(rf"(?:^|[_.-])(?:{_NAMES}|{_HEADERS})\Z|remote.*header\Z", re.I)
