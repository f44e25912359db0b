"""Trust stores: each program has its own, and one that does not know the authority refuses the endpoint."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gfattach.bazel.authorities import certificates as java_certificates
from gfattach.bazel.authorities import java_store
from gfattach.deadline import Deadline
from gfattach.errors import NixError
from gfattach.finding import Finding, Probe, ok, skip, warn
from gfattach.nix.authorities import BUNDLES, bundle, daemon_bundle
from gfattach.nix.config import Settings, read_settings
from gfattach.paths import config_directory
from gfattach.probes.certificates_subject import (
    CertificateInquiry,
    CertificateSubject,
    Client,
    inspected,
)
from gfattach.tls.certificate import Certificate, holds, split_pem

#: Seconds that Nix may take to say its settings, twice.
_SETTINGS_SECONDS = 2.0


@dataclass(frozen=True)
class _Store:
    """Whom a client trusts. `content` is None where that cannot be seen, `reason` says why."""

    name: str
    content: tuple[bytes, ...] | None
    reason: str = ""
    settings: Settings | None = None

    def knows(self, authority: Certificate) -> bool | None:
        """Whether it has the authority's key; None where that cannot be seen."""
        return None if self.content is None else holds(self.content, authority)


def _ask_stores(inquiry: CertificateInquiry) -> Finding:
    subject = inquiry.subject
    anchor = inspected(inquiry).anchor
    if anchor is None:
        return skip("certificates.stores.unseen", "which authority vouches for it was not seen")
    stores = {
        client: _store(subject, client, inquiry.deadline)
        for client in subject.clients
        if client is not Client.GFATTACH  # it has just verified the endpoint
    }
    known = {client: store.knows(anchor) for client, store in stores.items()}
    data = {
        "authority": anchor.subject,
        "stores": {
            c.value: {"store": s.name, "holds": known[c], "reason": s.reason} for c, s in stores.items()
        },
    }
    for client, store in stores.items():
        if known[client] is False:
            return _lacking(subject, client, store, anchor, data)
    unreadable = next(((c, s) for c, s in stores.items() if s.content is None and s.reason), None)
    if unreadable is not None:
        client, store = unreadable
        return warn(
            "certificates.stores.unreadable",
            f"whom {client} trusts cannot be read: {store.name}: {store.reason}",
            "it can verify nobody then",
            "apt-get install ca-certificates, or name a bundle that is there",
            **data,
        )
    seen = [client.value for client, knows in known.items() if knows]
    unseen = [client.value for client, knows in known.items() if knows is None]
    trusts = f"{' and '.join(['gfattach', *seen])} trust{'' if seen else 's'} {anchor.subject}"
    more = f"; what {' and '.join(unseen)} trusts is not known here" if unseen else ""
    return ok("certificates.stores.agree", f"{trusts}{more}", **data)


def _store(subject: CertificateSubject, client: Client, deadline: Deadline) -> _Store:
    if client is Client.BAZEL:
        return _bazels(subject)
    if subject.nix is None:
        return _Store(f"{client}'s", None)
    within = deadline.within(_SETTINGS_SECONDS)
    settings = None
    try:
        if client is Client.DAEMON:
            file = daemon_bundle(subject.nix, within, subject.environ)
        else:
            settings = read_settings(subject.nix, within, subject.environ)
            file = bundle(settings, subject.environ)
    except NixError:  # the stage of Nix says what is wrong with it
        return _Store(f"{client}'s", None)
    if file is None:
        return _Store("a bundle", None, f"there is none at {' or '.join(map(str, BUNDLES))}", settings)
    return _in_file(file, settings)


def _bazels(subject: CertificateSubject) -> _Store:
    if subject.ca_file is not None:
        # The fragment gives it to Bazel, which then trusts nobody else.
        return _in_file(subject.ca_file, None)
    found = None if subject.bazel is None else java_store(subject.bazel)
    if found is None:
        return _Store("its JVM's", None)
    name, content = found
    try:
        return _Store(name, java_certificates(content))
    except ValueError:
        return _Store(name, None)


def _in_file(file: Path, settings: Settings | None) -> _Store:
    try:
        return _Store(str(file), split_pem(file.read_bytes()), settings=settings)
    except OSError as error:
        return _Store(str(file), None, (error.strerror or str(error)).lower(), settings)


def _lacking(
    subject: CertificateSubject, client: Client, store: _Store, anchor: Certificate, data: dict[str, Any]
) -> Finding:
    seen = f"{client} goes by {store.name}, which lacks {anchor.subject}, and gfattach does not"
    why = f"{client} refuses {subject.where} then"
    file = subject.ca_file or next((path for path in BUNDLES if path.exists()), None)
    if client is Client.BAZEL:
        why = "Bazel says only: General OpenSslEngine problem"
        give = f"--ca-file {file or 'FILE'}, or cache.ca_file in gfattach.toml"
        return warn(
            "certificates.stores.bazel", seen, why, f"have the fragment name it to Bazel: {give}", **data
        )
    if client is Client.DAEMON:
        return warn(
            "certificates.stores.daemon",
            seen,
            f"{why}; what this user sets does not count for it",
            f"ask the administrator to add {file or 'the authority'} to the system's authorities "
            "(update-ca-certificates), or to set ssl-cert-file in /etc/nix/nix.conf, and restart the daemon",
            **data,
        )
    return warn("certificates.stores.nix", seen, why, *_nix_hints(file, store), **data)


def _nix_hints(file: Path | None, store: _Store) -> Iterable[str]:
    """What to set for a Nix client: a file that is named takes the place of the other, so one of both."""
    both = config_directory() / "authorities.pem"
    yield f"make a bundle of both: mkdir -p {both.parent} && cat {store.name} {file or 'FILE'} > {both}"
    if store.settings is not None and "ssl-cert-file" in store.settings.known:
        yield f"put into ~/.config/nix/nix.conf: ssl-cert-file = {both}"
    else:  # before 2.15 there is the variable only
        yield f"export NIX_SSL_CERT_FILE={both}"


STORES = Probe(
    "certificates.stores",
    "does every program that will use it trust it",
    _ask_stores,
    {
        "certificates.stores.agree": "every program whose trust store can be seen trusts the authority",
        "certificates.stores.bazel": "Bazel's trust store lacks the authority",
        "certificates.stores.nix": "the Nix client's trust store lacks the authority",
        "certificates.stores.daemon": "the Nix daemon's trust store lacks the authority",
        "certificates.stores.unreadable": "the trust store that a program goes by cannot be read",
        "certificates.stores.unseen": "which authority vouches for the endpoint was not seen",
    },
    ("certificates.trust",),
    seconds=8.0,
)
