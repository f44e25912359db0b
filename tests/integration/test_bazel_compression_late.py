"""The trial of compression with a Bazel that stores what it has built after its build has ended."""

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gfattach.core.deadline import Deadline
from gfattach.probes.bazel.compression import judge_compression
from tests.harness.machine.fake_bazel import fake_bazel

#: The server of such a Bazel: it stores what was built when it is asked to end, and ends then.
SERVER = """
import os, pathlib, signal, sys

base, cache = pathlib.Path(sys.argv[1]), sys.argv[2]
directory = base / "server"
directory.mkdir(parents=True)
stat = pathlib.Path("/proc/self/stat").read_text().rpartition(")")[2].split()
(directory / "server.starttime").write_text(stat[19])
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
(directory / "server.pid.txt").write_text(str(os.getpid()))
print("up", flush=True)
sys.stdout.close()
signal.sigwait({signal.SIGTERM})

import grpc
from gfattach.reapi import remote_cache_pb2 as pb

with grpc.insecure_channel(cache.removeprefix("grpc://")) as channel:
    write = channel.stream_unary(
        "/google.bytestream.ByteStream/Write",
        request_serializer=pb.WriteRequest.SerializeToString,
        response_deserializer=pb.WriteResponse.FromString,
    )
    name = "uploads/u/compressed-blobs/zstd/" + "0" * 64 + "/8192"
    content = bytes.fromhex(sys.argv[3])
    write(iter([pb.WriteRequest(resource_name=name, data=content, finish_write=True)]), timeout=10)
"""


@pytest.mark.parametrize(
    ("content", "code"),
    [("28b52ffd", "bazel.compression.ok"), ("7878", "bazel.compression.lacking")],
    ids=["zstd", "as it is"],
)
def test_what_is_stored_while_the_server_ends_is_waited_for(tmp_path: Path, content: str, code: str) -> None:
    """The build is over before anything arrives: only a server that is asked to end tells."""
    program = tmp_path / "server.py"
    program.write_text(SERVER)
    body = textwrap.dedent(f"""
        cache=$(printf '%s\\n' "$@" | sed -n 's/^--remote_cache=//p')
        [ "$command" != build ] ||
          read -r up < <(exec setsid {sys.executable} {program} "$base" "$cache" {content} 2>/dev/null)
    """)
    (tmp_path / "bin").mkdir()
    bazel = fake_bazel(tmp_path / "bin" / "bazel", body)
    found = judge_compression(bazel, True, tmp_path / "work", tmp_path / "flags.json", Deadline.after(60))
    assert found.code == code, found
    listed = subprocess.run(["pgrep", "-f", str(program)], capture_output=True, text=True)
    assert listed.stdout == ""
