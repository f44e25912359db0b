"""By code of the stage "substituter", the cache that earns it on the way: proxy, name, port, protocol."""

import contextlib
import socket

from msgspec.structs import replace

from tests.harness.machine import faulty_servers as faults
from tests.harness.substituters.binary_caches import hang, hang_up, serving

# The way there.


def through_a_proxy(rig):
    port = rig.stack.enter_context(serving(rig.good()))
    rig.proxied(f"http://127.0.0.1:{port}")
    return rig.target(80, host="cache.invalid")


def _proxy_before_loopback(rig):
    rig.proxied("http://127.0.0.1:9")
    return rig.cache(rig.good())


def _bad_proxy(rig):
    rig.proxied("gopher://user:s3cret@127.0.0.1:9")
    return rig.target(80, host="cache.invalid")


def _no_name_server(rig):
    """No name server on this machine can be made not to answer, so the resolver's verdict is given here."""

    def unanswered(*args, **options):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    rig.monkeypatch.setattr(socket, "getaddrinfo", unanswered)
    return rig.target(80, host="cache.invalid")


def _full_queue(rig):
    """A listener that nobody accepts from and whose queue is full: the kernel drops what comes."""
    rig.soon()
    listener = rig.stack.enter_context(socket.socket())
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    for _ in range(4):
        waiting = rig.stack.enter_context(socket.socket())
        waiting.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            waiting.connect(listener.getsockname())
    return rig.target(listener.getsockname()[1])


REACH = {
    "substituter.proxy.ok": lambda rig: rig.cache(rig.good()),
    "substituter.proxy.loopback": _proxy_before_loopback,
    "substituter.proxy.unusable": _bad_proxy,
    "substituter.resolve.ok": lambda rig: rig.cache(rig.good()),
    "substituter.resolve.unknown": lambda rig: rig.target(80, host="a" * 64 + ".invalid"),
    "substituter.resolve.cluster": lambda rig: rig.target(80, host="a" * 64 + ".svc.cluster.local"),
    "substituter.resolve.unanswered": _no_name_server,
    "substituter.port.ok": lambda rig: rig.cache(rig.good()),
    "substituter.port.refused": lambda rig: rig.target(rig.stack.enter_context(faults.refusing())),
    "substituter.port.silent": _full_queue,
    # TCP has no way to a multicast address, whatever routes there are.
    "substituter.port.unreachable": lambda rig: rig.target(80, host="224.0.0.1"),
}


# The protocol.


def _silent_port(rig):
    rig.soon()
    return rig.talking(hang)


PROTOCOL = {
    "substituter.protocol.ok": lambda rig: rig.cache(rig.good(), "https"),
    "substituter.protocol.tls-for-plain": lambda rig: replace(
        rig.cache(rig.good(), "https"),
        endpoint=replace(rig.cache(rig.good(), "https").endpoint, scheme="http"),
    ),
    "substituter.protocol.closed": lambda rig: rig.talking(hang_up),
    "substituter.protocol.silent": _silent_port,
    "substituter.protocol.unknown": lambda rig: rig.talking(faults.saying(b"SSH-2.0-OpenSSH_9\r\n")),
}
