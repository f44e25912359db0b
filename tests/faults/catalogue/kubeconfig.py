"""Faults before any cluster: kubeconfigs, credentials, plugins, and API servers that are wrong in one way."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.faults.bed import Bed
from tests.faults.fault import Seed, faults
from tests.harness.cluster.kubeconfig_files import (
    certificate,
    encoded,
    exec_credential,
    exec_user,
    kubeconfig,
    plugin,
)
from tests.harness.machine import faulty_servers


def _use(bed: Bed, *files: Path) -> None:
    bed.machine.variables["KUBECONFIG"] = ":".join(map(str, files))


def config(user: Any = None, cluster: Any = None, context: Any = None, **more: Any) -> Seed:
    """A kubeconfig that says this, of a server that nobody has to reach."""

    def seed(bed: Bed) -> None:
        path = bed.directory("kube") / "config"
        _use(bed, kubeconfig(path, user, cluster, context, **more))

    return seed


def text(content: str) -> Seed:
    """A kubeconfig with this in it."""

    def seed(bed: Bed) -> None:
        path = bed.directory("kube") / "config"
        path.write_text(content)
        _use(bed, path)

    return seed


def plugged(script: str, **entry: Any) -> Seed:
    """A user whose exec plugin is this script."""

    def seed(bed: Bed) -> None:
        directory = bed.directory("kube")
        made = plugin(directory / "plugin", script)
        _use(bed, kubeconfig(directory / "config", exec_user(made, **entry)))

    return seed


@contextlib.contextmanager
def api_server(
    authority: faulty_servers.Authority | None,
    names: tuple[str, ...] = ("127.0.0.1",),
    status: int = 401,
    body: bytes = b"",
    kind: str = "application/json",
    clock: timedelta = timedelta(),
) -> Iterator[int]:
    """An API server that gives everything the same answer."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response_only(status)
            self.send_header("Date", format_datetime(datetime.now(UTC) + clock, usegmt=True))
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    context = None if authority is None else authority.context(*names)
    with faulty_servers.handled_by(Handler, context) as port:
        yield port


def served(
    scheme: str = "https", cluster: Mapping[str, Any] | None = None, trusted: bool = True, **answer: Any
) -> Seed:
    """A kubeconfig of an API server that answers so."""

    def seed(bed: Bed) -> None:
        authority = faulty_servers.Authority(bed.directory("authority"))
        other = faulty_servers.Authority(bed.directory("other"))
        port = bed.stack.enter_context(api_server(authority if scheme == "https" else None, **answer))
        ca = (authority if trusted else other).ca.read_bytes()
        entry = {"server": f"{scheme}://127.0.0.1:{port}", "certificate-authority-data": encoded(ca)}
        _use(bed, kubeconfig(bed.directory("kube") / "config", cluster={**entry, **(cluster or {})}))

    return seed


def bare(make: Any) -> Seed:
    """A kubeconfig of a server that is no API server."""

    def seed(bed: Bed) -> None:
        port = bed.stack.enter_context(make())
        entry = {"server": f"https://127.0.0.1:{port}"}
        _use(bed, kubeconfig(bed.directory("kube") / "config", cluster=entry))

    return seed


def _status(code: int, reason: str) -> dict[str, Any]:
    document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
    return {"status": code, "body": json.dumps(document).encode()}


def _mismatched(bed: Bed) -> None:
    (first, _), (_, key) = certificate(), certificate()
    user = {"client-certificate-data": encoded(first), "client-key-data": encoded(key)}
    _use(bed, kubeconfig(bed.directory("kube") / "config", user))


def _expired(bed: Bed) -> None:
    pem, key = certificate(timedelta(days=-1))
    user = {"client-certificate-data": encoded(pem), "client-key-data": encoded(key)}
    _use(bed, kubeconfig(bed.directory("kube") / "config", user))


def _encrypted(bed: Bed) -> None:
    pem, key = certificate(password=b"s3cret")
    user = {"client-certificate-data": encoded(pem), "client-key-data": encoded(key)}
    _use(bed, kubeconfig(bed.directory("kube") / "config", user))


def _missing(bed: Bed) -> None:
    _use(bed, bed.machine.root / "no-such-kubeconfig")


_CREDENTIAL = exec_credential(token="the-token")

FAULTS = faults(
    "kubeconfig",
    {
        "the file is missing": (_missing, "cluster.kubeconfig.missing|site.empty"),
        "the file is no YAML": (text("a: ["), "cluster.kubeconfig.yaml"),
        "the file is a list": (text("- a\n"), "cluster.kubeconfig.mapping"),
        "the file is empty": (text(""), "cluster.kubeconfig.empty"),
        "a Pod": (config(kind="Pod"), "cluster.kubeconfig.kind"),
        "a name twice": (
            config(users=[{"name": "u", "user": {"token": "a"}}] * 2), "cluster.kubeconfig.twice"
        ),
        "no current context": (config(**{"current-context": ""}), "cluster.context.none"),
        "a current context that is gone": (config(**{"current-context": "gone"}), "cluster.context.missing"),
        "a user that is gone": (config(users=[]), "cluster.context.user"),
        "a cluster that is gone": (config(clusters=[]), "cluster.context.cluster"),
        "no server": (config(cluster={"server": None}), "cluster.kubeconfig.server"),
        "a server by ftp": (config(cluster={"server": "ftp://api.example"}), "cluster.kubeconfig.server"),
        "an authority that is no base64": (
            config(cluster={"certificate-authority-data": "%%%"}), "cluster.kubeconfig.field"
        ),
        "an authority without a certificate": (
            config(cluster={"certificate-authority-data": encoded(b"hello")}), "cluster.kubeconfig.authority"
        ),
        "an authority's file that is missing": (
            config(cluster={"certificate-authority": "/nonexistent/ca.pem"}), "cluster.kubeconfig.authority"
        ),
        "a proxy that nobody speaks": (
            config(cluster={"proxy-url": "socks4://127.0.0.1:1"}), "cluster.kubeconfig.proxy"
        ),
        "no credential": (config({"as": "jane"}), "cluster.credential.impersonation|cluster.credential.none"),
        "a token and a password": (
            config({"token": "t", "username": "a", "password": "b"}), "cluster.credential.several"
        ),
        "a token's file that is missing": (
            config({"tokenFile": "/nonexistent/token"}), "cluster.credential.token-file"
        ),
        "a certificate without a key": (
            config({"client-certificate": "/nonexistent/crt"}),
            "cluster.credential.file|cluster.credential.key",
        ),
        "the key of another certificate": (_mismatched, "cluster.credential.key-mismatch"),
        "an encrypted key": (_encrypted, "cluster.credential.key-encrypted"),
        "an expired client certificate": (_expired, "cluster.credential.expired"),
        "an auth provider": (
            config({"auth-provider": {"name": "oidc"}}), "cluster.credential.auth-provider"
        ),
        "a plugin that is missing": (
            config(exec_user("no-such-plugin")), "cluster.credential.plugin-missing"
        ),
        "a plugin that fails": (plugged("echo no login >&2; exit 3"), "cluster.credential.plugin-failed"),
        "a plugin that hangs": (plugged("exec sleep 300"), "cluster.credential.plugin-silent"),
        "a plugin that talks": (plugged("echo hello"), "cluster.credential.plugin-answer"),
        "a plugin that hands out nothing": (plugged(exec_credential()), "cluster.credential.plugin-answer"),
        "a plugin of another version": (
            plugged(exec_credential("client.authentication.k8s.io/v1beta1", token="t")),
            "cluster.credential.plugin-answer",
        ),
        "a plugin that wants a terminal": (
            plugged(_CREDENTIAL, interactiveMode="Always"), "cluster.credential.plugin-interactive"
        ),
        "a server that has no name": (
            config(cluster={"server": "https://no-such-host.invalid"}), "cluster.reach.dns"
        ),
        "a server that refuses": (bare(faulty_servers.refusing), "cluster.reach.refused"),
        "a server that is silent": (
            bare(lambda: faulty_servers.talking(faulty_servers.silent)),
            "cluster.tls.lost",
        ),
        "a server that hangs up": (
            bare(lambda: faulty_servers.talking(lambda c: None)),
            "cluster.tls.failed",
        ),
        "a server in plaintext": (
            bare(lambda: faulty_servers.http({})), "cluster.tls.plain"
        ),
        "an authority of another cluster": (served(trusted=False), "cluster.tls.untrusted"),
        "a certificate for another name": (
            served(names=("other.test",)), "cluster.tls.name"
        ),
        "a server's name of another": (
            served(cluster={"tls-server-name": "elsewhere.example"}), "cluster.tls.name"
        ),
        "a credential that is refused": (
            served(**_status(401, "Unauthorized")), "cluster.identity.refused"
        ),
        "who one is may not be asked": (served(**_status(403, "Forbidden")), "cluster.api.forbidden"),
        "an API server that is broken": (served(**_status(500, "InternalError")), "cluster.identity.failed"),
        "a login page": (
            served(status=200, body=b"<!doctype html>Log in", kind="text/html"), "cluster.identity.foreign"
        ),
        "a clock that is ahead": (
            served(**_status(401, "Unauthorized"), clock=-timedelta(hours=3)),
            "cluster.clock.ahead|cluster.identity.refused",
        ),
    },
)  # fmt: skip
