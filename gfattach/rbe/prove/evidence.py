"""From what a proof came to, to its document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach import __version__
from gfattach.rbe.evidence import document as documents
from gfattach.rbe.evidence.boundary import not_proved
from gfattach.rbe.evidence.compose import counts, mnemonics
from gfattach.rbe.evidence.write import listing
from gfattach.rbe.manifest.model import Manifest, TargetClass
from gfattach.rbe.prove.build import Built
from gfattach.rbe.prove.options import ProveOptions
from gfattach.rbe.prove.provenance import Run, moment


class Proved(Struct, frozen=True):
    """All that a proof came to, before it is written down.

    `pods` are those before and after, None where none was looked at; `files` are those beside the builds', by
    role.
    """

    options: ProveOptions
    manifest: Manifest
    found: TargetClass
    run: Run
    repository: Mapping[str, Any]
    workspace_path: str
    nonce: str
    started: datetime
    ended: datetime
    executor: str
    cache: str
    through: str | None
    bazel: str | None
    built: Built
    controls: Sequence[tuple[Mapping[str, Any], Built]]
    pods: Mapping[str, Sequence[Mapping[str, Any]]] | None
    expected_image: str | None
    files: Mapping[str, Path]


def document_of(proved: Proved) -> documents.Document:
    """The document. Raises StorageError where a file of it cannot be read."""
    facts, options, manifest = proved.built.facts, proved.options, proved.manifest
    workers = list(map(_worker, proved.pods["after"])) if proved.pods is not None else []
    authority = options.authority or ("local" if proved.run.source == "local" else "github-app")
    return {
        "schema": documents.SCHEMA,
        "gfattach": __version__,
        "written": moment(datetime.now(UTC)),
        "target": options.label,
        "class": proved.found.name,
        "standing": proved.found.standing.value,
        "command": options.command,
        "manifest": {
            "sha256": manifest.sha256,
            "platform": manifest.platform,
            "updated": manifest.updated,
        },
        "run": {
            "id": proved.run.id,
            "attempt": proved.run.attempt,
            "url": proved.run.url,
            "source": proved.run.source,
            "started": moment(proved.started),
            "ended": moment(proved.ended),
        },
        "repository": dict(proved.repository),
        "checkout_authority": authority,
        "workspace_path": proved.workspace_path,
        "private_inputs": [{"name": name, "verified_by": how} for name, how in options.private_inputs],
        "nonce": proved.nonce,
        "forced": True,
        "endpoints": {"executor": proved.executor, "cache": proved.cache, "through": proved.through},
        "bazel": {"version": proved.bazel, "invocation_id": facts.events.invocation},
        "exit_code": proved.built.exit_code,
        "process_summary": "" if facts.summary is None else facts.summary.text,
        "counts": counts(facts),
        "mnemonics": mnemonics(facts),
        "remote_workers": [] if facts.calls is None else sorted(facts.calls.workers),
        "workers": workers,
        "image_digest": _image(proved, workers),
        "expected_image_digest": proved.expected_image,
        "restarts": None
        if proved.pods is None
        else max((each["restart_count"] for each in workers), default=0),
        "controls": [dict(control) for control, _ in proved.controls],
        "files": listing(_files(proved)),
        "not_proved": not_proved(
            options.label, proved.found.boundary, manifest.platform, workers_seen=bool(workers)
        ),
    }


def _files(proved: Proved) -> list[tuple[str, Path]]:
    files = [*proved.built.files.items(), *proved.files.items()]
    for control, built in proved.controls:
        name = str(control["name"])
        files += [(documents.control_role(name, role), path) for role, path in built.files.items()]
    return files


def _worker(pod: Mapping[str, Any]) -> dict[str, Any]:
    containers = pod["containers"]
    return {
        "namespace": pod["namespace"],
        "name": pod["name"],
        "uid": pod["uid"],
        "container_ids": [each["container_id"] for each in containers],
        "image_digests": sorted({each["image_digest"] for each in containers} - {None}),
        "restart_count": max((each["restart_count"] for each in containers), default=0),
    }


def _image(proved: Proved, workers: Sequence[Mapping[str, Any]]) -> str | None:
    """The digest that was meant, where it ran; else the one that ran, where there is one alone."""
    ran = {digest for worker in workers for digest in worker["image_digests"]}
    if proved.expected_image in ran:
        return proved.expected_image
    return ran.pop() if len(ran) == 1 else None
