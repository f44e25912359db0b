"""Privacy of a note: names of users, hosts, homes and addresses out of a run's document before it is kept.

Secrets are taken out by `core.redact` before a document exists; this takes out whom and where it was. What
has been scrubbed once stays as it is when it is scrubbed again, wherever that is done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

#: Users whose name says nothing of a person.
_NO_PERSON = frozenset(("root", "nobody", "runner", "user", "dev"))

_PRIVATE_ADDRESS = re.compile(
    r"\b(?:10\.\d{1,3}|192\.168|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))(?:\.\d{1,3}){2,3}\b"
)


class Identity(Struct, frozen=True):
    """Whom a machine belongs to: the user's name, the home, the host's name, the workspace, and the directory
    of what runs (XDG_RUNTIME_DIR).
    """

    user: str
    home: Path
    host: str
    workspace: Path | None
    runtime: Path | None = None


def scrubbed(document: Mapping[str, Any], identity: Identity) -> dict[str, Any]:
    """The document without the names in it."""
    stands = {**_hosts(document), **_places(identity)}
    names = sorted(stands, key=len, reverse=True)  # what holds another comes before it
    pattern = re.compile("|".join(map(_bounded, names))) if names else None

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            text = value if pattern is None else pattern.sub(lambda found: stands[found.group(0)], value)
            return _PRIVATE_ADDRESS.sub("PRIVATE-ADDRESS", text)
        if isinstance(value, Mapping):
            return {clean(key): clean(entry) for key, entry in value.items()}
        return [clean(entry) for entry in value] if isinstance(value, list | tuple) else value

    made: dict[str, Any] = clean(document)
    return made


def _bounded(name: str) -> str:
    """`name` where it is not a part of a longer word."""
    start = r"(?<![\w-])" if name[0].isalnum() else ""
    end = r"(?![\w-])" if name[-1].isalnum() else ""
    return f"{start}{re.escape(name)}{end}"


def _places(identity: Identity) -> dict[str, str]:
    """Paths and names of the machine, and what stands for each."""
    found = {str(identity.home): "~"}
    if identity.workspace is not None:
        found[str(identity.workspace)] = "WORKSPACE"
    if identity.runtime is not None:
        found[str(identity.runtime)] = "RUNTIME-DIR"
    if identity.user not in _NO_PERSON and len(identity.user) > 1:
        found[identity.user] = "USER"
    for host in (identity.host, identity.host.partition(".")[0]):
        if host not in ("", "localhost"):
            found[host] = "HOST"
    return {name: stands for name, stands in found.items() if name != "/"}


def _hosts(document: Mapping[str, Any]) -> dict[str, str]:
    """What the document itself names of a site: API server, context, user, endpoints."""
    found: dict[str, str] = {}
    for stage in document.get("stages", ()):
        for finding in stage.get("findings", ()):
            data = finding.get("data", {})
            if finding.get("probe") == "cluster.kubeconfig":
                found |= {file: "KUBECONFIG" for file in data.get("files", ()) if isinstance(file, str)}
            if finding.get("probe") == "cluster.context":
                found |= _named(data, {"context": "CONTEXT", "cluster": "CLUSTER", "user": "CLUSTER-USER"})
                found |= _host(data.get("server"), "API-SERVER")
            if finding.get("probe") == "cluster.identity":
                found |= _named(data, {"user": "CLUSTER-USER"})
    settings = document.get("result", {}).get("site", {}).get("settings", {})
    for key, stands in (("cache.endpoint", "CACHE-HOST"), ("nix.substituter", "NIX-HOST")):
        entry = settings.get(key)
        found |= _host(entry.get("value") if isinstance(entry, Mapping) else entry, stands)
    return found


def _named(data: Mapping[str, Any], stands: Mapping[str, str]) -> dict[str, str]:
    values = {name: data.get(name) for name in stands}
    return {
        value: stands[name]
        for name, value in values.items()
        if isinstance(value, str) and len(value) > 2 and value not in stands.values()
    }


def _host(url: Any, stands: str) -> dict[str, str]:
    host = urlsplit(url).hostname if isinstance(url, str) else None
    own = host is None or host in ("localhost", "::1") or host.startswith("127.")
    return {} if own or host is None or host.upper() == stands else {host: stands}
