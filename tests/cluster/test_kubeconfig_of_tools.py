"""The kubeconfigs that public tools write, in the shape in which each writes it, read as kubectl reads them.

Names, fields, their order and their nulls are the tool's; servers, keys and tokens are those of the test's
own API server. A tool's plugin is a script under the plugin's own name, on PATH, that checks its arguments.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.harness.cluster.kubeconfigs import ACCOUNT, V1, Room, account_token, needs_kubectl, room

__all__ = ["account_token", "room"]

pytestmark = needs_kubectl

BETA = "client.authentication.k8s.io/v1beta1"


@dataclass(frozen=True)
class Tool:
    """Whom the API server takes its user for, its file, and its plugin with the arguments that it wants."""

    user: str
    text: str
    plugin: str = ""
    arguments: str = ""
    version: str = BETA


def config(name: str, user: str, *, cluster: str = "", context: str = "", preferences: bool = True) -> str:
    """What most write: kind and version at the ends, `preferences` empty; `user` is the user's own lines."""
    also = "preferences: {{}}" if preferences else "preferences: null"
    own = "".join(f"    {line}\n" for line in user.strip("\n").split("\n"))
    return (
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {ca}\n"
        f"{cluster}    server: {{server}}\n  name: {name}\ncontexts:\n- context:\n    cluster: {name}\n"
        f"{context}    user: {name}\n  name: {name}\ncurrent-context: {name}\nkind: Config\n"
        f"{also}\nusers:\n- name: {name}\n  user:\n{own}"
    )


def executed(command: str, *arguments: str, version: str = BETA, more: str = "") -> str:
    """An `exec` user as the cloud's tools write it."""
    lines = [f"exec:\n  apiVersion: {version}"]
    lines += ["  args:", *(f"  - {argument}" for argument in arguments)] if arguments else []
    return "\n".join([*lines, f"  command: {command}", *(f"  {line}" for line in more.split("\n") if line)])


PAIR = "client-certificate-data: {certificate}\nclient-key-data: {key}"
HINT = "installHint: Install it for use with kubectl\n  by following its documentation"

TOOLS: dict[str, Tool] = {
    "kind": Tool("admin", config("kind-dev", PAIR)),
    "kubeadm": Tool("admin", config("kubernetes-admin@kubernetes", PAIR)),
    "minikube, with extensions and files": Tool(
        "admin",
        """apiVersion: v1
clusters:
- cluster:
    certificate-authority: {directory}/ca.crt
    extensions:
    - extension:
        last-update: Mon, 30 Nov 2026 09:00:00 UTC
        provider: minikube.sigs.k8s.io
        version: v1.35.0
      name: cluster_info
    server: {server}
  name: minikube
contexts:
- context:
    cluster: minikube
    extensions:
    - extension: {{provider: minikube.sigs.k8s.io}}
      name: context_info
    namespace: default
    user: minikube
  name: minikube
current-context: minikube
kind: Config
preferences: {{}}
users:
- name: minikube
  user:
    client-certificate: {directory}/admin.crt
    client-key: {directory}/admin.key
""",
    ),
    "k3s": Tool("admin", config("default", PAIR)),
    "k3d": Tool("admin", config("k3d-dev", PAIR).replace("user: k3d", "user: admin@k3d").replace(
        "- name: k3d", "- name: admin@k3d")),
    "microk8s, a token and no preferences": Tool(
        ACCOUNT, config("microk8s-cluster", "token: {token}", preferences=False)
    ),
    "k0s": Tool("admin", config("Default", PAIR)),
    "talosctl": Tool("admin", config("talos-default", PAIR, context="    namespace: default\n")),
    "docker desktop": Tool("admin", config("docker-desktop", PAIR)),
    "vcluster": Tool("admin", config("my-vcluster", PAIR)),
    "aws eks": Tool(
        ACCOUNT,
        config(
            "arn:aws:eks:eu-central-1:123456789012:cluster/dev",
            executed("aws", "--region", "eu-central-1", "eks", "get-token", "--cluster-name", "dev"),
        ),
        "aws",
        "--region eu-central-1 eks get-token --cluster-name dev",
    ),
    "eksctl, with variables and a null": Tool(
        ACCOUNT,
        config(
            "me@dev.eu-central-1.eksctl.io",
            executed(
                "aws-iam-authenticator", "token", "-i", "dev",
                more="env:\n- name: AWS_STS_REGIONAL_ENDPOINTS\n  value: regional\nprovideClusterInfo: false",
            ),
        ),
        "aws-iam-authenticator",
        "token -i dev",
    ),
    "gcloud": Tool(
        ACCOUNT,
        config(
            "gke_project_europe-west3-a_dev",
            executed("gke-gcloud-auth-plugin", more=f"{HINT}\nprovideClusterInfo: true"),
        ),
        "gke-gcloud-auth-plugin",
    ),
    "az aks with kubelogin": Tool(
        ACCOUNT,
        config(
            "dev",
            executed(
                "kubelogin", "get-token", "--login", "azurecli", "--server-id", "6dae42f8",
                more="env: null\nprovideClusterInfo: false",
            ),
        ),
        "kubelogin",
        "get-token --login azurecli --server-id 6dae42f8",
    ),
    "doctl": Tool(
        ACCOUNT,
        config(
            "do-fra1-dev",
            executed(
                "doctl", "kubernetes", "cluster", "kubeconfig", "exec-credential", "--version=v1beta1", "1-2",
                more="env: null\ninteractiveMode: IfAvailable\nprovideClusterInfo: false",
            ),
        ),
        "doctl",
        "kubernetes cluster kubeconfig exec-credential --version=v1beta1 1-2",
    ),
    "oc login, names with slashes": Tool(
        ACCOUNT,
        config("default/api-dev-example-com:6443/me", "token: {token}", context="    namespace: default\n"),
    ),
    "teleport's tsh": Tool(
        ACCOUNT,
        config(
            "teleport.example.com-dev",
            executed(
                "tsh", "kube", "credentials", "--kube-cluster=dev", "--proxy=teleport.example.com:443",
                more="env: null\nprovideClusterInfo: false",
            ),
            cluster="    tls-server-name: localhost\n",
        ),
        "tsh",
        "kube credentials --kube-cluster=dev --proxy=teleport.example.com:443",
    ),
    "oidc-login": Tool(
        ACCOUNT,
        config(
            "oidc",
            executed(
                "kubectl", "oidc-login", "get-token", "--oidc-issuer-url=https://issuer.example",
                version=V1, more="env: null\ninteractiveMode: Never\nprovideClusterInfo: false",
            ),
        ).replace("command: kubectl\n", "command: kubectl-stand-in\n"),
        "kubectl-stand-in",
        "oidc-login get-token --oidc-issuer-url=https://issuer.example",
        V1,
    ),
    "pinniped, which asks for the cluster": Tool(
        ACCOUNT,
        config(
            "pinniped",
            executed("pinniped", "login", "oidc", "--enable-concierge",
                     more="env: []\nprovideClusterInfo: true"),
        ),
        "pinniped",
        "login oidc --enable-concierge",
    ),
    "rancher, everything in quotes": Tool(
        ACCOUNT,
        """apiVersion: v1
kind: Config
clusters:
- name: "local"
  cluster:
    server: "{server}"
    certificate-authority-data: "{ca}"

users:
- name: "local"
  user:
    token: "{token}"


contexts:
- name: "local"
  context:
    user: "local"
    cluster: "local"

current-context: "local"
""",
    ),
    "rke, a field that nothing knows": Tool(
        "admin", config("local", PAIR, cluster="    api-version: v1\n").replace("preferences: {{}}\n", "")
    ),
    "linode, fields that nothing reads": Tool(
        ACCOUNT, "---\n" + config("lke1-ctx", "as-user-extra: {{}}\ntoken: {token}")
    ),
    "oci, without a kind": Tool(
        ACCOUNT,
        config(
            "context-c1",
            executed("oci", "ce", "cluster", "generate-token", "--cluster-id", "ocid1.cluster.oc1",
                     "--region", "eu-frankfurt-1", more="env: []"),
        ).replace("kind: Config", 'kind: ""'),
        "oci",
        "ce cluster generate-token --cluster-id ocid1.cluster.oc1 --region eu-frankfurt-1",
    ),
    "yc": Tool(
        ACCOUNT,
        config(
            "yc-dev",
            executed("yc", "k8s", "create-token", "--profile=default",
                     more="env: null\nprovideClusterInfo: false"),
        ),
        "yc",
        "k8s create-token --profile=default",
    ),
    "kops with its plugin": Tool(
        ACCOUNT,
        config(
            "dev.k8s.example.com",
            executed(
                "kops", "helpers", "kubectl-auth", "--cluster=dev.k8s.example.com", "--state=s3://state",
                more="env: null\ninteractiveMode: IfAvailable\nprovideClusterInfo: false",
            ),
            cluster="    tls-server-name: localhost\n",
        ),
        "kops",
        "helpers kubectl-auth --cluster=dev.k8s.example.com --state=s3://state",
    ),
    "clusterctl": Tool("admin", config("dev-admin@dev", PAIR)),
}  # fmt: skip


def write(room: Room, tool: Tool) -> None:
    """The tool's file, and its plugin on PATH."""

    def data(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    (room.directory / "ca.crt").write_bytes(room.authority.read_bytes())
    values = {
        "ca": data(room.authority),
        "server": room.server,
        "certificate": data(room.certificate),
        "key": data(room.key),
        "token": room.token,
        "directory": str(room.directory),
    }
    room.add("config", tool.text.format(**values))
    if not tool.plugin:
        return
    programs = room.directory / "bin"
    programs.mkdir()
    script = programs / tool.plugin
    answer = room.exec_credential(tool.version, token=room.token)
    script.write_text(f'#!/bin/sh\n[ "$*" = "{tool.arguments}" ] || exit 9\n{answer}\n')
    script.chmod(0o700)
    room.environ["PATH"] = f"{programs}:{os.environ['PATH']}"


@pytest.mark.parametrize("name", TOOLS)
def test_both_reach_the_api_server_as_the_tools_user(room: Room, name: str) -> None:
    write(room, TOOLS[name])
    asked: dict[str, Callable[[], tuple[str | None, str]]] = {"kubectl": room.kubectl, "own": room.gfattach}
    for program, ask in asked.items():
        user, said = ask()
        assert user == TOOLS[name].user, f"{program}: {said}"
