"""The kubeconfig resolver: from a reference to a connection, for everything that asks an API server.

The stages are functions of their own, so that a checklist can say at which of them it ended; `resolve`
is all of them in order. The same serves the API calls, the probes and the agent that holds forwards.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gfattach.cluster.connection import ClusterConnection, ClusterRef
from gfattach.cluster.kubeconfig import in_cluster
from gfattach.cluster.kubeconfig.bounded import is_there
from gfattach.cluster.kubeconfig.entries import Context, Entries, Kubeconfig
from gfattach.cluster.kubeconfig.files import read_files
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError

# Who only selects an entry loads nothing of TLS.
if TYPE_CHECKING:
    from gfattach.cluster.kubeconfig.credentials import Credential, ExecOptions


def find_files(ref: ClusterRef, environ: Mapping[str, str] | None = None) -> tuple[Path, ...]:
    """The kubeconfigs that would be read, the strongest first; () for the service account of a pod.

    Of the files that KUBECONFIG lists, those that do not exist are left out, as kubectl does. Raises
    ClusterError (cluster.kubeconfig.missing) when none is left and there is no service account.
    """
    environ = os.environ if environ is None else environ
    if ref.kubeconfigs is not None:
        return () if _stands_back(ref, ref.kubeconfigs, environ) else ref.kubeconfigs
    listed = environ.get("KUBECONFIG", "")
    if listed:
        files = [Path(text) for text in dict.fromkeys(listed.split(os.pathsep)) if text]
    else:
        files = [Path(environ.get("HOME") or Path.home()) / ".kube" / "config"]
    found = tuple(file for file in files if is_there(file))
    if _stands_back(ref, found, environ):
        return ()
    if found:
        return found
    raise ClusterError(
        f"KUBECONFIG lists {', '.join(map(str, files))}, which {'is' if len(files) == 1 else 'are'} missing"
        if listed
        else f"there is no kubeconfig: {files[0]} does not exist, and KUBECONFIG is not set",
        "name one with --kubeconfig or KUBECONFIG",
        code="cluster.kubeconfig.missing",
    )


def _stands_back(ref: ClusterRef, files: tuple[Path, ...], environ: Mapping[str, str]) -> bool:
    """Whether `files` leave it to the service account of this pod: as with kubectl, when they say nothing of
    what is current (client-go, merged_client_builder.go), whatever else they hold.
    """
    if not in_cluster.possible(environ) or ref.context not in (None, in_cluster.NAME):
        return False
    if not files:
        return True
    try:
        found = read_files(files)
    except ClusterError as error:
        return error.code == "cluster.kubeconfig.empty"
    return not found.current_context and ref.context not in found.contexts


def read_kubeconfig(files: tuple[Path, ...], environ: Mapping[str, str] | None = None) -> Kubeconfig:
    """The merged content of `files`; for () that of the service account. Raises ClusterError."""
    if not files:
        return in_cluster.kubeconfig(os.environ if environ is None else environ)
    return read_files(files)


def select(kubeconfig: Kubeconfig, ref: ClusterRef) -> Entries:
    """The entries of the context that `ref` asks for. Raises ClusterError (cluster.context.*)."""
    name = ref.context or kubeconfig.current_context
    where = kubeconfig.where or "the service account of this pod"
    known = f"contexts: {', '.join(sorted(kubeconfig.contexts)[:20]) or 'none'}"
    if not name:
        raise ClusterError(
            f"no current-context in {where}",
            known,
            "name one with --context, or: kubectl config use-context NAME",
            code="cluster.context.none",
        )
    context = kubeconfig.contexts.get(name)
    if context is None:
        what = "context" if ref.context else "current-context"
        raise ClusterError(
            f"{what} {name!r} not in {where}",
            known,
            "name one with --context",
            code="cluster.context.missing",
        )
    cluster = kubeconfig.clusters.get(context.cluster)
    if cluster is None:
        raise _dangling(context, "cluster", context.cluster, kubeconfig.clusters, where)
    user = kubeconfig.users.get(context.user)
    if user is None and context.user:
        raise _dangling(context, "user", context.user, kubeconfig.users, where)
    return Entries(context, cluster, user, ref.namespace or context.namespace or "default")


def _dangling(
    context: Context, kind: str, name: str, known: Mapping[str, object], where: str
) -> ClusterError:
    return ClusterError(
        f"the context {context.name!r} names the {kind} {name!r}, which is not in {where}"
        if name
        else f"the context {context.name!r} names no {kind}",
        f"{kind}s: {', '.join(sorted(known)[:20]) or 'none'}",
        f"correct it: kubectl config set-context {shlex.quote(context.name)} --{kind}=NAME",
        code=f"cluster.context.{kind}",
    )


def credential(
    entries: Entries,
    deadline: Deadline,
    environ: Mapping[str, str] | None = None,
    options: ExecOptions | None = None,
) -> Credential:
    """What is shown to the API server; nothing to one without TLS.

    Raises ClusterError (cluster.credential.*, cluster.kubeconfig.*).
    """
    from gfattach.cluster.kubeconfig.address import server_address
    from gfattach.cluster.kubeconfig.credentials import Credential, ExecOptions, credential_of

    if not server_address(entries.cluster).secure:
        return Credential()
    if entries.user is None:
        raise ClusterError(
            f"the context {entries.context.name!r} names no user",
            f"correct it: kubectl config set-context {shlex.quote(entries.context.name)} --user=NAME",
            code="cluster.credential.none",
        )
    environ = os.environ if environ is None else environ
    return credential_of(entries.user, entries.cluster, deadline, environ, options or ExecOptions())


def connection(
    entries: Entries, credential: Credential, environ: Mapping[str, str] | None = None
) -> ClusterConnection:
    """The connection as facts; `environ` names the proxy where the kubeconfig does not.

    Raises ClusterError (cluster.kubeconfig.*, cluster.credential.*).
    """
    from gfattach.cluster.kubeconfig.address import proxy_towards, server_address
    from gfattach.cluster.kubeconfig.trust import PemError, client_context, identify

    cluster, server = entries.cluster, server_address(entries.cluster)
    context = client_context(cluster) if server.secure else None
    if context is not None and credential.certificate:
        try:
            identify(context, credential.certificate, credential.key)
        except PemError as error:
            name = entries.user.name if entries.user else ""
            raise ClusterError(
                f"the user {name!r} {error.fact}",
                "have the credential written anew, as you got it first",
                code=f"cluster.credential.{error.code}",
            ) from None
    return ClusterConnection(
        host=server.host,
        port=server.port,
        namespace=entries.namespace,
        path=server.path,
        tls=context,
        server_name=(cluster.tls_server_name or server.host).rstrip("."),
        proxy=proxy_towards(cluster, server, os.environ if environ is None else environ),
        authorization=credential.authorization,
        impersonate=credential.impersonate,
        expires=credential.expires,
        context=entries.context.name,
        user=entries.context.user,
        insecure=cluster.insecure,
        identified=context is not None and bool(credential.certificate),
        renewable=credential.exec_credential is not None,
        authority_file=cluster.authority,
    )


def resolve(
    ref: ClusterRef,
    deadline: Deadline,
    environ: Mapping[str, str] | None = None,
    options: ExecOptions | None = None,
) -> ClusterConnection:
    """All stages in order. Raises ClusterError."""
    files = find_files(ref, environ)
    entries = select(read_kubeconfig(files, environ), ref)
    return connection(entries, credential(entries, deadline, environ, options), environ)
