"""A directory of evidence that holds, to be falsified in one place at a time.

Everything is written as `rbe prove` writes it, out of logs in Bazel's formats; `Falsifier` changes what was
observed, and the document follows from it as it would, unless the change is of the document itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gfattach.proof.execution.facts import read_build
from gfattach.rbe.evidence.boundary import not_proved
from gfattach.rbe.evidence.compose import counts, mnemonics
from gfattach.rbe.evidence.document import CACHED, SCHEMA, UNREACHABLE
from gfattach.rbe.evidence.write import listing, write_document
from gfattach.rbe.manifest.read import load_manifest

from .logs import PLATFORM, Action, write_calls, write_compact_log, write_events, write_json_log

LABEL = "//:b"
RUN = "25984827370"
STARTED = datetime(2026, 11, 30, 6, 0, 0, tzinfo=UTC)
NONCE = f"20261130T060000Z-{RUN}-1"
IMAGE = "sha256:" + "ab" * 32
EXECUTOR = "grpc://127.0.0.1:8980"
OPTIONS = [
    f"--remote_executor={EXECUTOR}",
    f"--remote_cache={EXECUTOR}",
    "--noremote_accept_cached",
    "--noremote_local_fallback",
    "--disk_cache=",
]

MANIFEST: dict[str, Any] = {
    "schema_version": 1,
    "owner_issue": "OPS-1",
    "updated": "2026-06-23",
    "platform": PLATFORM,
    "default_posture": "cache-forward; executor-backed is explicit-proof only",
    "proved_target_classes": [],
    "candidate_target_classes": [
        {
            "name": "letters",
            "status": "candidate",
            "labels": [LABEL, "//:c"],
            "allowed_modes": ["explicit-proof"],
            "requirements": ["reads declared files alone"],
            "proof_required": ["more than zero remote processes"],
            "boundary": "Says nothing of //:all.",
        }
    ],
    "blocked_target_classes": [{"name": "rest", "labels": ["//:x"], "blockers": ["needs its host"]}],
    "invariants": [
        "Remote cache hits are no RBE proof.",
        "Attic and FlakeHub are caches of Nix.",
        "No broad presubmit; the runner is chosen.",
    ],
}

A = Action("//:a", environment={"GFATTACH_RBE_NONCE": NONCE})
B = A.but(label=LABEL, digest="5e5ccea4e8d2cfa79ad60ccdebd358afd2ce6dfd7b37525d49e4310dc22aad27")


def pod(name: str = "worker-0", **changes: Any) -> dict[str, Any]:
    """A worker pod as it is noted; `changes` are of its one container, or its uid."""
    container = {
        "name": "worker",
        "container_id": "containerd://1",
        "image_digest": IMAGE,
        "restart_count": 0,
        "started_at": "2026-11-29T10:00:00Z",
    }
    uid = changes.pop("uid", "0d1")
    return {"namespace": "rbe", "name": name, "uid": uid, "containers": [{**container, **changes}]}


def summary_of(actions: list[Action], internal: int = 1) -> str:
    """The line that Bazel prints."""
    parts = Counter(action.runner for action in actions)
    parts["internal"] += internal
    total = sum(parts.values())
    said = ", ".join(f"{count} {runner}" for runner, count in sorted(parts.items()))
    return f"{total} processes: {said}."


@dataclass
class Evidence:
    """What is observed, each part replaceable, and the directory that is written of it."""

    directory: Path
    actions: list[Action] = field(default_factory=lambda: [A, B])
    calls: list[Action] | None = None
    options: list[str] = field(default_factory=lambda: list(OPTIONS))
    summary: str | None = None
    exit_code: int = 0
    runners: dict[str, int] | None = None
    events_invocation: str = "4a87556e-af7d-4803-bc7b-f0735e4d0ab6"
    nonce: str = NONCE
    label: str = LABEL
    compact: bool = False
    write_log: Callable[[Path, list[Action]], None] | None = None
    before: list[dict[str, Any]] | None = field(default_factory=lambda: [pod()])
    after: list[dict[str, Any]] = field(default_factory=lambda: [pod()])
    cached: list[Action] = field(default_factory=list)
    cached_exit: int = 0
    alone: list[Action] = field(default_factory=list)
    alone_exit: int = 34
    manifest: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(MANIFEST)))
    platform: str = PLATFORM
    document: dict[str, Any] = field(default_factory=dict)

    def write(self) -> Path:
        """Write it all; the directory."""
        self.directory.mkdir(parents=True, exist_ok=True)
        own = self._build("", self.actions, self.calls, self.exit_code, self.options)
        cached = self.cached or [each.but(runner="remote cache hit", cache_hit=True) for each in self.actions]
        controls = {
            CACHED: (
                self._build(f"{CACHED}-", cached, None, self.cached_exit, self.options),
                self.cached_exit,
            ),
            UNREACHABLE: (
                self._build(f"{UNREACHABLE}-", self.alone, None, self.alone_exit, self.options),
                self.alone_exit,
            ),
        }
        files = list(own.items())
        for name, (each, _) in controls.items():
            files += [(f"{name}:{role}", path) for role, path in each.items()]
        files.append(("manifest", self.directory / "manifest.json"))
        files[-1][1].write_text(json.dumps(self.manifest, indent=2))
        if self.before is not None:
            files.append(("workers", self.directory / "workers.json"))
            files[-1][1].write_text(json.dumps({"before": self.before, "after": self.after}))
        self.document = self._document(own, controls, files)
        write_document(self.directory, self.document)
        return self.directory

    def rewrite(self) -> None:
        """Write the document anew, as it was changed since."""
        write_document(self.directory, self.document)

    def relist(self) -> None:
        """Have the document list its files as they are now, and write it."""
        files = [(each["role"], self.directory / each["name"]) for each in self.document["files"]]
        self.document["files"] = listing(files)
        self.rewrite()

    def _build(
        self,
        prefix: str,
        actions: list[Action],
        calls: list[Action] | None,
        exit_code: int,
        options: list[str],
    ) -> dict[str, Path]:
        names = {
            "execution-log": "execution-log",
            "remote-calls": "remote-calls.log",
            "build-events": "build-events.json",
            "console": "console.txt",
        }
        files = {role: self.directory / f"{prefix}{name}" for role, name in names.items()}
        write_log = self.write_log or (write_compact_log if self.compact else write_json_log)
        write_log(files["execution-log"], actions)
        asked = [each.but(cached_result=each.cached_result or each.cache_hit) for each in actions]
        write_calls(files["remote-calls"], asked if calls is None else calls)
        write_events(
            files["build-events"],
            options,
            started=STARTED.timestamp() + 1,
            exit_code=exit_code,
            runners=self.runners if not prefix else None,
            invocation=self.events_invocation,
        )
        own = self.summary if not prefix else None
        line = summary_of(actions) if own is None else own
        files["console"].write_text(f"INFO: {line}\nINFO: Build completed\n")
        return files

    def _document(self, own: dict[str, Path], controls: Any, files: list[tuple[str, Path]]) -> dict[str, Any]:
        facts = read_build(own, self.label, self.nonce)
        found = load_manifest(self.directory / "manifest.json")
        workers = [
            {
                "namespace": each["namespace"],
                "name": each["name"],
                "uid": each["uid"],
                "container_ids": [one["container_id"] for one in each["containers"]],
                "image_digests": sorted({one["image_digest"] for one in each["containers"]} - {None}),
                "restart_count": max(one["restart_count"] for one in each["containers"]),
            }
            for each in (self.after if self.before is not None else [])
        ]
        listed = found.labels().get(self.label)
        boundary = "Says nothing of //:all."
        told = []
        for name, (paths, code) in controls.items():
            build = read_build(paths, self.label, self.nonce)
            told.append(
                {
                    "name": name,
                    "exit_code": code,
                    "process_summary": None if build.summary is None else build.summary.text,
                    "executed": build.spawns.all.executed,
                    "remote_hits": build.spawns.all.remote_hits,
                    "held": True,
                }
            )
        return {
            "schema": SCHEMA,
            "gfattach": "0.1",
            "written": "2026-11-30T06:05:00Z",
            "target": self.label,
            "class": listed.name if listed else "letters",
            "standing": "candidate",
            "command": "build",
            "manifest": {"sha256": found.sha256, "platform": self.platform, "updated": found.updated},
            "run": {
                "id": RUN,
                "attempt": 1,
                "url": None,
                "source": "github-actions",
                "started": "2026-11-30T06:00:00.500Z",
                "ended": "2026-11-30T06:04:00Z",
            },
            "repository": {"name": "example/letters", "commit": "c0" * 20, "modified": False},
            "checkout_authority": "github-app",
            "workspace_path": ".",
            "private_inputs": [{"name": "schemas:0.2.4", "verified_by": "distdir staging"}],
            "nonce": self.nonce,
            "forced": True,
            "endpoints": {"executor": EXECUTOR, "cache": EXECUTOR, "through": None},
            "bazel": {"version": "7.7.1", "invocation_id": facts.events.invocation},
            "exit_code": self.exit_code,
            "process_summary": "" if facts.summary is None else facts.summary.text,
            "counts": counts(facts),
            "mnemonics": mnemonics(facts),
            "remote_workers": [],
            "workers": workers,
            "image_digest": IMAGE if workers else None,
            "expected_image_digest": IMAGE if workers else None,
            "restarts": max((each["restart_count"] for each in workers), default=0) if workers else None,
            "controls": told,
            "files": listing(files),
            "not_proved": not_proved(self.label, boundary, PLATFORM, workers_seen=bool(workers)),
        }
