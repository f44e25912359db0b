"""A first hit at the level of the protocol: no Bazel, no JVM, a handful of round trips.

The probe action is the same for every client in the world, so that one fill serves all. It is
never run: its command names what would make its output, and the output is stored with it.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.errors import RefusedError
from gfattach.proof.evidence import Client, Phase, PhaseName
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.target import CacheTarget

OUTPUT = b"gfattach probe v1\n"
OUTPUT_PATH = "gfattach-probe-v1"


class ProbeAction(Struct, frozen=True):
    """The action, its `output`, and every blob that belongs to it; `result` is the ActionResult to store."""

    action: Digest
    output: bytes
    blobs: tuple[bytes, ...]
    result: Any


def probe_action(nonce: str = "") -> ProbeAction:
    """The probe action; with a `nonce`, one that nobody can have stored before."""
    from gfattach.reapi import remote_cache_pb2

    pb: Any = remote_cache_pb2
    output = OUTPUT + nonce.encode()
    command = pb.Command(arguments=["printf", "%s", output.decode()], output_files=[OUTPUT_PATH])
    root = pb.Directory()
    action = pb.Action(
        command_digest=Digest.of_message(command).message(),
        input_root_digest=Digest.of_message(root).message(),
    )
    result = pb.ActionResult(exit_code=0)
    result.output_files.add(path=OUTPUT_PATH, digest=Digest.of(output).message())
    # The input root is empty, and an empty blob is in every cache: it is not stored (REAPI, Digest).
    blobs = (*(message.SerializeToString(deterministic=True) for message in (command, action)), output)
    return ProbeAction(Digest.of_message(action), output, blobs, result)


def open_cache(target: CacheTarget) -> Any:
    """The client for the endpoint's protocol: both have the calls that are used here."""
    if target.endpoint.grpc:
        from gfattach.reapi.grpc_client import GrpcCache

        return GrpcCache(target)
    from gfattach.reapi.http_client import HttpCache

    return HttpCache(target)


class _Requests:
    """The questions of one phase, and what came of them."""

    def __init__(self, deadline: Deadline, nonce: str) -> None:
        self.probe = probe_action(nonce)
        self.rpcs = Counter[str]()
        self.violations: list[str] = []
        self.outcome = "not found"
        self.first_hit: float | None = None
        self._deadline = deadline
        self._started = time.monotonic()

    def ask(self, cache: Any) -> bool:
        """Look the action up and read its output; whether both were served, and are what they should be."""
        result = cache.get_action_result(self.probe.action, self._deadline)
        self.rpcs[f"GetActionResult {'NOT_FOUND' if result is None else 'OK'}"] += 1
        if result is None:
            return False
        expected = Digest.of(self.probe.output)
        if [Digest.read(file.digest) for file in result.output_files] != [expected]:
            self.outcome = "another result"
            self.violations.append("the cache holds a result for the probe action that is not the probe's")
            return False
        try:
            cache.read(expected, self._deadline)
        except ReapiError as error:
            self.rpcs[f"Read {error.kind.name}"] += 1
            if error.kind not in (Kind.NOT_FOUND, Kind.CORRUPT):
                raise
            self.outcome = "output gone" if error.kind is Kind.NOT_FOUND else "output changed"
            if error.kind is Kind.CORRUPT:
                self.violations.append("the cache served an output whose content is not what its digest says")
            return False
        self.rpcs["Read OK"] += 1
        self.outcome, self.first_hit = "served", time.monotonic()
        return True

    def store(self, cache: Any) -> None:
        """Store everything that belongs to the action, the result last."""
        for blob in self.probe.blobs:
            cache.write(blob, self._deadline)
            self.rpcs["Write OK"] += 1
        cache.update_action_result(self.probe.action, self.probe.result, self._deadline)
        self.rpcs["UpdateActionResult OK"] += 1

    def phase(self, name: PhaseName) -> Phase:
        """What was measured so far."""
        action = self.probe.action
        return Phase(
            client=Client.PROTOCOL,
            name=name,
            started=self._started,
            seconds=time.monotonic() - self._started,
            asked=1,
            hits=0 if self.first_hit is None else 1,
            local=0,
            first_hit=self.first_hit,
            rpcs=dict(self.rpcs),
            violations=tuple(self.violations),
            detail={"action": f"{action.hash}/{action.size}", "outcome": self.outcome},
        )


def fill(target: CacheTarget, deadline: Deadline, nonce: str = "") -> Phase:
    """Store the probe action, unless it is there whole. Raises ReapiError, and RefusedError for a reader."""
    if not target.may_write:
        raise RefusedError(
            f"{target.endpoint.url} is attached for reading, and filling it is writing",
            "an operator fills it, from a lane that may write: gfattach site warm --upload",
            code="cache.read-only",
        )
    requests = _Requests(deadline, nonce)
    with open_cache(target) as cache:
        if not requests.ask(cache):
            requests.store(cache)
            # What was wrong with it before is mended now.
            requests.violations.clear()
    return requests.phase(PhaseName.FILL)


def hit(target: CacheTarget, deadline: Deadline, nonce: str = "") -> Phase:
    """Ask for the probe action and read its output. A hit is one whose content has its digest.

    Raises ReapiError when the cache does not answer, or answers with an error.
    """
    requests = _Requests(deadline, nonce)
    with open_cache(target) as cache:
        requests.ask(cache)
    return requests.phase(PhaseName.HIT)


def control(target: CacheTarget, deadline: Deadline, nonce: str = "") -> Phase:
    """Ask the same with the endpoint withheld: nothing may be served.

    Raises ReapiError when anything but the missing endpoint is what went wrong.
    """
    requests = _Requests(deadline, nonce)
    with withheld(target.endpoint) as endpoint:
        nowhere = replace(target, endpoint=endpoint, socket=None, headers=())
        try:
            with open_cache(nowhere) as cache:
                requests.ask(cache)
        except ReapiError as error:
            if error.kind is not Kind.UNAVAILABLE:
                raise
            requests.rpcs["GetActionResult UNAVAILABLE"] += 1
            requests.outcome = "withheld"
    return requests.phase(PhaseName.CONTROL)


@contextlib.contextmanager
def withheld(endpoint: Endpoint) -> Iterator[Endpoint]:
    """An endpoint like `endpoint` that refuses every connection while the block lasts.

    A bound socket that does not listen keeps the port from everybody else.
    """
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        yield replace(endpoint, host="127.0.0.1", port=keeper.getsockname()[1])
