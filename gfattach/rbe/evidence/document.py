"""The evidence document: what is in it, as a shape; for others, `docs/schema/rbe-evidence-v1.json`."""

from __future__ import annotations

import re
from typing import Any

from gfattach.rbe.evidence.shape import COMMIT, IMAGE_DIGEST, MOMENT, SHA256, Shape

SCHEMA = "gfattach.rbe-evidence/1"

#: The document, and the statement about it, in a directory of evidence.
DOCUMENT_NAME = "evidence.json"
STATEMENT_NAME = "statement.json"

#: Who allowed the checkout that was built.
AUTHORITIES = ("github-app", "owner-scoped-secret", "repo-scoped-deploy-key", "public", "local")

#: The two negative controls.
CACHED = "accepted-cache"
UNREACHABLE = "no-executor"

#: What a file of the directory is, by the name of its role.
EXECUTION_LOG = "execution-log"
CALLS = "remote-calls"
EVENTS = "build-events"
CONSOLE = "console"
MANIFEST = "manifest"
WORKERS = "workers"

#: One line, or nothing: a build that did not get far leaves neither a summary nor an id.
_LINE = re.compile(r"[^\n]*")

_URL = re.compile(r"https?://\S+")

_COUNTS: Shape = {
    "executed": int,
    "forced": int,
    "remote_hits": int,
    "local": int,
    "failed": int,
    "target_executed": int,
    "target_forced": int,
}

_CONTROL: Shape = {
    "name": (CACHED, UNREACHABLE),
    "exit_code": int,
    "process_summary": (str, None),
    "executed": int,
    "remote_hits": int,
    "held": bool,
}

_WORKER: Shape = {
    "namespace": str,
    "name": str,
    "uid": str,
    "container_ids": [str],
    "image_digests": [IMAGE_DIGEST],
    "restart_count": int,
}

#: All roles, the controls' too.
ROLES = (
    *(EXECUTION_LOG, CALLS, EVENTS, CONSOLE, MANIFEST, WORKERS),
    *(f"{name}:{role}" for name in (CACHED, UNREACHABLE) for role in (EXECUTION_LOG, CALLS, EVENTS, CONSOLE)),
)

SHAPE: Shape = {
    "schema": SCHEMA,
    "gfattach": str,
    "written": MOMENT,
    "target": str,
    "class": str,
    "standing": ("proved", "candidate"),
    "command": ("build", "test", "coverage"),
    "manifest": {"sha256": SHA256, "platform": str, "updated": str},
    "run": {
        "id": str,
        "attempt": int,
        "url": (_URL, None),
        "source": ("github-actions", "local"),
        "started": MOMENT,
        "ended": MOMENT,
    },
    "repository": {"name": (str, None), "commit": (COMMIT, None), "modified": (bool, None)},
    "checkout_authority": AUTHORITIES,
    "workspace_path": str,
    "private_inputs": [{"name": str, "verified_by": str}],
    "nonce": str,
    "forced": bool,
    "endpoints": {"executor": str, "cache": str, "through": (str, None)},
    "bazel": {"version": (str, None), "invocation_id": _LINE},
    "exit_code": int,
    "process_summary": _LINE,
    "counts": _COUNTS,
    "mnemonics": [{"name": str, "executed": int, "forced": int, "programs": [str], "declared": int}],
    "remote_workers": [str],
    "workers": [_WORKER],
    "image_digest": (IMAGE_DIGEST, None),
    "expected_image_digest": (IMAGE_DIGEST, None),
    "restarts": (int, None),
    "controls": [_CONTROL],
    "files": [
        {"name": re.compile(r"[a-z0-9][a-z0-9.-]{0,80}"), "role": ROLES, "sha256": SHA256, "size": int}
    ],
    "not_proved": str,
}

Document = dict[str, Any]


def control_role(control: str, role: str) -> str:
    """The role of a file of a negative control."""
    return f"{control}:{role}"
