"""A wire between an agent and the API server that can forget every connection on it without a word."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.harness.cluster.cluster import Cluster


class Wire:
    """Passes bytes on; after `swallow`, nothing any more on the connections that are open then."""

    def __init__(self, cluster: Cluster) -> None:
        self._to = int(cluster.server.rpartition(":")[2])
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listening.getsockname()[1]
        self.connections = 0
        self._age = 0
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self) -> None:
        """Forget the connections that are open."""
        self._age += 1

    def kubeconfig(self, cluster: Cluster, place: Path) -> Path:
        """The developer's kubeconfig, with this wire in the API server's place."""
        document = yaml.safe_load(cluster.kubeconfig.read_text())
        for entry in document["clusters"]:
            entry["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        path = place / "wire.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return path

    def close(self) -> None:
        """End it, with every connection."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._pass, args=(near, self._age), daemon=True).start()

    def _pass(self, near: socket.socket, age: int) -> None:
        with (
            near,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._to), 10) as far,
            selectors.DefaultSelector() as ready,
        ):
            self._open |= {near, far}
            ready.register(near, selectors.EVENT_READ, far)
            ready.register(far, selectors.EVENT_READ, near)
            try:
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(65536)
                        if age == self._age:
                            if not data:
                                return
                            key.data.sendall(data)
                        elif not data:  # the other end is not told
                            ready.unregister(key.fileobj)
                            if not ready.get_map():
                                return
            finally:
                self._open -= {near, far}


@contextlib.contextmanager
def wire(cluster: Cluster) -> Iterator[Wire]:
    """A wire to the API server, until the end."""
    made = Wire(cluster)
    try:
        yield made
    finally:
        made.close()
