"""The far end of `benchmarks/forward.py`: a TCP server that gives, takes and echoes bytes.

A client sends one line: `D <bytes>` (download), `U <bytes>` (upload, answered by one byte at the
end) or `E` (echo until the client ends). Its own process, so that its processor time is its own.
"""

from __future__ import annotations

import socket
import sys
import threading

PIECE = bytes(1024 * 1024)


def serve(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = b""
        while not line.endswith(b"\n"):
            more = connection.recv(1)
            if not more:
                return
            line += more
        what, _, size = line.decode().strip().partition(" ")
        if what == "D":
            left = int(size)
            while left:
                left -= connection.send(PIECE[: min(left, len(PIECE))])
        elif what == "U":
            left, room = int(size), bytearray(1024 * 1024)
            while left and (got := connection.recv_into(room, min(left, len(room)))):
                left -= got
            connection.sendall(b".")
        else:
            while got_bytes := connection.recv(65536):
                connection.sendall(got_bytes)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        sys.stdin.close()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
