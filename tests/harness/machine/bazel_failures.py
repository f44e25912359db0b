"""What each Bazel does in each failure of its cache: `python3 -m tests.harness.machine.bazel_failures`.

Real Bazels against caches on loopback that fail. Each cell is an exit code and what the build says of its
processes or, where it has none, the first error that it marks. docs/bazel-failures.md is what this prints.
"""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
from cryptography.hazmat.primitives import serialization

from gfattach.bazel.capabilities.flags import WITHOUT_MODULES, accepted_flags
from gfattach.bazel.logs.events import parse_summary
from gfattach.bazel.messages import error_line
from gfattach.bazel.program.binary import Bazel
from gfattach.bazel.server.run import Server
from gfattach.core.deadline import Deadline
from gfattach.core.errors import BazelError
from gfattach.reapi import remote_cache_pb2 as pb
from tests.harness.caches.reapi_server import Faults, capable, reapi
from tests.harness.certificates.pki import Issuer, new_key, sign
from tests.harness.machine.bazels import BAZELS

SECONDS = 400.0

HEAD = """# What each Bazel does when its cache fails

Made by `python3 -m tests.harness.machine.bazel_failures` from real runs, on {date}, with
one target that needs another. A cell is Bazel's exit code and what ran, or the first error; the options are
those of the row and no others, but for one retry.
`tests/integration/test_bazel_failures.py` holds the fragment to what follows from it.

"""

_ALL = "--remote_download_outputs=all"


class Trial:
    """One Bazel with a server of its own, and what it was asked."""

    def __init__(self, server: Server, accepted: frozenset[str]) -> None:
        self.server = server
        self.accepted = accepted
        self._added = 0

    def build(self, *options: str, label: str = "//:two") -> str:
        """A cell."""
        plain = [option for option in WITHOUT_MODULES if option in self.accepted]
        known = [option for option in options if option != _ALL or _ALL in self.accepted]
        always = ["--spawn_strategy=local", "--remote_executor=", "--disk_cache=", "--remote_retries=1"]
        try:
            done = self.server.run("build", [*plain, *always, *known, label], Deadline.after(SECONDS))
        except BazelError as error:
            return error.fact
        counted = parse_summary(done.stderr)
        said = counted[1].partition(": ")[2] if counted and counted[1] != "0 processes." else ""
        return f"{done.returncode}: {said or _plain(error_line(done.stderr))}".rstrip(": ")

    def clean(self) -> None:
        """Nothing is built."""
        self.server.run("clean", [], Deadline.after(SECONDS))

    def more(self) -> str:
        """The label of a new target that needs the first output."""
        self._added += 1
        name = f"more{self._added}"
        with (self.server.workspace / "BUILD").open("a") as file:
            file.write(f'genrule(name="{name}", srcs=["one.txt"], outs=["{name}.txt"], cmd="cat $< > $@")\n')
        return f"//:{name}"


def _plain(line: str) -> str:
    """Without what is of one run, and short."""
    line = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", line).replace("|", "/")
    return re.sub(r"/[^\s=']*/(?=[\w-]+\.(?:pem|key)\b)", "", line)[:110]


@contextlib.contextmanager
def refused() -> Iterator[str]:
    """The option for a cache at a port that refuses."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"--remote_cache=grpc://127.0.0.1:{held.getsockname()[1]}"


def away(*options: str) -> Callable[[Trial], str]:
    def row(trial: Trial) -> str:
        trial.clean()
        with refused() as cache:
            return trial.build(cache, *options)

    return row


def token(trial: Trial) -> str:
    trial.clean()
    with reapi(Faults(token="right")) as (port, _):
        return trial.build(f"--remote_cache=grpc://127.0.0.1:{port}", "--remote_local_fallback")


def died(*options: str) -> Callable[[Trial], str]:
    def row(trial: Trial) -> str:
        trial.clean()
        with reapi() as (port, _):
            cache = f"--remote_cache=grpc://127.0.0.1:{port}"
            trial.build(cache, *options)
            trial.clean()
            hit = trial.build(cache, *options)
        assert "remote cache hit" in hit, hit
        return trial.build(cache, "--remote_local_fallback", *options, label=trial.more())

    return row


def gone(*options: str) -> Callable[[Trial], str]:
    def row(trial: Trial) -> str:
        trial.clean()
        faults = Faults()
        with reapi(faults) as (port, _):
            cache = f"--remote_cache=grpc://127.0.0.1:{port}"
            trial.build(cache, *options)
            trial.clean()
            faults.forgets = True
            return trial.build(cache, *options)

    return row


def given(*options: str) -> Callable[[Trial], str]:
    def row(trial: Trial) -> str:
        trial.clean()
        return trial.build("--remote_local_fallback", *options)

    return row


def silent(trial: Trial) -> str:
    """It accepts, and never answers."""
    trial.clean()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as held:
        port = held.getsockname()[1]
        options = ("--remote_timeout=2", "--remote_local_fallback")
        return trial.build(f"--remote_cache=grpc://127.0.0.1:{port}", *options)


def http(trial: Trial) -> str:
    """A port that speaks HTTP/1.1 is given for gRPC."""
    trial.clean()
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        return trial.build(f"--remote_cache=grpc://127.0.0.1:{server.server_port}", "--remote_local_fallback")
    finally:
        server.shutdown()
        server.server_close()


def http_away(trial: Trial) -> str:
    trial.clean()
    with refused() as cache:
        return trial.build(cache.replace("grpc://", "http://"))


def faulty(faults: Callable[[], Faults], *options: str) -> Callable[[Trial], str]:
    def row(trial: Trial) -> str:
        trial.clean()
        with reapi(faults()) as (port, _):
            address = f"grpc://127.0.0.1:{port}"
            given = [option.format(address=address) for option in options]
            return trial.build(f"--remote_cache={address}", *given)

    return row


def dies(trial: Trial) -> str:
    """The cache ends while a build waits for its answer."""
    trial.clean()
    with contextlib.ExitStack() as stack:
        port, state = stack.enter_context(reapi(Faults(slow={"GetActionResult": 60.0})))

        def end() -> None:
            until = time.monotonic() + SECONDS
            while not state.calls["GetActionResult"] and time.monotonic() < until:
                time.sleep(0.05)
            stack.close()

        thread = threading.Thread(target=end, daemon=True)
        thread.start()
        try:
            return trial.build(f"--remote_cache=grpc://127.0.0.1:{port}", "--remote_local_fallback")
        finally:
            state.calls["GetActionResult"] += 1
            thread.join()


def tls(*, scheme: str = "grpcs", serves: bool = True, trusts: str = "own") -> Callable[[Trial], str]:
    """A cache with TLS (or, without `serves`, in plaintext), and what Bazel trusts: its `own`, `other`, a
    file that is `missing`, or its own with a client's key in PKCS#1 (`pkcs1`).
    """

    def row(trial: Trial) -> str:
        trial.clean()
        files = trial.server.workspace.parent
        key = new_key()
        certificate = sign("localhost", key, None, authority=True, names=("localhost",))
        other = sign("other", new_key(), None, authority=True)
        for name, each in (("own", certificate), ("other", other)):
            (files / f"{name}.pem").write_bytes(each.public_bytes(serialization.Encoding.PEM))
        rsa = new_key("rsa")
        own = sign("client", rsa, Issuer(certificate, key))
        (files / "client.pem").write_bytes(own.public_bytes(serialization.Encoding.PEM))
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        old = serialization.PrivateFormat.TraditionalOpenSSL
        (files / "client.key").write_bytes(rsa.private_bytes(pem, old, plain))
        served = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        credentials = grpc.ssl_server_credentials([(served, (files / "own.pem").read_bytes())])
        options = [f"--tls_certificate={files / ('own' if trusts == 'pkcs1' else trusts)}.pem"]
        if trusts == "pkcs1":
            options += [
                f"--tls_client_certificate={files}/client.pem",
                f"--tls_client_key={files}/client.key",
            ]
        with reapi(credentials=credentials if serves else None) as (port, _):
            cache = f"--remote_cache={scheme}://localhost:{port}"
            return trial.build(cache, "--remote_local_fallback", *(options if scheme == "grpcs" else ()))

    return row


def by_socket(*, stale: bool) -> Callable[[Trial], str]:
    def row(trial: Trial) -> str:
        trial.clean()
        with tempfile.TemporaryDirectory() as text:
            path = Path(text) / "s"
            if stale:
                with socket.socket(socket.AF_UNIX) as bound:
                    bound.bind(str(path))
            options = (f"--remote_proxy=unix:{path}", "--remote_local_fallback")
            return trial.build("--remote_cache=grpc://cache.invalid:1", *options)

    return row


def _read_only() -> Faults:
    refused = pb.ActionCacheUpdateCapabilities(update_enabled=False)
    return Faults(capabilities=capable(action_cache_update_capabilities=refused))


def _writes_refused() -> Faults:
    denied = grpc.StatusCode.PERMISSION_DENIED
    return Faults(failing={"Write": denied, "UpdateActionResult": denied})


ROWS: dict[str, Callable[[Trial], str]] = {
    "no cache": lambda trial: (trial.clean(), trial.build())[1],
    "port closed, `--remote_local_fallback`": away("--remote_local_fallback"),
    "port closed, `--noremote_local_fallback`": away("--noremote_local_fallback"),
    "unknown host": given("--remote_cache=grpc://no-such-host.invalid:9092"),
    "accepts and never answers, `--remote_timeout=2`": silent,
    "an HTTP port for gRPC": http,
    "an HTTP cache is down": http_away,
    "TLS, and the certificate's own authority": tls(),
    "TLS, and another authority": tls(trusts="other"),
    "TLS, and a file of authorities that is missing": tls(trusts="missing"),
    "TLS with a client's key in PKCS#1": tls(trusts="pkcs1"),
    "TLS asked of a cache in plaintext": tls(serves=False),
    "plaintext asked of a cache with TLS": tls(scheme="grpc"),
    "a socket that is missing": by_socket(stale=False),
    "a socket that nobody listens on": by_socket(stale=True),
    "no token, `--remote_local_fallback`": token,
    "the cache takes no results (capabilities)": faulty(_read_only),
    "the same with `--noremote_upload_local_results`": faulty(_read_only, "--noremote_upload_local_results"),
    "the cache refuses each write": faulty(_writes_refused),
    "an executor is asked of a server that has none": faulty(Faults, "--remote_executor={address}"),
    "the cache dies during a build": dies,
    "cache dies after a hit; a new target needs an output": died(),
    f"the same with `{_ALL}`": died(_ALL),
    "action cache answers for blobs that are gone": gone(),
    f"the same with `{_ALL}` ": gone(_ALL),
}


def column(bazel: Bazel, root: Path) -> list[str]:
    """The cells of one Bazel."""
    workspace = root / "workspace"
    workspace.mkdir(parents=True)
    for marker in ("WORKSPACE", "MODULE.bazel"):
        (workspace / marker).touch()
    (workspace / "BUILD").write_text(
        'genrule(name="one", outs=["one.txt"], cmd="echo one > $@")\n'
        'genrule(name="two", srcs=["one.txt"], outs=["two.txt"], cmd="cat $< > $@")\n'
    )
    cells = []
    with Server(bazel, workspace, root / "work", "failures") as server:
        server.run("help", [], Deadline.after(SECONDS))
        accepted = accepted_flags(bazel, [*WITHOUT_MODULES, _ALL], work=root / "work", server=server)
        trial = Trial(server, accepted)
        for name, row in ROWS.items():
            cells.append(row(trial))
            print(f"{name}: {cells[-1]}", file=sys.stderr, flush=True)
    return cells


def main() -> None:
    """Print the page."""
    columns = {}
    with tempfile.TemporaryDirectory() as text:
        for label, find in BAZELS.items():
            columns[label] = column(find(), Path(text) / label)
    print(HEAD.format(date=time.strftime("%Y-%m-%d")), end="")
    print("| | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for number, name in enumerate(ROWS):
        print(f"| {name.strip()} | " + " | ".join(cells[number] for cells in columns.values()) + " |")


if __name__ == "__main__":
    main()
