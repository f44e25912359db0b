"""Whether the Bazel at hand can speak TLS, and reach a unix socket: tried, never guessed.

A Bazel whose build lacks netty's native libraries crashes on either with exit code 37 and not a word
(Debian's 4.2.3), and 5.3.0 fails on sockets before its first call (bazel#16171). So a listener of our
own, with a certificate that is made for it, takes one connection of Bazel's: it can when a call arrives.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

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


@dataclass(frozen=True)
class Transport:
    """Whether a call arrived, over TLS on 127.0.0.1 or over TLS by a unix socket; the `cause` if not."""

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


def remembered(bazel: Bazel, by_socket: bool, cache: Path | None) -> bool | None:
    """Whether this very program was tried before, and how that ended. Raises BazelError when it is gone."""
    return Answers(cache, bazel.identity()).flags.get(_question(bazel, by_socket))


def try_transport(
    bazel: Bazel, by_socket: bool, *, work: Path, deadline: Deadline, cache: Path | None = None
) -> Transport:
    """Have `bazel` make one call over TLS, by a unix socket or on 127.0.0.1, and remember the answer.

    `work` is room for a private server. Raises BazelError when it hangs, StorageError when `work` cannot
    be used.
    """
    workspace = make_private_directory(work / "transport")
    for marker in ("WORKSPACE", "MODULE.bazel", "BUILD"):
        (workspace / marker).touch()
    # A socket's path has to be short, and `work` may be anywhere.
    with tempfile.TemporaryDirectory(prefix="gfattach-") as text, _listening(Path(text), by_socket) as trial:
        line = [*trial.options, "--remote_executor=", "--disk_cache=", "--remote_retries=0", "//:BUILD"]
        with Server(bazel, workspace, work, "transport") as server:
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
    Answers(cache, bazel.identity()).learn({_question(bazel, by_socket): found.works})
    return found


def _question(bazel: Bazel, by_socket: bool) -> str:
    natives = next((part for part in bazel.startup if "java.library.path" in part), "")
    return f"transport {'socket' if by_socket else 'tls'} {natives}".strip()


@dataclass(frozen=True)
class _Trial:
    """A listener: what Bazel is told of it, and whether a call came."""

    options: tuple[str, ...]
    called: threading.Event


@contextlib.contextmanager
def _listening(directory: Path, by_socket: bool) -> Iterator[_Trial]:
    host = NAME if by_socket else "127.0.0.1"
    authority = directory / "cert.pem"
    context = _context(host, authority, directory / "key.pem")
    if by_socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(directory / "s"))
        listener.listen()
        where = (f"--remote_cache=grpcs://{host}:443", f"--remote_proxy=unix:{directory / 's'}")
    else:
        listener = socket.create_server((host, 0))
        where = (f"--remote_cache=grpcs://{host}:{listener.getsockname()[1]}", "--remote_proxy=")
    trial = _Trial((*where, f"--tls_certificate={authority}"), threading.Event())
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
    listener: socket.socket, context: ssl.SSLContext, called: threading.Event, ended: threading.Event
) -> None:
    while not ended.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        with contextlib.suppress(OSError), connection:
            connection.settimeout(_TALK_SECONDS)
            with context.wrap_socket(connection, server_side=True) as session:
                session.sendall(_SETTINGS)
                _until_call(session)
                called.set()


def _until_call(session: ssl.SSLSocket) -> None:
    """Read frames up to the one with which a call begins. Raises OSError when none comes."""
    _read(session, _PREFACE_BYTES)
    while True:
        header = _read(session, 9)
        _read(session, int.from_bytes(header[:3], "big"))
        if header[3] == _HEADERS:
            return


def _read(session: ssl.SSLSocket, size: int) -> bytes:
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
