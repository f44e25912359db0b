"""The record of an attachment: what `up` did, enough to show it, heal it and undo it.

It lies in the user's state directory, keyed by the workspace, and holds no secret: the headers of a target
are not written. What it names is held against what an attach of this workspace can have made.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach import __version__
from gfattach.cluster.connection import ClusterRef
from gfattach.core.endpoint import Endpoint, parse_endpoint
from gfattach.core.errors import GfattachError, StorageError
from gfattach.core.files import make_private_directory, read_bytes, remove, write_json
from gfattach.core.paths import Home, state_directory
from gfattach.nixcache.target import SubstituterTarget
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.site import trusted as trust
from gfattach.site.trusted import Trusted

SCHEMA = 1

#: How an attachment reaches its caches: embedded ones, by name, through a forward.
KINDS = ("trial", "direct", "forward")


class RecordError(StorageError):
    """The record of an attachment cannot be used as it is."""

    default_code = "attachment.damaged"


class Attachment(Struct, frozen=True):
    """What `up` did.

    `created` is a moment in UTC; `links` are the files that import a fragment; `agent` is the directory
    of the process that holds the forwards and guards the Nix fragment, `cluster` the cluster that the
    forwards lead into; `first_hit` is the proof's summary, JSON-able, as `up` reported it; `trusted` is what
    the site had this machine trust; `left_out` are the clients, by name, that `up` was told to leave alone.
    """

    kind: str
    created: datetime
    version: str = __version__
    cache: CacheTarget | None = None
    substituter: SubstituterTarget | None = None
    bazelrc: Path | None = None
    nix_conf: Path | None = None
    links: tuple[Path, ...] = ()
    trial: Path | None = None
    agent: Path | None = None
    cluster: ClusterRef | None = None
    first_hit: Mapping[str, Any] | None = None
    trusted: tuple[Trusted, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def cache_by_agent(self) -> bool:
        """Whether the cache is out of reach without the agent."""
        return self.kind == "forward" or (self.cache is not None and self.cache.real_host != "")

    @classmethod
    def begin(cls, kind: str, **values: Any) -> Attachment:
        """A new one, created now."""
        return cls(kind=kind, created=datetime.now(UTC).replace(microsecond=0), **values)


def save(home: Home, attachment: Attachment) -> None:
    """Write the record where the state of its home is. Raises StorageError."""
    make_private_directory(home.state)
    write_json(home.record, {"schema": SCHEMA, **_encode(attachment)})


def load(home: Home) -> Attachment | None:
    """The attachment of `home`; None when there is none.

    Raises RecordError for a damaged record and for one of another schema, StorageError for one
    that cannot be read.
    """
    content = read_bytes(home.record)
    if content is None:
        if home.workspace is not None and (home.directory / home.record.name).is_file():
            raise RecordError(
                f"{home.directory} is of an earlier gfattach, and nothing is read there any more",
                "have it undone, and attach anew: gfattach up",
                code="attachment.earlier",
            )
        return None
    try:
        document = json.loads(content)
        schema = document["schema"]
        if schema == SCHEMA:
            return _made_here(home, _decode(document))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, GfattachError) as error:
        raise RecordError(
            f"the record {home.record} is damaged", "undo the attachment, and attach again: gfattach down"
        ) from error
    raise RecordError(
        f"the record {home.record} has the format {schema}, and this gfattach knows {SCHEMA}",
        "undo the attachment, with the gfattach that attached if it is newer: gfattach down",
        code="attachment.version",
    )


def _made_here(home: Home, found: Attachment) -> Attachment:
    """`found`, if all that it names is where an attach of `home` puts it. Raises ValueError."""
    nix = (home.directory / "nix.conf", state_directory() / "nix" / f"{home.key}.conf")
    own = (
        found.bazelrc in (None, home.directory / "bazelrc"),
        found.nix_conf in (None, *nix),
        found.trial in (None, home.trial),
        found.agent is None or found.agent.parent == state_directory() / "agents",
        found.agent is None or found.agent.name not in ("", ".", ".."),
        all(home.workspace is not None and link.parent == home.workspace for link in found.links),
    )
    if not all(own):
        raise ValueError("a place that is none of this attachment's")
    return found


def forget(home: Home) -> bool:
    """Remove the record, whatever is in it; whether there was one. Raises StorageError."""
    return remove(home.record)


def _encode(attachment: Attachment) -> dict[str, Any]:
    cache, substituter = attachment.cache, attachment.substituter
    return {
        "gfattach": attachment.version,
        "created": attachment.created.astimezone(UTC).isoformat(),
        "kind": attachment.kind,
        "cache": None if cache is None else _encode_cache(cache),
        "substituter": None if substituter is None else _encode_substituter(substituter),
        "fragments": {"bazelrc": _text(attachment.bazelrc), "nix.conf": _text(attachment.nix_conf)},
        "links": [str(path) for path in attachment.links],
        "trial": _text(attachment.trial),
        "agent": _text(attachment.agent),
        "cluster": None if attachment.cluster is None else attachment.cluster.as_json(),
        "first_hit": None if attachment.first_hit is None else dict(attachment.first_hit),
        "trusted": trust.as_json(attachment.trusted),
        "left_out": list(attachment.left_out),
    }


def _decode(document: Mapping[str, Any]) -> Attachment:
    kind, created = document["kind"], datetime.fromisoformat(document["created"])
    if kind not in KINDS or created.tzinfo is None or not isinstance(document["gfattach"], str):
        raise ValueError("not an attachment")
    first_hit = document["first_hit"]
    return Attachment(
        kind=kind,
        created=created,
        version=document["gfattach"],
        cache=None if document["cache"] is None else _decode_cache(document["cache"]),
        substituter=None if document["substituter"] is None else _decode_substituter(document["substituter"]),
        bazelrc=_path(document["fragments"]["bazelrc"]),
        nix_conf=_path(document["fragments"]["nix.conf"]),
        links=tuple(Path(text) for text in document["links"]),
        trial=_path(document["trial"]),
        agent=_path(document["agent"]),
        cluster=None if document["cluster"] is None else ClusterRef.from_json(document["cluster"]),
        first_hit=None if first_hit is None else dict(first_hit),
        trusted=trust.from_json(document.get("trusted", [])),
        left_out=tuple(_string(each) for each in document.get("left_out", ())),
    )


def _encode_cache(target: CacheTarget) -> dict[str, Any]:
    return {
        "endpoint": target.endpoint.url,
        "instance_name": target.instance_name,
        "may_write": target.may_write,
        "ca_file": _text(target.tls.ca_file),
        "certificate": _text(target.tls.certificate),
        "key": _text(target.tls.key),
        "socket": _text(target.socket),
        "real_host": target.real_host,
    }


def _decode_cache(item: Mapping[str, Any]) -> CacheTarget:
    return CacheTarget(
        endpoint=_endpoint(item["endpoint"]),
        instance_name=_string(item["instance_name"]),
        may_write=item["may_write"] is True,
        tls=TlsFiles(_path(item["ca_file"]), _path(item["certificate"]), _path(item["key"])),
        socket=_path(item["socket"]),
        real_host=_string(item.get("real_host", "")),
    )


def _encode_substituter(target: SubstituterTarget) -> dict[str, Any]:
    return {
        "endpoint": target.endpoint.url,
        "public_keys": list(target.public_keys),
        "probe_path": target.probe_path,
        "signed_path": target.signed_path,
        "ca_file": _text(target.ca_file),
        "object_store": target.object_store,
        "real_host": target.real_host,
    }


def _decode_substituter(item: Mapping[str, Any]) -> SubstituterTarget:
    signed_path, object_store = item["signed_path"], item.get("object_store")
    return SubstituterTarget(
        endpoint=_endpoint(item["endpoint"]),
        public_keys=tuple(_string(key) for key in item["public_keys"]),
        probe_path=_string(item["probe_path"]),
        signed_path=None if signed_path is None else _string(signed_path),
        ca_file=_path(item["ca_file"]),
        object_store=None if object_store is None else _string(object_store),
        real_host=_string(item.get("real_host", "")),
    )


def _endpoint(text: Any) -> Endpoint:
    return parse_endpoint(_string(text))


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _path(value: Any) -> Path | None:
    return None if value is None else Path(_string(value))
