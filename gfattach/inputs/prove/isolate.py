"""Runs a program in a network namespace of its own, in which nothing but its own loopback device is up.

Run as a script by the interpreter, so that it stands on the standard library alone:
`python -I isolate.py PROGRAM ARGUMENT...`. An ordinary user gets a user namespace around it, where the
system allows that. Exits with 125 where no namespace can be had.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1

#: What this ends with when there is no namespace to be had.
NO_NAMESPACE = 125


def enter() -> None:
    """Leave the network. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    # A Bazel's client talks to its server over loopback, which is down in a new namespace.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(asked, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def main(words: list[str]) -> int:
    """Become the program; an exit code where that cannot be."""
    try:
        enter()
    except OSError as error:
        print(f"no network namespace can be had: {error.strerror}", file=sys.stderr)
        return NO_NAMESPACE
    os.execv(words[0], words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
