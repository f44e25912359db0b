"""The far end of `benchmarks/forward.py`: a TCP server that gives, takes and echoes bytes.

A client sends one line: `D <bytes>` (download), `U <bytes>` (upload, answered by one byte at the
end) or `E` (echo until the client ends). What begins with GET is answered as HTTP, by 404: so a forward
can ask for its health. Its own process, so that its processor time is its own.
"""

from __future__ import annotations

import socket
import sys
import threading

PIECE = bytes(1024 * 1024)


def serve(connection: socket.socket) -> None:
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while (line := read_line(connection)).startswith(b"GET "):
            while read_line(connection).strip():
                pass
            connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
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
        elif what == "E":
            while got_bytes := connection.recv(65536):
                connection.sendall(got_bytes)


def read_line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (more := connection.recv(1)):
        line += more
    return line


def main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        sys.stdin.close()
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
