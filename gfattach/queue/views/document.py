"""Answers and audits as JSON: `docs/schema/queue-v1.json`. Amounts are whole numbers of thousandths."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import asdict

from gfattach.cluster.api.metadata import Reference
from gfattach.queue.answer import Answer, Found
from gfattach.queue.audit.audit import Audit
from gfattach.queue.github import unseen
from gfattach.queue.model.question import Question
from gfattach.queue.model.snapshot import Snapshot
from gfattach.queue.pressure.capacity import Capacity, counts_json, holder_json
from gfattach.queue.pressure.pressure import Pressure

SCHEMA = "gfattach.queue/1"


def answers_document(answers: Sequence[Answer], question: Question, snapshot: Snapshot) -> dict[str, Any]:
    """What was asked, and every answer."""
    return {
        **head("answers", snapshot),
        "question": {
            "label": question.label,
            "repository": question.repository,
            "run": question.run or None,
            "queued": _time(question.queued),
        },
        "answers": [_answer(each, question) for each in answers],
    }


def audit_document(found: Audit, snapshot: Snapshot) -> dict[str, Any]:
    """All that is amiss."""
    return {
        **head("audit", snapshot),
        "findings": [
            {
                "code": each.rule.code,
                "title": each.rule.title,
                "sentence": each.sentence,
                "objects": [_reference(one) for one in each.amiss.objects],
                "since": _time(each.amiss.since),
                "takes": list(each.takes),
            }
            for each in found.findings
        ],
        "clean": [each.code for each in found.clean],
        "unknown": [
            {"code": each.code, "title": each.title, "right": right} for each, right in found.unknown
        ],
    }


def head(kind: str, snapshot: Snapshot) -> dict[str, Any]:
    """What every document begins with."""
    return {
        "schema": SCHEMA,
        "kind": kind,
        "at": snapshot.at.isoformat(),
        "server": snapshot.server,
        "missing": snapshot.missing(),
    }


def _answer(found: Answer, question: Question) -> dict[str, Any]:
    return {
        "label": found.label,
        "owner": found.owner,
        "verdict": found.verdict.name.lower().replace("_", "-"),
        "headline": found.headline,
        "summary": found.summary,
        "missing": list(found.missing),
        "cause": None if found.cause is None else _found(found.cause),
        "also": [_found(each) for each in found.also],
        "possible": [_found(each) for each in found.possible],
        "ruled_out": [{"code": each.code, "clear": each.clear} for each in found.ruled_out],
        "unknown": [
            {"code": each.cause.code, "title": each.cause.title, "right": each.right}
            for each in found.unknown
        ],
        "not_in_cluster": [asdict(each) for each in unseen(question, found.owner.split(", ")[0])],
        "pressure": None if found.pressure is None else _pressure(found.pressure, found.at),
    }


def _found(found: Found) -> dict[str, Any]:
    return {
        "code": found.cause.code,
        "title": found.cause.title,
        "certainty": found.cause.certainty.value,
        "sentence": found.sentence,
        "objects": [_reference(each) for each in found.objects],
        "since": _time(found.hit.since),
        "next": list(found.next),
    }


def _reference(found: Reference) -> dict[str, str]:
    return {"kind": found.kind, "namespace": found.namespace, "name": found.name}


def _time(found: datetime | None) -> str | None:
    return None if found is None else found.isoformat()


def _pressure(found: Pressure, at: datetime) -> dict[str, Any]:
    nodes = found.nodes
    return {
        "capacity": None if found.capacity is None else _capacity(found.capacity, at),
        "scheduler": None
        if found.refusals is None
        else [
            {
                "message": each.message,
                "pods": each.pods,
                "nodes": each.nodes,
                "parts": [asdict(part) for part in each.parts],
            }
            for each in found.refusals
        ],
        "quotas": None
        if found.quotas is None
        else [{**asdict(each), "enough": each.enough} for each in found.quotas],
        "nodes": None
        if nodes is None
        else [{**asdict(each), "lacking": list(each.lacking), "fits": each.fits} for each in nodes],
        "claims": None if found.claims is None else [asdict(each) for each in found.claims],
        "unknown": [{"part": part, "right": right} for part, right in found.unknown.items()],
    }


def _capacity(found: Capacity, at: datetime) -> dict[str, Any]:
    return {
        "maximum": found.maximum,
        "wanted": found.wanted,
        **counts_json(found.counts),
        "sets": [
            {
                "namespace": each.namespace,
                "name": each.name,
                "group": each.group,
                "minimum": each.minimum,
                "maximum": each.maximum,
                "wanted": each.wanted,
                **counts_json(each.counts),
            }
            for each in found.sets
        ],
        "holders": [holder_json(at, each) for each in found.holders],
        "waiting": [asdict(each) for each in found.waiting],
    }
