"""What the work on tokens came to, in words. The token itself is never among them."""

from __future__ import annotations

import time

from gfattach.cli.execute import Outcome
from gfattach.core.errors import ExitCode
from gfattach.credential.jwt import Claims, duration
from gfattach.operator.credentials import Kept


def logged_in(kept: Kept) -> Outcome:
    """Where the token went, and for how long it is good."""
    said = describe(kept.claims)
    line = f"stored the token for {kept.host} in {kept.where}{f': {said}' if said else ''}"
    return Outcome(ExitCode.GOOD, kept.as_json(), [line])


def logged_out(host: str, forgotten: bool) -> Outcome:
    """Whether there was something to forget."""
    line = f"forgot the token for {host}" if forgotten else f"there was no token for {host}"
    return Outcome(ExitCode.GOOD, {"host": host, "forgotten": forgotten}, [line])


def refreshed(count: int) -> Outcome:
    """How many answers of credential plugins were dropped."""
    line = f"dropped {count} kept answer{'' if count == 1 else 's'} of the kubeconfig's credential plugins"
    lines = [line, "the next command asks the plugin anew; an attachment goes by that too after: gfattach up"]
    return Outcome(ExitCode.GOOD, {"dropped": count}, lines)


def credential_status(found: tuple[Kept, ...]) -> Outcome:
    """A line for each host; exit code 2 when a token cannot be used."""
    lines: list[str] = []
    for kept in found:
        said = describe(kept.claims)
        lines.append(f"{kept.host}  in {kept.where}{f'  {said}' if said else ''}")
        if kept.problem is not None:
            lines += [f"    {kept.problem.fact}  [{kept.problem.code}]"]
            lines += [f"      > {hint}" for hint in kept.problem.hints]
    bad = any(kept.problem is not None for kept in found)
    return Outcome(
        ExitCode.USAGE if bad else ExitCode.GOOD,
        {"credentials": [kept.as_json() for kept in found]},
        lines or ["no token is stored; to store one: gfattach credential login HOST"],
    )


def describe(claims: Claims | None) -> str:
    """What a token says of itself: `for ci · audience cache · expires in 2 h 3 min · scopes read`."""
    if claims is None:
        return ""
    left = None if claims.expires is None else claims.expires - time.time()
    parts = [
        f"subject {claims.subject}" if claims.subject else "",
        f"audience {' '.join(claims.audience)}" if claims.audience else "",
        ""
        if left is None
        else f"expires in {duration(left)}"
        if left > 0
        else f"expired {duration(-left)} ago",
        f"scopes {' '.join(claims.scopes)}" if claims.scopes else "",
    ]
    return " · ".join(part for part in parts if part)
