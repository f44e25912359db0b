"""Who am I to the API server, and what an operator published for everybody."""

from __future__ import annotations

from gfattach.cluster.api import reviews
from gfattach.cluster.api.client import ApiError
from gfattach.cluster.api.fields import one_line
from gfattach.cluster.api.loop import run_sync
from gfattach.cluster.api.reviews import Person
from gfattach.core.errors import ClusterError, UsageError
from gfattach.core.finding import Finding, Probe, fail, ok, warn
from gfattach.core.quote import word
from gfattach.probes.cluster.subject import ClusterInquiry, failure, until, until_plugin
from gfattach.site.profile import parse_profile, profile_name

_IDENTITY_CODES = {
    "cluster.identity.ok": "the API server knows who this is",
    "cluster.identity.hidden": "the API server accepts the credentials and does not say for whom",
    "cluster.identity.anonymous": "the API server takes this for system:anonymous: no credential reached it",
    "cluster.identity.refused": "the API server refuses the credentials, or they have expired (401)",
    "cluster.identity.foreign": "something else than an API server answers",
    "cluster.identity.failed": "the API server cannot answer now",
}


def _identity(inquiry: ClusterInquiry) -> Finding:
    subject = inquiry.subject
    reached = subject.connection
    whoami = "see what kubectl makes of it: kubectl auth whoami"
    try:
        person = _whoami(inquiry)
    except ClusterError as error:
        if isinstance(error, ApiError) and error.status == 401:
            return _refused(inquiry)
        if error.code.startswith("cluster.credential."):
            return failure(
                "cluster.identity.refused", error, "what the plugin had handed out was refused (401)"
            )
        if error.code in ("cluster.api.unreadable", "cluster.http.unreadable"):
            why = "a proxy, a login page or another service stands where the API server should"
            look = f"look at it: curl -k {reached.server}/version"
            return fail("cluster.identity.foreign", error.fact, why, look)
        why = "until it answers, nothing of the cluster can be asked"
        return failure("cluster.identity.failed", error, why, whoami)
    if not person.known:
        return ok(
            "cluster.identity.hidden",
            f"the credentials of {one_line(reached.user) or 'the context'} are accepted",
            user=None,
        )
    if person.name == "system:anonymous":
        return fail(
            "cluster.identity.anonymous",
            f"{reached.authority} takes this for system:anonymous: no credential reached it",
            "anonymous users may not forward ports as a rule, and it is not what the kubeconfig meant",
            whoami,
            "a proxy that ends TLS takes a client certificate away: use a token with it",
        )
    return ok("cluster.identity.ok", f"the API server knows this as {person.name}", user=person.name)


def _whoami(inquiry: ClusterInquiry) -> Person:
    """Whom the API server takes us for. A plugin's credential that is refused is handed out anew, once."""
    subject = inquiry.subject
    try:
        return run_sync(reviews.whoami(subject.api, until(inquiry)))
    except ApiError as error:
        if error.status != 401 or not subject.connection.renewable:
            raise
        subject.show_credential(until_plugin(inquiry), anew=True)
        return run_sync(reviews.whoami(subject.api, until(inquiry)))


def _refused(inquiry: ClusterInquiry) -> Finding:
    reached = inquiry.subject.connection
    server, user = reached.authority, one_line(reached.user)
    source = inquiry.known("cluster.credential", "source") or "of no known kind"
    return fail(
        "cluster.identity.refused",
        f"401: {server} refuses the credential of the user {user} ({source}), or it has expired",
        "the API server answers authenticated users only",
        "log in again, as you did first, then: kubectl auth whoami",
        "a kubeconfig of a cluster that was made anew has to be fetched anew",
    )


IDENTITY = Probe(
    "cluster.identity",
    "who am I (as kubectl auth whoami)",
    _identity,
    _IDENTITY_CODES,
    ("cluster.tls",),
    seconds=8.0,
    longer=lambda subject: subject.plugin_seconds,
)

_PROFILE_CODES = {
    "cluster.profile.ok": "an operator published a site, and it can be read",
    "cluster.profile.absent": "no operator published a site: what Services there are has to tell",
    "cluster.profile.forbidden": "the published site may not be read by this user",
    "cluster.profile.invalid": "the published site has a key or a value that cannot be",
    "cluster.profile.failed": "the published site could not be read",
}


def _profile(inquiry: ClusterInquiry) -> Finding:
    subject = inquiry.subject
    namespace = subject.connection.namespace
    source = profile_name(namespace, subject.profile)
    try:
        data = run_sync(reviews.config_map(subject.api, namespace, subject.profile, until(inquiry)))
    except ClusterError as error:
        return _no_profile(error, source, namespace)
    try:
        values = parse_profile(data, source)
    except UsageError as error:
        why = "a part of a site is worse than none: nothing of it is used"
        hints = error.hints or (
            f"an operator corrects it: kubectl -n {word(namespace)} edit configmap {word(subject.profile)}",
        )
        return fail("cluster.profile.invalid", error.fact, why, *hints)
    return ok("cluster.profile.ok", f"{source} says {len(values)} things", profile=dict(data), source=source)


def _no_profile(error: ClusterError, source: str, namespace: str) -> Finding:
    if isinstance(error, ApiError) and error.status == 404:
        return ok("cluster.profile.absent", f"there is no {source.removeprefix('the ')}")
    if isinstance(error, ApiError) and error.status == 403:
        return warn(
            "cluster.profile.forbidden",
            f"{source} may not be read: {error.message}",
            "what the operator says of the site, of its key and its names, is not known here",
            f"ask for the verb get on configmaps in namespace {namespace}, or say it in gfattach.toml",
        )
    return failure(
        "cluster.profile.failed",
        error,
        "what the operator says of the site is not known here",
        f"ask by hand: kubectl -n {word(namespace)} get configmaps",
    )


PROFILE = Probe(
    "cluster.profile",
    "what did the operator publish",
    _profile,
    _PROFILE_CODES,
    ("cluster.identity",),
    seconds=4.0,
)
