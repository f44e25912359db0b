"""The step of a run in which the token for an endpoint is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gfattach.core.engine import Run
from gfattach.core.finding import Finding
from gfattach.credential.tokens import has_token, headers_for

Headers = tuple[tuple[str, str], ...]


def find_headers(host: str, run: Run, name: str, what: str, found: Finding) -> Headers:
    """The headers with the token for `host`, found as the step `name` of `run`; () and no step without one.

    `what` is whom the token is for, `found` what the step says. Raises CredentialError for a token that
    cannot be read or is not good now, and StorageError.
    """
    if not has_token(host):
        return ()
    headers: list[Headers] = []

    def find(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        headers.append(headers_for(host))
        return {name: found}

    run.step(name, f"find the token for {what}", find)
    return headers[0]
