"""What speaks against a proof result whose shape is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.core.finding import Finding, fail
from gfattach.rbe.result.shapes import OUTPUTS_KIND

_HAS_TO_HOLD = (
    ("countable_remote_execution", "rbe.result.uncountable", "the authority itself does not count it"),
    ("force_execution", "rbe.result.unforced", "a cache may have served all of it"),
    ("build_success", "rbe.result.build-failed", "what failed was not built"),
    ("executor_attached", "rbe.result.no-executor", "there was nothing to execute it remotely"),
    ("cache_attached", "rbe.result.no-cache", "a proof wants an executor and a cache"),
    ("worker_remote_execution_log", "rbe.result.no-worker-log", "the worker left no word of what it did"),
    ("kubectl_capture_bounded", "rbe.result.capture", "what was captured of the cluster has no bounds"),
)


def countable(result: Mapping[str, Any]) -> Iterator[Finding]:
    """The part that both versions have."""
    for key, code, why in _HAS_TO_HOLD:
        if result.get(key) is False:
            yield fail(code, f"{key} is false", why)
    if result["cache_hits_only"]:
        why = "a remote cache hit is no remote execution"
        yield fail("rbe.result.cache-hits", "the result is of cache hits only", why)
    if result["proof_exit_status"] != 0:
        said = f"the proof ended with {result['proof_exit_status']}"
        yield fail("rbe.result.exit-status", said, "a proof that failed proves nothing")
    if result["remote_processes"] <= 0:
        said = f"{result['remote_processes']} remote processes are counted"
        yield fail("rbe.result.no-process", said, "nothing was executed remotely")
    images = (result.get("dispatch_cell_image_digest"), result.get("worker_image_digest"))
    if None not in images and images[0] != images[1]:
        said = f"the cell was dispatched with {images[0]}, and the worker ran {images[1]}"
        yield fail("rbe.result.image-differs", said, "a result counts only with the image that made it")


def second(result: Mapping[str, Any]) -> Iterator[Finding]:
    """What the second version has besides."""
    evidence, request = result["worker_execution_evidence"], result["request"]
    count = evidence["remote_execution_count"]
    if count > result["remote_processes"]:
        said = f"the worker tells of {count} executions, and Bazel of {result['remote_processes']}"
        yield fail("rbe.result.count", said, "one of them is of another build")
    if count <= 0:
        yield fail(
            "rbe.result.no-execution", f"the worker tells of {count} executions", "nothing was executed there"
        )
    if evidence["target"] != request["target"]:
        said = f"{request['target']} was asked for, and the worker's evidence is of {evidence['target']}"
        yield fail("rbe.result.target", said, "a proved target says nothing of another")
    if result["worker_identity"]["closure_digest"] != request["worker_closure_digest"]:
        said = "the worker has another closure than was asked for"
        yield fail("rbe.result.closure", said, "what it ran with is not what was meant")
    if not request["workflow_run_id"].isdigit():
        said = f"workflow_run_id is {request['workflow_run_id']!r}"
        yield fail("rbe.result.run", said, "it is the number of a run, as a text")
    paths = [each["path"] for each in result["exported_outputs"]]
    if paths != sorted(set(paths)):
        yield fail(
            "rbe.result.outputs-order",
            "exported_outputs is not sorted by path, or has one twice",
            "it was changed",
        )


def outputs_agree(result: Mapping[str, Any], exported: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether `exported-outputs.json` has what the result says of the outputs."""
    if exported.get("kind") != OUTPUTS_KIND:
        said = f"exported-outputs.json is of the kind {exported.get('kind')!r}, and not {OUTPUTS_KIND}"
        yield fail("rbe.result.outputs", said, "it is another document")
    listed = exported.get("exported_outputs", exported.get("outputs"))
    if listed != result["exported_outputs"]:
        said = "exported-outputs.json lists other outputs than the proof result"
        yield fail("rbe.result.outputs", said, "one of them was changed")
