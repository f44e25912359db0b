"""The two versions of the organisation's proof result, as shapes: exact keys, and true is no number."""

from __future__ import annotations

import re

from gfattach.rbe.evidence.shape import IMAGE_DIGEST, SHA256, Shape
from gfattach.rbe.result.kind import KIND

OUTPUTS_KIND = "gf-reapi-exported-outputs"
AUTHORITY = "tinyland-inc/GloriousFlywheel"

#: What a result exports, in its directory.
OUTPUTS_NAME = "exported-outputs.json"

_COUNTABLE: Shape = {
    "countable_remote_execution": bool,
    "force_execution": bool,
    "build_success": bool,
    "executor_attached": bool,
    "cache_attached": bool,
    "cache_hits_only": bool,
    "proof_exit_status": int,
    "remote_processes": int,
}

_IMAGES: Shape = {"dispatch_cell_image_digest": IMAGE_DIGEST, "worker_image_digest": IMAGE_DIGEST}

#: The first version: whether the execution counts, and what else it knew of the second.
VERSION_1: Shape = {
    "schema_version": 1,
    **_COUNTABLE,
    "kind?": KIND,
    "authority?": AUTHORITY,
    "worker_remote_execution_log?": bool,
    "kubectl_capture_bounded?": bool,
    **{f"{key}?": shape for key, shape in _IMAGES.items()},
}

OUTPUT: Shape = {
    "label": str,
    "path": re.compile(r"exported-outputs/(?!(?:.*/)?\.{1,2}(?:/|$))[^\0]+"),
    "sha256": SHA256,
    "size_bytes": int,
    "executable": bool,
}

VERSION_2: Shape = {
    "schema_version": 2,
    "kind": KIND,
    "authority": AUTHORITY,
    **_COUNTABLE,
    "worker_remote_execution_log": bool,
    "kubectl_capture_bounded": bool,
    **_IMAGES,
    "worker_identity": {
        "kind": str,
        "name": str,
        "host": str,
        "architecture": str,
        "os": str,
        "closure_digest": str,
    },
    "worker_execution_evidence": {
        "schema_version": 3,
        "evidence_sha256": SHA256,
        "remote_grpc_log_sha256": SHA256,
        "execution_log_sha256": SHA256,
        "bep_sha256": SHA256,
        "eligibility_manifest_sha256": SHA256,
        "exported_outputs_manifest_sha256": SHA256,
        "target": str,
        "tool_invocation_id": str,
        "remote_execution_count": int,
    },
    "exported_outputs": [OUTPUT],
    "request": {
        "target": str,
        "bazel_command": str,
        "consumer_repository": str,
        "consumer_ref": str,
        "workflow_run_id": str,
        "workflow_run_attempt": (int, str),
        "workflow_run_url": str,
        "target_platform": str,
        "worker_closure_digest": str,
    },
}

SHAPES = {1: VERSION_1, 2: VERSION_2}
