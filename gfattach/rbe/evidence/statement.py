"""The in-toto Statement v1 beside the evidence: who signs it says that this is what was seen.

It is unsigned. `gh attestation` and `cosign attest-blob` can sign it; nothing here pretends to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from gfattach.core.finding import Finding, fail
from gfattach.rbe.evidence.document import DOCUMENT_NAME

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"

#: The predicate is in-toto's test-result, whose fields a proof fills: what was run, and that it passed.
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"


def statement(content: bytes, document: Mapping[str, Any], *, proved: bool = True) -> dict[str, Any]:
    """The statement about the evidence document whose bytes are `content`: that it proves, or does not."""
    log = next((each for each in document["files"] if each["role"] == "execution-log"), None)
    configuration = [
        {"name": each["name"], "digest": {"sha256": each["sha256"]}} for each in document["files"]
    ]
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": DOCUMENT_NAME, "digest": {"sha256": hashlib.sha256(content).hexdigest()}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": "PASSED" if proved else "FAILED",
            "configuration": configuration if log is not None else [],
            "passedTests" if proved else "failedTests": [f"remote execution of {document['target']}"],
            **({"url": document["run"]["url"]} if document["run"]["url"] else {}),
        },
    }


def check_statement(
    said: Mapping[str, Any], content: bytes, document: Mapping[str, Any]
) -> Iterator[Finding]:
    """Whether `said` is the statement about `document`, whose bytes are `content`, and that it proves."""
    if said.get("_type") != STATEMENT_TYPE or said.get("predicateType") != PREDICATE_TYPE:
        kind = f"{said.get('_type')!r} with the predicate {said.get('predicateType')!r}"
        yield fail("rbe.evidence.statement-type", f"the statement is {kind}", "it says something else")
        return
    subject = said.get("subject")
    digests = [
        each["digest"].get("sha256")
        for each in (subject if isinstance(subject, list) else ())
        if isinstance(each, dict) and isinstance(each.get("digest"), dict)
    ]
    if digests != [hashlib.sha256(content).hexdigest()]:
        said_of = "the statement's subject is not this evidence"
        yield fail("rbe.evidence.statement-subject", said_of, "whoever signs it signs something else")
    elif said == statement(content, document, proved=False):
        why = "it was written of a proof that failed"
        yield fail("rbe.evidence.statement-failed", "the statement says that nothing was proved", why)
    elif said != statement(content, document):
        told = "the statement says something else than follows from the evidence"
        yield fail("rbe.evidence.statement-told", told, "whoever signs it signs what nobody saw")
