"""The service account of the pod that this runs in, put as a kubeconfig.

The facts are those of every pod: the API server's address in two variables, and the token (replaced
before it expires), the certificate authority and the namespace in files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gfattach.cluster.kubeconfig.bounded import is_there, read_bounded
from gfattach.cluster.kubeconfig.entries import Cluster, Context, Kubeconfig, User

#: Where every pod has its service account.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

#: What its context, cluster and user are called.
NAME = "in-cluster"


def possible(environ: Mapping[str, str]) -> bool:
    """Whether this runs in a pod with a service account."""
    named = environ.get("KUBERNETES_SERVICE_HOST") and environ.get("KUBERNETES_SERVICE_PORT")
    return bool(named) and is_there(SERVICE_ACCOUNT / "token")


def kubeconfig(environ: Mapping[str, str]) -> Kubeconfig:
    """A kubeconfig with the one context that a pod has."""
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "")
    authority = SERVICE_ACCOUNT / "ca.crt"
    return Kubeconfig(
        (),
        NAME,
        {NAME: Context(NAME, SERVICE_ACCOUNT, NAME, NAME, _namespace(environ))},
        {
            NAME: Cluster(
                NAME,
                SERVICE_ACCOUNT,
                f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
                authority=authority if is_there(authority) else None,
            )
        },
        {NAME: User(NAME, SERVICE_ACCOUNT, token_file=SERVICE_ACCOUNT / "token")},
    )


def _namespace(environ: Mapping[str, str]) -> str:
    if environ.get("POD_NAMESPACE"):
        return environ["POD_NAMESPACE"]
    try:
        return read_bounded(SERVICE_ACCOUNT / "namespace", 4096).decode("ascii").strip()
    except (OSError, ValueError):
        return ""
