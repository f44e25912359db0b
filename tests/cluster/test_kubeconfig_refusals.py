"""A kubeconfig that kubectl refuses, or that leads it nowhere, is refused by gfattach as well, in words.

Each case is a directory with kubeconfigs, and both programs are asked with it.
"""

from __future__ import annotations

import base64
import datetime

import pytest

from tests.harness.cluster.certs import CertificateAuthority
from tests.harness.cluster.cluster import Cluster
from tests.harness.cluster.kubeconfigs import V1, Arrange, Room, account_token, needs_kubectl, room

__all__ = ["account_token", "room"]

pytestmark = needs_kubectl


BY_NEITHER: dict[str, Arrange] = {}


def refused(arrange: Arrange) -> Arrange:
    BY_NEITHER[arrange.__name__] = arrange
    return arrange


@refused
def a_server_without_a_scheme(room: Room) -> None:
    room.write(cluster={"server": room.server.removeprefix("https://")})


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
        room.plugin(
            room.exec_credential(token=room.token), apiVersion="client.authentication.k8s.io/v1alpha1"
        )
    )


@refused
def a_plugin_that_answers_in_another_version(room: Room) -> None:
    beta = "client.authentication.k8s.io/v1beta1"
    room.write(room.plugin(room.exec_credential(beta, token=room.token)))


@refused
def a_plugin_without_an_interactive_mode(room: Room) -> None:
    room.write(room.plugin(room.exec_credential(token=room.token), interactiveMode=None))


@refused
def a_plugin_that_needs_a_terminal(room: Room) -> None:
    room.write(room.plugin(room.exec_credential(token=room.token), interactiveMode="Always"))


@refused
def a_plugin_that_hands_out_nothing(room: Room) -> None:
    room.write(room.plugin(room.exec_credential()))


@refused
def a_plugin_that_hands_out_a_certificate_without_a_key(room: Room) -> None:
    room.write(room.plugin(room.exec_credential(clientCertificateData=room.certificate.read_text())))


@refused
def an_auth_provider_without_its_settings(room: Room) -> None:
    room.write({"auth-provider": {"name": "oidc"}})


@refused
def a_token_that_is_none(room: Room) -> None:
    room.write({"token": "void"})


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
