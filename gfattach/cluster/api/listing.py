"""Lists of the Kubernetes API, page by page: `limit` and `continue`, and what a list that was refused means.

Each page is handed on and forgotten, so that a list of any length takes the memory of one page.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct

from gfattach.cluster.api.client import Api, ApiError, read
from gfattach.cluster.api.fields import items, mapping, text
from gfattach.cluster.wire.http import HttpError, Response
from gfattach.core.deadline import Deadline

#: Objects of one page. kubectl asks for 500; half of them keep the documents of a page below 4 MiB as a rule.
PAGE_LIMIT = 250

#: Below this a page is not made smaller: an answer that is too large with so few objects stays too large.
SMALLEST_PAGE = 10

#: HTTP's status where the server asks to be asked again: too many requests, or its cache lags behind.
_AGAIN = (429, 503, 504)

#: How often one page is asked for again for that.
_TRIES = 8

#: HTTP's status for a `continue` that is too old: etcd has compacted what the list began with.
_GONE = 410


class Resource(Struct, frozen=True):
    """A kind of object as the API's paths name it: `group` is `api/v1`, or `apis/GROUP/VERSION`."""

    group: str
    plural: str

    @property
    def named(self) -> str:
        """As a Role names it: `pods`, or `ephemeralrunners.actions.github.com`."""
        steps = self.group.split("/")
        return self.plural if steps[0] == "api" else f"{self.plural}.{steps[1]}"

    def path(self, namespace: str | None, name: str = "") -> str:
        """Where the list is, in one namespace or (None) in all; with a `name`, where the object is."""
        inside = "" if namespace is None else f"/namespaces/{quote(namespace, safe='')}"
        behind = f"/{quote(name, safe='')}" if name else ""
        return f"/{self.group}{inside}/{self.plural}{behind}"


class Page(Struct, frozen=True):
    """Some objects of a list; `date` is the API server's clock as its answer has it, None without one."""

    items: list[Mapping[str, Any]]
    date: datetime | None


async def pages(
    api: Api,
    resource: Resource,
    namespace: str | None,
    deadline: Deadline,
    *,
    limit: int = PAGE_LIMIT,
    **query: str,
) -> AsyncIterator[Page]:
    """Every page of a list. Raises ApiError for a refusal, ClusterError for what cannot be read.

    A page that is too large is asked for again at half its size, and one for which the server says
    Retry-After after that time. Where the list's beginning is forgotten while it is read, it goes on with
    what the server offers: the rest as it is now (KEP-365).
    """
    import asyncio

    token, tries = "", _TRIES
    while True:
        asked = {**query, "limit": str(limit), **({"continue": token} if token else {})}
        try:
            response = await api.respond("GET", f"{resource.path(namespace)}?{urlencode(asked)}", deadline)
        except HttpError as error:
            if error.kind != "large" or limit <= SMALLEST_PAGE:
                raise
            limit = max(SMALLEST_PAGE, limit // 2)
            continue
        if response.status == _GONE and (fresh := _fresh_token(response.body)):
            token = fresh
            continue
        if (wait := _retry_after(response)) is not None and tries and wait < deadline.remaining():
            tries -= 1
            await asyncio.sleep(wait)
            continue
        document = read(response)
        tries = _TRIES
        yield Page(items(document, "items"), _date(response.headers.get("date", "")))
        token = text(mapping(document, "metadata"), "continue")
        if not token:
            return


def _retry_after(response: Response) -> float | None:
    """Seconds after which the server wants to be asked again; None where it does not."""
    said = response.headers.get("retry-after", "")
    return float(said) if response.status in _AGAIN and said.isdigit() and len(said) < 5 else None


def _fresh_token(body: bytes) -> str:
    import json

    try:
        found = json.loads(body)
        return text(mapping(found, "metadata"), "continue")
    except (ValueError, RecursionError, TypeError, AttributeError):
        return ""


def _date(said: str) -> datetime | None:
    from email.utils import parsedate_to_datetime

    try:
        found = parsedate_to_datetime(said)
    except (ValueError, TypeError):
        return None
    return found if found.tzinfo is not None else None


def refused(error: ApiError) -> bool:
    """Whether the API server would not let this user see it, in contrast to what it could not do."""
    return error.status in (401, 403)


def absent(error: ApiError) -> bool:
    """Whether the API server has no such kind of object, or no such object."""
    return error.status == 404
