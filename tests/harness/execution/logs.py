"""Writes what Bazel writes of a build: execution logs in both formats, the log of calls, the event file."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.harness.execution import compact_pb2, execution_pb2

PLATFORM = "gloriousflywheel-rbe-linux-x86_64"
INVOCATION = "4a87556e-af7d-4803-bc7b-f0735e4d0ab6"


@dataclass(frozen=True)
class Action:
    """One action, as the logs tell of it. `label` "" is left out, as an old Bazel does."""

    label: str = "//:a"
    mnemonic: str = "Genrule"
    digest: str = "1b76fbe698839a30f60330092081ec83a7ae6cda0a53101ef3aea37863e5bcb4"
    runner: str = "remote"
    cache_hit: bool = False
    status: str = ""
    exit_code: int = 0
    environment: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ("/bin/bash", "-c", "echo a > $@")
    platform: str = PLATFORM
    remote_cacheable: bool = True
    cached_result: bool = False
    worker: str = ""
    worker_start: float = 0.0
    called: bool = True
    old: bool = False
    outputs: int = 1

    def but(self, **changes: Any) -> Action:
        """The same action, changed."""
        return replace(self, **changes)


def json_record(action: Action) -> dict[str, Any]:
    """The record in the JSON log: what has its default is left out, as proto3's JSON has it."""
    hit = "remoteCacheHit" if action.old else "cacheHit"
    record: dict[str, Any] = {
        "commandArgs": list(action.arguments),
        "environmentVariables": [{"name": k, "value": v} for k, v in action.environment.items()],
        "platform": {"properties": [{"name": "gf.platform", "value": action.platform}]},
        "inputs": [{"path": "in.txt", "digest": {"hash": "87" * 32, "sizeBytes": "2"}}],
        "listedOutputs": ["bazel-out/k8-fastbuild/bin/a.txt"],
        "remotable": True,
        "cacheable": True,
        "mnemonic": action.mnemonic,
        "runner": action.runner,
        hit: action.cache_hit,
        "status": action.status,
        "exitCode": action.exit_code,
        "remoteCacheable": action.remote_cacheable,
    }
    if action.old:
        record["progressMessage"] = f"Executing genrule {action.label}" if action.label else "Working"
    else:
        record["targetLabel"] = action.label
        record["digest"] = {"hash": action.digest, "sizeBytes": "142", "hashFunctionName": "SHA-256"}
        record = {key: value for key, value in record.items() if value not in (False, "", 0)}
    return record


def write_json_log(path: Path, actions: list[Action]) -> None:
    """One object behind another, with nothing between them."""
    path.write_text("".join(json.dumps(json_record(action), indent=2) for action in actions))


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def compact_entry(action: Action) -> bytes:
    """An entry of the compact log: a spawn, with fields that nothing here reads among the others."""
    command = compact_pb2.Command(
        args=[each.encode() for each in action.arguments],
        env_vars=[compact_pb2.Property(name=k, value=v) for k, v in action.environment.items()],
    ).SerializeToString()
    properties = [compact_pb2.Property(name="gf.platform", value=action.platform)] if action.platform else []
    platform = compact_pb2.Spawn(platform=compact_pb2.Platform(properties=properties).SerializeToString())
    inputs_and_outputs = b"\x20\x87\x01\x28\x08" + b"\x32\x02\x28\x09" * action.outputs
    spawn = compact_pb2.Spawn(
        target_label=action.label,
        mnemonic=action.mnemonic,
        exit_code=action.exit_code,
        status=action.status,
        runner=action.runner,
        cache_hit=action.cache_hit,
        remotable=True,
        remote_cacheable=action.remote_cacheable,
        digest=compact_pb2.Digest(hash=action.digest) if action.digest else None,
    ).SerializeToString()
    metrics = b"\x88\x01\xe0\xd4\x03" + b"\x92\x01\x04\x0a\x02\x10\x05"
    body = command + platform.SerializeToString() + inputs_and_outputs + spawn + metrics
    return b"\x3a" + varint(len(body)) + body


def compact_entries(actions: list[Action]) -> bytes:
    """A compact log before it is compressed: the invocation first, files between the spawns."""
    invocation = b"\x12\x09\x0a\x07SHA-256"
    out = [varint(len(invocation)) + invocation]
    for number, action in enumerate(actions, 1):
        file = b"\x08" + varint(number) + b"\x1a\x08\x0a\x06in.txt"
        out += [varint(len(file)) + file, varint(len(entry := compact_entry(action))) + entry]
    return b"".join(out)


def compressed(content: bytes) -> bytes:
    """As the program `zstd` compresses it."""
    return subprocess.run(["zstd", "-q", "-c"], input=content, capture_output=True, check=True).stdout


def write_compact_log(path: Path, actions: list[Action]) -> None:
    """The log as Bazel writes it."""
    path.write_bytes(compressed(compact_entries(actions)))


def call_entry(action: Action, invocation: str = INVOCATION, skip: bool = True) -> bytes:
    """The entry of one Execute call and its answer."""
    metadata = execution_pb2.ExecutedActionMetadata(worker=action.worker)
    if action.worker_start:
        metadata.worker_start_timestamp.seconds = int(action.worker_start)
    answer = execution_pb2.ExecuteResponse(
        result=execution_pb2.ActionResult(exit_code=action.exit_code, execution_metadata=metadata),
        cached_result=action.cached_result,
    )
    entry = execution_pb2.CallEntry(
        metadata=execution_pb2.RequestMetadata(
            action_id=action.digest,
            tool_invocation_id=invocation,
            action_mnemonic=action.mnemonic,
            target_id=action.label,
        ),
        method_name="build.bazel.remote.execution.v2.Execution/Execute",
    )
    execute = entry.details.execute
    execute.request.skip_cache_lookup = skip
    execute.request.action_digest.hash = action.digest
    execute.responses.add()
    done = execute.responses.add(done=True)
    done.response.type_url = "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse"
    done.response.value.CopyFrom(answer)
    return bytes(entry.SerializeToString())


def other_call(method: str) -> bytes:
    """The entry of a call that is no execution."""
    return bytes(execution_pb2.CallEntry(method_name=method).SerializeToString())


def write_calls(path: Path, actions: list[Action], invocation: str = INVOCATION) -> None:
    """The log of remote calls of a build: capabilities, uploads, and an Execute for what was called."""
    entries = [other_call("build.bazel.remote.execution.v2.Capabilities/GetCapabilities")]
    for action in actions:
        entries.append(other_call("google.bytestream.ByteStream/Write"))
        if action.called:
            entries.append(call_entry(action, invocation))
    path.write_bytes(b"".join(varint(len(entry)) + entry for entry in entries))


def write_events(
    path: Path,
    options: list[str],
    *,
    started: float,
    exit_code: int = 0,
    runners: dict[str, int] | None = None,
    invocation: str = INVOCATION,
) -> None:
    """An event file with what is read of one."""
    summary: dict[str, Any] = {"actionsExecuted": "3"}
    if runners is not None:
        summary["runnerCount"] = [
            {"name": name, "count": count, "execKind": "Remote" if "remote" in name else "Local"}
            for name, count in runners.items()
        ]
    events = [
        {"started": {"uuid": invocation, "startTimeMillis": str(int(started * 1000)), "command": "build"}},
        {"optionsParsed": {"cmdLine": options, "explicitCmdLine": options}},
        {"finished": {"exitCode": {"name": "X", "code": exit_code} if exit_code else {"name": "SUCCESS"}}},
        {"buildMetrics": {"actionSummary": summary}},
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
