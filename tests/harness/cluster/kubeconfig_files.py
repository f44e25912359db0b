"""kubeconfigs, certificates and exec plugins for the tests of the resolver: real files, real programs."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gfattach.cluster.connection import ClusterConnection, ClusterRef
from gfattach.cluster.kubeconfig.resolve import resolve
from gfattach.core.deadline import Deadline

V1 = "client.authentication.k8s.io/v1"


def certificate(
    lifetime: timedelta = timedelta(days=1),
    password: bytes | None = None,
    start: timedelta = timedelta(days=-30),
) -> tuple[bytes, bytes]:
    """A certificate that signed itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "someone")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + lifetime)
        .sign(key, hashes.SHA256())
    )
    cipher = (
        serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
    )
    pem = serialization.Encoding.PEM
    return made.public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, cipher)


def encoded(content: bytes) -> str:
    """As the -data fields of a kubeconfig hold it."""
    return base64.b64encode(content).decode()


def kubeconfig(path: Path, user: Any = None, cluster: Any = None, context: Any = None, **more: Any) -> Path:
    """A kubeconfig with one context `here`."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **(context or {})}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example:6443", **(cluster or {})}}],
        "users": [{"name": "u", "user": {"token": "the-token"} if user is None else user}],
        **more,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def plugin(path: Path, script: str) -> Path:
    """A program in shell."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


def exec_user(command: Path | str, /, **entry: Any) -> dict[str, Any]:
    """A user's entry with that exec plugin."""
    return {"exec": {"apiVersion": V1, "command": str(command), "interactiveMode": "Never"} | entry}


def exec_credential(version: str = V1, **status: Any) -> str:
    """A script that prints an ExecCredential."""
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": status}
    return f"cat <<'END'\n{json.dumps(answer)}\nEND"


def resolved(
    *files: Path,
    seconds: float = 10.0,
    context: str | None = None,
    namespace: str | None = None,
    **environ: str,
) -> ClusterConnection:
    """The connection for files named by hand, in an environment with a PATH and `environ` only."""
    ref = ClusterRef(files or None, context, namespace)
    return resolve(ref, Deadline.after(seconds), {"PATH": "/usr/bin:/bin", **environ})
