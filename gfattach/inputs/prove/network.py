"""How a proof is kept from the network: a namespace of its own, or else a proxy that refuses."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from gfattach.core import process
from gfattach.core.deadline import Deadline
from gfattach.inputs.prove import isolate

#: Variables by which programs find a proxy.
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

#: Seconds that entering a namespace may take.
_SECONDS = 10.0


class Isolation(Struct, frozen=True):
    """`kind` is "namespace" or "proxy"; `launcher` are the words before a program's path; the environment
    that goes with it.
    """

    kind: str
    launcher: tuple[str, ...]
    environment: Mapping[str, str]


def launcher() -> tuple[str, ...] | None:
    """The words that start a program without a network; None where no namespace can be had."""
    words = (sys.executable, "-I", str(Path(isolate.__file__).resolve()))
    try:
        tried = process.run([*words, "/bin/true"], Deadline.after(_SECONDS))
    except OSError:
        return None
    return words if tried.good else None


@contextmanager
def without_network(environment: Mapping[str, str], *, namespace: bool = True) -> Iterator[Isolation]:
    """What keeps a Bazel from the network, for as long as the `with` lasts.

    The proxy is a port on this machine that is held and not listened on: every connection is refused at once.
    Only programs that heed the variables are kept by it; that is said in the proof.
    """
    words = launcher() if namespace else None
    if words is not None:
        yield Isolation("namespace", words, environment)
        return
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        left = {name: value for name, value in environment.items() if name.lower() != "no_proxy"}
        yield Isolation("proxy", (), {**left, **dict.fromkeys(_PROXIES, address)})
