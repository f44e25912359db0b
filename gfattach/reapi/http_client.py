"""A cache over HTTP, as Bazel speaks it: GET and PUT of `/ac/KEY` and `/cas/HASH`.

bazel-remote also says at `/status` what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gfattach import __version__
from gfattach.deadline import Deadline
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.target import CacheTarget

#: Bytes of an answer that are read at the most: the probes are small.
ANSWER_BYTES = 16 * 1024 * 1024

_KINDS = {401: Kind.UNAUTHENTICATED, 403: Kind.PERMISSION, 405: Kind.UNIMPLEMENTED, 413: Kind.EXHAUSTED}


@dataclass(frozen=True)
class _Answer:
    status: int
    reason: str
    body: bytes


class HttpCache:
    """A connection to the cache `target`; close it, or use it in a `with`. Calls raise ReapiError."""

    def __init__(self, target: CacheTarget) -> None:
        import httpx

        self.target = target
        verify: Any = True
        if target.endpoint.tls and target.tls.ca_file is not None:
            import ssl

            verify = ssl.create_default_context(cafile=str(target.tls.ca_file))
        self._client = httpx.Client(
            verify=verify,
            trust_env=False,  # a cache is not behind a web proxy; see grpc_client
            follow_redirects=False,
            headers={"user-agent": f"gfattach/{__version__}", **dict(target.headers)},
        )

    def __enter__(self) -> HttpCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def get_action_result(self, action: Digest, deadline: Deadline) -> Any | None:
        """The `ActionResult` stored for `action`; None when there is none."""
        from google.protobuf.message import DecodeError

        from gfattach.reapi import remote_cache_pb2 as pb

        content = self.get(f"ac/{action.hash}", deadline)
        if content is None:
            return None
        try:
            return pb.ActionResult.FromString(content)  # type: ignore[attr-defined]
        except DecodeError as error:
            raise ReapiError(Kind.OTHER, "GET /ac/", "the answer is no ActionResult") from error

    def update_action_result(self, action: Digest, result: Any, deadline: Deadline) -> None:
        """Store `result` for `action`."""
        self.put(f"ac/{action.hash}", result.SerializeToString(), deadline)

    def write(self, blob: bytes, deadline: Deadline) -> None:
        """Store one blob."""
        self.put(f"cas/{Digest.of(blob).hash}", blob, deadline)

    def read(self, digest: Digest, deadline: Deadline) -> bytes:
        """The blob `digest`, checked against it."""
        content = self.get(f"cas/{digest.hash}", deadline)
        if content is None:
            raise ReapiError(Kind.NOT_FOUND, "GET /cas/", "")
        if Digest.of(content) != digest:
            raise ReapiError(
                Kind.OTHER, "GET /cas/", "the content does not have the digest that was asked for"
            )
        return content

    def status(self, deadline: Deadline) -> dict[str, Any] | None:
        """What bazel-remote says of itself; None from a server that has no such page."""
        content = self.get("status", deadline)
        if content is None:
            return None
        import json

        try:
            answer = json.loads(content)
        except ValueError:
            return None
        return answer if isinstance(answer, dict) else None

    def get(self, path: str, deadline: Deadline) -> bytes | None:
        """The content at `path` below the endpoint; None for 404."""
        answer = self._request("GET", path, None, deadline)
        if answer.status == 404:
            return None
        self._accept(f"GET /{path.split('/')[0]}/", answer)
        return answer.body

    def put(self, path: str, content: bytes, deadline: Deadline) -> None:
        """Store `content` at `path` below the endpoint."""
        self._accept(f"PUT /{path.split('/')[0]}/", self._request("PUT", path, content, deadline))

    def _accept(self, call: str, answer: _Answer) -> None:
        if not 200 <= answer.status < 300:
            kind = _KINDS.get(answer.status, Kind.OTHER)
            raise ReapiError(kind, call, f"HTTP {answer.status} {answer.reason}")

    def _request(self, method: str, path: str, content: bytes | None, deadline: Deadline) -> _Answer:
        import httpx

        instance = self.target.instance_name
        url = "/".join(part for part in (self.target.endpoint.url, instance, path) if part)
        try:
            with self._client.stream(
                method, url, content=content, timeout=max(0.001, deadline.remaining())
            ) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > ANSWER_BYTES:
                        raise ReapiError(
                            Kind.EXHAUSTED, method, f"the answer is over {ANSWER_BYTES} bytes long"
                        )
                    if deadline.expired:
                        raise ReapiError(Kind.DEADLINE, method, "the answer did not end in time")
                return _Answer(response.status_code, response.reason_phrase, bytes(body))
        except httpx.TimeoutException as error:
            raise ReapiError(Kind.DEADLINE, method, str(error)) from error
        except httpx.HTTPError as error:
            raise ReapiError(Kind.UNAVAILABLE, method, str(error)) from error
