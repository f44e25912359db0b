"""Both listeners of one forward, opened and closed together, and its port, which is remembered once used."""

from __future__ import annotations

from pathlib import Path

from gfattach.agent.forward import listener
from gfattach.agent.forward.listener import Accepted, Listener
from gfattach.agent.forward.ports import Ports
from gfattach.agent.model.log import LOG
from gfattach.agent.model.spec import ForwardSpec
from gfattach.core.errors import StorageError


class Listeners:
    """Open from the beginning until `close`; `accepted` gets who comes in.

    Raises AgentError and StorageError; neither is open then.
    """

    def __init__(self, spec: ForwardSpec, sockets: Path, ports: Ports, accepted: Accepted) -> None:
        self._name = spec.name
        self._ports = ports
        self.socket_path = sockets / listener.socket_name(spec.name)
        tcp = listener.bind_tcp(spec.name, spec.address, ports)
        try:
            unix = listener.bind_unix(self.socket_path)
        except BaseException:
            tcp.close()
            raise
        self._listeners = (Listener(tcp, accepted), Listener(unix, accepted))
        self.address, self.port = self._listeners[0].address

    @property
    def rejected_peers(self) -> int:
        """Connections of other users, which were closed."""
        return sum(each.rejected_peers for each in self._listeners)

    def close(self) -> None:
        """Stop listening."""
        for each in self._listeners:
            each.close()

    def used(self) -> None:
        """Remember that a client has come in by this port: what points at it has to stay true."""
        try:
            self._ports.remember(self._name, self.port, used=True)
        except StorageError as error:
            LOG.error("%s", error)
