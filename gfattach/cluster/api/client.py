"""The API server's answers as JSON, and its refusals as errors that say who may not do what.

Every question is asked over `gfattach.cluster.wire.http`. Coroutines serve the agent and questions asked at
the same time; the twins whose names end in `_now` serve threads, and must not be called from a loop.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from gfattach.cluster.api.fields import one_line, unreadable
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.connection import ClusterConnection
from gfattach.cluster.wire.http import Client, Request, Response, request
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.net.sniff import wants_tls

#: Bytes of one answer. A list of 500 pods with all that operators write into them is below it.
BODY_LIMIT = 8 * 1024 * 1024

#: Under this name the API server remembers what gfattach wrote (server-side apply).
FIELD_MANAGER = "gfattach"

_CODES = {401: "unauthorized", 403: "forbidden", 404: "missing"}


class ApiError(ClusterError):
    """The API server refused, or could not.

    `status` is HTTP's, `reason` and `message` are those of its Status object. The message of a 403 names
    the user, the verb, the resource and the namespace.
    """

    def __init__(self, fact: str, *hints: str, status: int, reason: str = "", message: str = "") -> None:
        super().__init__(fact, *hints, code=f"cluster.api.{_CODES.get(status, 'failed')}")
        self.status = status
        self.reason = reason
        self.message = message


class Api:
    """One API server as one user. Paths start with `/api`, `/apis` or `/version`.

    With a `client` its kept connections are used, in its own loop; without one each request dials.
    Everything raises ApiError for a refusal, ClusterError (`cluster.api.unreadable`) for an answer that
    is no JSON object, and DialError and HttpError where the server gave no answer.
    """

    def __init__(self, connection: ClusterConnection, client: Client | None = None) -> None:
        self.connection = connection
        self._client = client

    async def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """The object or list at `path`."""
        return read(await self.respond("GET", path, deadline))

    async def post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Create an object, or have a review answered."""
        return read(await self.respond("POST", path, deadline, body, "application/json"))

    async def apply(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Create the object at `path` or make it so, by server-side apply, whoever wrote it before."""
        query = urlencode({"fieldManager": FIELD_MANAGER, "force": "true"})
        kind = "application/apply-patch+yaml"  # JSON is YAML
        return read(await self.respond("PATCH", f"{path}?{query}", deadline, body, kind))

    async def respond(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        body: Mapping[str, Any] | None = None,
        content_type: str = "",
    ) -> Response:
        """The answer as it came, whatever its status."""
        headers = [("Accept", "application/json")]
        if content_type:
            headers.append(("Content-Type", content_type))
        asked = Request(method, path, None if body is None else json.dumps(body).encode(), tuple(headers))
        if self._client is not None:
            return await self._client.request(asked, deadline, BODY_LIMIT)
        return await request(self.connection, asked, deadline, BODY_LIMIT)

    def apply_now(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """`apply`, for a thread."""
        return run_sync(self.apply(path, body, deadline))


def path_of(namespace: str, *names: str, group: str = "api/v1", **query: str) -> str:
    """The path of a namespace's resource: `path_of("nix-cache", "services", "bazel-cache")`."""
    steps: Sequence[str] = ("namespaces", namespace, *names)
    path = f"/{group}/" + "/".join(quote(step, safe="") for step in steps)
    return f"{path}?{urlencode(query)}" if query else path


def read(response: Response) -> dict[str, Any]:
    """The JSON object of an answer. Raises ApiError for a refusal, ClusterError for what is no object."""
    try:
        document = json.loads(response.body)
    except (ValueError, RecursionError):
        document = None
    if not 200 <= response.status < 300:
        raise _refusal(response, document)
    if not isinstance(document, dict):
        raise unreadable(_what_came(response))
    return document


def _refusal(response: Response, document: Any) -> ApiError:
    """The error for a Status object (meta/v1), or for whatever else came with that HTTP status."""
    found = document if isinstance(document, dict) and document.get("kind") == "Status" else {}
    said = {key: one_line(str(found.get(key) or "")) for key in ("reason", "message")}
    status = response.status
    if status == 400 and wants_tls(response.body):
        return ApiError(
            "the API server speaks TLS, and the kubeconfig's address of it begins with http://",
            "write https:// there: kubectl config set-cluster NAME --server=https://HOST:PORT",
            status=status,
        )
    message = said["message"] or _what_came(response)
    hints = {
        401: "see whom the kubeconfig says you are: kubectl auth whoami",
        403: "ask an operator of the cluster for that right",
    }
    hint = hints.get(status, "ask it by hand: kubectl get --raw /readyz?verbose")
    return ApiError(f"the API server answered {status}: {message}", hint, status=status, **said)


def _what_came(response: Response) -> str:
    """An answer that is not the API's, for a user: a proxy's page, a login, nothing."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    if kind == "text/html":
        return "a web page, of a proxy or a login that stands before the API server"
    sample = one_line(response.body[:400].decode("utf-8", "replace"), 120)
    if not sample:
        return "an answer without content"
    return f"{one_line(kind, 60) or 'an answer of no type'} that is no JSON object: {sample}"
