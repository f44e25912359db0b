"""The organisation's proof result of both versions, and its attestation, as they are published."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

IMAGE = "sha256:" + "ab" * 32
SHA = "0" * 64


def version_1() -> dict[str, Any]:
    """The first block alone."""
    return {
        "schema_version": 1,
        "countable_remote_execution": True,
        "force_execution": True,
        "build_success": True,
        "executor_attached": True,
        "cache_attached": True,
        "cache_hits_only": False,
        "proof_exit_status": 0,
        "remote_processes": 2,
    }


def outputs() -> list[dict[str, Any]]:
    """Two exported outputs, sorted by path."""
    return [
        {
            "label": "//:b",
            "path": f"exported-outputs/{name}",
            "sha256": hashlib.sha256(name.encode()).hexdigest(),
            "size_bytes": len(name),
            "executable": False,
        }
        for name in ("a.txt", "b.txt")
    ]


def exported() -> bytes:
    """`exported-outputs.json`."""
    listed = {"schema_version": 1, "kind": "gf-reapi-exported-outputs", "exported_outputs": outputs()}
    return json.dumps(listed).encode()


def version_2() -> dict[str, Any]:
    """All of it."""
    return {
        **version_1(),
        "schema_version": 2,
        "kind": "gf-reapi-proof-result",
        "authority": "tinyland-inc/GloriousFlywheel",
        "worker_remote_execution_log": True,
        "kubectl_capture_bounded": True,
        "dispatch_cell_image_digest": IMAGE,
        "worker_image_digest": IMAGE,
        "worker_identity": {
            "kind": "pod",
            "name": "worker-0",
            "host": "node-1",
            "architecture": "x86_64",
            "os": "linux",
            "closure_digest": "sha256:" + "11" * 32,
        },
        "worker_execution_evidence": {
            "schema_version": 3,
            "evidence_sha256": SHA,
            "remote_grpc_log_sha256": SHA,
            "execution_log_sha256": SHA,
            "bep_sha256": SHA,
            "eligibility_manifest_sha256": SHA,
            "exported_outputs_manifest_sha256": hashlib.sha256(exported()).hexdigest(),
            "target": "//:b",
            "tool_invocation_id": "4a87556e-af7d-4803-bc7b-f0735e4d0ab6",
            "remote_execution_count": 2,
        },
        "exported_outputs": outputs(),
        "request": {
            "target": "//:b",
            "bazel_command": "build",
            "consumer_repository": "example/letters",
            "consumer_ref": "c0" * 20,
            "workflow_run_id": "25984827370",
            "workflow_run_attempt": 1,
            "workflow_run_url": "https://github.com/example/letters/actions/runs/25984827370",
            "target_platform": "gloriousflywheel-rbe-linux-x86_64",
            "worker_closure_digest": "sha256:" + "11" * 32,
        },
    }


def write(directory: Path, result: dict[str, Any]) -> Path:
    """The result with its outputs in a directory."""
    directory.mkdir(exist_ok=True)
    (directory / "proof-result.json").write_text(json.dumps(result))
    if result["schema_version"] == 2:
        (directory / "exported-outputs.json").write_bytes(exported())
        (directory / "exported-outputs").mkdir(exist_ok=True)
        for name in ("a.txt", "b.txt"):
            (directory / "exported-outputs" / name).write_text(name)
    return directory


def attest(directory: Path, **changes: Any) -> None:
    """A bundle about the result, as Sigstore's are, its signature a text; `changes` are of its statement."""
    digest = hashlib.sha256((directory / "proof-result.json").read_bytes()).hexdigest()
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "proof-result.json", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
        **changes,
    }
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {},
        "dsseEnvelope": {
            "payload": base64.b64encode(json.dumps(statement).encode()).decode(),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": "MEUCIQ"}],
        },
    }
    (directory / "proof-result.attestation.json").write_text(json.dumps(bundle))
