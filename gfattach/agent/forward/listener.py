"""The listeners of a forward: a unix socket, and a TCP port on a loopback address.

Both stay open as long as the forward is held. Who connects is looked at before anything else is
done with the connection: anyone but this user and root is closed at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import ipaddress
import os
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from gfattach.agent.forward.ports import Ports, choices
from gfattach.core import files
from gfattach.core.errors import AgentError
from gfattach.core.peer import peer
from gfattach.core.quote import word

#: Connections that wait to be accepted.
_BACKLOG = 1024

#: Connections that are accepted in one turn, so that a flood leaves time for what runs.
_ACCEPTED_IN_A_TURN = 32

#: Seconds without accepting when the process has no file descriptors left.
_EXHAUSTED_SECONDS = 0.1

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Accepted = Callable[[socket.socket], None]


class Listener:
    """One listening socket. `accepted` gets each connection of this user (and root), not blocking.

    `rejected_peers` counts the connections of others, which were closed; one whose client has gone before it
    could be looked up is closed as well, and is not counted.
    """

    def __init__(self, listening: socket.socket, accepted: Accepted) -> None:
        self._socket = listening
        self._accepted = accepted
        self._loop = asyncio.get_running_loop()
        self._asked: set[asyncio.Task[None]] = set()
        self._resume: asyncio.TimerHandle | None = None
        self.rejected_peers = 0
        listening.setblocking(False)
        self._loop.add_reader(listening, self._accept)

    @property
    def address(self) -> tuple[str, int]:
        """The address and port of a TCP listener."""
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Stop listening; what was accepted lives on."""
        if self._resume is not None:
            self._resume.cancel()
        self._loop.remove_reader(self._socket)
        path = self._socket.getsockname() if self._socket.family == socket.AF_UNIX else None
        self._socket.close()
        if isinstance(path, str):
            with contextlib.suppress(OSError):
                Path(path).unlink()

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_IN_A_TURN):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._loop.remove_reader(self._socket)
                    self._resume = self._loop.call_later(
                        _EXHAUSTED_SECONDS, self._loop.add_reader, self._socket, self._accept
                    )
                return
            connection.setblocking(False)
            if connection.family == socket.AF_UNIX:
                self._admit(connection, peer.unix_peer_uid(connection))
            elif not peer.TCP_PEERS_KNOWN:
                self._accepted(connection)
            elif (uid := peer.tcp_peer_at_once(connection)) is not None:
                # Before the next one is taken: one beyond the descriptor budget must not hold a descriptor
                # that looking for the others needs.
                self._admit(connection, uid)
            else:
                task = self._loop.create_task(self._look_up(connection))
                self._asked.add(task)
                task.add_done_callback(self._asked.discard)

    async def _look_up(self, connection: socket.socket) -> None:
        try:
            uid = await peer.tcp_peer_uid(connection)
        except BaseException:
            reset(connection)
            raise
        self._admit(connection, uid)

    def _admit(self, connection: socket.socket, uid: int | None) -> None:
        if not peer.trusted(uid):
            self.rejected_peers += uid is not None
            reset(connection)
            return
        self._accepted(connection)


def reset(connection: socket.socket) -> None:
    """Close `connection` so that the other end learns it at once, as an error and not as an end."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def socket_name(forward: str) -> str:
    """The file name of the unix socket of the forward `forward`: short, and of harmless characters."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", forward) and forward != "control":
        return f"{forward}.sock"
    return f"{hashlib.sha256(forward.encode()).hexdigest()[:12]}.sock"


def bind_unix(path: Path) -> socket.socket:
    """A socket that listens at `path`, 0600. What a dead process left there is replaced.

    Raises AgentError `agent.socket` where a living one listens, and StorageError.
    """
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _answers(path):
            raise AgentError(
                f"another process listens at {path}",
                f"see which one: ss -lxp src {word(path)}",
                code="agent.socket",
            )
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        listening.bind(str(path))
        path.chmod(files.PRIVATE_FILE)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise files.storage_error("listen at", path, error) from error
    except BaseException:
        listening.close()
        raise
    return listening


def bind_tcp(name: str, address: str, ports: Ports) -> socket.socket:
    """A socket that listens on the loopback `address`, at the port that the forward `name` had before.

    One that had none gets the port that follows from its name, if that is free. When the one it had is
    taken, another is used if no client has ever connected to the forward. Raises AgentError
    `agent.address` for an address that is not this machine's own, `agent.port` for a port that was
    in use and is another process's.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        parsed = None
    if parsed is None or not parsed.is_loopback:
        raise AgentError(
            f"{name}: {address} is no loopback address",
            "a forward listens on this machine alone, for example at 127.0.0.1",
            code="agent.address",
        )
    remembered = ports.of(name)
    try:
        if remembered is None:
            listening = _bind_one_of(parsed.version, address, choices(name, ports))
        else:
            listening = _bind(parsed.version, address, remembered.port)
    except OSError as error:
        if remembered is None or error.errno != errno.EADDRINUSE:
            raise AgentError(
                f"{name}: cannot listen on {address}: {os.strerror(error.errno or 0).lower()}",
                code="agent.address",
            ) from error
        if remembered.used:
            raise AgentError(
                f"port {remembered.port} on {address}, which {name} had before, is another process's now",
                f"see which one: ss -ltnp 'sport = :{remembered.port}'",
                "end it, and run it again; or gfattach down, and gfattach up, for another port",
                code="agent.port",
            ) from error
        listening = _bind(parsed.version, address, 0)
    ports.remember(name, int(listening.getsockname()[1]))
    return listening


def _bind_one_of(version: int, address: str, ports: tuple[int, ...]) -> socket.socket:
    """A socket at the first of `ports` that is free, or at any other."""
    for port in ports:
        with contextlib.suppress(OSError):
            return _bind(version, address, port)
    return _bind(version, address, 0)


def _bind(version: int, address: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError as error:
            # A full backlog is a living process; anything else that is no socket may be replaced.
            return error.errno in (errno.EAGAIN, errno.ETIMEDOUT)
    return True
