"""Whether Bazel can do the compression that the cache offers: tried, because a build that cannot ends late.

A Bazel whose build lacks zstd's native library knows the flag, and ends every build that hits with exit
code 39 (Debian's 7.7.1, `NoClassDefFoundError … ZstdInputStreamNoFinalizer`). So it stores one output in
a cache of our own that offers zstd: it can when what arrives is zstd.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gfattach.bazel.capabilities.answers import Answers
from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags
from gfattach.bazel.messages import error_line
from gfattach.bazel.program.binary import ZSTD_HINT, Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError, GfattachError
from gfattach.core.files import make_private_directory
from gfattach.core.finding import Finding, ok, warn

#: The flag under its two names, the newer one first.
COMPRESSION_FLAGS = ("--remote_cache_compression", "--experimental_remote_cache_compression")

COMPRESSION_CODES: Mapping[str, str] = MappingProxyType(
    {
        "bazel.compression.none": "this Bazel has no compression, or the cache offers none",
        "bazel.compression.ok": "what this Bazel compresses arrives as zstd",
        "bazel.compression.before": "this very program has compressed here before",
        "bazel.compression.lacking": "this Bazel knows compression and cannot do it: it is left out",
        "bazel.compression.unanswered": "whether this Bazel can compress could not be tried: it is left out",
    }
)

#: More than Bazel sends as it is (100 bytes, from 7 on), and nothing that a compressor would refuse.
_OUTPUT = "x" * 8192

#: How zstd data begins (RFC 8878, 3.1.1).
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

_QUESTION = "compression"

_PACKAGE = "build.bazel.remote.execution.v2"


def judge_compression(bazel: Bazel, offered: bool, work: Path, cache: Path, deadline: Deadline) -> Finding:
    """Whether the fragment may ask for compression, `offered` where the cache may do it.

    Only success is remembered: what is missing may be installed meanwhile.
    """
    why = "with it every build that hits would end with an error; without it more goes over the wire"
    try:
        asked = (*COMPRESSION_FLAGS, *WITHOUT_MODULES)
        accepted = accepted_flags(bazel, asked, work=work, cache=cache, deadline=deadline)
        flag = next((flag for flag in COMPRESSION_FLAGS if flag in accepted), None)
        if flag is None or not offered:
            return ok("bazel.compression.none", "nothing is compressed", compression=False)
        if Answers(cache, bazel.identity()).flags.get(_QUESTION):
            return ok("bazel.compression.before", "this very Bazel has compressed", compression=True)
        arrived, said = _try(bazel, flag, work, accepted, deadline)
    except GfattachError as error:
        return warn("bazel.compression.unanswered", error.fact, why, *error.hints, compression=False)
    if arrived:
        Answers(cache, bazel.identity()).learn({_QUESTION: True})
        return ok("bazel.compression.ok", "what it compresses arrives as zstd", compression=True)
    return warn(
        "bazel.compression.lacking",
        f"{bazel.path}, {bazel.label}, knows {flag} and cannot do it{f' ({said})' if said else ''}",
        f"{why}: the fragment leaves it out",
        ZSTD_HINT,
        compression=False,
    )


def _try(
    bazel: Bazel, flag: str, work: Path, accepted: frozenset[str], deadline: Deadline
) -> tuple[bool, str]:
    workspace = make_private_directory(work / "compression")
    for marker in ("WORKSPACE", "MODULE.bazel"):
        (workspace / marker).touch()
    (workspace / "BUILD").write_text(
        f'genrule(name = "one", outs = ["one.txt"], cmd = "printf {_OUTPUT} > $@")\n'
    )
    plain = [option for option in WITHOUT_MODULES if option in accepted]
    with _Offering() as cache, Server(bazel, workspace, work, "compression") as server:
        options = [
            *plain,
            f"--remote_cache=grpc://127.0.0.1:{cache.port}",
            flag,
            "--remote_upload_local_results",
            "--remote_executor=",
            "--disk_cache=",
            "--remote_retries=0",
            "--spawn_strategy=local",
        ]
        try:
            answer = server.run("build", [*options, "//:one"], deadline)
        except BazelError as error:
            if error.code != "bazel.crashed":
                raise
            return False, " | ".join(error.hints)
        server.shutdown()  # some store behind the build's back: what is under way arrives before this ends
        return cache.compressed.is_set(), error_line(answer.stderr)


class _Offering:
    """A cache on loopback that offers zstd, has nothing, takes everything and keeps none of it."""

    def __init__(self) -> None:
        self.port = 0
        self.compressed = threading.Event()

    def __enter__(self) -> _Offering:
        import grpc

        self._threads = ThreadPoolExecutor(4, thread_name_prefix="offering")
        self._server = grpc.server(self._threads, options=(("grpc.so_reuseport", 0),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.add_generic_rpc_handlers(tuple(self._services()))
        self._server.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.stop(0.5).wait()
        self._threads.shutdown(wait=False)

    def _services(self) -> Iterator[Any]:
        import grpc

        from gfattach.reapi import remote_cache_pb2 as pb

        def capabilities(request: Any, context: Any) -> Any:
            return pb.ServerCapabilities(
                cache_capabilities=pb.CacheCapabilities(
                    digest_functions=[pb.DigestFunction.SHA256],
                    action_cache_update_capabilities=pb.ActionCacheUpdateCapabilities(update_enabled=True),
                    supported_compressors=[pb.Compressor.ZSTD],
                ),
                low_api_version=pb.SemVer(major=2),
                high_api_version=pb.SemVer(major=2, minor=3),
            )

        def result(request: Any, context: Any) -> Any:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is nothing here")

        def update(request: Any, context: Any) -> Any:
            return request.action_result

        def missing(request: Any, context: Any) -> Any:
            return pb.FindMissingBlobsResponse(missing_blob_digests=request.blob_digests)

        def write(requests: Iterator[Any], context: Any) -> Any:
            received = 0
            for number, request in enumerate(requests):
                if number == 0 and request.data.startswith(_ZSTD_MAGIC):
                    self.compressed.set()
                received += len(request.data)
            return pb.WriteResponse(committed_size=received)

        one, many = grpc.unary_unary_rpc_method_handler, grpc.stream_unary_rpc_method_handler
        for service, name, kind, behaviour, message in (
            (f"{_PACKAGE}.Capabilities", "GetCapabilities", one, capabilities, pb.GetCapabilitiesRequest),
            (f"{_PACKAGE}.ActionCache", "GetActionResult", one, result, pb.GetActionResultRequest),
            (f"{_PACKAGE}.ActionCache", "UpdateActionResult", one, update, pb.UpdateActionResultRequest),
            (
                f"{_PACKAGE}.ContentAddressableStorage",
                "FindMissingBlobs",
                one,
                missing,
                pb.FindMissingBlobsRequest,
            ),
            ("google.bytestream.ByteStream", "Write", many, write, pb.WriteRequest),
        ):
            handler = kind(
                behaviour,
                request_deserializer=message.FromString,
                response_serializer=lambda answer: answer.SerializeToString(),
            )
            yield grpc.method_handlers_generic_handler(service, {name: handler})
