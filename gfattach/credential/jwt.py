"""What a JWT says of itself, read locally: expiry, not-before, audience, subject, scopes.

Nothing is verified (the server does that) and nothing of the token is shown but these claims. The
format is RFC 7519: three parts in base64url, the second a JSON object; times are seconds since 1970.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

from msgspec import Struct

from gfattach.core.errors import CredentialError
from gfattach.core.quote import word

#: Seconds that a token has to be good for yet: a build that starts with less loses the cache midway.
MARGIN_SECONDS = 60.0

#: Seconds by which this machine's clock may be behind the issuer's.
SKEW_SECONDS = 60.0

#: Characters of a claim that are kept; more tell nobody more.
_CLAIM_CHARACTERS = 200

#: Seconds since 1970 beyond which a time is a mistake (the year 9999), and no RFC 3339 can say it.
_LAST_MOMENT = 253402300799


class Claims(Struct, frozen=True):
    """What a token says. Times are seconds since 1970, None where the token does not say."""

    expires: int | None = None
    not_before: int | None = None
    subject: str = ""
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()

    @staticmethod
    def from_json(note: Any) -> Claims | None:
        """What `as_json` has noted; None for no note, and nothing of what makes no sense in one."""
        if not isinstance(note, dict):
            return None
        return Claims(
            expires=_moment(note.get("expires")),
            not_before=_moment(note.get("not_before")),
            subject=_text(note.get("subject")),
            audience=_texts(note.get("audience")),
            scopes=_texts(note.get("scopes")),
        )

    def as_json(self) -> dict[str, Any]:
        """For a note on disk and for output: nothing of it is a secret."""
        return {
            "expires": self.expires,
            "not_before": self.not_before,
            "subject": self.subject,
            "audience": list(self.audience),
            "scopes": list(self.scopes),
        }


def read_claims(token: str) -> Claims | None:
    """The claims of `token`; None for what is no JWT. Never raises for what a token may hold."""
    claims = read_payload(token)
    if claims is None:
        return None
    scopes = claims.get("scope", claims.get("scp"))
    return Claims(
        expires=_moment(claims.get("exp")),
        not_before=_moment(claims.get("nbf")),
        subject=_text(claims.get("sub")),
        audience=_texts(claims.get("aud")),
        scopes=_texts(scopes.split() if isinstance(scopes, str) else scopes),
    )


def read_payload(token: str) -> dict[str, Any] | None:
    """All that `token` says, as it stands there; None for what is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = parts[1] + "=" * (-len(parts[1]) % 4)
        claims = json.loads(base64.b64decode(payload, altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def demand_valid(claims: Claims | None, host: str, where: str, now: float | None = None) -> None:
    """Raise CredentialError when a token from `where` is expired (or nearly), or not yet good.

    A token that says nothing of its time passes: the server decides.
    """
    if claims is None:
        return
    moment = time.time() if now is None else now
    if claims.expires is not None and claims.expires - moment < MARGIN_SECONDS:
        left = claims.expires - moment
        seen = f"expired {duration(-left)} ago" if left <= 0 else f"expires in {left:.0f} s"
        raise CredentialError(
            f"the token for {host} from {where} {seen}",
            f"store a new one: gfattach credential login {word(host)}",
            code="credential.expired",
        )
    if claims.not_before is not None and claims.not_before - moment > SKEW_SECONDS:
        raise CredentialError(
            f"the token for {host} from {where} is good from {rfc3339(claims.not_before)} on, and not yet",
            "check this machine's clock: date -u",
            f"or store another one: gfattach credential login {word(host)}",
            code="credential.not-yet",
        )


def rfc3339(moment: int) -> str:
    """A moment (seconds since 1970) as RFC 3339 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def duration(seconds: float) -> str:
    """A length of time for people: its two largest units."""
    whole = int(seconds)
    for name, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // part} {smaller}"
    return f"{whole} s"


def _moment(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_MOMENT:
        return None
    return int(value)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(c for c in text[:_CLAIM_CHARACTERS] if c.isprintable())


def _texts(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(text for text in map(_text, items[:20]) if text)
