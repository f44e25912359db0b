"""`up`: find the way in, ask both caches, write the fragments, measure the hits, keep a record.

Each half (Bazel, Nix) stands alone: when one of its probes fails, nothing of it is written and
what an earlier `up` wrote of it is taken back, because a fragment that points at a dead cache
slows every build (Bazel) or breaks it (Nix). The other half is attached all the same. An `up`
that ends early and found nothing attached leaves nothing behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gfattach import attachment as records
from gfattach import process
from gfattach.attach import bazel_side, bazel_token, forwards, nix_side, nix_token
from gfattach.attach.options import UpOptions
from gfattach.attach.undo import undo
from gfattach.attach.ways import Way, find_way, kind_of, read_only
from gfattach.attachment import Attachment
from gfattach.contract.environment import detached
from gfattach.credential.helper import HELPER_NAME
from gfattach.engine import Run
from gfattach.errors import ExitCode, GfattachError, UsageError
from gfattach.files import locked, remove, write_atomic, write_json
from gfattach.finding import Finding, Status, ok
from gfattach.firsthit import nix as nix_hit
from gfattach.firsthit.measure import Measurement
from gfattach.firsthit.proof import Proof, conclude
from gfattach.fragments import link as links
from gfattach.fragments import nixconf
from gfattach.fragments.home import BAZELRC, NETRC, create_home
from gfattach.journal import Journal
from gfattach.nixcache.target import SubstituterTarget
from gfattach.paths import Home, resolve_home
from gfattach.site.load import load_site


@dataclass(frozen=True)
class Attached:
    """What `up` came to. `attachment` is None when nothing could be attached."""

    exit_code: ExitCode
    attachment: Attachment | None
    proof: Proof
    not_proved: Sequence[str] = ()
    bazel_use: Sequence[str] = ()
    nix_use: str = ""

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        record = self.attachment
        return {
            **self.proof.as_json(),
            "attached": record is not None,
            "kind": None if record is None else record.kind,
            "bazelrc": None if record is None or record.bazelrc is None else str(record.bazelrc),
            "nix_conf": None if record is None or record.nix_conf is None else str(record.nix_conf),
            "links": [] if record is None else [str(path) for path in record.links],
            "not_proved": list(self.not_proved),
        }


def attach(options: UpOptions, run: Run) -> Attached:
    """Attach as `options` say. Raises GfattachError; what it had begun is undone then."""
    home = resolve_home(options.workspace, Path.cwd())
    nix_hit.store_paths(options.nix_paths)
    site = load_site(options.site, detached(os.environ), home.workspace)
    create_home(home)
    with locked(home.lock):
        run.account("start", "start, and read what is said of the site")
        before = records.load(home)
        try:
            _check_same(before, kind_of(options, site))
            way = find_way(options, site, home, run)
            attached = _Up(options, home, way, run, before).attach()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                process.end_all()  # a probe's thread may still be at work in what is undone now
            if before is None:
                undo(home)
            raise
        if attached.attachment is None and before is None:
            undo(home)
        return attached


def _check_same(before: Attachment | None, wanted: str) -> None:
    if before is not None and before.kind != wanted:
        raise UsageError(
            f"this workspace is attached already, in another way: {before.kind}, and this would be {wanted}",
            "undo that first: gfattach down",
            code="attachment.other",
        )


class _Up:
    """One attach under way."""

    def __init__(self, options: UpOptions, home: Home, way: Way, run: Run, before: Attachment | None) -> None:
        self.options = options
        self.home = home
        self.way = way
        self.run = run
        self.measurement = Measurement(run)
        self.not_proved: list[str] = []
        self.failures: list[GfattachError] = []
        self.bazel_use: Sequence[str] = ()
        self.nix_use = ""
        begun = before or Attachment.begin(way.kind)
        agent = forwards.directory_for(way)
        # Saved before anything else is done, so that `down` knows of an `up` that was killed.
        self.record = replace(begun, trial=way.trial_directory, agent=agent, cluster=way.cluster)
        records.save(home, self.record)

    def attach(self) -> Attached:
        self.way = forwards.open_forwards(self.way, self.home, self.options.lease_hours, self.run)
        cache = None if self.way.cache is None else read_only(self.way.cache)
        self.record = replace(self.record, cache=cache, substituter=self.way.substituter)
        records.save(self.home, self.record)
        cold = self._attach_bazel()
        self._attach_nix()
        if cold is not None:
            cold()
        way, run = self.way, self.run
        targets = {"cache": way.cache, "substituter": way.substituter}
        endpoints = {name: target.endpoint.url for name, target in targets.items() if target is not None}
        proof = conclude(self.measurement.legs, run.report(), run.origin, endpoints)
        write_json(self.home.evidence, proof.as_json())
        record = replace(self.record, first_hit=_summary(proof))
        records.save(self.home, record)
        kept = None if record.bazelrc is None and record.nix_conf is None else record
        run.account("record", "keep the evidence and the record")
        code = exit_code(run, proof, self.failures, require_hit=self.options.require_hit)
        return Attached(code, kept, proof, self.not_proved, self.bazel_use, self.nix_use)

    def _attach_bazel(self) -> Callable[[], None] | None:
        """The Bazel half; what is still to be measured when the other half is done, if anything."""
        target, options, run = self.way.cache, self.options, self.run
        if target is None:
            self.not_proved.append("bazel: the site names no cache")
            return None
        if not bazel_side.ask_cache(target, run):
            self.not_proved.append("bazel: the cache did not pass its probes")
            self._retract_bazel()
            return None
        found = bazel_side.ask_bazel(target, options.clients, self.home, run)
        if found.failed:
            self.not_proved.append(f"bazel: {found.reason}")
            self._retract_bazel()
            return None
        if found.bazel is None:
            self.not_proved.append(f"bazel: {found.reason}")
        run.step("bazelrc", "write the Bazel fragment", lambda progress: self._write_bazelrc(found))
        with self._surviving("bazel"), bazel_side.legs_of(found, target, self.home) as legs:
            if self.way.fills:
                bazel_side.fill(self.way, legs, self.measurement)
            bazel_side.hit(target, legs, self.measurement, warm=self.way.fills)
            if legs is not None and not self.way.fills:
                bazel_side.hit_again(legs, self.measurement, warm=True)
        if self.failures:
            self._retract_bazel()
        if self.failures or found.bazel is None or not self.way.fills:
            return None
        return lambda: self._measure_cold(found)

    @contextmanager
    def _surviving(self, half: str) -> Iterator[None]:
        """Go on with the other half when a leg of this one fails; the checklist has shown it by then."""
        try:
            yield
        except GfattachError as error:
            self.failures.append(error)
            self.not_proved.append(f"{half}: {error.fact}")

    def _measure_cold(self, found: bazel_side.BazelFound) -> None:
        """The figure that a first hit with the server of the fill did not give."""
        assert self.way.cache is not None
        with self._surviving("bazel"), bazel_side.legs_of(found, self.way.cache, self.home) as legs:
            assert legs is not None
            bazel_side.hit_again(legs, self.measurement, warm=False)

    def _write_bazelrc(self, found: bazel_side.BazelFound) -> Mapping[str, Finding]:
        assert self.way.cache is not None
        path = self.home.directory / BAZELRC
        token = bazel_token.offer(self.way.cache.endpoint.host, self.home.directory, found.accepted)
        text = bazel_side.render_fragment(
            self.way.cache, found, self.options.on_cache_down, self.run, token.helper
        )
        write_atomic(path, text.encode())
        findings = {"bazelrc": ok("fragment.written", str(path), path=str(path))}
        if token.finding is not None:
            findings["bazel-token"] = token.finding
        self.record = replace(self.record, bazelrc=path)
        if self.options.link:
            linked = links.link(self.home, path, Journal(self.home))
            self.record = replace(self.record, links=(linked.file,) if linked.file else ())
            findings["link"] = ok("fragment.linked", f"imported by {linked.file}", path=str(linked.file))
        else:
            linked = links.offer(self.home, path)
        self.bazel_use = linked.hints or (f"read by every Bazel of this workspace, through {linked.file}",)
        records.save(self.home, self.record)
        return findings

    def _retract_bazel(self) -> None:
        remove(self.home.directory / HELPER_NAME)
        if self.record.bazelrc is not None:
            remove(self.record.bazelrc)
            self.record = replace(self.record, bazelrc=None)

    def _attach_nix(self) -> None:
        target, run = self.way.substituter, self.run
        if target is None:
            self.not_proved.append("nix: the site names no substituter")
            return
        before = len(self.failures)
        with self._surviving("nix"):
            target = nix_token.with_token(target, run)
        if len(self.failures) > before:
            self._retract_nix()
            return
        if not nix_side.ask_substituter(target, run):
            self.not_proved.append("nix: the substituter did not pass its probes")
            self._retract_nix()
            return
        found = nix_side.ask_nix(target, self.options.clients, run)
        if found.reason:
            self.not_proved.append(f"nix: {found.reason}")
        if found.failed:
            self._retract_nix()
            return
        run.step("nix-conf", "write the Nix fragment", lambda progress: self._write_nix_conf(found, target))
        if found.nix is None:
            return
        before = len(self.failures)
        with self._surviving("nix"):
            nix_side.hit(found.nix, target, self.home, self.measurement, self.options.nix_paths)
        if len(self.failures) > before:
            self._retract_nix()

    def _write_nix_conf(self, found: nix_side.NixFound, target: SubstituterTarget) -> Mapping[str, Finding]:
        path = nixconf.fragment_path(self.home)
        netrc = nix_token.write_netrc(self.home, target, found.nix)
        text = nix_side.render_fragment(target, found, netrc.path)
        # Outside the home when Nix cannot include a path in it: the journal knows of it then, and of what
        # the agent makes of it while the substituter is down.
        journal = Journal(self.home)
        journal.will_change(path, nixconf.emptied().encode())
        journal.will_change(path, text.encode())
        forwards.guard(self.way, self.home, path, text, self.options.lease_hours)
        self.record = replace(self.record, nix_conf=path)
        self.nix_use = nixconf.activation(path)
        records.save(self.home, self.record)
        written = {"nix-conf": ok("fragment.written", str(path), path=str(path))}
        return written | {f"nix-netrc-{place}": finding for place, finding in enumerate(netrc.findings, 1)}

    def _retract_nix(self) -> None:
        remove(self.home.directory / NETRC)
        if self.record.nix_conf is not None:
            Journal(self.home).will_change(self.record.nix_conf, nixconf.emptied().encode())
            self.record = replace(self.record, nix_conf=None)


def exit_code(run: Run, proof: Proof, failures: Sequence[GfattachError], *, require_hit: bool) -> ExitCode:
    """What an attach ends with: a void proof first, then what ended a leg, then a program that was named
    and is missing or cannot be used, then any failed probe; nothing to hit is good unless a hit was
    required.
    """
    failed = [name for name, finding in run.findings.items() if finding.status is Status.FAIL]
    if proof.void:
        return ExitCode.UNPROVED
    if failures:
        return failures[0].exit_code
    if any(run.findings[name].code.endswith(".program.named") for name in failed):
        return ExitCode.MISSING
    if any(name.startswith(("bazel.", "nix.")) for name in failed):
        return ExitCode.USAGE
    if failed:
        return ExitCode.FAILED
    return ExitCode.UNPROVED if require_hit and not proof.complete else ExitCode.GOOD


def _summary(proof: Proof) -> Mapping[str, Any]:
    return {
        "verdict": proof.verdict,
        "first_hit": proof.first_hit,
        "clients": proof.as_json()["clients"],
    }
