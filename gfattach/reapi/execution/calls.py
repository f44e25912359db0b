"""Reads the Execute calls out of Bazel's log of remote calls: what the server itself said of each action.

A server that takes a result out of its cache says so (`cached_result`); timestamps do not tell, because
servers give fresh ones to cached results too (measured: justbuild 1.6.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gfattach.core.delimited import DelimitedError, TruncatedError, messages
from gfattach.core.errors import BazelError
from gfattach.core.files import storage_error

#: What the entries of this service hold, in its methods' full names.
_SERVICE = b"build.bazel.remote.execution.v2.Execution/"


class Execution(NamedTuple):
    """One call of Execute or WaitExecution.

    `digest` is the hash of the action, `label` the target that it was made for, "" where Bazel does not say.
    `done` says that the call brought an answer, `cached` that the answer came out of a cache, `status` is
    google.rpc.Code of the call or of its answer, 0 for a good end. `worker` and `worker_start` (whole seconds
    of the wall clock) are what the server said, "" and None for nothing.
    """

    invocation: str
    label: str
    mnemonic: str
    digest: str
    done: bool
    cached: bool
    status: int
    exit_code: int
    worker: str
    worker_start: int | None

    @property
    def executed(self) -> bool:
        """Whether the server says that it ran the action now, to a good end."""
        return self.done and not self.cached and self.status == 0 and self.exit_code == 0


def read_executions(path: Path) -> Iterator[Execution]:
    """Every call of the Execution service in the log at `path`.

    Raises TruncatedError where it ends inside an entry, BazelError (`bazel.log`) for what is no such log, and
    StorageError.
    """
    from google.protobuf.message import DecodeError

    from gfattach.reapi.execution import execution_pb2 as pb

    nothing = pb.ExecuteResponse()
    try:
        with path.open("rb") as file:
            for data in messages(file.read):
                if _SERVICE in data:
                    yield _execution(pb.CallEntry.FromString(data), nothing)
    except TruncatedError:
        raise
    except (DecodeError, DelimitedError) as error:
        raise _not_a_log(path) from error
    except OSError as error:
        raise storage_error("read", path, error) from error


def _not_a_log(path: Path) -> BazelError:
    return BazelError(
        f"{path.name} is not a log of remote calls as Bazel writes it",
        "its format may have changed with this Bazel: please report its version",
        code="bazel.log",
    )


def _execution(entry: Any, nothing: Any) -> Execution:
    """The call of an entry; `nothing` is an answer without any field, which is never changed."""
    details, metadata = entry.details, entry.metadata
    digest, status, done, answer = metadata.action_id, entry.status.code, False, nothing
    if details.HasField("execute"):
        execute = details.execute
        digest = execute.request.action_digest.hash or digest
        operations = execute.responses
    else:
        operations = details.wait_execution.responses
    if operations and (last := operations[-1]).done:
        done = True
        status = status or last.error.code
        answer = last.response.value
    result = answer.result
    executed = result.execution_metadata
    begun = executed.worker_start_timestamp.seconds
    return Execution(
        metadata.tool_invocation_id,
        metadata.target_id,
        metadata.action_mnemonic,
        digest,
        done,
        answer.cached_result,
        status or answer.status.code,
        result.exit_code,
        executed.worker,
        begun or None,
    )
