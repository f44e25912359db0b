"""One question to an HTTP cache, over and over on one connection: a GET.

Like its gRPC sibling it does no input or output: bytes go in and out. HTTP/1.1 itself is h11's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h11

#: Bytes of an answer that are looked at; a larger one is read no further.
_BODY_LIMIT = 64 * 1024

#: Who asks for a token answers: without one this process cannot ask more.
_ASKS_FOR_A_TOKEN = (401, 403)


class HttpQuestion:
    """The client's side of one HTTP connection on which one GET at a time is asked.

    A cache is well when it answers 2xx, or 404 (nothing is there), or asks for a token. With `store`
    it is a substituter, and well when its answer names a store directory.

    `verdict` is None until the question is answered, then "" for well, or what is wrong.
    """

    def __init__(self, host: str, path: str, *, store: bool) -> None:
        self._target = path if path.startswith("/") else f"/{path}"
        self._headers = [("Host", host), ("User-Agent", "gfattach"), ("Accept", "*/*")]
        self._store = store
        self._connection: h11.Connection | None = None
        self._status = 0
        self._body = bytearray()
        self.verdict: str | None = None
        self.reusable = True

    def begin(self) -> bytes:
        """What a new connection begins with: nothing."""
        import h11

        self._connection = h11.Connection(h11.CLIENT)
        return b""

    def ask(self) -> bytes:
        """The bytes that ask once more."""
        import h11

        connection = self._h11()
        if connection.our_state is h11.DONE:
            connection.start_next_cycle()
        self._status, self.verdict = 0, None
        self._body.clear()
        request = connection.send(h11.Request(method="GET", target=self._target, headers=self._headers))
        connection.send(h11.EndOfMessage())
        return request or b""

    def receive(self, data: bytes) -> bytes:
        """Take in what came, b"" for the end. Raises ValueError for what is no HTTP, and for bytes that
        were not asked for: there is no end to what would have to be kept of them.
        """
        import h11

        connection = self._h11()
        if data and self.verdict is not None:
            if data.strip(b"\r\n"):
                raise ValueError("more came than was asked for")
            return b""  # some servers end an answer with one line's end too many
        try:
            connection.receive_data(data)
            while self.verdict is None:
                event = connection.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    break
                if isinstance(event, h11.Response):
                    self._status = event.status_code
                elif isinstance(event, h11.Data):
                    self._body += event.data
                    if len(self._body) > _BODY_LIMIT:
                        self._judge(complete=False)
                elif isinstance(event, h11.EndOfMessage):
                    self._judge(complete=connection.their_state is h11.DONE)
                elif isinstance(event, h11.ConnectionClosed):
                    raise ValueError("the connection was closed before an answer")
        except h11.RemoteProtocolError as error:
            raise ValueError("the answer is not HTTP" if data else "the answer was cut off") from error
        return b""

    def _judge(self, *, complete: bool) -> None:
        """Come to a verdict; a connection on which the answer is not `complete` is of no more use."""
        self.reusable = complete and not self._h11().trailing_data[0]
        if self._status in _ASKS_FOR_A_TOKEN:
            self.verdict = ""
        elif self._store:
            if self._status != 200:
                self.verdict = f"GET {self._target} was answered with HTTP {self._status}"
            else:
                named = any(line.startswith(b"StoreDir:") for line in self._body.splitlines())
                self.verdict = "" if named else f"{self._target} names no StoreDir"
        elif 200 <= self._status < 300 or self._status == 404:
            self.verdict = ""
        else:
            self.verdict = f"GET {self._target} was answered with HTTP {self._status}"

    def _h11(self) -> h11.Connection:
        assert self._connection is not None, "begin comes first"
        return self._connection
