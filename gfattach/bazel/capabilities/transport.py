"""Whether the Bazel at hand can speak TLS, and reach a unix socket: tried, never guessed.

A Bazel whose build lacks netty's native libraries crashes on either with exit code 37 and not a word
(Debian's 4.2.3), and 5.3.0 fails on sockets before its first call (bazel#16171). So a listener of our
own takes one connection of Bazel's, over TLS with a certificate that is made for it: it can when a call
arrives.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gfattach.bazel.capabilities.answers import Answers
from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags
from gfattach.bazel.messages import error_line
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError
from gfattach.core.files import make_private_directory

#: The name that Bazel asks for over the socket; nothing resolves it.
NAME = "gfattach-trial.invalid"

#: Where netty looks for its library, in a directory of its own: Debian's has a hyphen in its name.
LIBRARY = "libnetty_tcnative.so"

#: Seconds that one connection may take.
_TALK_SECONDS = 10.0

#: An empty SETTINGS frame (RFC 9113, 6.5), and the type of the frame that a call begins with.
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
_HEADERS = 1
_PREFACE_BYTES = 24


class Call(StrEnum):
    """How a call is made: over TLS on 127.0.0.1, over TLS by a unix socket, in plaintext by a unix socket."""

    TLS = "tls"
    SOCKET = "socket"
    PLAINTEXT_SOCKET = "plaintext-socket"


class Transport(Struct, frozen=True):
    """Whether a call arrived; the `cause` if not."""

    works: bool
    cause: str = ""


def with_natives(bazel: Bazel, environ: Mapping[str, str]) -> Bazel:
    """`bazel` with netty's TLS library out of LD_LIBRARY_PATH; as it is where no directory there holds one.

    It is to be called `libnetty_tcnative.so`. It needs libapr-1.so.0, which is found beside it or where the
    system keeps it, and gives TLS and no unix sockets: those are in another library, which Debian does not
    package.
    """
    path = environ.get("LD_LIBRARY_PATH", "")
    places = (Path(part) for part in path.split(":"))
    directory = next((place for place in places if place.is_absolute() and (place / LIBRARY).is_file()), None)
    if directory is None:
        return bazel
    return replace(
        bazel,
        startup=(*bazel.startup, f"--host_jvm_args=-Djava.library.path={directory}"),
        environment={**bazel.environment, "LD_LIBRARY_PATH": path},
        native_transport=True,
    )


def remembered(bazel: Bazel, call: Call, cache: Path | None) -> bool | None:
    """Whether this very program was tried before, and how that ended. Raises BazelError when it is gone."""
    return Answers(cache, bazel.identity()).flags.get(_question(bazel, call))


def try_transport(
    bazel: Bazel, call: Call, *, work: Path, deadline: Deadline, cache: Path | None = None
) -> Transport:
    """Have a server of its own make one `call`, and remember the answer.

    `work` is room for it. Raises BazelError when it hangs, StorageError when `work` cannot be used.
    """
    workspace = make_private_directory(work / "transport")
    for marker in ("WORKSPACE", "MODULE.bazel", "BUILD"):
        (workspace / marker).touch()
    with Server(bazel, workspace, work, "transport") as server:
        return try_of(server, call, "//:BUILD", work=work, deadline=deadline, cache=cache)


def try_of(
    server: Server, call: Call, label: str, *, work: Path, deadline: Deadline, cache: Path | None
) -> Transport:
    """Have `server` make one `call`, before it would build `label`, and remember the answer: where a server
    runs already, another start is saved.

    Raises BazelError when it hangs, StorageError when `work` cannot be used.
    """
    bazel = server.bazel
    # A socket's path has to be short, and `work` may be anywhere.
    with tempfile.TemporaryDirectory(prefix="gfattach-") as text, _listening(Path(text), call) as trial:
        ends = ["--noremote_local_fallback", "--remote_retries=0"]
        line = [*trial.options, "--remote_executor=", "--disk_cache=", *ends, label]
        try:
            # With modules this build would ask a registry for its own, and end there without one.
            plain = accepted_flags(
                bazel, WITHOUT_MODULES, work=work, cache=cache, deadline=deadline, server=server
            )
            answer = server.run("build", [*sorted(plain), *line], deadline)
        except BazelError as error:
            if error.code != "bazel.crashed":
                raise
            found = Transport(False, " | ".join(error.hints))
        else:
            said = error_line(answer.stderr) or answer.last_words()
            found = Transport(trial.called.is_set(), "" if trial.called.is_set() else said)
    Answers(cache, bazel.identity()).learn({_question(bazel, call): found.works})
    return found


def _question(bazel: Bazel, call: Call) -> str:
    natives = next((part for part in bazel.startup if "java.library.path" in part), "")
    return f"transport {call} {natives}".strip()


class _Trial(Struct, frozen=True):
    """A listener: what Bazel is told of it, and whether a call came."""

    options: tuple[str, ...]
    called: threading.Event


@contextlib.contextmanager
def _listening(directory: Path, call: Call) -> Iterator[_Trial]:
    context: ssl.SSLContext | None = None
    options: tuple[str, ...] = ()
    host = "127.0.0.1" if call is Call.TLS else NAME
    if call is not Call.PLAINTEXT_SOCKET:
        authority = directory / "cert.pem"
        context = _context(host, authority, directory / "key.pem")
        options = (f"--tls_certificate={authority}",)
    scheme = "grpc" if context is None else "grpcs"
    if call is Call.TLS:
        listener = socket.create_server((host, 0))
        where = (f"--remote_cache={scheme}://{host}:{listener.getsockname()[1]}", "--remote_proxy=")
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(directory / "s"))
        listener.listen()
        where = (f"--remote_cache={scheme}://{host}:443", f"--remote_proxy=unix:{directory / 's'}")
    trial = _Trial((*where, *options), threading.Event())
    ended = threading.Event()
    listener.settimeout(0.1)
    thread = threading.Thread(target=_serve, args=(listener, context, trial.called, ended), daemon=True)
    thread.start()
    try:
        yield trial
    finally:
        ended.set()
        thread.join(_TALK_SECONDS)
        listener.close()


def _serve(
    listener: socket.socket, context: ssl.SSLContext | None, called: threading.Event, ended: threading.Event
) -> None:
    while not ended.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with contextlib.suppress(OSError), connection:
            connection.settimeout(_TALK_SECONDS)
            session = connection if context is None else context.wrap_socket(connection, server_side=True)
            with session:
                session.sendall(_SETTINGS)
                _until_call(session)
                called.set()


def _until_call(session: socket.socket) -> None:
    """Read frames up to the one with which a call begins. Raises OSError when none comes."""
    _read(session, _PREFACE_BYTES)
    while True:
        header = _read(session, 9)
        _read(session, int.from_bytes(header[:3], "big"))
        if header[3] == _HEADERS:
            return


def _read(session: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        piece = session.recv(size - len(content))
        if not piece:
            raise ConnectionResetError("it hung up")
        content += piece
    return content


def _context(host: str, certificate: Path, key: Path) -> ssl.SSLContext:
    """A server's context with a certificate for `host` that is its own authority, made for this once."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.x509.oid import NameOID

    own = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gfattach trial")])
    try:
        name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(own, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    return context
