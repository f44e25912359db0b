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
from dataclasses import dataclass, replace
from typing import Any

from gfattach.deadline import Deadline
from gfattach.endpoint import Endpoint
from gfattach.errors import RefusedError
from gfattach.firsthit.evidence import Client, Leg, LegName
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.target import CacheTarget

OUTPUT = b"gfattach probe v1\n"
OUTPUT_PATH = "gfattach-probe-v1"


@dataclass(frozen=True)
class ProbeAction:
    """The action, and every blob that belongs to it; `result` is the ActionResult to store."""

    action: Digest
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
    blobs = (*(message.SerializeToString(deterministic=True) for message in (command, root, action)), output)
    return ProbeAction(Digest.of_message(action), blobs, result)


def open_cache(target: CacheTarget) -> Any:
    """The client for the endpoint's protocol: both have the calls that are used here."""
    if target.endpoint.grpc:
        from gfattach.reapi.grpc_client import GrpcCache

        return GrpcCache(target)
    from gfattach.reapi.http_client import HttpCache

    return HttpCache(target)


def fill(target: CacheTarget, deadline: Deadline, nonce: str = "") -> Leg:
    """Store the probe action, unless it is there. Raises ReapiError, and RefusedError for a reader."""
    if not target.may_write:
        raise RefusedError(
            f"{target.endpoint.url} is attached for reading, and filling it is writing",
            "an operator fills it, from a lane that may write: gfattach site warm --upload",
            code="cache.read-only",
        )
    probe = probe_action(nonce)
    started, rpcs = time.monotonic(), Counter[str]()
    with open_cache(target) as cache:
        there = _lookup(cache, probe, deadline, rpcs)
        if there is None:
            for blob in probe.blobs:
                cache.write(blob, deadline)
                rpcs["Write OK"] += 1
            cache.update_action_result(probe.action, probe.result, deadline)
            rpcs["UpdateActionResult OK"] += 1
    return _leg(LegName.FILL, started, 0 if there is None else 1, None, rpcs, probe)


def hit(target: CacheTarget, deadline: Deadline, nonce: str = "") -> Leg:
    """Ask for the probe action and read its output. A hit is one whose content has its digest.

    Raises ReapiError when the cache does not answer at all.
    """
    probe = probe_action(nonce)
    started, rpcs, moment = time.monotonic(), Counter[str](), None
    with open_cache(replace(target, may_write=False)) as cache:
        result = _lookup(cache, probe, deadline, rpcs)
        if result is not None:
            found = time.monotonic()
            with contextlib.suppress(IndexError):
                cache.read(Digest.read(result.output_files[0].digest), deadline)
                rpcs["Read OK"] += 1
                moment = found
    return _leg(LegName.HIT, started, 0 if moment is None else 1, moment, rpcs, probe)


def control(target: CacheTarget, deadline: Deadline, nonce: str = "") -> Leg:
    """Ask the same with the endpoint withheld: nothing may be served."""
    probe = probe_action(nonce)
    started, rpcs = time.monotonic(), Counter[str]()
    result = None
    with (
        withheld(target.endpoint) as endpoint,
        open_cache(replace(target, endpoint=endpoint, socket=None)) as cache,
    ):
        try:
            result = _lookup(cache, probe, deadline, rpcs)
        except ReapiError as error:
            rpcs[f"GetActionResult {error.kind.value}"] += 1
            if error.kind not in (Kind.UNAVAILABLE, Kind.DEADLINE):
                raise
    return _leg(LegName.CONTROL, started, 0 if result is None else 1, None, rpcs, probe)


@contextlib.contextmanager
def withheld(endpoint: Endpoint) -> Iterator[Endpoint]:
    """An endpoint like `endpoint` that refuses every connection while the block lasts.

    A bound socket that does not listen keeps the port from everybody else.
    """
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        yield replace(endpoint, host="127.0.0.1", port=keeper.getsockname()[1])


def _lookup(cache: Any, probe: ProbeAction, deadline: Deadline, rpcs: Counter[str]) -> Any | None:
    result = cache.get_action_result(probe.action, deadline)
    rpcs[f"GetActionResult {'NOT_FOUND' if result is None else 'OK'}"] += 1
    return result


def _leg(
    name: LegName, started: float, hits: int, moment: float | None, rpcs: Counter[str], probe: ProbeAction
) -> Leg:
    return Leg(
        client=Client.PROTOCOL,
        name=name,
        started=started,
        seconds=time.monotonic() - started,
        asked=1,
        hits=hits,
        local=0,
        first_hit=moment,
        rpcs=dict(rpcs),
        detail={"action": f"{probe.action.hash}/{probe.action.size}"},
    )
