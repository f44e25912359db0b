"""Whether Bazel can reach an endpoint that needs TLS, or a unix socket: what a trial connection comes to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from gfattach.bazel.capabilities.transport import Call, remembered, try_transport
from gfattach.bazel.program.binary import Bazel
from gfattach.core.deadline import Deadline
from gfattach.core.errors import GfattachError
from gfattach.core.finding import Finding, fail, ok, warn

UPSTREAM_HINT = "use a Bazel from its makers: https://bazel.build/install/bazelisk"
_NATIVES_HINT = (
    "or give it netty's TLS library: apt-get download libnetty-tcnative-jni libapr1; unpack both with "
    "dpkg-deb -x; copy libnetty-tcnative.so to DIR/libnetty_tcnative.so and libapr-1.so.0 beside it; then "
    "export LD_LIBRARY_PATH=DIR, and in an rc file: startup --host_jvm_args=-Djava.library.path=DIR"
)
_PLAINTEXT_HINT = (
    "or have gfattach do TLS, and Bazel speak in the clear to it on 127.0.0.1: "
    "gfattach up --allow-plaintext-loopback"
)

_NO_NATIVES = "its build lacks netty's native libraries"

TRANSPORT_CODES: Mapping[str, str] = MappingProxyType(
    {
        "bazel.transport.plain": "the endpoint needs neither TLS nor a unix socket",
        "bazel.transport.socket": "a call of this Bazel arrived by a unix socket: the forward's is used",
        "bazel.transport.port": "this Bazel cannot go by a unix socket: the TCP port of the forward is used",
        "bazel.transport.ok": "a call of this Bazel arrived over TLS, as the endpoint needs it",
        "bazel.transport.before": "this very program has made such a call here before",
        "bazel.transport.no-tls": "this Bazel can do neither TLS nor unix sockets",
        "bazel.transport.no-socket": "this Bazel does TLS and cannot go by a unix socket",
        "bazel.transport.unanswered": "whether this Bazel can do TLS could not be tried",
    }
)


def judge_transport(bazel: Bazel, by_socket: bool, work: Path, cache: Path, deadline: Deadline) -> Finding:
    """Whether a call of `bazel` arrives over TLS, `by_socket` with a name of its own.

    A failure is not remembered as one: what is missing may have been installed since.
    """
    how = "over TLS by a unix socket, with a name of its own" if by_socket else "over TLS"
    call = Call.SOCKET if by_socket else Call.TLS
    tls, cause = bazel.native_transport, _NO_NATIVES
    try:
        if tls and remembered(bazel, call, cache):
            return ok("bazel.transport.before", f"this very Bazel has made a call {how}")
        if tls:
            tried = try_transport(bazel, call, work=work, deadline=deadline, cache=cache)
            if tried.works:
                return ok("bazel.transport.ok", f"a call of it arrives {how}", tls=True, socket=by_socket)
            cause = tried.cause
            tls = (
                by_socket and try_transport(bazel, Call.TLS, work=work, deadline=deadline, cache=cache).works
            )
    except GfattachError as error:
        why = "a Bazel that cannot do TLS crashes without a word when it is told to"
        return fail("bazel.transport.unanswered", error.fact, why, *error.hints)
    said = f" ({cause})" if cause else ""
    if tls:
        return fail(
            "bazel.transport.no-socket",
            f"{bazel.path}, {bazel.label}, does TLS and cannot go by a unix socket{said}",
            "a TLS endpoint behind a forward keeps its name only by a socket",
            UPSTREAM_HINT,
            _PLAINTEXT_HINT,
            tls=True,
            socket=False,
        )
    return fail(
        "bazel.transport.no-tls",
        f"{bazel.path}, {bazel.label}, can do neither TLS nor unix sockets{said}",
        "it crashes without a word (exit code 37) when it is told to",
        UPSTREAM_HINT,
        _NATIVES_HINT,
        _PLAINTEXT_HINT,
        tls=False,
        socket=False,
    )


def judge_socket(bazel: Bazel, work: Path, cache: Path, deadline: Deadline) -> Finding:
    """Whether a call of `bazel` in plaintext arrives by a unix socket; if not, the TCP port will do.

    The answer is remembered, whatever it is: what it costs is the start of a server.
    """
    works, cause = False, _NO_NATIVES
    try:
        if bazel.native_transport:
            known = remembered(bazel, Call.PLAINTEXT_SOCKET, cache)
            if known is None:
                tried = try_transport(bazel, Call.PLAINTEXT_SOCKET, work=work, deadline=deadline, cache=cache)
                works, cause = tried.works, tried.cause
            else:
                works, cause = known, "it was tried before"
    except GfattachError as error:
        cause = error.fact
    if works:
        seen = "a call of it arrives by a unix socket, into which this user alone can reach"
        return ok("bazel.transport.socket", seen, socket=True)
    seen = f"it cannot go by a unix socket ({cause}): it goes by the TCP port of the forward"
    return ok("bazel.transport.port", seen, socket=False)


def in_the_clear(finding: Finding) -> Finding:
    """The finding of `judge_transport` where a forward may end TLS: what Bazel lacks ends nothing then."""
    if "tls" not in finding.data or not finding.failed:
        return finding
    return warn(
        finding.code,
        finding.seen,
        "it speaks in the clear to a forward on 127.0.0.1, which takes this user only and does TLS for it: "
        "what is said there, tokens included, root can read",
        *finding.hints[:-1],
        **finding.data,
    )
