"""A kubeconfig means to gfattach what it means to kubectl: the same server and user, or both refuse.

Each case is a directory with kubeconfigs. kubectl asks the real API server who it is, and so does a
request over the connection that gfattach resolves.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gfattach.cluster.connection import ClusterConnection, ClusterRef
from gfattach.cluster.resolve import resolve
from gfattach.deadline import Deadline
from gfattach.errors import ClusterError

from .certs import CertificateAuthority
from .cluster import Cluster
from .manifests import NAMESPACE

KUBECTL = shutil.which("kubectl")
pytestmark = pytest.mark.skipif(
    KUBECTL is None, reason="no kubectl; install it: apt-get install kubernetes-client"
)

REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:resolver"
V1 = "client.authentication.k8s.io/v1"


@dataclass
class Room:
    """Where a case writes its files, and how both programs are called."""

    directory: Path
    server: str
    authority: Path
    certificate: Path
    key: Path
    token: str
    files: list[Path] = field(default_factory=list)
    context: str | None = None
    explicit: bool = False
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def ca(self) -> dict[str, Any]:
        return {"certificate-authority-data": base64.b64encode(self.authority.read_bytes()).decode()}

    @property
    def pair(self) -> dict[str, Any]:
        return {"client-certificate": str(self.certificate), "client-key": str(self.key)}

    def plugin(self, script: str, name: str = "plugin", **entry: Any) -> dict[str, Any]:
        """A user whose exec plugin is this shell script, beside the kubeconfig."""
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        return {
            "exec": {"apiVersion": V1, "command": f"./{name}", "interactiveMode": "Never"} | entry,
        }

    def handout(self, version: str = V1, **status: Any) -> str:
        """A script that prints an ExecCredential."""
        answer = {"apiVersion": version, "kind": "ExecCredential", "status": status}
        return f"cat <<'END'\n{json.dumps(answer)}\nEND"

    def write(
        self,
        user: dict[str, Any] | None = None,
        cluster: dict[str, Any] | None = None,
        file: str = "config",
        current: str = "main",
        **more: Any,
    ) -> None:
        """A kubeconfig with one context `main`; a None in `cluster` takes a key away."""
        entry = {"server": self.server, **self.ca, **(cluster or {})}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": current,
            "contexts": [{"name": "main", "context": {"cluster": "main", "user": "main"}}],
            "clusters": [{"name": "main", "cluster": {k: v for k, v in entry.items() if v is not None}}],
            "users": [{"name": "main", "user": self.pair if user is None else user}],
            **more,
        }
        self.add(file, json.dumps(document))

    def add(self, file: str, text: str) -> None:
        path = self.directory / file
        path.write_text(text)
        self.files.append(path)

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "XDG_RUNTIME_DIR": str(self.directory),
        }
        if not self.explicit:
            own["KUBECONFIG"] = os.pathsep.join(str(file) for file in self.files)
        return own | self.environ

    def kubectl(self) -> tuple[str | None, str]:
        """Who the API server takes kubectl for, None when it refuses; and what it says."""
        assert KUBECTL is not None
        options = ["--kubeconfig", str(self.files[0])] if self.explicit else []
        options += ["--context", self.context] if self.context else []
        done = subprocess.run(
            [KUBECTL, *options, "--request-timeout=5s", "auth", "whoami", "-o", "json"],
            env=self.environment,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            return None, done.stderr
        return str(json.loads(done.stdout)["status"]["userInfo"]["username"]), done.stderr

    def gfattach(self) -> tuple[str | None, str]:
        """The same for a connection that gfattach resolves."""
        files = tuple(self.files[:1]) if self.explicit else None
        try:
            connection = resolve(ClusterRef(files, self.context), Deadline.after(30), self.environment)
            status, answer = ask(connection)
        except (ClusterError, OSError) as error:
            return None, str(error)
        if status != 201:
            return None, f"{status}: {answer.get('message')}"
        return str(answer["status"]["userInfo"]["username"]), ""


def ask(connection: ClusterConnection) -> tuple[int, dict[str, Any]]:
    """POST a SelfSubjectReview over `connection`: status and document."""
    proxy = connection.proxy
    way = (connection.host, connection.port) if proxy is None else (proxy.host, proxy.port)
    with socket.create_connection(way, timeout=10) as raw:
        if proxy is not None:
            login = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
            raw.sendall(
                f"CONNECT {connection.authority} HTTP/1.1\r\nHost: {connection.authority}\r\n"
                f"Proxy-Authorization: Basic {login}\r\n\r\n".encode()
            )
            assert raw.recv(4096).startswith(b"HTTP/1.1 200")
        secured = raw
        with contextlib.ExitStack() as opened:
            if connection.tls is not None:
                tls = connection.tls.wrap_socket(raw, server_hostname=connection.server_name)
                secured = opened.enter_context(tls)
                assert tls.selected_alpn_protocol() == "http/1.1"
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            body = json.dumps(review)
            lines = [
                f"POST {connection.path}{REVIEWS} HTTP/1.1",
                f"Host: {connection.authority}",
                "Content-Type: application/json",
                f"Content-Length: {len(body)}",
                "Connection: close",
                *(f"{name}: {value}" for name, value in connection.headers),
            ]
            secured.sendall("\r\n".join([*lines, "", body]).encode())
            answer = b"".join(iter(lambda: secured.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    return status, json.loads(content) if status in (201, 401, 403) else {}


class TunnelProxy:
    """An HTTP proxy for CONNECT, on this machine; `asked` are the heads of its requests."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._tunnels: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._serve, daemon=True)
        self._accepting.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._tunnels.append(threading.Thread(target=self._tunnel, args=(client,), daemon=True))
            self._tunnels[-1].start()

    def _tunnel(self, client: socket.socket) -> None:
        head = client.recv(65536).decode()
        self.asked.append(head)
        host, _, port = head.split()[1].rpartition(":")
        with client, socket.create_connection((host, int(port)), timeout=10) as upstream:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=self._copy, args=(upstream, client), daemon=True)
            back.start()
            self._copy(client, upstream)
            back.join(10)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while content := source.recv(65536):
                target.sendall(content)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._accepting.join(10)
        self._server.close()
        for tunnel in self._tunnels:
            tunnel.join(10)


@pytest.fixture(scope="module")
def account_token(cluster: Cluster) -> str:
    """A token of the service account `resolver`."""
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "resolver", "namespace": NAMESPACE},
        }
    )
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/resolver/token"
    return str(cluster.admin.post(path, asked)["status"]["token"])


@pytest.fixture
def room(cluster: Cluster, account_token: str, tmp_path: Path) -> Room:
    """A case's room, with the administrator's certificate as files."""
    config = json.loads(cluster.admin_kubeconfig.read_text())
    user = config["users"][0]["user"]
    pair = tmp_path / "admin.crt", tmp_path / "admin.key"
    for path, name in zip(pair, ("client-certificate-data", "client-key-data"), strict=True):
        path.write_bytes(base64.b64decode(user[name]))
    return Room(tmp_path, cluster.server, cluster.ca, *pair, account_token)


@pytest.fixture
def proxy() -> Iterator[TunnelProxy]:
    running = TunnelProxy()
    yield running
    running.close()


Arrange = Callable[[Room], None]
BY_BOTH: dict[str, tuple[str, Arrange]] = {}
BY_NEITHER: dict[str, Arrange] = {}


def accepted_as(user: str) -> Callable[[Arrange], Arrange]:
    def keep(arrange: Arrange) -> Arrange:
        BY_BOTH[arrange.__name__] = (user, arrange)
        return arrange

    return keep


def refused(arrange: Arrange) -> Arrange:
    BY_NEITHER[arrange.__name__] = arrange
    return arrange


@accepted_as("admin")
def client_certificate_in_files(room: Room) -> None:
    room.write()


@accepted_as("admin")
def client_certificate_in_files_beside_the_kubeconfig(room: Room) -> None:
    room.write({"client-certificate": "admin.crt", "client-key": "./admin.key"})


@accepted_as("admin")
def certificate_authority_in_a_file_named_from_a_directory_below(room: Room) -> None:
    (room.directory / "below").mkdir()
    shutil.copy(room.authority, room.directory / "ca.crt")
    room.write(
        cluster={"certificate-authority-data": None, "certificate-authority": "../ca.crt"}, file="below/c"
    )


@accepted_as(ACCOUNT)
def token(room: Room) -> None:
    room.write({"token": room.token})


@accepted_as(ACCOUNT)
def token_file(room: Room) -> None:
    (room.directory / "token").write_text(room.token + "\n")
    room.write({"tokenFile": "token"})


@accepted_as(ACCOUNT)
def a_token_file_beside_a_token(room: Room) -> None:
    (room.directory / "token").write_text(room.token)
    room.write({"token": "void", "tokenFile": "token"})


@accepted_as(ACCOUNT)
def a_token_beside_a_token_file_that_is_missing(room: Room) -> None:
    room.write({"token": room.token, "tokenFile": "gone"})


@accepted_as("jane")
def impersonation(room: Room) -> None:
    extra = {"example.com/some key": ["a", "b"]}
    room.write(room.pair | {"as": "jane", "as-uid": "7", "as-groups": ["x", "y"], "as-user-extra": extra})


@accepted_as(ACCOUNT)
def a_plugin_beside_the_kubeconfig(room: Room) -> None:
    room.write(room.plugin(room.handout(token=room.token)))


@accepted_as(ACCOUNT)
def a_plugin_of_v1beta1_without_an_interactive_mode(room: Room) -> None:
    beta = "client.authentication.k8s.io/v1beta1"
    script = room.handout(beta, token=room.token)
    room.write(room.plugin(script, apiVersion=beta, interactiveMode=None))


@accepted_as("admin")
def a_plugin_that_hands_out_a_certificate(room: Room) -> None:
    status = {"clientCertificateData": room.certificate.read_text(), "clientKeyData": room.key.read_text()}
    room.write(room.plugin(room.handout(**status)))


@accepted_as(ACCOUNT)
def a_plugin_that_uses_its_arguments_variables_and_the_cluster(room: Room) -> None:
    check = (
        '[ "$1" = --for ] && [ "$WHO" = me ] || exit 7\n'
        'case "$KUBERNETES_EXEC_INFO" in *certificate-authority-data*) ;; *) exit 8;; esac\n'
    )
    env = [{"name": "WHO", "value": "me"}]
    script = check + room.handout(token=room.token)
    room.write(room.plugin(script, args=["--for"], env=env, provideClusterInfo=True))


@accepted_as(ACCOUNT)
def a_token_beside_a_plugin_that_is_missing(room: Room) -> None:
    room.write(
        {"token": room.token} | {"exec": {"apiVersion": V1, "command": "no-such", "interactiveMode": "Never"}}
    )


@accepted_as("admin")
def several_files_the_first_wins(room: Room) -> None:
    room.write(file="first")
    room.write({"token": "void"}, {"server": "https://127.0.0.1:1"}, file="second", current="other")


@accepted_as("admin")
def a_list_with_an_empty_and_a_missing_file(room: Room) -> None:
    room.add("empty", "")
    room.files.append(room.directory / "gone")
    room.write()


@accepted_as(ACCOUNT)
def a_context_in_one_file_and_its_user_in_another(room: Room) -> None:
    room.write(users=[])
    room.write({"token": room.token}, file="second", contexts=[], clusters=[], current="")


@accepted_as("admin")
def a_file_named_by_hand(room: Room) -> None:
    room.explicit = True
    room.environ = {"KUBECONFIG": "/nowhere"}
    room.write()


@accepted_as("admin")
def another_context_than_the_current_one(room: Room) -> None:
    room.context = "main"
    room.write(current="gone")


@accepted_as("admin")
def tls_server_name(room: Room) -> None:
    room.write(cluster={"tls-server-name": "localhost"})


@accepted_as("admin")
def verification_switched_off(room: Room) -> None:
    room.write(cluster={"certificate-authority-data": None, "insecure-skip-tls-verify": True})


@refused
def a_server_without_a_scheme(room: Room) -> None:
    room.write(cluster={"server": room.server.removeprefix("https://")})


@accepted_as("admin")
def a_server_with_a_slash_and_a_query(room: Room) -> None:
    room.write(cluster={"server": f"{room.server}/?x=1"})


@accepted_as("admin")
def proxies_of_the_environment_towards_this_machine(room: Room) -> None:
    room.environ = {"HTTPS_PROXY": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    room.write()


@accepted_as(ACCOUNT)
def anchors_merges_tags_and_dates(room: Room) -> None:
    room.add(
        "config",
        f"""
shared: &shared {{token: {room.token}}}
born: 2001-01-01
unknown: !thing [1:30, 0o17, 1e3]
current-context: main
contexts: [{{name: main, context: {{cluster: main, user: main}}}}]
clusters: [{{name: main, cluster: {{server: "{room.server}", certificate-authority: {room.authority}}}}}]
users: [{{name: main, user: {{<<: *shared}}}}]
---
a second document: passed over
""",
    )


@refused
def a_current_context_that_is_gone(room: Room) -> None:
    room.write(current="gone")


@refused
def no_current_context(room: Room) -> None:
    room.write(current="")


@refused
def a_context_of_a_user_that_is_gone(room: Room) -> None:
    room.write(users=[])


@refused
def a_context_of_a_cluster_that_is_gone(room: Room) -> None:
    room.write(clusters=[])


@refused
def a_user_without_any_credential(room: Room) -> None:
    room.write({"as": "jane"})


@refused
def a_file_named_by_hand_that_is_missing(room: Room) -> None:
    room.explicit = True
    room.files.append(room.directory / "gone")


@refused
def a_list_of_missing_files(room: Room) -> None:
    room.files += [room.directory / "gone", room.directory / "gone too"]


@refused
def a_list_with_a_file_that_is_no_yaml(room: Room) -> None:
    room.write()
    room.add("broken", "a: [")


@refused
def a_directory_in_the_list(room: Room) -> None:
    room.write()
    room.files.append(room.directory)


@refused
def an_empty_file(room: Room) -> None:
    room.add("config", "")


@refused
def a_list_instead_of_a_mapping(room: Room) -> None:
    room.add("config", "- a\n")


@refused
def a_pod_instead_of_a_config(room: Room) -> None:
    room.write(kind="Pod")


@refused
def a_token_that_is_a_number(room: Room) -> None:
    room.write(users=[{"name": "other", "user": {"token": 12345}}, {"name": "main", "user": room.pair}])


@refused
def a_number_without_end(room: Room) -> None:
    room.write()
    room.add("second", "preferences: {size: .inf}")


@refused
def a_name_twice(room: Room) -> None:
    room.write(users=[{"name": "main", "user": room.pair}, {"name": "main", "user": room.pair}])


@refused
def a_token_and_a_password(room: Room) -> None:
    room.write({"token": room.token, "username": "a", "password": "b"})


@refused
def a_certificate_twice(room: Room) -> None:
    data = base64.b64encode(room.certificate.read_bytes()).decode()
    room.write(room.pair | {"client-certificate-data": data})


@refused
def a_certificate_without_a_key(room: Room) -> None:
    room.write({"client-certificate": str(room.certificate)})


@refused
def a_key_of_another_certificate(room: Room) -> None:
    (room.directory / "other").mkdir()
    other = CertificateAuthority(room.directory / "other").client("admin")
    room.write(room.pair | {"client-key": str(other.key)})


@refused
def a_certificate_that_is_missing(room: Room) -> None:
    room.write(room.pair | {"client-certificate": "gone"})


@refused
def groups_of_nobody(room: Room) -> None:
    room.write(room.pair | {"as-groups": ["x"]})


@refused
def an_authority_twice(room: Room) -> None:
    room.write(cluster={"certificate-authority": str(room.authority)})


@refused
def an_authority_without_a_certificate(room: Room) -> None:
    room.write(cluster={"certificate-authority-data": base64.b64encode(b"hello").decode()})


@refused
def an_authority_that_is_no_base64(room: Room) -> None:
    room.write(cluster={"certificate-authority-data": "%%%"})


@refused
def the_authority_of_another_cluster(room: Room) -> None:
    (room.directory / "other").mkdir()
    other = CertificateAuthority(room.directory / "other").certificate.read_bytes()
    room.write(cluster={"certificate-authority-data": base64.b64encode(other).decode()})


@refused
def an_authority_where_verification_is_switched_off(room: Room) -> None:
    room.write(cluster={"insecure-skip-tls-verify": True})


@refused
def the_tls_server_name_of_another(room: Room) -> None:
    room.write(cluster={"tls-server-name": "elsewhere.example"})


@refused
def a_server_by_ftp(room: Room) -> None:
    room.write(cluster={"server": room.server.replace("https", "ftp")})


@refused
def no_server(room: Room) -> None:
    room.write(cluster={"server": None})


@refused
def a_proxy_that_nobody_speaks(room: Room) -> None:
    room.write(cluster={"proxy-url": "socks4://127.0.0.1:1"})


@refused
def a_plugin_that_is_missing(room: Room) -> None:
    entry = {"apiVersion": V1, "command": "no-such", "interactiveMode": "Never", "installHint": "get it"}
    room.write({"exec": entry})


@refused
def a_plugin_that_fails(room: Room) -> None:
    room.write(room.plugin("echo no login >&2; exit 3"))


@refused
def a_plugin_of_v1alpha1(room: Room) -> None:
    room.write(
        room.plugin(room.handout(token=room.token), apiVersion="client.authentication.k8s.io/v1alpha1")
    )


@refused
def a_plugin_that_answers_in_another_version(room: Room) -> None:
    beta = "client.authentication.k8s.io/v1beta1"
    room.write(room.plugin(room.handout(beta, token=room.token)))


@refused
def a_plugin_without_an_interactive_mode(room: Room) -> None:
    room.write(room.plugin(room.handout(token=room.token), interactiveMode=None))


@refused
def a_plugin_that_needs_a_terminal(room: Room) -> None:
    room.write(room.plugin(room.handout(token=room.token), interactiveMode="Always"))


@refused
def a_plugin_that_hands_out_nothing(room: Room) -> None:
    room.write(room.plugin(room.handout()))


@refused
def a_plugin_that_hands_out_a_certificate_without_a_key(room: Room) -> None:
    room.write(room.plugin(room.handout(clientCertificateData=room.certificate.read_text())))


@refused
def an_auth_provider_without_its_settings(room: Room) -> None:
    room.write({"auth-provider": {"name": "oidc"}})


@refused
def a_token_that_is_none(room: Room) -> None:
    room.write({"token": "void"})


@pytest.mark.parametrize("case", BY_BOTH)
def test_both_reach_the_api_server_as_the_same_user(room: Room, case: str) -> None:
    user, arrange = BY_BOTH[case]
    arrange(room)
    theirs, said = room.kubectl()
    assert theirs == user, said
    ours, said = room.gfattach()
    assert ours == user, said


@pytest.mark.parametrize("case", BY_NEITHER)
def test_both_refuse(room: Room, case: str) -> None:
    BY_NEITHER[case](room)
    theirs, _ = room.kubectl()
    assert theirs is None
    ours, said = room.gfattach()
    assert ours is None
    assert said


def test_an_expired_certificate_is_refused_by_both_and_its_date_is_named_here(
    cluster: Cluster, room: Room
) -> None:
    room.files.append(cluster.user("late", [], lifetime=datetime.timedelta(hours=-1)))
    assert room.kubectl()[0] is None
    ours, said = room.gfattach()
    assert ours is None
    assert "expired on 2" in said


def test_both_go_through_the_proxy_of_the_kubeconfig(room: Room, proxy: TunnelProxy) -> None:
    room.write(cluster={"proxy-url": f"http://me:p%40ss@127.0.0.1:{proxy.port}"})
    assert room.kubectl()[0] == "admin"
    by_kubectl = proxy.asked.copy()
    assert room.gfattach()[0] == "admin"
    login = f"Basic {base64.b64encode(b'me:p@ss').decode()}"
    assert by_kubectl
    assert len(proxy.asked) > len(by_kubectl)
    for head in proxy.asked:
        assert head.startswith(f"CONNECT {room.server.removeprefix('https://')} ")
        assert login in head


def test_neither_shows_a_credential_to_a_server_without_tls(room: Room) -> None:
    heads: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    heads.append(client.recv(65536).decode())
                    client.sendall(
                        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )

        threading.Thread(target=serve, daemon=True).start()
        plain = {"server": f"http://127.0.0.1:{port}", "certificate-authority-data": None}
        room.write(room.plugin(f"touch {room.directory}/ran; exit 1"), plain)
        room.kubectl()
        connection = resolve(ClusterRef(), Deadline.after(10), room.environment)
        server.shutdown(socket.SHUT_RDWR)
    assert heads
    assert not any("authorization" in head.lower() for head in heads)
    assert connection.headers == ()
    assert connection.tls is None
    assert not (room.directory / "ran").exists()
