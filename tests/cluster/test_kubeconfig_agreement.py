"""A kubeconfig means to gfattach what it means to kubectl: the same server, reached as the same user.

Each case is a directory with kubeconfigs, and both programs are asked with it.
"""

from __future__ import annotations

import base64
import shutil
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from gfattach.cluster.connection import ClusterRef
from gfattach.cluster.kubeconfig.resolve import resolve
from gfattach.core.deadline import Deadline
from tests.harness.cluster.kubeconfigs import ACCOUNT, V1, Arrange, Room, account_token, needs_kubectl, room

__all__ = ["account_token", "room"]

pytestmark = needs_kubectl


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


@pytest.fixture
def proxy() -> Iterator[TunnelProxy]:
    running = TunnelProxy()
    yield running
    running.close()


BY_BOTH: dict[str, tuple[str, Arrange]] = {}


def accepted_as(user: str) -> Callable[[Arrange], Arrange]:
    def keep(arrange: Arrange) -> Arrange:
        BY_BOTH[arrange.__name__] = (user, arrange)
        return arrange

    return keep


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
    room.write(room.plugin(room.exec_credential(token=room.token)))


@accepted_as(ACCOUNT)
def a_plugin_of_v1beta1_without_an_interactive_mode(room: Room) -> None:
    beta = "client.authentication.k8s.io/v1beta1"
    script = room.exec_credential(beta, token=room.token)
    room.write(room.plugin(script, apiVersion=beta, interactiveMode=None))


@accepted_as("admin")
def a_plugin_that_hands_out_a_certificate(room: Room) -> None:
    status = {"clientCertificateData": room.certificate.read_text(), "clientKeyData": room.key.read_text()}
    room.write(room.plugin(room.exec_credential(**status)))


@accepted_as(ACCOUNT)
def a_plugin_that_uses_its_arguments_variables_and_the_cluster(room: Room) -> None:
    check = (
        '[ "$1" = --for ] && [ "$WHO" = me ] || exit 7\n'
        'case "$KUBERNETES_EXEC_INFO" in *certificate-authority-data*) ;; *) exit 8;; esac\n'
    )
    env = [{"name": "WHO", "value": "me"}]
    script = check + room.exec_credential(token=room.token)
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


@pytest.mark.parametrize("case", BY_BOTH)
def test_both_reach_the_api_server_as_the_same_user(room: Room, case: str) -> None:
    user, arrange = BY_BOTH[case]
    arrange(room)
    theirs, said = room.kubectl()
    assert theirs == user, said
    ours, said = room.gfattach()
    assert ours == user, said


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
