"""All that one agent holds: the registrations, their forwards, and the fragments that follow them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gfattach import __version__
from gfattach.agent.forward.forward import Forward
from gfattach.agent.forward.ports import Ports
from gfattach.agent.guard import fragment as guard
from gfattach.agent.guard.netrc import Netrcs
from gfattach.agent.guard.watchdog import Watchdog
from gfattach.agent.launch.environment import replace_variables
from gfattach.agent.model import log
from gfattach.agent.model.log import LOG
from gfattach.agent.model.registry import Registry, is_missing
from gfattach.agent.model.spec import DirectUpstream, ForwardSpec, Registration
from gfattach.agent.model.status import AgentStatus, ForwardStatus
from gfattach.agent.upstream.session import ClusterSession
from gfattach.agent.upstream.upstream import DirectRoute, PodRoute, Upstream
from gfattach.cluster.connection import ClusterRef
from gfattach.core.errors import AgentError, GfattachError, StorageError
from gfattach.core.peer import peer

#: Seconds for which a forward stays when the fragment that named it is emptied: a Nix that had read it asks
#: later than that, and ends its build where no server answers.
LINGER_SECONDS = 0.3


class Holder:
    """The agent's substance. `lease` are the seconds without use after which it ends, `state` is the user's
    state directory.
    """

    def __init__(
        self, directory: Path, state: Path, sockets: Path, ref: ClusterRef | None, lease: float
    ) -> None:
        self._sockets = sockets
        self._session = None if ref is None else ClusterSession(ref)
        self.lease = lease
        self._watchdog = Watchdog(directory, ref)
        self._ports = Ports(directory, state)
        self._registry = Registry(directory)
        self._forwards: dict[str, Forward] = {}
        self._netrcs = Netrcs()
        self._change = asyncio.Event()  # another one after each change of the forwards
        self._started = self._used = time.monotonic()
        self._moved = 0

    @property
    def wanted(self) -> bool:
        """Whether there is a registration."""
        return bool(self._registry.registrations)

    @property
    def lease_left(self) -> float:
        """Seconds until the lease ends, unless a client uses a forward."""
        traffic = [each.traffic for each in self._forwards.values()]
        moved = sum(each.to_pod + each.to_client for each in traffic)
        if moved != self._moved:
            self._moved, self._used = moved, time.monotonic()
        used = max([self._used, *(each.last_use for each in self._forwards.values())])
        return used + self.lease - time.monotonic()

    def resume(self) -> None:
        """Hold what was registered when the agent ended. A forward that cannot be had is logged, and left."""
        for record in self._registry.missing_records():
            self._forget(record)
        for registration in self._registry.registrations:
            try:
                self._open(registration)
            except GfattachError as error:
                LOG.error("cannot resume what %s wants: %s", registration.record, error)
        self.guard_on()

    def recheck(self) -> None:
        """Ask every upstream at once, over new connections, and end the channels that are dead."""
        for each in self._forwards.values():
            each.recheck(suspect=True)

    async def drop_missing_records(self) -> None:
        """Give up the registrations whose records are gone."""
        gone = self._registry.missing_records()
        for record in gone:
            LOG.info("%s is gone", record)
        await asyncio.gather(*map(self.give_up, gone))

    def guard_on(self) -> None:
        """Have a watchdog wait for the end of this process, as long as a fragment follows a forward."""
        wanted = any(item.guarded for item in self._registry.registrations)
        self._watchdog.follow(wanted=wanted, lease_seconds=self.lease)

    def follow_netrcs(self) -> None:
        """Have the attachments' netrcs hold what their users' hold now."""
        self._netrcs.follow(file for item in self._registry.registrations for file in item.netrcs)

    def hide_all(self) -> None:
        """Empty every fragment that follows a forward."""
        for registration in self._registry.registrations:
            for file in registration.guarded:
                guard.hide(file)
        self._watchdog.dismiss()

    async def close(self, drain_seconds: float) -> None:
        """Stop listening, let connections end for `drain_seconds`, and end those that have not."""
        forwards = list(self._forwards.values())
        for each in forwards:
            each.stop_listening()
        end = time.monotonic() + drain_seconds
        while time.monotonic() < end and any(each.open_connections for each in forwards):
            await asyncio.sleep(0.02)
        await asyncio.gather(*(each.close() for each in forwards))

    # For operations.

    def status(self) -> AgentStatus:
        """What there is to say of it all."""
        return AgentStatus(
            pid=os.getpid(),
            version=__version__,
            uptime_seconds=time.monotonic() - self._started,
            rss_bytes=_rss_bytes(),
            tasks=len(asyncio.all_tasks()),
            lease_left_seconds=max(0.0, self.lease_left),
            tcp_peers_checked=peer.TCP_PEERS_KNOWN,
            log_level=log.level(),
            forwards=tuple(each.status() for each in self._forwards.values()),
            records=tuple(item.record for item in self._registry.registrations),
        )

    async def settled(self, names: Collection[str], states: Collection[str], *, anew: bool) -> None:
        """Wait until each forward of these `names` is in one of these `states`; `anew` lets only an answer
        count that was asked for after this.
        """
        wanted = {name: each.asked_after_now for name, each in self._forwards.items() if name in names}
        for name in wanted if anew else ():
            self._forwards[name].recheck()
        while any(
            each.state not in states or (anew and each.answered < wanted[name])
            for name, each in self._forwards.items()
            if name in wanted
        ):
            await self._change.wait()

    def adopt(self, environ: Mapping[str, str], handed: Mapping[str, Any] | None) -> None:
        """Go by `environ`, and by the exec credential `handed` (as JSON), from now on, and so does a
        watchdog.

        Raises KeyError, TypeError, AttributeError and ValueError for a credential that is none.
        """
        credential = None
        if handed is not None:
            from gfattach.cluster.kubeconfig.exec_cache import ExecCredential

            credential = ExecCredential.from_json(handed)
        if replace_variables(environ):
            self._watchdog.dismiss()
            self.guard_on()
        if self._session is not None:
            self._session.adopt(dict(os.environ), credential)

    async def register(self, registration: Registration) -> tuple[ForwardStatus, ...]:
        """Have `registration` in place of what its record had; its forwards. Raises AgentError, StorageError,
        and ValueError for one that contradicts itself.
        """
        self._check(registration)
        before = next((r for r in self._registry.registrations if r.record == registration.record), None)
        wanted = {spec.name: spec for spec in registration.forwards}
        # What another registration had named so, and is there for a moment longer, is not what is wanted.
        stale = [name for name, spec in wanted.items() if (f := self._forwards.get(name)) and f.spec != spec]
        if before is not None:
            for file in set(before.guarded) - set(registration.guarded):
                guard.hide(file)
            stale += [spec.name for spec in before.forwards if spec.name not in wanted]
        await self._close(stale, registration.record)
        self._open(registration)
        self._registry.add(registration)
        self._used = time.monotonic()
        self.guard_on()
        forwards = [self._forwards[spec.name] for spec in registration.forwards]
        for forward in forwards:
            self._follow(forward)
            forward.recheck()
        return tuple(forward.status() for forward in forwards)

    async def give_up(self, record: Path) -> bool:
        """Hold nothing for `record` any more; whether something was."""
        registration = self._forget(record)
        if registration is None:
            return False
        self.guard_on()
        if registration.guarded:
            await asyncio.sleep(LINGER_SECONDS)
        await self._close([spec.name for spec in registration.forwards])
        return True

    # Forwards.

    def _check(self, registration: Registration) -> None:
        names = [spec.name for spec in registration.forwards]
        if len(set(names)) != len(names):
            raise ValueError("two forwards have one name")
        if not registration.record.is_absolute() or is_missing(registration):
            raise AgentError(
                f"there is no record at {registration.record}",
                "an agent holds forwards as long as their record is there",
                code="agent.record",
            )
        self._registry.check(registration)
        for spec in registration.forwards:
            self._route(spec)

    def _route(self, spec: ForwardSpec) -> Upstream:
        if isinstance(spec.upstream, DirectUpstream):
            return DirectRoute(spec.upstream)
        if self._session is None:
            raise AgentError(
                f"{spec.name} goes through a cluster, and this agent has none", code="agent.no-cluster"
            )
        return PodRoute(spec.upstream, self._session)

    def _open(self, registration: Registration) -> None:
        """Open the forwards that are not there yet, all or none."""
        opened: list[Forward] = []
        try:
            with self._ports.together():
                for spec in registration.forwards:
                    if spec.name not in self._forwards:
                        forward = Forward(spec, self._route(spec), self._changed, self._tell_of_change)
                        forward.listen(self._sockets, self._ports)
                        opened.append(forward)
        except BaseException:
            for forward in opened:
                forward.stop_listening()
            raise
        for forward in opened:
            self._forwards[forward.spec.name] = forward
            forward.start()

    def _forget(self, record: Path) -> Registration | None:
        """Forget a registration; its fragments are emptied, and its ports are released."""
        registration = next((r for r in self._registry.registrations if r.record == record), None)
        if registration is None:
            return None
        for file in registration.guarded:
            guard.hide(file)
        try:
            self._registry.remove(record)
            for spec in registration.forwards:
                if spec.name not in self._registry.forwards:
                    self._ports.release(spec.name)
        except StorageError as error:
            LOG.error("%s", error)  # what stays on the disk is dropped with its record at the next start
        return registration

    async def _close(self, names: list[str], record: Path | None = None) -> None:
        """Close the forwards `names` that no attachment, but that of `record`, wants."""
        others = [item for item in self._registry.registrations if item.record != record]
        wanted = {spec.name for item in others for spec in item.forwards}
        closed = [self._forwards.pop(name) for name in names if name not in wanted and name in self._forwards]
        self._tell_of_change()
        await asyncio.gather(*(each.close() for each in closed))

    def _changed(self, forward: Forward) -> None:
        self._follow(forward)
        self._tell_of_change()

    def _tell_of_change(self) -> None:
        self._change.set()
        self._netrcs = Netrcs()
        self._change = asyncio.Event()

    def _follow(self, forward: Forward) -> None:
        """Have the fragments that follow `forward` say what it is."""
        if forward.state == "starting":
            return
        for registration in self._registry.registrations:
            for file in registration.guarded:
                if file.forward == forward.spec.name:
                    (guard.show if forward.state == "up" else guard.hide)(file)


def _rss_bytes() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
