"""Odd kubeconfigs of every kind: gfattach gets through where kubectl does, as the same user, and not else."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.cluster.kubeconfigs import V1, Room, account_token, needs_kubectl, room

__all__ = ["account_token", "room"]

pytestmark = needs_kubectl

#: From a room to a part of a kubeconfig.
Part = Callable[[Room], Any]


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def token_file(content: Callable[[bytes], bytes]) -> Part:
    def user(room: Room) -> dict[str, str]:
        (room.directory / "token").write_bytes(content(room.token.encode()))
        return {"tokenFile": "token"}

    return user


def one_file(room: Room) -> dict[str, str]:
    (room.directory / "both.pem").write_bytes(room.key.read_bytes() + room.certificate.read_bytes())
    return {"client-certificate": "both.pem", "client-key": "both.pem"}


def plugin(script: Part, **entry: Any) -> Part:
    return lambda room: room.plugin(script(room), **entry)


def exec_credential(**status: Any) -> Part:
    return lambda room: room.exec_credential(**{"token": room.token, **status})


USERS: dict[str, Part] = {
    "a token with a space behind it": lambda r: {"token": f"{r.token} "},
    "a token with a line's end": lambda r: {"token": f"{r.token}\n"},
    "a token file with CRLF": token_file(lambda token: token + b"\r\n"),
    "a token file with a byte order mark": token_file(lambda token: b"\xef\xbb\xbf" + token),
    "a token file with two lines": token_file(lambda token: token + b"\nmore"),
    "an empty token file": token_file(lambda token: b""),
    "a token and a password": lambda r: {"token": r.token, "username": "a", "password": "b"},
    "a certificate and a token": lambda r: r.pair | {"token": r.token},
    "a certificate and a void token": lambda r: r.pair | {"token": "void"},
    "a certificate without a key": lambda r: {"client-certificate": str(r.certificate)},
    "a key without a certificate": lambda r: {"client-key": str(r.key), "token": r.token},
    "a certificate and its key in one file": one_file,
    "a certificate and its key the wrong way round": lambda r: {
        "client-certificate": str(r.key),
        "client-key": str(r.certificate),
    },
    "data that is no base64": lambda r: r.pair | {"client-certificate-data": "%%%"},
    "a name beyond ASCII that is impersonated": lambda r: r.pair | {"as": "jöe"},
    "a name of two lines that is impersonated": lambda r: r.pair | {"as": "a\nb"},
    "groups of nobody": lambda r: r.pair | {"as-groups": ["x"]},
    "a plugin that is null": lambda r: {"token": r.token, "exec": None},
    "a plugin beside a certificate": lambda r: r.plugin(r.exec_credential(token="void")) | r.pair,
    "a plugin that is reached by way of a directory that is none": plugin(
        exec_credential(), command="sub/../plugin"
    ),
    "a plugin of v1alpha1": plugin(exec_credential(), apiVersion="client.authentication.k8s.io/v1alpha1"),
    "a plugin with an unknown mode": plugin(exec_credential(), interactiveMode="Sometimes"),
    "a plugin without words": plugin(exec_credential(), args=None, env=None),
    "a plugin that prints YAML": plugin(
        lambda r: f"echo 'apiVersion: {V1}\nkind: ExecCredential\nstatus: {{token: {r.token}}}'"
    ),
    "a plugin that prints a byte order mark": plugin(
        lambda r: f"printf '\\357\\273\\277'\n{exec_credential()(r)}"
    ),
    "a plugin that prints a word before": plugin(lambda r: f"echo hello\n{exec_credential()(r)}"),
    "a plugin that prints a word after": plugin(lambda r: f"{exec_credential()(r)}\necho hello"),
    "a plugin that prints two credentials": plugin(
        lambda r: f"{exec_credential()(r)}\n{exec_credential()(r)}"
    ),
    "a plugin that fails after its answer": plugin(lambda r: f"{exec_credential()(r)}\nexit 1"),
    "a plugin whose token has expired": plugin(exec_credential(expirationTimestamp="2001-01-01T00:00:00Z")),
    "a plugin whose time has no zone": plugin(exec_credential(expirationTimestamp="2099-01-01T00:00:00")),
    "a plugin with a token that is a number": plugin(exec_credential(token=5)),
    "a plugin with a certificate alone": plugin(
        lambda r: r.exec_credential(clientCertificateData=r.certificate.read_text())
    ),
}

CLUSTERS: dict[str, Part] = {
    "words before the authority": lambda r: {
        "certificate-authority-data": encoded(b"# ours\n" + r.authority.read_bytes())
    },
    "a damaged certificate beside the authority": lambda r: {
        "certificate-authority-data": encoded(
            r.authority.read_bytes() + b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        )
    },
    "a damaged certificate alone": lambda r: {
        "certificate-authority-data": encoded(
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        )
    },
    "an authority that is a key": lambda r: {"certificate-authority-data": encoded(r.key.read_bytes())},
    "an authority's file that is missing": lambda r: {
        "certificate-authority-data": None,
        "certificate-authority": "gone",
    },
    "an authority and no verification": lambda r: {"insecure-skip-tls-verify": True},
    "a switch that is a text": lambda r: {"insecure-skip-tls-verify": "true"},
    "a server without a scheme": lambda r: {"server": r.server.removeprefix("https://")},
    "a scheme in capitals": lambda r: {"server": r.server.replace("https", "HTTPS")},
    "a server with a path": lambda r: {"server": f"{r.server}/x"},
    "a server with slashes": lambda r: {"server": f"{r.server}//"},
    "a server with a path that leads nowhere": lambda r: {"server": f"{r.server}/./x/.."},
    "a server with a space before it": lambda r: {"server": f" {r.server}"},
    "a server with a space behind it": lambda r: {"server": f"{r.server} "},
    "a server with an impossible port": lambda r: {"server": "https://127.0.0.1:99999"},
    "a server that is a number": lambda r: {"server": 5},
    "a server's name with a dot at its end": lambda r: {"tls-server-name": "localhost."},
    "a server's name in capitals": lambda r: {"tls-server-name": "LOCALHOST"},
    "another server's name": lambda r: {"tls-server-name": "wrong.example"},
    "a proxy that is empty": lambda r: {"proxy-url": ""},
    "a proxy without a scheme": lambda r: {"proxy-url": "127.0.0.1:1"},
    "fields that nobody knows": lambda r: {"foo": {"a": 1}, "extensions": [{"name": "x", "extension": {}}]},
}

WHOLE: dict[str, Part] = {
    "a name twice": lambda r: {
        "users": [{"name": "main", "user": {"token": text}} for text in (r.token, "void")]
    },
    "users that are null": lambda r: {"users": None},
    "users that are a mapping": lambda r: {"users": {}},
    "a user that is null": lambda r: {"users": [{"name": "main", "user": None}]},
    "a context without a user": lambda r: {"contexts": [{"name": "main", "context": {"cluster": "main"}}]},
    "a context without a cluster": lambda r: {"contexts": [{"name": "main", "context": {"user": "main"}}]},
    "a namespace that is a number": lambda r: {
        "contexts": [{"name": "main", "context": {"cluster": "main", "user": "main", "namespace": 5}}]
    },
    "another kind": lambda r: {"kind": "Foo"},
    "another version": lambda r: {"apiVersion": "v2"},
    "neither kind nor version": lambda r: {"kind": "", "apiVersion": ""},
    "fields that nobody knows": lambda r: {"foo": 1},
}


def agree(room: Room) -> None:
    theirs, said = room.kubectl()
    ours, reason = room.gfattach()
    assert ours == theirs, f"kubectl: {said}\ngfattach: {reason}"


@pytest.mark.parametrize("case", USERS)
def test_of_a_user(room: Room, case: str) -> None:
    room.write(USERS[case](room))
    agree(room)


@pytest.mark.parametrize("case", CLUSTERS)
def test_of_a_cluster(room: Room, case: str) -> None:
    room.write({"token": room.token}, CLUSTERS[case](room))
    agree(room)


@pytest.mark.parametrize("case", WHOLE)
def test_of_a_whole_file(room: Room, case: str) -> None:
    room.write({"token": room.token})
    file = room.files[0]
    file.write_text(json.dumps(json.loads(file.read_text()) | WHOLE[case](room)))
    agree(room)
