"""Was the execution forced: by a nonce of this run in the action's key, and by the options of the build?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from gfattach.bazel.logs.events import Options
from gfattach.core.finding import Finding, fail
from gfattach.proof.execution.facts import Asked, BuildFacts
from gfattach.proof.execution.nonce import read_nonce

#: How far a nonce's whole seconds may lie before the moment that the run notes as its start.
_ROUNDING = timedelta(seconds=2)

_OFF = ("0", "false", "no")


def forced(asked: Asked, build: BuildFacts) -> Iterator[Finding]:
    """What speaks against a forced execution."""
    yield from nonce_of_run(asked)
    yield from _carried(asked, build)
    if build.events.options is None:
        why = "nothing says that the execution was forced"
        yield fail("rbe.proof.no-options", "the event file does not say with which options was built", why)
    else:
        yield from _options(asked, build.events.options)


def nonce_of_run(asked: Asked) -> Iterator[Finding]:
    """Whether the nonce is one, of this run, made while it ran."""
    nonce = read_nonce(asked.nonce)
    if nonce is None:
        said = f"{asked.nonce!r} is no nonce: YYYYMMDDTHHMMSSZ-<run id>-<attempt>"
        yield fail("rbe.proof.nonce-malformed", said, "it cannot be tied to a run")
        return
    if (nonce.run_id, nonce.attempt) != (asked.run_id, asked.attempt):
        said = f"the nonce is of run {nonce.run_id}, attempt {nonce.attempt}, and the evidence of run "
        said += f"{asked.run_id}, attempt {asked.attempt}"
        yield fail(
            "rbe.proof.nonce-run", said, "it was taken from another run, whose results a cache may hold"
        )
    if not asked.started - _ROUNDING <= nonce.moment <= asked.ended:
        said = f"the nonce {asked.nonce} was made outside of the run ({asked.started} to {asked.ended})"
        yield fail("rbe.proof.nonce-time", said, "somebody may have built with it before")


def _carried(asked: Asked, build: BuildFacts) -> Iterator[Finding]:
    if build.faults:
        return
    spawns = build.spawns
    why = "without it the action has a key that a cache may know"
    if not spawns.labelled:
        # The log of an old Bazel names no targets: every spawn of the target's mnemonics has to carry it.
        mnemonics = () if build.calls is None else build.calls.target_mnemonics
        without = [name for name in mnemonics if spawns.forced_mnemonics[name] < spawns.mnemonics[name]]
        if without:
            said = f"{asked.nonce} is not in every {', '.join(sorted(without))} action that was executed"
            yield fail("rbe.proof.nonce-missing", said, why)
    elif spawns.target.spawns and spawns.target.carrying < spawns.target.spawns:
        without_it = spawns.target.spawns - spawns.target.carrying
        said = f"{without_it} of {spawns.target.spawns} actions of {asked.label} "
        said += f"have no {asked.nonce} in their environment or arguments"
        yield fail("rbe.proof.nonce-missing", said, why)


def _options(asked: Asked, options: Options) -> Iterator[Finding]:
    if options.effective("remote_accept_cached") not in _OFF:
        said = "the build accepted cached results: --noremote_accept_cached is not in effect"
        yield fail("rbe.proof.accepted-cache", said, "what a cache served was not executed")
    if (options.effective("remote_local_fallback") or "0") not in _OFF:
        said = "the build might fall back to this machine: --remote_local_fallback is in effect"
        yield fail("rbe.proof.fallback-allowed", said, "a build that ends well need not have been remote")
    if disk := options.effective("disk_cache"):
        yield fail(
            "rbe.proof.disk-cache-set", f"the build had a disk cache: {disk}", "it hides what was executed"
        )
    executor = options.effective("remote_executor")
    if not executor:
        yield fail(
            "rbe.proof.no-executor", "the build had no executor", "there was nothing to execute it remotely"
        )
    elif executor != asked.executor:
        said = f"the build went to {executor}, and the evidence names {asked.executor}"
        yield fail("rbe.proof.executor-other", said, "what was proved is of another executor")
    cache = options.effective("remote_cache") or executor
    if executor and cache != asked.cache:
        said = f"the build had the cache {cache}, and the evidence names {asked.cache}"
        yield fail("rbe.proof.cache-other", said, "what was proved is of another cache")
