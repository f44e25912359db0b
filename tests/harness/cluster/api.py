"""A small Kubernetes API client for the bed and its tests: httpx, no kubectl."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.harness.cluster.certs import KeyPair

_TIMEOUT = 30.0  # seconds


class ApiError(Exception):
    """The API server refused; `code` is the HTTP status, the message is its own."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@contextlib.contextmanager
def suppress_missing() -> Iterator[None]:
    """Take a 404 for what was to be reached: the object is gone already."""
    try:
        yield
    except ApiError as error:
        if error.code != 404:
            raise


class Api:
    """The API as one user. Paths start with `/api` or `/apis`."""

    def __init__(self, server: str, ca: Path, credential: KeyPair) -> None:
        self.server = server
        self.ssl = ssl.create_default_context(cafile=str(ca))
        self.ssl.load_cert_chain(credential.certificate, credential.key)
        self._http = httpx.Client(base_url=server, verify=self.ssl, timeout=_TIMEOUT, trust_env=False)
        self._resources: dict[tuple[str, str], tuple[str, bool]] = {}

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def ready(self) -> bool:
        """Whether the API server answers, and says that it is ready for work."""
        try:
            return self._http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **params: str) -> dict[str, Any]:
        """The object or list at `path`. Raises ApiError."""
        return self._send("GET", path, params=params)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create. Raises ApiError."""
        return self._send("POST", path, content=json.dumps(body), type="application/json")

    def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Patch by JSON merge. Raises ApiError."""
        return self._send("PATCH", path, content=json.dumps(body), type="application/merge-patch+json")

    def apply(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create the object or make it so, by server-side apply. Raises ApiError."""
        return self._send(
            "PATCH",
            self.path(manifest),
            content=json.dumps(manifest),
            type="application/apply-patch+yaml",
            params={"fieldManager": "bed", "force": "true"},
        )

    def delete(self, path: str, grace: int | None = None) -> None:
        """Delete; an object that is not there is fine. Raises ApiError."""
        params = {} if grace is None else {"gracePeriodSeconds": str(grace)}
        with suppress_missing():
            self._send("DELETE", path, params=params)

    def exists(self, path: str) -> bool:
        """Whether there is an object at `path`. Raises ApiError."""
        try:
            self.get(path)
        except ApiError as error:
            if error.code != 404:
                raise
            return False
        return True

    def path(self, manifest: Mapping[str, Any]) -> str:
        """Where the object lives, as the API server's own discovery says."""
        version, kind = manifest["apiVersion"], manifest["kind"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, kind) not in self._resources:
            for resource in self.get(root)["resources"]:
                if "/" not in resource["name"]:
                    found = (resource["name"], resource["namespaced"])
                    self._resources[(version, resource["kind"])] = found
        try:
            plural, namespaced = self._resources[(version, kind)]
        except KeyError:
            raise ApiError(404, f"the API server knows no {kind} in {version}") from None
        metadata = manifest["metadata"]
        place = f"/namespaces/{metadata.get('namespace', 'default')}" if namespaced else ""
        return f"{root}{place}/{plural}/{metadata['name']}"

    def _send(
        self,
        method: str,
        path: str,
        *,
        content: str | None = None,
        type: str | None = None,
        params: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        headers = {"Content-Type": type} if type else {}
        answer = self._http.request(method, path, content=content, headers=headers, params=params)
        body: dict[str, Any]
        try:
            body = answer.json()
        except ValueError:
            body = {"message": answer.text.strip()}
        if answer.is_error:
            raise ApiError(answer.status_code, str(body.get("message", body)))
        return body
