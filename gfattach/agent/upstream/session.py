"""The agent's one connection to its cluster: resolved when it is needed, and anew when it has to be.

Resolving may run an exec plugin, so that it happens in a thread, once for all forwards, and is not
repeated in haste when it fails.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gfattach.cluster.connection import ClusterRef
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError, GfattachError

if TYPE_CHECKING:
    from gfattach.cluster.api.client import Api
    from gfattach.cluster.connection import ClusterConnection
    from gfattach.cluster.kubeconfig.exec_cache import ExecCredential
    from gfattach.cluster.wire.http import Client

#: Seconds before a credential expires in which a new one is fetched.
EARLY_SECONDS = 60.0

#: Seconds that resolving may take: a plugin may ask the user, or a server far away.
RESOLVE_SECONDS = 30.0

#: Seconds between attempts to resolve while it fails or the credential is refused.
_FIRST_PAUSE, _LAST_PAUSE = 1.0, 60.0

#: A file as it was when it was looked at: where, which and of when.
_Stamp = tuple[Path, int, int]

#: How the codes of errors end that a refused credential comes to, and those of rights that it lacks.
_UNAUTHORIZED = ".unauthorized"
_FORBIDDEN = ".forbidden"


class ClusterSession:
    """`connection` for everybody; `refused` when an error came of it; `worked` when it did."""

    def __init__(self, ref: ClusterRef) -> None:
        self._ref = ref
        self._environ: Mapping[str, str] = dict(os.environ)
        self._handed: ExecCredential | None = None
        self._connection: ClusterConnection | None = None
        self._renew_at: float | None = None  # on time.time(): expiry is wall clock
        self._files: object = None
        self._authority: tuple[_Stamp, ...] = ()
        self._resolving: asyncio.Task[ClusterConnection] | None = None
        self._pause = 0.0
        self._not_before = 0.0  # on time.monotonic()
        self._last_error: ClusterError | None = None
        self._anew = self._asked_for_rights = False
        self._adopted = asyncio.Event()  # another one after each `adopt`
        self._client: Client | None = None

    def adopt(self, environ: Mapping[str, str], handed: ExecCredential | None) -> None:
        """Go by `environ` from now on, and show what an exec plugin has `handed` out to who calls for this
        while it holds: it was used with success a moment ago. What had failed before is forgotten.
        """
        if (environ, handed) == (self._environ, self._handed) and self._last_error is None:
            return
        self._environ, self._handed = environ, handed
        self._connection = self._resolving = self._last_error = None
        self._pause = self._not_before = 0.0
        self._anew = self._asked_for_rights = False
        self._adopted.set()
        self._adopted = asyncio.Event()

    def api(self, connection: ClusterConnection) -> Api:
        """The API server as `connection` says, over connections that are kept between questions."""
        from gfattach.cluster.api.client import Api
        from gfattach.cluster.wire.http import Client

        if self._client is None or self._client.connection is not connection:
            self.forget()
            self._client = Client(connection)
        return Api(connection, self._client)

    def forget(self) -> None:
        """Keep no connection that was used before: it may be dead without having said so."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def connection(self) -> ClusterConnection:
        """The connection, resolved anew where it has to be. Raises ClusterError."""
        while True:
            adopted = self._adopted
            resolving = self._resolution()
            if isinstance(resolving, asyncio.Task):
                # Who waits may give up; a slow plugin's answer serves the next who asks.
                renewed = asyncio.ensure_future(adopted.wait())
                try:
                    await asyncio.wait({resolving, renewed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    renewed.cancel()
                if adopted.is_set():
                    continue  # it was begun for another environment
                return resolving.result()
            return resolving

    def _resolution(self) -> ClusterConnection | asyncio.Task[ClusterConnection]:
        """The connection that is held, or the work that makes one. Raises ClusterError."""
        kept = self._connection
        if kept is not None and (self._renew_at is None or time.time() < self._renew_at):
            return kept
        if self._resolving is None:
            files = self._stamp()
            if self._last_error is not None and time.monotonic() < self._not_before and files == self._files:
                raise self._last_error
            self._files = files
            self._resolving = asyncio.get_running_loop().create_task(self._fetch())
            self._resolving.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._resolving

    async def _fetch(self) -> ClusterConnection:
        adopted, before = self._adopted, self._authority
        known = _stamps(path for path, _, _ in before)  # as it is before it is read
        try:
            found = await asyncio.to_thread(self._resolve)
        except GfattachError as error:
            failure = ClusterError(error.fact, *error.hints, code=error.code)
            if adopted is self._adopted:
                self._put_off(failure)
            raise failure from error
        finally:
            if adopted is self._adopted:
                self._resolving = None
        if adopted is self._adopted:
            self._anew = False
            self._connection, self._renew_at = found, _renewal(found.expires)
            wanted = () if found.authority_file is None else (found.authority_file,)
            self._authority = known if wanted == tuple(path for path, _, _ in known) else _stamps(wanted)
        return found

    def worked(self) -> None:
        """What was resolved last is accepted by the cluster."""
        self._pause, self._last_error, self._asked_for_rights = 0.0, None, False

    def failed(self, used: ClusterConnection, error: ClusterError) -> bool:
        """Note that the cluster could not be reached as `used` says; whether to try again at once.

        A refused credential is fetched anew, and so is everything when the kubeconfig or the file of its
        authorities has changed. One that
        lacks a right is fetched anew once: its user may have been given more since it was handed out.
        """
        if used is not self._connection:
            return True  # another forward has met the same
        refused = error.code.endswith(_UNAUTHORIZED)
        if error.code.endswith(_FORBIDDEN) and used.renewable and not self._asked_for_rights:
            self._asked_for_rights = self._anew = True
            self._connection = None
            return True
        authority = _stamps(path for path, _, _ in self._authority)
        if not refused and self._stamp() == self._files and authority == self._authority:
            return False
        self._connection = None
        if refused:
            first = self._pause == 0.0
            self._put_off(error)
            if first:
                self._not_before = 0.0
            return first
        return True

    def _put_off(self, error: ClusterError) -> None:
        self._last_error = error
        self._anew = True  # what a plugin handed out before is of no use
        self._pause = min(max(_FIRST_PAUSE, self._pause * 2), _LAST_PAUSE)
        self._not_before = time.monotonic() + self._pause

    def _resolve(self) -> ClusterConnection:
        from gfattach.cluster.kubeconfig.credentials import ExecOptions
        from gfattach.cluster.kubeconfig.exec_plugin import told_seconds
        from gfattach.cluster.kubeconfig.resolve import resolve

        options = ExecOptions(anew=self._anew, handed=self._handed)
        seconds = max(RESOLVE_SECONDS, told_seconds(self._environ) or 0.0)
        return resolve(self._ref, Deadline.after(seconds), self._environ, options)

    def _stamp(self) -> tuple[_Stamp, ...]:
        """What tells whether the kubeconfig files have changed."""
        from gfattach.cluster.kubeconfig.resolve import find_files

        try:
            return _stamps(find_files(self._ref))
        except ClusterError:
            return ()


def _stamps(files: Iterable[Path]) -> tuple[_Stamp, ...]:
    """What tells whether these have changed; of those that are there."""
    stamps = []
    for path in files:
        try:
            status = path.stat()
        except OSError:
            continue
        stamps.append((path, status.st_ino, status.st_mtime_ns))
    return tuple(stamps)


def _renewal(expires: datetime | None) -> float | None:
    """When to fetch the next credential, on `time.time()`: early, but not at once for a short-lived one."""
    if expires is None:
        return None
    at = expires if expires.tzinfo is not None else expires.replace(tzinfo=UTC)
    now, end = time.time(), at.timestamp()
    return end - min(EARLY_SECONDS, max(0.0, end - now) / 2)
