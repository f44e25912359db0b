"""An executor, before anything is sent to it: does it answer, does it execute, by which digests?"""

from __future__ import annotations

from gfattach.core.finding import Finding, Inquiry, Probe, Stage, fail, ok
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.grpc_client import GrpcCache
from gfattach.reapi.target import CacheTarget

#: DigestFunction.Value of SHA-256, which Bazel asks for by default.
_SHA256 = 1

#: Seconds for the first answer: an executor behind a forward may have to be dialled first.
_SECONDS = 15.0

_CODES = {
    "execution.ok": "the server executes actions, named by their SHA-256",
    "execution.disabled": "the server is a cache alone: it executes nothing",
    "execution.digest": "the server executes actions that are named by another digest than SHA-256",
    "execution.http": "the executor is named by an HTTP address, and remote execution is gRPC",
    "execution.unreachable": "no executor answers there",
    "execution.refused": "the executor wants a token that was not given, or that may not do this",
    "execution.failed": "what answers there does not answer as an executor does",
}


def _ask_capabilities(inquiry: Inquiry[CacheTarget]) -> Finding:
    target = inquiry.subject
    if not target.endpoint.grpc:
        said = f"{target.endpoint.url} is an HTTP address"
        hint = "name it by grpc:// or grpcs://"
        return fail("execution.http", said, "remote execution is spoken over gRPC alone", hint)
    try:
        with GrpcCache(target) as server:
            capabilities = server.capabilities(inquiry.deadline)
    except ReapiError as error:
        return _failed(error, target)
    execution = capabilities.execution_capabilities
    if not execution.exec_enabled:
        said = f"{target.endpoint.url} answers, and executes nothing"
        why = "it is a cache: Bazel says that remote execution is not supported by the remote server"
        return fail("execution.disabled", said, why, "ask the operator for the executor's own address")
    if execution.digest_function not in (0, _SHA256):
        said = f"{target.endpoint.url} names actions by digest function {execution.digest_function}"
        why = "Bazel names them by SHA-256 unless it is told otherwise"
        return fail("execution.digest", said, why, "ask the operator which --digest_function it takes")
    return ok("execution.ok", f"{target.endpoint.url} executes actions")


def _failed(error: ReapiError, target: CacheTarget) -> Finding:
    where = f"{target.endpoint.url}: {error.fact}"
    match error.kind:
        case Kind.UNAVAILABLE | Kind.DEADLINE:
            why = "an executor that is scaled to zero answers nothing, and that is its normal state"
            look = "see whether it runs: kubectl get pods"
            return fail("execution.unreachable", where, why, look)
        case Kind.UNAUTHENTICATED | Kind.PERMISSION:
            why = "it is known who you are, or not, and you may not execute there"
            hint = "give it a header: export BAZEL_REMOTE_EXEC_HEADER=authorization='Bearer TOKEN'"
            return fail("execution.refused", where, why, hint)
    why = "every server of the Remote Execution API says what it can"
    return fail("execution.failed", where, why, "check host and port with the operator")


STAGE: Stage[CacheTarget] = Stage(
    "execution",
    "ask the executor",
    (
        Probe(
            "execution.capabilities",
            "does the executor answer, and execute?",
            _ask_capabilities,
            _CODES,
            seconds=_SECONDS,
        ),
    ),
)
