"""Trust stores: Bazel has its own, and one that does not know the authority refuses the endpoint.

Whom Nix and its daemon trust is asked in the stage of Nix.
"""

from __future__ import annotations

from msgspec import Struct

from gfattach.bazel.program.authorities import certificates as java_certificates
from gfattach.bazel.program.authorities import java_store
from gfattach.core.finding import Finding, Probe, ok, skip, warn
from gfattach.nix.authorities import BUNDLES
from gfattach.probes.certificates.subject import CertificateInquiry, CertificateSubject, inspected
from gfattach.tls.certificate import holds, split_pem


class _Store(Struct, frozen=True):
    """Whom Bazel trusts. `content` is None where that cannot be seen."""

    name: str
    content: tuple[bytes, ...] | None


def _ask_stores(inquiry: CertificateInquiry) -> Finding:
    subject = inquiry.subject
    anchor = inspected(inquiry).anchor
    if anchor is None:
        return skip("certificates.stores.unseen", "which authority signed it was not seen")
    data = {"authority": anchor.subject}
    if not subject.for_bazel:
        return ok("certificates.stores.ok", f"gfattach trusts {anchor.subject}", **data)
    store = _bazels(subject)
    known = None if store.content is None else holds(store.content, anchor)
    found = {**data, "stores": {"Bazel": {"store": store.name, "holds": known}}}
    if known is False:
        file = subject.ca_file or next((path for path in BUNDLES if path.exists()), None)
        return warn(
            "certificates.stores.bazel",
            f"Bazel goes by {store.name}, which lacks {anchor.subject}, and gfattach does not",
            "Bazel says only: General OpenSslEngine problem",
            f"have the fragment name it to Bazel: --ca-file {file or 'FILE'}, or cache.ca_file in "
            "gfattach.toml",
            **found,
        )
    seen = f"gfattach and Bazel trust {anchor.subject}"
    if known is None:
        seen = f"gfattach trusts {anchor.subject}; what Bazel trusts is not known here"
    return ok("certificates.stores.ok", seen, **found)


def _bazels(subject: CertificateSubject) -> _Store:
    if subject.ca_file is not None:
        # The fragment gives it to Bazel, which then trusts no other.
        return _Store(str(subject.ca_file), split_pem(subject.ca_file.read_bytes()))
    found = None if subject.bazel is None else java_store(subject.bazel)
    if found is None:
        return _Store("its JVM's", None)
    name, content = found
    try:
        return _Store(name, java_certificates(content))
    except ValueError:
        return _Store(name, None)


STORES = Probe(
    "certificates.stores",
    "does every program that will use it trust it",
    _ask_stores,
    {
        "certificates.stores.ok": "every program whose trust store can be seen trusts the authority",
        "certificates.stores.bazel": "Bazel's trust store lacks the authority",
        "certificates.stores.unseen": "which authority signed the certificate was not seen",
    },
    ("certificates.trust",),
)
