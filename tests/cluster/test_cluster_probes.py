"""Stages "cluster" and "cluster-services": for every code a cause that is real, with a real API server."""

import ast
import base64
import contextlib
import datetime
import hashlib
import json
import shlex
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from email.utils import format_datetime
from pathlib import Path

import pytest
import yaml

import gfattach.cluster
from gfattach.agent.spec import PodUpstream
from gfattach.cluster import in_cluster
from gfattach.cluster.connection import ClusterRef
from gfattach.engine import Run
from gfattach.finding import Status
from gfattach.probes.cluster import SERVICE_STAGE, STAGE, ClusterSubject
from tests.integration import faults
from tests.integration.faults import Authority

from .cluster_bench import GRPC, HTTP, SECRET, Bench
from .manifests import NAMESPACE, POD, RUNTIME_NODE, SERVICE
from .middlebox import only, page

#: No run of both stages may take longer, whatever is silent.
LONGEST_SECONDS = 30.0

SILENT_PLUGIN_SECONDS = 12.0

Making = ClusterSubject | AbstractContextManager[ClusterSubject]


@pytest.fixture(scope="module")
def bench(cluster, tmp_path_factory):
    directories = [tmp_path_factory.mktemp(name) for name in ("files", "ours", "theirs")]
    return Bench(cluster, directories[0], Authority(directories[1]), Authority(directories[2]))


@dataclass(frozen=True)
class Case:
    """A cause, the code that names it, and words of the sentence."""

    name: str
    make: Callable[[Bench], Making]
    code: str
    said: str = ""


def data(content):
    return base64.b64encode(content).decode()


def empty(document):
    document.update(clusters=[], contexts=[], users=[])


def context(**entry):
    return lambda document: document["contexts"][0]["context"].update(entry)


def without_user(document):
    del document["contexts"][0]["context"]["user"]


def certificate(bench, pair=None, **entry):
    """A user with a client certificate; entries None are left out."""
    chain, key = pair or bench.key_pair("somebody")
    found = {"client-certificate-data": data(chain), "client-key-data": data(key)} | entry
    return bench.user(**{name: value for name, value in found.items() if value is not None})


KUBECONFIG_CASES = [
    Case("a kubeconfig", lambda b: b.config(), "cluster.kubeconfig.found"),
    Case(
        "a file that is not there",
        lambda b: ClusterSubject(ClusterRef(), environ=b.environ(KUBECONFIG="/nonexistent/a:/nonexistent/b")),
        "cluster.kubeconfig.missing",
        "KUBECONFIG lists /nonexistent/a, /nonexistent/b, which are missing",
    ),
    Case(
        "no file at all",
        lambda b: ClusterSubject(ClusterRef(), environ=b.environ()),
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
    Case("a context", lambda b: b.config(), "cluster.context.selected"),
    Case(
        "no check of certificates",
        lambda b: b.at(**{"insecure-skip-tls-verify": True, "certificate-authority-data": ""}),
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
    Case("a certificate", lambda b: b.config(), "cluster.credential.held", "a client certificate is shown"),
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


@contextlib.contextmanager
def apiserver_down(bench):
    bench.cluster.kill_apiserver()
    yield bench.config()


@contextlib.contextmanager
def refusing_proxy(bench):
    with faults.refusing() as port:
        yield bench.at(**{"proxy-url": f"http://127.0.0.1:{port}"})


def https_proxy(bench):
    context = bench.theirs.context("127.0.0.1")

    def handle(connection):
        context.wrap_socket(connection, server_side=True)

    return bench.proxied(handle, "https")


WANTS_PASSWORD = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
FORBIDS = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"

REACH_CASES = [
    Case("an API server", lambda b: b.config(), "cluster.reach.open"),
    Case(
        "a name that nobody knows",
        lambda b: b.at("https://no-such-host.invalid"),
        "cluster.reach.dns",
    ),
    Case("an API server that is down", apiserver_down, "cluster.reach.refused"),
    Case("no way there", lambda b: b.at("https://255.255.255.255:6443"), "cluster.reach.unreachable"),
    Case("a silent proxy", lambda b: b.proxied(faults.silent), "cluster.reach.silent"),
    Case("a proxy that is down", refusing_proxy, "cluster.reach.proxy-refused"),
    Case(
        "a proxy that wants a password",
        lambda b: b.proxied(faults.saying(WANTS_PASSWORD)),
        "cluster.reach.proxy-auth",
    ),
    Case(
        "a proxy that forbids it", lambda b: b.proxied(faults.saying(FORBIDS)), "cluster.reach.proxy-failed"
    ),
    Case("a proxy with a certificate of nobody's", https_proxy, "cluster.reach.proxy-tls"),
]


@contextlib.contextmanager
def tls_server(bench, context):
    """A server whose handshake is all there is."""

    def handle(connection):
        with context.wrap_socket(connection, server_side=True) as session:
            session.recv(1)

    with bench.serving(handle) as subject:
        yield subject


def server_context(*files):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


@contextlib.contextmanager
def strangers(bench):
    """The developer's certificate is of another authority. TLS 1.2 refuses it within the handshake."""
    context = bench.ours.context("127.0.0.1", mutual=True)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with tls_server(bench, context) as subject:
        yield bench.keeping_user(subject)


@contextlib.contextmanager
def once(bench):
    """A port that takes one connection and closes."""
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                listener.close()
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield bench.ours_at(listener.getsockname()[1])
        thread.join()


TLS_CASES = [
    Case("an API server", lambda b: b.config(), "cluster.tls.trusted"),
    Case(
        "an authority of another cluster",
        lambda b: b.at(**{"certificate-authority-data": data(b.theirs.ca.read_bytes())}),
        "cluster.tls.untrusted",
        "is not trusted",
    ),
    Case(
        "no check of certificates",
        lambda b: b.at(**{"insecure-skip-tls-verify": True, "certificate-authority-data": ""}),
        "cluster.tls.unchecked",
    ),
    Case(
        "another name",
        lambda b: b.at(**{"tls-server-name": "other.example"}),
        "cluster.tls.name",
        "other.example",
    ),
    Case(
        "a certificate that has expired",
        lambda b: tls_server(b, server_context(*b.ours.issue("127.0.0.1", days=-1))),
        "cluster.tls.expired",
    ),
    Case(
        "a certificate of tomorrow",
        lambda b: tls_server(b, server_context(*b.not_yet())),
        "cluster.tls.not-yet",
    ),
    Case(
        "a server that wants a certificate of its own authority",
        strangers,
        "cluster.tls.client-certificate",
        "does not accept the client certificate",
    ),
    Case("a port without TLS", lambda b: b.serving(faults.saying(FORBIDS)), "cluster.tls.plain"),
    Case("a port that hangs up", lambda b: b.serving(lambda connection: None), "cluster.tls.failed"),
    Case("a port that closes after one connection", once, "cluster.tls.lost"),
]


def dated(seconds):
    """Another date in the API server's answers; None: no date."""

    def rewrite(head):
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"date:")]
        if seconds is not None:
            moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
            lines.insert(1, f"Date: {format_datetime(moment, usegmt=True)}".encode())
        return b"\r\n".join(lines)

    return rewrite


CLOCK_CASES = [
    Case("clocks that agree", lambda b: b.config(), "cluster.clock.same"),
    Case(
        "a clock that is ahead",
        lambda b: b.between(rewrite=dated(-600)),
        "cluster.clock.ahead",
        " s ahead of",
    ),
    Case(
        "a clock that is behind",
        lambda b: b.between(rewrite=dated(3600)),
        "cluster.clock.behind",
        " s behind",
    ),
    Case("no date", lambda b: b.between(rewrite=dated(None)), "cluster.clock.unknown", "has no date"),
]

LOGIN = page(200, b"<html>log in</html>", "text/html")
BROKEN = page(503, json.dumps({"kind": "Status", "message": "etcd is away"}).encode())


@contextlib.contextmanager
def unreviewed(bench, subject):
    with bench.without_reviews():
        yield subject


@contextlib.contextmanager
def keeping_certificates(bench):
    with bench.between(shown=False) as subject:
        yield bench.keeping_user(subject)


IDENTITY_CASES = [
    Case("the developer", lambda b: b.config(), "cluster.identity.known", "as developer"),
    Case(
        "a service account",
        lambda b: b.user(token=b.token()),
        "cluster.identity.known",
        "system:serviceaccount:",
    ),
    Case(
        "a developer who may not ask",
        lambda b: unreviewed(b, b.config()),
        "cluster.identity.known",
        "as developer",
    ),
    Case(
        "an API server that cannot say",
        lambda b: b.between(only(b"selfsubjectreviews", page(404, b"404 page not found", "text/plain"))),
        "cluster.identity.hidden",
    ),
    Case(
        "a proxy that keeps the client certificate to itself",
        keeping_certificates,
        "cluster.identity.anonymous",
        "system:anonymous",
    ),
    Case("a token that nobody gave", lambda b: b.user(token=SECRET), "cluster.identity.refused", "401"),
    Case(
        "a certificate of another cluster",
        lambda b: certificate(b),
        "cluster.identity.refused",
        "of the user developer (a client certificate)",
    ),
    Case("a login page", lambda b: b.between(lambda head: LOGIN), "cluster.identity.foreign", "a web page"),
    Case("no HTTP", lambda b: b.between(lambda head: b"SSH-2.0-x\r\n\r\n"), "cluster.identity.foreign"),
    Case(
        "an API server in trouble",
        lambda b: b.between(lambda head: BROKEN),
        "cluster.identity.failed",
        "etcd",
    ),
    Case(
        "a server that wants a certificate, in TLS 1.3",
        lambda b: tls_server(b, b.ours.context("127.0.0.1", mutual=True)),
        "cluster.identity.failed",
        "client certificate",
    ),
]

PORTFORWARD = {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]}
READS = {"apiGroups": [""], "resources": ["services", "pods", "configmaps"], "verbs": ["get", "list"]}
SLICES = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list"]}


def verbs(rule, *verbs, resources=None):
    return rule | {"verbs": list(verbs)} | ({"resources": resources} if resources else {})


PROFILE_CASES = [
    Case("a site", lambda b: b.profile('[cache]\ninstance = "main"\n'), "cluster.profile.valid"),
    Case("no site", lambda b: b.config(), "cluster.profile.absent"),
    Case(
        "a site that may not be read",
        lambda b: b.limited("blind", SLICES),
        "cluster.profile.forbidden",
        "blind",
    ),
    Case("a bad key", lambda b: b.profile("[cache]\ninstanse = 1\n"), "cluster.profile.invalid", "instanse"),
    Case(
        "a bad value", lambda b: b.profile("[cache]\ninstance = 1\n"), "cluster.profile.invalid", "instance"
    ),
    Case(
        "an API server in trouble",
        lambda b: b.between(only(b"/configmaps/", BROKEN)),
        "cluster.profile.failed",
        "etcd is away",
    ),
]

RIGHTS_CASES = [
    Case("a developer", lambda b: b.config(), "cluster.rights.enough"),
    Case(
        "no get",
        lambda b: b.limited("no-get", READS, SLICES, verbs(PORTFORWARD, "create")),
        "cluster.rights.missing",
        "no-get may not get pods/portforward in namespace nix-cache",
    ),
    Case(
        "no create",
        lambda b: b.limited("no-create", READS, SLICES, verbs(PORTFORWARD, "get")),
        "cluster.rights.missing",
        "no-create may not create pods/portforward in namespace nix-cache",
    ),
    Case(
        "another namespace",
        lambda b: b.config(services=(PodUpstream("kube-system", "x", "grpc"),)),
        "cluster.rights.missing",
        "get services in namespace kube-system",
    ),
    Case(
        "no pods",
        lambda b: b.limited(
            "no-pods", verbs(READS, "get", "list", resources=["services", "configmaps"]), SLICES, PORTFORWARD
        ),
        "cluster.rights.partial",
        "list pods",
    ),
    Case("an API server that will not say", lambda b: unreviewed(b, b.config()), "cluster.rights.unknown"),
    Case("nothing to forward", lambda b: b.config(services=()), "cluster.rights.nowhere"),
]


@contextlib.contextmanager
def pods(bench, *, keep=True, **unready):
    """Pods that wait for these reasons, beside the ready one or in its place."""
    if not keep:
        bench.cluster.delete_pod(POD)
    for name, reason in unready.items():
        bench.cluster.create_pod(name, unready=reason)
    yield bench.config()


@contextlib.contextmanager
def pending(bench):
    """A pod that the scheduler has no room for."""
    bench.cluster.delete_pod(POD)
    bench.cluster.create_pod("waiting", unready=("ContainerCreating", ""))
    message = "0/3 nodes are available: 3 Insufficient ephemeral-storage."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    status = {"phase": "Pending", "conditions": [condition], "containerStatuses": []}
    bench.cluster.admin.merge(f"/api/v1/namespaces/{NAMESPACE}/pods/waiting/status", {"status": status})
    yield bench.config()


@contextlib.contextmanager
def deleted_service(bench):
    bench.cluster.admin.delete(f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}")
    yield bench.config()


CRASHING = ("CrashLoopBackOff", "back-off 5m0s restarting failed container")

SERVICE_CASES = [
    Case("a ready pod", lambda b: b.config(), "cluster.service.ready", "1 of 1 pods ready"),
    Case(
        "a pod that crashes beside it",
        lambda b: pods(b, second=CRASHING),
        "cluster.service.partly",
        "1 of 2 pods",
    ),
    Case(
        "slices that may not be read",
        lambda b: b.limited("no-slices", READS, PORTFORWARD),
        "cluster.service.by-pods",
    ),
    Case("a deleted Service", deleted_service, "cluster.service.missing", "there is no Service bazel-cache"),
    Case(
        "a wrong port",
        lambda b: b.config(services=(PodUpstream(NAMESPACE, SERVICE, "grcp"),)),
        "cluster.service.port",
        "has no port 'grcp': it has grpc (9092), http (8080)",
    ),
    Case(
        "an alias",
        lambda b: b.extra_service(
            "alias", type="ExternalName", externalName="cache.example", ports=[], selector={}
        ),
        "cluster.service.external",
        "an alias of cache.example",
    ),
    Case(
        "a headless Service",
        lambda b: b.extra_service("headless", clusterIP="None"),
        "cluster.service.headless",
    ),
    Case(
        "a Service without selector",
        lambda b: b.extra_service("bare", selector={}),
        "cluster.service.selectorless",
    ),
    Case(
        "pods that crash",
        lambda b: pods(b, keep=False, first=CRASHING, second=("ContainerCreating", "")),
        "cluster.service.pods.none",
        "0 of 2 pods ready behind nix-cache/bazel-cache: first: CrashLoopBackOff: back-off 5m0s",
    ),
    Case(
        "an image that cannot be pulled",
        lambda b: pods(b, keep=False, first=("ImagePullBackOff", "Back-off pulling image")),
        "cluster.service.pods.none",
        "0 of 1 pods ready behind nix-cache/bazel-cache: ImagePullBackOff: Back-off pulling image",
    ),
    Case(
        "no room for a pod",
        pending,
        "cluster.service.pods.none",
        "Pending: 0/3 nodes are available: 3 Insuff",
    ),
    Case(
        "scaled to zero", lambda b: pods(b, keep=False), "cluster.service.pods.none", "no pod has the labels"
    ),
    Case(
        "an API server in trouble",
        lambda b: b.between(only(b"/services/", BROKEN)),
        "cluster.service.failed",
        "etcd is away",
    ),
]


@contextlib.contextmanager
def no_listener(bench):
    with faults.refusing() as port:
        bench.cluster.forward_target(9092, "127.0.0.1", port)
        yield bench.config(services=(GRPC,))


@contextlib.contextmanager
def kubelet_down(bench):
    bench.cluster.kill_kwok()
    yield bench.config()


@contextlib.contextmanager
def stale_slice(bench):
    """An EndpointSlice that still names a pod that is gone."""
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/{SERVICE}-bed"
    [endpoint] = bench.cluster.admin.get(slices)["endpoints"]
    gone = endpoint | {"targetRef": endpoint["targetRef"] | {"name": "gone"}}
    bench.cluster.admin.merge(slices, {"endpoints": [gone]})
    yield bench.config()


@contextlib.contextmanager
def secretly_limited(bench):
    """A missing verb, where nobody may ask what they may do."""
    subject = bench.limited("secretly", READS, SLICES, verbs(PORTFORWARD, "get"))
    with bench.without_reviews():
        yield subject


STRIPPED = page(200, b"<html>portal</html>", "text/html")
UNAUTHORIZED = page(401, json.dumps({"kind": "Status", "message": "Unauthorized"}).encode())

UPGRADE_CASES = [
    Case("a listener", lambda b: b.config(), "cluster.upgrade.open"),
    Case("no listener in the pod", no_listener, "cluster.upgrade.refused", "nothing listens on port 9092"),
    Case(
        "a proxy that strips the upgrade",
        lambda b: b.between(only(b"/portforward", STRIPPED)),
        "cluster.upgrade.upgrade",
        "strips the websocket upgrade (HTTP 200",
    ),
    Case(
        "a credential that ends",
        lambda b: b.between(only(b"/portforward", UNAUTHORIZED)),
        "cluster.upgrade.unauthorized",
    ),
    Case("a missing verb that nobody named", secretly_limited, "cluster.upgrade.forbidden", "may not create"),
    Case("a pod that is gone", stale_slice, "cluster.upgrade.gone"),
    Case("a kubelet that is down", kubelet_down, "cluster.upgrade.kubelet", "cannot reach the node"),
    Case(
        "a proxy that hangs up", lambda b: b.between(only(b"/portforward", b"")), "cluster.upgrade.unanswered"
    ),
    Case("a proxy that cuts", lambda b: cutting(b), "cluster.upgrade.lost"),
]


def cutting(bench):
    """A proxy that lets the websocket open and then closes."""

    def answer(head):
        if b"/portforward" not in head:
            return None
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n") if b": " in line)
        assert b"websocket" in fields[b"upgrade"]
        key = next(
            line[19:] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")
        )
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Protocol: v4.channel.k8s.io\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    return bench.between(answer)


CACHE_CASES = [
    Case(
        "a cache",
        lambda b: b.config(),
        "cluster.cache.answers",
        "nix-cache/bazel-cache:grpc answers in HTTP/2, nix-cache/bazel-cache:http answers in HTTP/1.1",
    ),
    Case("an ssh server", lambda b: b.leading_to(faults.saying(b"SSH-2.0-x\r\n")), "cluster.cache.unknown"),
    Case("a silent port", lambda b: b.leading_to(faults.silent), "cluster.cache.silent", "says nothing"),
    Case("a port that hangs up", lambda b: closing(b), "cluster.cache.closed"),
]


@contextlib.contextmanager
def closing(bench):
    """A pod on the node whose connections end as in a container runtime."""
    bench.cluster.delete_pod(POD)
    bench.cluster.create_pod("here", node=RUNTIME_NODE)
    with bench.leading_to(lambda connection: connection.recv(65536)) as subject:
        yield subject


CASES = [
    *KUBECONFIG_CASES,
    *CONTEXT_CASES,
    *CREDENTIAL_CASES,
    *REACH_CASES,
    *TLS_CASES,
    *CLOCK_CASES,
    *IDENTITY_CASES,
    *PROFILE_CASES,
    *RIGHTS_CASES,
    *SERVICE_CASES,
    *UPGRADE_CASES,
    *CACHE_CASES,
]

#: Earned by tests of their own, below.
BY_OTHER_TESTS = {"cluster.kubeconfig.pod", "cluster.credential.plugin-silent", "cluster.tls.none"}

SERVICE_PROBES = {probe.name for probe in SERVICE_STAGE.probes}


def ask(subject, *, services=True):
    """What both stages find."""
    run = Run()
    run.stage(STAGE, subject)
    if services:
        run.stage(SERVICE_STAGE, subject.serving(*subject.services))
    return run.report().findings


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}: {case.name}")
def test_each_cause_is_named_by_its_code_with_what_to_do(case, bench):
    made = case.make(bench)
    services = any(case.code.startswith(f"{name}.") for name in SERVICE_PROBES)
    with nullcontext(made) if isinstance(made, ClusterSubject) else made as subject:
        before = time.monotonic()
        findings = ask(subject, services=services)
        took = time.monotonic() - before
    seen = {name: f"{finding.code}: {finding.seen}" for name, finding in findings.items()}
    found = [finding for finding in findings.values() if finding.code == case.code]
    assert found, json.dumps(seen, indent=1)
    assert case.said in found[0].seen
    failed = [finding.code for finding in findings.values() if finding.failed]
    assert len(failed) <= 1, f"one cause is one failure: what depends on it is not asked: {seen}"
    assert not any(finding.code.startswith("engine.") and finding.failed for finding in findings.values()), (
        seen
    )
    for finding in findings.values():
        if finding.status in (Status.WARN, Status.FAIL):
            assert finding.why and finding.hints, finding
        assert finding.seen and "\n" not in finding.seen
    assert SECRET not in repr(findings) and SECRET not in repr(subject)
    json.dumps({name: dict(finding.data) for name, finding in findings.items()})
    assert took < LONGEST_SECONDS


def test_every_declared_code_is_earned_by_a_case_above():
    declared = {code for stage in (STAGE, SERVICE_STAGE) for probe in stage.probes for code in probe.codes}
    earned = {case.code for case in CASES} | BY_OTHER_TESTS
    assert declared == earned, (declared - earned, earned - declared)


def test_every_probe_fails_or_warns_for_two_causes_or_more(bench):
    """Counted in causes, and not in codes."""
    fine = {
        "found",
        "pod",
        "selected",
        "held",
        "none",
        "open",
        "trusted",
        "unchecked",
        "same",
        "known",
        "hidden",
    }
    fine |= {"valid", "absent", "enough", "nowhere", "ready", "answers"}
    for stage in (STAGE, SERVICE_STAGE):
        for probe in stage.probes:
            causes = [c for c in CASES if c.code in probe.codes and c.code.rpartition(".")[2] not in fine]
            assert len(causes) >= 2, probe.name


def codes_in_the_sources():
    """What the resolver can say, as its sources have it."""
    directory = Path(gfattach.cluster.__file__).parent
    for name, prefix in (("credentials", ""), ("exec_plugin", "plugin-"), ("trust", "")):
        for node in ast.walk(ast.parse((directory / f"{name}.py").read_text())):
            named = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_fault", "PemError")
            if named and isinstance(node.args[1], ast.Constant):
                yield f"cluster.credential.{prefix}{node.args[1].value}"
    for path in directory.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            given = (
                isinstance(node, ast.keyword) and node.arg == "code" and isinstance(node.value, ast.Constant)
            )
            if given and node.value.value.split(".")[1] in ("kubeconfig", "context", "credential"):
                yield node.value.value


def test_the_probes_declare_all_that_the_resolver_can_say():
    declared = {code for probe in STAGE.probes for code in probe.codes}
    found = set(codes_in_the_sources())
    found = {code for code in found if code.split(".")[1] in ("kubeconfig", "context", "credential")}
    assert len(found) > 25 and found <= declared, found - declared


# all is well


def test_a_healthy_cluster_passes_everything_at_once(bench):
    with bench.profile('[cache]\ninstance = "main"\n') as subject:
        findings = ask(subject)
    assert {finding.status for finding in findings.values()} == {Status.OK}, findings
    assert findings["cluster.identity"].data["user"] == "developer"
    assert findings["cluster.profile"].data["profile"] == {"gfattach.toml": '[cache]\ninstance = "main"\n'}
    context = findings["cluster.context"].data
    assert (context["context"], context["cluster"], context["user"], context["namespace"]) == (
        "bed",
        "bed",
        "developer",
        NAMESPACE,
    )
    assert findings["cluster.service"].data["pods"] == {
        "nix-cache/bazel-cache:grpc": [[NAMESPACE, POD, 9092]],
        "nix-cache/bazel-cache:http": [[NAMESPACE, POD, 8080]],
    }


def test_all_questions_together_take_no_time_that_a_person_notices(bench):
    times = []
    for _ in range(5):
        before = time.monotonic()
        ask(bench.config())
        times.append(time.monotonic() - before)
    assert min(times) < 0.5, times


def test_in_a_pod_its_service_account_is_taken(bench, monkeypatch):
    account = bench.directory / "serviceaccount"
    account.mkdir()
    (account / "token").write_text(bench.token())
    (account / "namespace").write_text(NAMESPACE)
    (account / "ca.crt").write_bytes(bench.cluster.ca.read_bytes())
    monkeypatch.setattr(in_cluster, "SERVICE_ACCOUNT", account)
    host, _, port = bench.cluster.server.removeprefix("https://").rpartition(":")
    environ = bench.environ(KUBERNETES_SERVICE_HOST=host, KUBERNETES_SERVICE_PORT=port)
    findings = ask(ClusterSubject(ClusterRef(), (GRPC, HTTP), environ=environ))
    assert findings["cluster.kubeconfig"].code == "cluster.kubeconfig.pod"
    assert findings["cluster.identity"].seen.endswith("system:serviceaccount:nix-cache:gfattach-tests")
    assert not any(finding.failed for finding in findings.values())


def test_without_tls_no_certificate_is_asked_for(bench):
    with faults.talking(faults.saying(BROKEN)) as port:
        findings = ask(bench.at(f"http://127.0.0.1:{port}"), services=False)
    assert findings["cluster.tls"].code == "cluster.tls.none"


# what an operator applies


def test_the_role_in_the_hints_is_all_that_is_missing(bench):
    """Applied as it stands, it makes the same questions pass."""
    subject = bench.limited("newcomer")
    before = ask(subject)["cluster.rights"]
    assert before.code == "cluster.rights.missing"
    [hint] = before.hints
    words = shlex.split(hint.partition("kubectl ")[2])
    applied = yaml.safe_load(words[-1].removeprefix("<<<"))["items"]
    assert [item["kind"] for item in applied] == ["Role", "RoleBinding"]
    for item in applied:
        bench.cluster.apply(item)
    end = time.monotonic() + 10
    after = before
    while after.code != "cluster.rights.enough" and time.monotonic() < end:
        time.sleep(0.05)
        findings = ask(bench.read(subject.ref.kubeconfigs[0]))
        after = findings["cluster.rights"]
    assert not any(finding.failed for finding in findings.values()), after


def test_a_pod_that_does_not_open_gives_way_to_one_that_does(bench):
    """The first pod is gone, and the EndpointSlice still names it."""
    bench.cluster.create_pod("second")
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices/{SERVICE}-bed"
    first, second = bench.cluster.admin.get(slices)["endpoints"]
    gone = first | {"targetRef": first["targetRef"] | {"name": "gone"}}
    bench.cluster.admin.merge(slices, {"endpoints": [gone, second]})
    findings = ask(bench.config())
    assert findings["cluster.upgrade"].code == "cluster.upgrade.open"
    assert findings["cluster.cache"].code == "cluster.cache.answers"


def test_a_plugin_that_hangs_is_ended_before_the_stage_is(bench):
    before = time.monotonic()
    finding = ask(bench.plugin("echo waiting for a browser >&2; sleep 60"), services=False)[
        "cluster.credential"
    ]
    assert finding.code == "cluster.credential.plugin-silent"
    assert "it said: waiting for a browser" in finding.hints
    assert time.monotonic() - before < SILENT_PLUGIN_SECONDS + 1
