"""The credential of a kubeconfig's user, and whom they impersonate.

As in kubectl, a token, a password or a client certificate of the entry comes before its plugin, a
readable token file before a token beside it, and nothing at all is sent to a server without TLS.
"""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from gfattach.cluster.kubeconfig.bounded import read_bounded
from gfattach.cluster.kubeconfig.entries import Cluster, User
from gfattach.cluster.kubeconfig.trust import PEM_BYTES, PemError, not_after
from gfattach.core.deadline import Deadline
from gfattach.core.errors import ClusterError
from gfattach.core.quote import word
from gfattach.core.value import Redacted

if TYPE_CHECKING:
    from gfattach.cluster.kubeconfig.exec_cache import ExecCredential
    from gfattach.core.terminal import Terminal

#: Tokens in files are replaced under the hands of who reads them: they are read anew after this long.
TOKEN_FILE_READ_AGAIN = timedelta(seconds=60)

#: What the credential of an auth-provider comes from.
OIDC_SOURCE = "the id-token of an auth-provider"

#: What to do about an auth-provider: kubectl refreshes its token and writes it back, while it still speaks
#: it.
_OIDC_HINTS = (
    "have kubectl refresh it, which writes it into the kubeconfig: kubectl auth whoami",
    "or log in again, as you did first; an exec plugin replaces it: kubectl oidc-login setup",
)

#: Characters of a header's name (RFC 9110); the others of an extra's key, and %, are percent-encoded.
_NAME_CHARACTERS = frozenset(string.ascii_letters + string.digits + "!#$&'*+-.^_`|~")


class Credential(Redacted, frozen=True):
    """What is shown to the API server.

    `authorization` is the header's whole value, `certificate` and `key` are PEM; `source` names, for
    people, what it comes from; `expires` is when it has to be had anew, None for never. `exec_credential` is
    what a plugin handed out, where it is that.
    """

    REDACTED: ClassVar = frozenset({"authorization", "certificate", "key", "impersonate", "exec_credential"})

    source: str = "nothing"
    authorization: str | None = None
    certificate: bytes = b""
    key: bytes = b""
    impersonate: tuple[tuple[str, str], ...] = ()
    expires: datetime | None = None
    exec_credential: ExecCredential | None = None


class ExecOptions(Redacted, frozen=True):
    """How an exec plugin is asked: `anew` though what it handed out has not expired (it was refused), with
    the `terminal` of its user; `handed` is what it handed out to another process, which is used while it
    holds.
    """

    REDACTED: ClassVar = frozenset({"handed"})

    anew: bool = False
    terminal: Terminal | None = None
    handed: ExecCredential | None = None


def credential_of(
    user: User,
    cluster: Cluster,
    deadline: Deadline,
    environ: Mapping[str, str],
    options: ExecOptions = ExecOptions(),
) -> Credential:
    """The credential of `user`. Raises ClusterError (cluster.credential.*)."""
    _check(user)
    certificate, key, expires = _certificate(user)
    source = "a client certificate"
    authorization: str | None = None
    exec_credential: ExecCredential | None = None
    if user.token_file is not None:
        token = _token_from(user, user.token_file)
        source, authorization = f"the token file {user.token_file}", _bearer(user, token)
        again = datetime.now(UTC) + TOKEN_FILE_READ_AGAIN
        expires = min(expires or again, again)
    elif user.token:
        source, authorization = "a token", _bearer(user, user.token)
    elif user.username or user.password:
        pair = base64.b64encode(f"{user.username}:{user.password}".encode()).decode()
        source, authorization = "a user name and password", f"Basic {pair}"
    elif user.auth_provider == "oidc":
        token, until = _id_token(user)
        source, authorization = f"{OIDC_SOURCE}, until {until:%Y-%m-%d %H:%M} UTC", _bearer(user, token)
        expires = min(expires or until, until)
    elif user.exec is not None and not certificate:
        from gfattach.cluster.kubeconfig.exec_plugin import hand_out

        plugin, exec_credential = user.exec, options.handed
        if exec_credential is None or options.anew or not exec_credential.fresh:
            exec_credential = hand_out(
                user, plugin, cluster, deadline, environ, options.anew, options.terminal
            )
        source, expires = f"the plugin {plugin.command}", exec_credential.expires
        certificate, key = exec_credential.certificate, exec_credential.key
        if certificate:
            ends = _still_valid(certificate, f"the certificate that the plugin {plugin.command!r} handed out")
            expires = min(expires or ends, ends)
        authorization = _bearer(user, exec_credential.token) if exec_credential.token else None
    elif not certificate:
        raise _fault(
            user,
            "none",
            "has no credential: no token, certificate, password or plugin",
            "log in again with what made the kubeconfig, or name another with --context",
        )
    return Credential(source, authorization, certificate, key, _impersonation(user), expires, exec_credential)


def _fault(user: User, name: str, fact: str, *hints: str) -> ClusterError:
    return ClusterError(
        f"the user {user.name!r} in {user.origin} {fact}", *hints, code=f"cluster.credential.{name}"
    )


def _check(user: User) -> None:
    """Refuse what kubectl refuses too."""
    if user.auth_provider is not None and user.exec is not None:
        raise _fault(user, "several", "has an auth-provider and an exec plugin", "remove one of them")
    if user.auth_provider not in (None, "oidc"):
        raise _fault(
            user,
            "auth-provider",
            f"has the auth-provider {user.auth_provider!r}, which is not spoken here",
            "kubectl speaks it no longer either: use an exec plugin (gke-gcloud-auth-plugin, kubelogin, ...)",
        )
    if user.token and (user.username or user.password):
        raise _fault(
            user, "several", "has a token and a user name: only one can be sent", "remove one of them"
        )
    if user.certificate is not None and user.certificate_data:
        raise _fault(
            user, "several", "has client-certificate and client-certificate-data", "remove one of them"
        )
    if user.key is not None and user.key_data:
        raise _fault(user, "several", "has client-key and client-key-data", "remove one of them")
    if not user.impersonate and (user.impersonate_uid or user.impersonate_groups or user.impersonate_extra):
        raise _fault(
            user, "impersonation", "impersonates a uid, groups or extras without a name", "add: as: NAME"
        )


def _certificate(user: User) -> tuple[bytes, bytes, datetime | None]:
    """The entry's own certificate and key, and when it ends; empty where there is none."""
    certificate = _content(user, user.certificate, user.certificate_data)
    if not certificate:
        return b"", b"", None
    key = _content(user, user.key, user.key_data)
    if not key:
        raise _fault(
            user, "key", "has a client certificate without a key", "add client-key or client-key-data"
        )
    return certificate, key, _still_valid(certificate, f"the client certificate of the user {user.name!r}")


def _content(user: User, file: Path | None, data: bytes) -> bytes:
    if file is None:
        return data
    try:
        content = read_bounded(file, PEM_BYTES)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _fault(
            user,
            "file",
            f"names {file}, which cannot be read: {reason}",
            f"look: ls -l {word(file)}",
        ) from None
    except ValueError as error:
        raise _fault(user, "file", f"names {file}, which is {error}") from None
    if not content.strip():
        raise _fault(user, "file", f"names {file}, which is empty")
    return content


def _still_valid(certificate: bytes, what: str) -> datetime:
    """When a certificate ends. Raises ClusterError when it has, or cannot be read."""
    try:
        ends = not_after(certificate)
    except PemError as error:
        raise ClusterError(f"{what} {error.fact}", code=f"cluster.credential.{error.code}") from None
    if ends <= datetime.now(UTC):
        raise ClusterError(
            f"{what} expired on {ends:%Y-%m-%d %H:%M} UTC",
            "get a new one from who runs the cluster, and check this machine's clock",
            code="cluster.credential.expired",
        )
    return ends


def _token_from(user: User, file: Path) -> str:
    try:
        token = read_bounded(file, PEM_BYTES).decode("ascii").strip()
        if token:
            return token
        problem = "is empty"
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or str(error)).lower()}"
    except ValueError:
        problem = "holds no token"
    if user.token:
        return user.token
    raise _fault(
        user,
        "token-file",
        f"has the token file {file}, which {problem}",
        f"look at it: ls -l {word(file)}",
    )


def _id_token(user: User) -> tuple[str, datetime]:
    """The id-token of an auth-provider oidc, and until when it holds. Nothing is refreshed here: that is a
    conversation with the issuer, which kubectl has. Raises ClusterError (cluster.credential.auth-provider).
    """
    settings = dict(user.auth_config)
    missing = [name for name in ("idp-issuer-url", "client-id", "id-token") if not settings.get(name)]
    if missing:
        raise _fault(user, "auth-provider", f"has an auth-provider oidc without {missing[0]}", *_OIDC_HINTS)
    token = settings["id-token"]
    try:
        claims = token.split(".")[1]
        content = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        until = datetime.fromtimestamp(float(content["exp"]), UTC)
    except (ValueError, LookupError, TypeError, OverflowError, OSError):
        raise _fault(
            user, "auth-provider", "has an auth-provider oidc whose id-token is none", *_OIDC_HINTS
        ) from None
    if until <= datetime.now(UTC):
        fact = f"has an auth-provider oidc whose id-token expired on {until:%Y-%m-%d %H:%M} UTC"
        raise _fault(user, "auth-provider", fact, *_OIDC_HINTS)
    return token, until


def _bearer(user: User, token: str) -> str:
    token = token.rstrip(" \t")  # which is no part of a header's value
    if not _fits_header(token):
        raise _fault(user, "token", "has a token with characters that no header can hold", "get a new token")
    return f"Bearer {token}"


def _fits_header(value: str) -> bool:
    return value.isascii() and value.isprintable() and value.strip() == value


def _impersonation(user: User) -> tuple[tuple[str, str], ...]:
    """The headers by which the API server takes us for another."""
    found = [("Impersonate-User", user.impersonate)] if user.impersonate else []
    if user.impersonate_uid:
        found.append(("Impersonate-Uid", user.impersonate_uid))
    found += [("Impersonate-Group", group) for group in user.impersonate_groups]
    for key, values in user.impersonate_extra:
        name = "".join(c if c in _NAME_CHARACTERS else _percent(c) for c in key)
        found += [(f"Impersonate-Extra-{name}", value) for value in values]
    if not all(value.isprintable() and value.strip() == value for _, value in found):
        raise _fault(user, "impersonation", "impersonates a name with characters that no header can hold")
    return tuple(found)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))
