"""The part of an attestation that can be checked without keys: whose digest it is about.

The bundle is Sigstore's: a DSSE envelope around an in-toto statement. Its signature, the identity that signed
and the transparency log are `gh attestation verify`'s to check.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.core.finding import Finding, fail, skip

PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def check_attestation(bundle: Mapping[str, Any], content: bytes, name: str) -> Iterator[Finding]:
    """Whether `bundle` is about the file whose bytes are `content`; and what nothing here checks."""
    payload = _payload(bundle)
    if payload is None:
        said = f"{name} is no Sigstore bundle with an in-toto statement"
        yield fail("rbe.result.attestation", said, "it attests nothing")
        return
    if payload.get("predicateType") != PREDICATE_TYPE:
        said = f"the attestation's predicate is {payload.get('predicateType')!r}, and not {PREDICATE_TYPE}"
        yield fail(
            "rbe.result.predicate", said, "it says something else of the file than where it comes from"
        )
    subjects = payload.get("subject")
    digests = [
        each["digest"].get("sha256")
        for each in (subjects if isinstance(subjects, list) else ())
        if isinstance(each, dict) and isinstance(each.get("digest"), dict)
    ]
    if digests != [hashlib.sha256(content).hexdigest()]:
        said = "the attestation's one subject is not this proof result"
        yield fail("rbe.result.subject", said, "what was signed is another file")
    yield skip(
        "rbe.verify.signature",
        "the signature was not checked, nor who signed: nothing here has the keys for it",
        "check it: gh attestation verify proof-result.json --bundle proof-result.attestation.json --repo "
        "tinyland-inc/GloriousFlywheel --predicate-type https://slsa.dev/provenance/v1",
    )


def unattested() -> Finding:
    """That there is no attestation to check."""
    said = "there is no proof-result.attestation.json beside it: who made it is not attested"
    return skip(
        "rbe.verify.unattested",
        said,
        "fetch it: gh attestation download proof-result.json --repo tinyland-inc/GloriousFlywheel",
    )


def _payload(bundle: Mapping[str, Any]) -> Mapping[str, Any] | None:
    envelope = bundle.get("dsseEnvelope")
    if not isinstance(envelope, dict) or envelope.get("payloadType") != PAYLOAD_TYPE:
        return None
    if not envelope.get("signatures"):
        return None
    try:
        found = json.loads(base64.b64decode(envelope.get("payload", ""), validate=True))
    except (binascii.Error, TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
