"""Every way of showing a finding, an error or a proof goes through the one filter."""

import io
import json

import pytest

from gfattach.core.engine import Run
from gfattach.core.errors import GfattachError
from gfattach.core.finding import fail
from gfattach.proof.evidence import Client, Phase, PhaseName
from gfattach.proof.record import conclude
from gfattach.report.document import document
from gfattach.report.github import step_summary, workflow_commands
from gfattach.report.live import LiveObserver
from gfattach.report.plain import PlainObserver
from gfattach.report.text import error_lines

CANARY = "c4nary5e0b1c9d7a"
SAID = f"https://me:{CANARY}@cache.example refused, Authorization: Bearer {CANARY}"


def ran(observer):
    """A run whose one step says a secret in every place where a finding can."""
    run = Run(observer)

    def work(progress):
        progress(f"asking with token={CANARY}")
        return {"x": fail("x.failed", SAID, f"why: {SAID}", f"hint: {SAID}", said=SAID, token=CANARY)}

    run.step("x", f"ask {SAID}", work)
    return run.report()


@pytest.mark.parametrize("observer", [PlainObserver, LiveObserver])
@pytest.mark.parametrize("verbose", [False, True])
def test_the_checklist(observer, verbose):
    stream = io.StringIO()
    shown = observer(stream, verbose=verbose)
    ran(shown)
    shown.close()
    assert "cache.example refused" in stream.getvalue()
    assert CANARY not in stream.getvalue()


def test_the_document_the_annotations_the_summary_and_the_error():
    report = ran(PlainObserver(io.StringIO()))
    error = GfattachError(f"it said {SAID}", f"hint {SAID}")
    result = {"first_hit": None, "deep": [{"headers": {"cookie": CANARY}}, SAID]}
    made = [
        json.dumps(document("up", report, 1, result, error)),
        "\n".join(workflow_commands(report, error)),
        step_summary("up", report, result, error),
        "\n".join(error_lines(error.fact, error.hints)),
    ]
    for text in made:
        assert "cache.example refused" in text
        assert CANARY not in text


def test_the_evidence_of_a_proof():
    phase = Phase(
        Client.PROTOCOL, PhaseName.HIT, 0.0, 1.0, 1, 0, 1, violations=(SAID,), detail={"token": CANARY}
    )
    report = ran(PlainObserver(io.StringIO()))
    record = json.dumps(conclude([phase], report, 0.0, {"cache": SAID}).as_json())
    assert "cache.example refused" in record and CANARY not in record
