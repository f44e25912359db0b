"""The record of an attachment: what `up` did, enough to show it, heal it and undo it.

It lies in the attachment's home. Beside that, a small file for each home in the user's state
directory says where homes are, so that all of them can be listed. Neither holds a secret: the
headers of a target are not written.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gfattach import __version__
from gfattach.cluster.connection import ClusterRef
from gfattach.endpoint import Endpoint, parse_endpoint
from gfattach.errors import GfattachError, StorageError
from gfattach.files import make_private_directory, read_bytes, remove, remove_unfinished, write_json
from gfattach.nixcache.target import SubstituterTarget
from gfattach.paths import Home, state_directory
from gfattach.reapi.target import CacheTarget, TlsFiles

SCHEMA = 1

#: How an attachment reaches its caches: embedded ones, by name, through a forward.
KINDS = ("trial", "direct", "forward")


class RecordError(StorageError):
    """The record of an attachment cannot be used as it is."""

    default_code = "attachment.damaged"


@dataclass(frozen=True)
class Attachment:
    """What `up` did.

    `created` is a moment in UTC; `links` are the files that import a fragment; `agent` is the directory
    of the process that holds the forwards and guards the Nix fragment, `cluster` the cluster that the
    forwards lead into; `first_hit` is the proof's summary, JSON-able, as `up` reported it.
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

    @property
    def cache_by_agent(self) -> bool:
        """Whether the cache is out of reach without the agent."""
        return self.kind == "forward" or (self.cache is not None and self.cache.real_host != "")

    @classmethod
    def begin(cls, kind: str, **values: Any) -> Attachment:
        """A new one, created now."""
        return cls(kind=kind, created=datetime.now(UTC).replace(microsecond=0), **values)


@dataclass(frozen=True)
class Listed:
    """A home that the user's list names. `attached` is whether a record is there still."""

    home: Home
    attached: bool


def save(home: Home, attachment: Attachment) -> None:
    """Write the record into its home, and the home into the user's list. Raises StorageError.

    The list comes first: a home that is named and holds nothing is harmless, one that nobody
    remembers is not.
    """
    workspace = None if home.workspace is None else str(home.workspace)
    _enter(home, {"home": str(home.directory), "workspace": workspace})
    write_json(home.record, {"schema": SCHEMA, **_encode(attachment)})


def load(home: Home) -> Attachment | None:
    """The attachment of `home`; None when there is none.

    Raises RecordError for a damaged record and for one of another schema, StorageError for one
    that cannot be read.
    """
    content = read_bytes(home.record)
    if content is None:
        return None
    try:
        document = json.loads(content)
        schema = document["schema"]
        if schema == SCHEMA:
            return _decode(document)
    except (ValueError, KeyError, TypeError, AttributeError, GfattachError) as error:
        raise RecordError(
            f"the record {home.record} is damaged", "undo the attachment, and attach again: gfattach down"
        ) from error
    raise RecordError(
        f"the record {home.record} has the format {schema}, and this gfattach knows {SCHEMA}",
        "undo the attachment, with the gfattach that attached if it is newer: gfattach down",
        code="attachment.version",
    )


def forget(home: Home) -> bool:
    """Remove the record, whatever is in it, and the home from the user's list; whether there was a record.

    The list loses homes that were removed by hand besides, and goes when it is empty. Raises StorageError.
    """
    existed = remove(home.record)
    removed = [each.home for each in homes() if not each.home.directory.exists()]
    for each in (home, *removed):
        remove(_index_file(each))
    remove_unfinished(_index_file(home))
    with contextlib.suppress(OSError):  # there are others, or something else
        for empty in (_index(), _index().parent, _index().parent.parent):
            empty.rmdir()
    return existed


def homes() -> Sequence[Listed]:
    """The homes that the user's list names, by path. What cannot be read as an entry is passed over."""
    found: list[Listed] = []
    for file in sorted(_index().glob("*.json")):
        try:
            document = json.loads(read_bytes(file) or b"")
            workspace = document["workspace"]
            home = Home(Path(document["home"]), None if workspace is None else Path(workspace))
            attached = home.record.exists()
        except (ValueError, KeyError, TypeError, OSError, StorageError):
            continue
        found.append(Listed(home, attached))
    return sorted(found, key=lambda listed: listed.home.directory)


def _enter(home: Home, entry: dict[str, Any]) -> None:
    """Put the home into the list; the `forget` of another one may take the empty list away meanwhile."""
    for last in (False, True):
        make_private_directory(_index())
        try:
            return write_json(_index_file(home), entry)
        except StorageError:
            if last or _index().is_dir():
                raise


def _index() -> Path:
    return state_directory() / "attachments" / "index"


def _index_file(home: Home) -> Path:
    return _index() / f"{home.key}.json"


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
