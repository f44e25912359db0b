"""The one server of an attach: it answers the questions about Bazel, builds the probe, and ends with the
attach.

A server takes longer to start than all that is asked of it. What differs from one use to the next, the rc
file, has a fixed place: Bazel reads it for each command, and starts another server only when its place
changes.
"""

from __future__ import annotations

import threading
from pathlib import Path

from gfattach.bazel.probe_workspace import write_probe
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.core import process
from gfattach.core.errors import BazelError
from gfattach.core.files import make_private_directory, write_atomic


class KeptServer:
    """Makes the server when it is first asked for. `work` is a directory for it that nobody else uses.

    `start_seconds` is what its first command took, the start of the server in it.
    """

    def __init__(self, work: Path) -> None:
        self.work = work
        self.rc = work / "kept.bazelrc"
        self.start_seconds: float | None = None
        self._server: Server | None = None
        self._over = False
        self._retiring: threading.Thread | None = None
        self._lock = threading.Lock()

    def of(self, bazel: Bazel) -> Server:
        """The server, in the workspace of the probe. Raises BazelError once it has ended, and
        StorageError.
        """
        with self._lock:
            if self._over:
                raise BazelError("the attach that Bazel was started for is over")
            if self._server is None:
                self._write("")
                probe = write_probe(self.work / "probe")
                self._server = Server(bazel, probe.directory, self.work, "proof", rc=(self.rc,))
                # An interrupt may leave the thread that asks: the server must not outlive the program.
                process.at_end(self._server.close)
            return self._server

    def tell(self, text: str) -> None:
        """Have the commands to come read `text` as their rc file (0600). Raises StorageError."""
        self._write(text)

    def retire(self) -> None:
        """Begin to end the server, beside what comes next: nothing is asked of it any more. Never raises."""
        self._retiring = threading.Thread(target=self._end, name="ending a Bazel")
        self._retiring.start()

    def end(self) -> None:
        """End the server, and whoever is asking it; or wait for that. Never raises."""
        if self._retiring is not None:
            self._retiring.join()
        self._end()

    def _end(self) -> None:
        with self._lock:
            self._over = True
            server, self._server = self._server, None
        if server is not None:
            server.close()
            process.not_at_end(server.close)

    def _write(self, text: str) -> None:
        make_private_directory(self.work)
        write_atomic(self.rc, text.encode())
