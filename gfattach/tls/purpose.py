"""What a TLS endpoint is for: whose words, and whose options, an explanation of its faults has to use.

Every hint here is followed in a test (tests/integration/test_tls_hints.py), which sees the cause gone.
"""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class _Words(Struct, frozen=True):
    """`key` is the name in probes and JSON; `authority` says where its authority is named, `identity` where a
    client's certificate is, `name` and `scheme` what to change where another name or scheme is right;
    `silence` is how little its client says of a handshake that failed."""

    key: str
    authority: str
    identity: str
    name: str
    scheme: str
    silence: str


class Purpose(Enum):
    """What an endpoint is for."""

    API_SERVER = _Words(
        "api-server",
        "have the cluster's authority (PEM) in FILE, and set it: kubectl config set-cluster NAME "
        "--certificate-authority=FILE (NAME: kubectl config view --minify)",
        "see client-certificate in the kubeconfig, or ask the operator for a new one; one that has expired "
        "is refused too",
        "set tls-server-name in the kubeconfig's cluster to a name that it is valid for: "
        "kubectl config set-cluster NAME --tls-server-name={name}",
        "the kubeconfig says https:// and the port answers otherwise: is it the right one?",
        "no credentials are sent to a server whose certificate fails verification",
    )
    CACHE = _Words(
        "cache",
        "name the file with its certificate: --ca-file FILE, or cache.ca_file in gfattach.toml",
        "ask the operator for a certificate and its key, or for an endpoint with tokens",
        "use its name, if it is the right server: {name}",
        "use the plaintext scheme (grpc, http), if the path there is a forward or otherwise private",
        "Bazel says only: General OpenSslEngine problem",
    )
    SUBSTITUTER = _Words(
        "substituter",
        "name the file with its certificate: --substituter-ca-file FILE, or nix.ca_file in gfattach.toml",
        "Nix shows no client certificate: ask the operator for an endpoint with tokens",
        "use its name, if it is the right server: {name}",
        "write http:// in nix.substituter, if the path there is a forward or otherwise private",
        "Nix refuses the connection for the same reason; a daemon that fetches has to trust it too",
    )

    PROXY = _Words(
        "proxy",
        "add its authority to this machine's trust store (update-ca-certificates), or to the cluster's "
        "certificate-authority",
        "ask who runs the proxy for one that wants no client certificate",
        "name the proxy as its certificate does, in proxy-url or HTTPS_PROXY: {name}",
        "write http:// before the proxy's address, if it is a plain one",
        "no credentials are sent through a proxy whose certificate fails verification",
    )

    @property
    def key(self) -> str:
        """Its name in probes and JSON."""
        return self.value.key

    @property
    def authority_hint(self) -> str:
        """How to name the authority that signed its certificate."""
        return self.value.authority

    @property
    def identity_hint(self) -> str:
        """What to do where it wants another client certificate."""
        return self.value.identity

    def name_hint(self, name: str) -> str:
        """What to change where its certificate is for `name`."""
        return self.value.name.replace("{name}", name)

    @property
    def scheme_hint(self) -> str:
        """What to change where it speaks plaintext."""
        return self.value.scheme

    @property
    def silence(self) -> str:
        """What its client makes of a handshake that failed."""
        return self.value.silence
