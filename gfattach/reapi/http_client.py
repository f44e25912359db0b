"""A cache over HTTP, as Bazel speaks it: GET and PUT of `/ac/KEY` and `/cas/HASH`.

bazel-remote also says at `/status` what it holds.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from msgspec import Struct

from gfattach import __version__
from gfattach.core.deadline import Deadline
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.headers import headers_of
from gfattach.reapi.target import CacheTarget
from gfattach.reapi.tls import context

#: Bytes of an answer that are read at the most: the probes are small.
ANSWER_BYTES = 16 * 1024 * 1024

_KINDS = {
    400: Kind.INVALID,
    401: Kind.UNAUTHENTICATED,
    403: Kind.PERMISSION,
    404: Kind.NOT_FOUND,
    405: Kind.UNIMPLEMENTED,
    407: Kind.UNAUTHENTICATED,
    413: Kind.EXHAUSTED,
    429: Kind.EXHAUSTED,
    501: Kind.UNIMPLEMENTED,
    502: Kind.UNAVAILABLE,
    503: Kind.UNAVAILABLE,
    504: Kind.DEADLINE,
    507: Kind.EXHAUSTED,
}


class _Answer(Struct, frozen=True):
    status: int
    reason: str
    body: bytes


def path_of(target: CacheTarget, key: str) -> str:
    """Where `key` is: below the endpoint's path and the instance name, as bazel-remote has it."""
    instance = target.instance_name.strip("/")
    return f"{target.endpoint.path}/{instance}/{key}" if instance else f"{target.endpoint.path}/{key}"


class HttpCache:
    """A connection to the cache `target`; close it, or use it in a `with`.

    Raises HeaderError and TlsFileError for a target that cannot be used as it is. Every call takes
    a deadline and raises ReapiError. Redirects are not followed: Bazel does not either.
    """

    def __init__(self, target: CacheTarget) -> None:
        from gfattach.net.lean_httpx import httpx

        self.target = target
        headers = {"user-agent": f"gfattach/{__version__}", **dict(headers_of(target))}
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(
                # Without TLS the trust store is not needed, and loading it takes 50 ms.
                verify=context(target.tls) if target.endpoint.tls else False,
                uds=None if target.socket is None else str(target.socket),
            ),
            trust_env=False,  # a cache is not behind a web proxy; see grpc_client
            headers=headers,
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

        content = self._get(f"ac/{action.hash}", deadline)
        if content is None:
            return None
        try:
            return pb.ActionResult.FromString(content)
        except DecodeError as error:
            raise ReapiError(Kind.OTHER, "GET /ac/", "the answer is no ActionResult") from error

    def update_action_result(self, action: Digest, result: Any, deadline: Deadline) -> None:
        """Store `result` for `action`."""
        self._put(f"ac/{action.hash}", result.SerializeToString(), deadline)

    def write(self, blob: bytes, deadline: Deadline) -> None:
        """Store one blob."""
        self._put(f"cas/{Digest.of(blob).hash}", blob, deadline)

    def read(self, digest: Digest, deadline: Deadline) -> bytes:
        """The blob `digest`, checked against it."""
        content = self._get(f"cas/{digest.hash}", deadline)
        if content is None:
            raise ReapiError(Kind.NOT_FOUND, "GET /cas/", "")
        if Digest.of(content) != digest:
            raise ReapiError(
                Kind.CORRUPT, "GET /cas/", "the content does not have the digest that was asked for"
            )
        return content

    def status(self, deadline: Deadline) -> dict[str, Any] | None:
        """What bazel-remote says of itself; None from a server whose page there is another one."""
        import json

        answer = self._request("GET", f"{self.target.endpoint.url}/status", None, deadline)
        self._accept("GET /status", answer)
        try:
            said = json.loads(answer.body)
        except (ValueError, RecursionError):
            return None
        return said if isinstance(said, dict) else None

    def _get(self, key: str, deadline: Deadline) -> bytes | None:
        answer = self._request("GET", self._url(key), None, deadline)
        if answer.status == 404:
            return None
        self._accept(f"GET /{key.split('/')[0]}/", answer)
        return answer.body

    def _put(self, key: str, content: bytes, deadline: Deadline) -> None:
        self._accept(f"PUT /{key.split('/')[0]}/", self._request("PUT", self._url(key), content, deadline))

    def _url(self, key: str) -> str:
        return f"{self.target.endpoint.scheme}://{self.target.endpoint.authority}{path_of(self.target, key)}"

    def _accept(self, call: str, answer: _Answer) -> None:
        if not 200 <= answer.status < 300:
            kind = _KINDS.get(answer.status, Kind.OTHER)
            raise ReapiError(kind, call, f"HTTP {answer.status} {answer.reason}")

    def _request(self, method: str, url: str, content: bytes | None, deadline: Deadline) -> _Answer:
        from gfattach.net.lean_httpx import httpx

        timeout = deadline.remaining()
        if timeout <= 0:
            raise ReapiError(Kind.DEADLINE, method, "no time was left to ask")
        try:
            with self._client.stream(method, url, content=content, timeout=timeout) as response:
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
