"""Causes that lie in files: the kubeconfig, the context, and what it shows the API server."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from gfattach.cluster.connection import ClusterRef
from gfattach.probes.cluster.stage import ClusterSubject
from tests.harness.cluster.probes.kubeconfigs import SECRET, Bench
from tests.harness.cluster.wire.middlebox import page

Making = ClusterSubject | AbstractContextManager[ClusterSubject]

#: What the API server says when it cannot work.
BROKEN = page(503, json.dumps({"kind": "Status", "message": "etcd is away"}).encode())


@dataclass(frozen=True)
class Case:
    """A cause, the code that names it, and words of the sentence."""

    name: str
    make: Callable[[Bench], Making]
    code: str
    said: str = ""


def data(content):
    return base64.b64encode(content).decode()


def empty(document) -> None:
    document.update(clusters=[], contexts=[], users=[])


def context(**entry):
    return lambda document: document["contexts"][0]["context"].update(entry)


def without_user(document) -> None:
    del document["contexts"][0]["context"]["user"]


def certificate(bench, pair=None, **entry):
    """A user with a client certificate; entries None are left out."""
    chain, key = pair or bench.key_pair("somebody")
    found = {"client-certificate-data": data(chain), "client-key-data": data(key)} | entry
    return bench.user(**{name: value for name, value in found.items() if value is not None})


@contextlib.contextmanager
def unreviewed(bench: Any, subject: Any) -> Iterator[Any]:
    with bench.without_reviews():
        yield subject


KUBECONFIG_CASES = [
    Case("a kubeconfig", lambda b: b.config(), "cluster.kubeconfig.ok"),
    Case(
        "a file that is not there",
        lambda b: ClusterSubject(
            ref=ClusterRef(), environ=b.environ(KUBECONFIG="/nonexistent/a:/nonexistent/b")
        ),
        "cluster.kubeconfig.missing",
        "KUBECONFIG lists /nonexistent/a, /nonexistent/b, which are missing",
    ),
    Case(
        "no file at all",
        lambda b: ClusterSubject(ref=ClusterRef(), environ=b.environ()),
        "cluster.kubeconfig.missing",
        "there is no kubeconfig",
    ),
    Case("an empty file", lambda b: b.read(b.file("")), "cluster.kubeconfig.empty", "is empty"),
    Case("a directory", lambda b: b.read(b.directory), "cluster.kubeconfig.unreadable"),
    Case("a large file", lambda b: b.read(b.file(b"#" * 5_000_000)), "cluster.kubeconfig.large"),
    Case("no YAML", lambda b: b.read(b.file("a: b\nc: [")), "cluster.kubeconfig.yaml"),
    Case("a list", lambda b: b.read(b.file("- a\n")), "cluster.kubeconfig.mapping"),
    Case("another kind", lambda b: b.read(b.file("kind: Pod\napiVersion: v1\n")), "cluster.kubeconfig.kind"),
    Case(
        "a user twice",
        lambda b: b.config(lambda d: d["users"].append(d["users"][0])),
        "cluster.kubeconfig.twice",
    ),
    Case(
        "a number for a name", lambda b: b.config(lambda d: d.update(clusters=3)), "cluster.kubeconfig.field"
    ),
]

CONTEXT_CASES = [
    Case("a context", lambda b: b.config(), "cluster.context.ok"),
    Case(
        "no check of certificates",
        lambda b: b.at(**{"insecure-skip-tls-verify": True, "certificate-authority-data": ""}),  # type: ignore[arg-type]
        "cluster.context.insecure",
        "is not verified",
    ),
    Case(
        "no current context", lambda b: b.config(lambda d: d.pop("current-context")), "cluster.context.none"
    ),
    Case(
        "a context that is gone",
        lambda b: b.config(context="gone"),
        "cluster.context.missing",
        "'gone' not in",
    ),
    Case("a cluster that is gone", lambda b: b.config(context(cluster="gone")), "cluster.context.cluster"),
    Case("a user that is gone", lambda b: b.config(context(user="gone")), "cluster.context.user"),
    Case("an address that is none", lambda b: b.at("ftp://x"), "cluster.kubeconfig.server"),
    Case("a proxy that is none", lambda b: b.at(**{"proxy-url": "ftp://x"}), "cluster.kubeconfig.proxy"),
    Case(
        "an authority that is none",
        lambda b: b.at(**{"certificate-authority-data": data(b"none")}),
        "cluster.kubeconfig.authority",
    ),
]

CREDENTIAL_CASES = [
    Case("a certificate", lambda b: b.config(), "cluster.credential.ok", "a client certificate is shown"),
    Case("no user", lambda b: b.config(without_user), "cluster.credential.none", "names no user"),
    Case("a user who has nothing to show", lambda b: b.user(), "cluster.credential.none", "no credential"),
    Case("an address without TLS", lambda b: b.at("http://127.0.0.1:1"), "cluster.credential.nothing"),
    Case(
        "an auth-provider",
        lambda b: b.user(**{"auth-provider": {"name": "oidc"}}),
        "cluster.credential.auth-provider",
    ),
    Case(
        "a token and a password",
        lambda b: b.user(token=SECRET, username="jo", password=SECRET),
        "cluster.credential.several",
    ),
    Case(
        "groups of nobody",
        lambda b: b.user(token=SECRET, **{"as-groups": ["a"]}),
        "cluster.credential.impersonation",
    ),
    Case(
        "a certificate's file that is gone",
        lambda b: b.user(**{"client-certificate": "/nonexistent/crt", "client-key": "/nonexistent/key"}),
        "cluster.credential.file",
        "/nonexistent/crt, which cannot be read",
    ),
    Case(
        "a certificate that is none",
        lambda b: certificate(b, (b"none", b.key_pair("x")[1])),
        "cluster.credential.certificate",
    ),
    Case(
        "a certificate without a key",
        lambda b: certificate(b, **{"client-key-data": None}),
        "cluster.credential.key",
        "without a key",
    ),
    Case(
        "a key with a password",
        lambda b: certificate(b, (b.key_pair("x")[0], b.locked(b.key_pair("x")[1]))),
        "cluster.credential.key-encrypted",
    ),
    Case(
        "another certificate's key",
        lambda b: certificate(b, (b.key_pair("x")[0], b.key_pair("y")[1])),
        "cluster.credential.key-mismatch",
    ),
    Case(
        "a certificate that has expired",
        lambda b: b.read(b.cluster.user("late", [], lifetime=datetime.timedelta(hours=-1))),
        "cluster.credential.expired",
        "expired on",
    ),
    Case("a token with a line break", lambda b: b.user(token=f"{SECRET}\nx"), "cluster.credential.token"),
    Case(
        "a token's file that is gone",
        lambda b: b.user(tokenFile="/nonexistent/t"),
        "cluster.credential.token-file",
    ),
    Case(
        "a plugin that is not installed",
        lambda b: b.plugin("", command="kubelogin-that-is-not-here", installHint="brew install kubelogin"),
        "cluster.credential.plugin-missing",
        "'kubelogin-that-is-not-here' is not on PATH",
    ),
    Case(
        "a plugin that fails",
        lambda b: b.plugin("echo you are not logged in >&2; exit 3"),
        "cluster.credential.plugin-failed",
    ),
    Case("a plugin that chats", lambda b: b.plugin("echo hello"), "cluster.credential.plugin-answer"),
    Case(
        "a plugin of old",
        lambda b: b.plugin("", apiVersion="client.authentication.k8s.io/v1alpha1"),
        "cluster.credential.plugin-version",
    ),
    Case(
        "a plugin that asks",
        lambda b: b.plugin("", interactiveMode="Always"),
        "cluster.credential.plugin-interactive",
    ),
    Case("a plugin without a command", lambda b: b.plugin("", command=""), "cluster.credential.plugin-entry"),
]
