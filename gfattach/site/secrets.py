"""What looks like a secret, by the name of a setting or by the value that it has.

A site is published, committed and shown: whatever is here is refused before anything else is said of
it, and never shown. Shapes that are certain are looked for, not entropy: a public key is as random as
a token. (`gfattach.core.redact` is the other way round: it takes out too much rather than too little.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gfattach.core.errors import UsageError

_NAME = re.compile(
    r"(^|[._-])(token|password|passwd|passphrase|secret|secrets|credential|credentials|api_?key|private_?key"
    r"|authorization|bearer|netrc|client_?key|secret_?key|headers?)($|[._-])",
    re.IGNORECASE,
)

#: Public formats, each by whoever issues them: PEM (RFC 7468), JWT (RFC 7519: `{"` in base64url),
#: Nix's signing keys (64 bytes where a public key has 32), GitHub, GitLab, AWS.
_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")),
    ("a Nix signing key", re.compile(r"(^|\s)[^:\s]+:[A-Za-z0-9+/]{86}==")),
    ("a token (JWT)", re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")),
    (
        "a GitHub token",
        re.compile(r"(?<![A-Za-z0-9])(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    ),
    ("a GitLab token", re.compile(r"(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{16,}")),
    ("an AWS key", re.compile(r"(?<![A-Za-z0-9])(AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])")),
    ("an authorization header", re.compile(r"(?i)(^|[\s:])(bearer|basic)\s+[A-Za-z0-9+/_.=-]{8,}")),
    ("a user or password", re.compile(r"://[^/\s]*@")),
)


def secret_name(key: str) -> bool:
    """Whether a setting called `key` would hold a secret."""
    return _NAME.search(key.rpartition(".")[2]) is not None


def secret_in(value: Any) -> str | None:
    """What kind of secret the raw value holds, in words; None when it holds none."""
    for text in _texts(value):
        for what, shape in _SHAPES:
            if shape.search(text):
                return what
    return None


def refuse_secret(value: Any, label: str) -> None:
    """Raise UsageError, `site.secret`, when the raw value holds a secret; it is never shown."""
    secret = secret_in(value)
    if secret is not None:
        raise UsageError(
            f"{label} holds {secret}: a site is read by everyone, and never holds a secret",
            "take it out, and replace the secret by another one wherever it is in use",
            code="site.secret",
        )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
