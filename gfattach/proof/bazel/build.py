"""Runs one build of a proof, and gathers what Bazel leaves of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gfattach.bazel.logs.events import parse_summary, private_files, read_events
from gfattach.bazel.logs.execution_log.read import read_spawns
from gfattach.bazel.logs.grpc_log import read_calls
from gfattach.bazel.messages import cache_warning, error_line
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.wire.delimited import DelimitedError
from gfattach.proof.bazel.evidence import Build, clock_offset
from gfattach.proof.bazel.options import Access, ProofOptions
from gfattach.proof.evidence import PhaseName


def run_build(
    server: Server,
    options: ProofOptions,
    name: PhaseName,
    access: Access,
    flags: Sequence[str],
    labels: Sequence[str],
    directory: Path,
    deadline: Deadline,
    *,
    log_expected: bool,
    own_targets: bool = False,
    detail: Mapping[str, Any],
) -> Build:
    """Build `labels` with `flags` (which name the endpoint) and the options of a proof behind them.

    The files that Bazel writes go to `directory` and do not outlive this call. `log_expected`
    says that the endpoint is one whose calls Bazel logs; of `own_targets` some may be kept from caches, which
    is counted without that log too. Raises BazelError and StorageError.
    """
    bazel = server.bazel
    arrivals: list[float] = []

    def arrived(line: str, moment: float) -> None:
        if parse_summary(line) is not None:
            arrivals.append(moment)

    with private_files(directory, "events.json", "calls.log", "spawns.json") as files:
        events_file, log_file, spawns_file = files
        logged = log_expected and options.log_flag is not None
        spawn_log = options.spawn_log(spawns_file) if own_targets and not logged else []
        warm = server.running and server.has_built
        arguments = [*flags, *options.common(access, events_file, log_file), *spawn_log, "--", *labels]
        before, started = clock_offset(), time.monotonic()
        answer = server.run("build", arguments, deadline, on_stderr_line=arrived)
        after = clock_offset()
        events = read_events(events_file)
        log = read_calls(log_file) if logged else None
        kept_apart = _kept_from_caches(spawns_file) if spawn_log and answer.good else None
    endpoint = next(flag for flag in reversed(flags) if flag.startswith("--remote_cache="))
    return Build(
        name=name,
        access=access,
        endpoint=endpoint.partition("=")[2],
        started=started,
        seconds=answer.seconds,
        warm=warm,
        exit_code=answer.returncode,
        last_words="" if answer.good else error_line(answer.stderr) or answer.last_words(),
        events=events,
        log=log,
        kept_apart=kept_apart,
        cache_error="" if logged else cache_warning(answer.stderr),
        summary=parse_summary(answer.stderr),
        summary_at=arrivals[-1] if arrivals else None,
        offsets=(before, after),
        detail={"bazel": bazel.label, "program": str(bazel.path), **detail},
    )


def _kept_from_caches(log: Path) -> int | None:
    """How many spawns of the execution log at `log` no cache is asked for; None where it is not whole."""
    try:
        groups = read_spawns(log)
    except DelimitedError:
        return None
    return sum(group.count for spawn, group in groups.items() if not spawn.kind.remote_cacheable)
