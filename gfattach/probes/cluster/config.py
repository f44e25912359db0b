"""What stands in files: the kubeconfig, the context, and what it shows the API server."""

from __future__ import annotations

from gfattach.cluster.api.fields import one_line
from gfattach.cluster.kubeconfig.resolve import connection, find_files, read_kubeconfig, select
from gfattach.core.errors import ClusterError
from gfattach.core.finding import Finding, Probe, ok, warn
from gfattach.core.quote import word
from gfattach.probes.cluster.subject import ClusterInquiry, failure, until_plugin

_KUBECONFIG_CODES = {
    "cluster.kubeconfig.ok": "the kubeconfig can be read",
    "cluster.kubeconfig.pod": "this runs in a pod: its service account is used",
    "cluster.kubeconfig.missing": "there is no kubeconfig where it was looked for",
    "cluster.kubeconfig.empty": "the kubeconfig is empty",
    "cluster.kubeconfig.unreadable": "the kubeconfig may not be read, or is no file",
    "cluster.kubeconfig.large": "the kubeconfig is larger than any could be",
    "cluster.kubeconfig.yaml": "the kubeconfig is not YAML",
    "cluster.kubeconfig.mapping": "the kubeconfig is YAML and no mapping",
    "cluster.kubeconfig.kind": "the file is of another kind than Config",
    "cluster.kubeconfig.twice": "the kubeconfig names a thing twice",
    "cluster.kubeconfig.field": "a field of the kubeconfig has the wrong type",
}


def _kubeconfig(inquiry: ClusterInquiry) -> Finding:
    subject = inquiry.subject
    try:
        files = find_files(subject.ref, subject.environ)
        subject.held.kubeconfig = read_kubeconfig(files, subject.environ)
    except ClusterError as error:
        why = "without it nothing is known of any cluster"
        return failure(error.code, error, why, "see what kubectl reads: kubectl config view")
    names = [str(file) for file in files]
    if not names:
        return ok("cluster.kubeconfig.pod", "the service account of this pod is used", files=names)
    return ok("cluster.kubeconfig.ok", f"read {', '.join(names)}", files=names)


KUBECONFIG = Probe("cluster.kubeconfig", "is there a kubeconfig", _kubeconfig, _KUBECONFIG_CODES, seconds=3.0)

_CONTEXT_CODES = {
    "cluster.context.ok": "the context names a cluster and a user that are there",
    "cluster.context.insecure": "the kubeconfig switches the check of certificates off",
    "cluster.context.none": "no context is chosen",
    "cluster.context.missing": "the chosen context is not in the kubeconfig",
    "cluster.context.cluster": "the context names a cluster that is not in the kubeconfig",
    "cluster.context.user": "the context names a user that is not in the kubeconfig",
    "cluster.kubeconfig.server": "the cluster's address cannot be used",
    "cluster.kubeconfig.proxy": "the proxy's address cannot be used",
    "cluster.kubeconfig.authority": "the cluster's certificate authority cannot be read",
}


def _context(inquiry: ClusterInquiry) -> Finding:
    from gfattach.cluster.kubeconfig.credentials import Credential

    subject, held = inquiry.subject, inquiry.subject.held
    if held.kubeconfig is None:
        raise LookupError("no kubeconfig was read")
    try:
        entries = select(held.kubeconfig, subject.ref)
        # What is wrong with the address is this question's, and not the credential's.
        reached = connection(entries, Credential(), subject.environ)
    except ClusterError as error:
        why = "it says which cluster is meant, where it is and as whom"
        return failure(error.code, error, why, "see the contexts: kubectl config get-contexts")
    held.entries = entries
    data = {
        "context": reached.context,
        "cluster": entries.cluster.name,
        "user": reached.user,
        "namespace": reached.namespace,
        "server": reached.server,
    }
    if reached.insecure:
        return warn(
            "cluster.context.insecure",
            f"the cluster {one_line(entries.cluster.name)} is not verified (insecure-skip-tls-verify)",
            "whoever stands between here and there can read the credentials and answer for the cache",
            f"have it checked: kubectl config set-cluster {word(entries.cluster.name)} "
            "--certificate-authority=FILE --embed-certs",
            **data,
        )
    seen = one_line(
        f"{reached.context}: {reached.server} as {reached.user or 'no user'}, namespace {reached.namespace}"
    )
    return ok("cluster.context.ok", seen, **data)


CONTEXT = Probe(
    "cluster.context",
    "which cluster is meant",
    _context,
    _CONTEXT_CODES,
    ("cluster.kubeconfig",),
    seconds=2.0,
)

_CREDENTIAL_CODES = {
    "cluster.credential.ok": "there is a credential to show",
    "cluster.credential.nothing": "the user has no credential: the API server is asked anonymously",
    "cluster.credential.none": "the context names no user",
    "cluster.credential.auth-provider": "the user has an auth-provider, not refreshed here, or not known",
    "cluster.credential.several": "the user has two credentials, of which one can be sent",
    "cluster.credential.impersonation": "the user impersonates no user name, or a name that cannot be sent",
    "cluster.credential.file": "a file of the certificate or its key cannot be read",
    "cluster.credential.certificate": "the client certificate is none",
    "cluster.credential.key": "the client certificate's key is missing, or is none",
    "cluster.credential.key-encrypted": "the client certificate's key needs a password",
    "cluster.credential.key-mismatch": "the key belongs to another certificate",
    "cluster.credential.expired": "the client certificate has expired",
    "cluster.credential.token": "the token cannot be sent",
    "cluster.credential.token-file": "the token's file cannot be read, or is empty",
    "cluster.credential.plugin-missing": "the credential plugin is not on this machine",
    "cluster.credential.plugin-failed": "the credential plugin failed",
    "cluster.credential.plugin-silent": "the credential plugin did not end",
    "cluster.credential.plugin-answer": "the credential plugin printed something else than a credential",
    "cluster.credential.plugin-version": "the credential plugin is asked in a version that is not spoken",
    "cluster.credential.plugin-interactive": "the credential plugin wants a terminal",
    "cluster.credential.plugin-entry": "the credential plugin's entry cannot be used",
}


def _credential(inquiry: ClusterInquiry) -> Finding:
    from gfattach.cluster.kubeconfig.credentials import OIDC_SOURCE

    try:
        shown = inquiry.subject.show_credential(until_plugin(inquiry))
    except ClusterError as error:
        why = "the API server answers authenticated users only"
        return failure(error.code, error, why, "see what kubectl makes of it: kubectl auth whoami")
    until_when = shown.expires.isoformat() if shown.expires else None
    if shown.authorization is None and not shown.certificate:
        return ok("cluster.credential.nothing", "no credential is shown: the user has none")
    if shown.source.startswith(OIDC_SOURCE):
        return warn(
            "cluster.credential.auth-provider",
            f"{shown.source}, is shown; it is not refreshed here",
            "an attachment ends with it: forwards are refused from then on, until kubectl has refreshed it",
            "an exec plugin replaces it: kubectl oidc-login setup, or what your cloud has for it",
            source=shown.source,
            expires=until_when,
        )
    return ok("cluster.credential.ok", f"{shown.source} is shown", source=shown.source, expires=until_when)


CREDENTIAL = Probe(
    "cluster.credential",
    "what is shown to the API server",
    _credential,
    _CREDENTIAL_CODES,
    ("cluster.context",),
    seconds=12.0,
    longer=lambda subject: subject.plugin_seconds,
)
