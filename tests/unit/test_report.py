"""What is shown: the voice of the checklist, the document against its schema, annotations."""

import io
import json
import re
import time
from pathlib import Path

import jsonschema
import pytest

from gfattach.core.engine import Run
from gfattach.core.errors import RefusedError
from gfattach.core.finding import Probe, Stage, fail, ok, skip, warn
from gfattach.probes.certificates.stage import PURPOSES, stage_of
from gfattach.probes.codes import all_stages
from gfattach.report import document, github, text
from gfattach.report.plain import PlainObserver

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/schema/report-v1.json").read_text())
#: Stages whose name is handed on before it is used.
NAMED_OTHERWISE = ("forward", "plaintext", "fill", "hit", "warm", "cold", "control")
CODES = {"c.ok": "", "c.warn": "", "c.fail": "", "c.skip": ""}


@pytest.fixture
def seen():
    """A run with a finding of each kind, and what the plain observer wrote of it."""
    stream = io.StringIO()
    run = Run(PlainObserver(stream))
    answers = {
        "c.port": ok("c.ok", "127.0.0.1:9092 answers", port=9092),
        "c.slow": warn("c.warn", "a lookup takes 300 ms", "builds wait for each", "measure it: ping HOST"),
        "c.tls": fail(
            "c.fail", "the certificate is for a|b, not c", "nothing is trusted", "see: x", "or: y\nz"
        ),
        "c.blob": skip("c.skip", "not written: read-only"),
    }
    probes = tuple(Probe(n, n, lambda q, f=f: f, CODES) for n, f in answers.items())  # type: ignore[misc]
    run.stage(Stage("cache", "ask the cache", probes), None)
    run.step(
        "write", "write the fragments", lambda progress: progress("half") or {"write": ok("c.ok", "wrote")}
    )
    return run.report(), stream.getvalue()


def test_the_plain_checklist_is_a_line_a_stage_with_what_is_not_well_below_it(seen):
    lines = seen[1].splitlines()
    assert lines[0].startswith("fail  cache        1 of 4 ok, 1 skipped  (")
    assert "      warn  a lookup takes 300 ms  [c.warn]" in lines
    assert "              builds wait for each" in lines
    assert "            > measure it: ping HOST" in lines
    assert lines[-2:][0] == "      write: half"
    assert lines[-1].startswith("ok    write        wrote  (")
    assert "read-only" not in seen[1]


def test_the_name_of_every_stage_fits_its_column():
    package = Path(text.__file__).parents[1]
    source = "".join(path.read_text() for path in package.rglob("*.py"))
    names = {*re.findall(r'run\.(?:step|account)\(\s*"([^"]+)"', source), *NAMED_OTHERWISE}
    names |= {stage.name for stage in all_stages()} | {stage_of(purpose).name for purpose in PURPOSES}
    assert len(names) > 20
    assert [name for name in names if len(name) > text.NAME_WIDTH] == []


def test_the_document_holds_to_its_schema(seen):
    error = RefusedError("refused", "do this")
    for made in (
        document.document("up", seen[0], 1, {"first_hit": None}),
        document.document("down", None, 3, error=error),
    ):
        jsonschema.validate(made, SCHEMA)
        json.dumps(made)


def test_annotations_name_what_failed_and_escape_what_github_would_read(seen):
    lines = list(github.workflow_commands(seen[0], RefusedError("100% refused", "one, two")))
    assert lines[0].startswith("::error title=c.tls c.fail::") and "\n" not in lines[0]
    assert lines[1] == "::error title=refused::100%25 refused%0Aone, two"
    assert lines[2].startswith("::warning title=c.slow c.warn::a lookup takes 300 ms%0A")


def test_the_step_summary_is_a_table_that_a_bar_does_not_break(seen):
    summary = github.step_summary("up", seen[0], {}, None)
    rows = [line for line in summary.splitlines() if line.startswith("| cache")]
    assert len(rows) == 4
    assert "a\\|b" in summary


def test_the_headline_names_the_time_and_the_stages():
    first = {
        "client": "bazel",
        "seconds": 1.84,
        "stages": [{"name": "a", "seconds": 0.22}, {"name": "b", "seconds": 1.62}],
    }
    assert text.headline(first) == "time to first cache hit  1.84 s   (a 0.22 · b 1.62)"


def test_a_stage_of_which_nothing_was_asked_says_the_reason_and_not_what_followed_from_it():
    stream = io.StringIO()
    run = Run(PlainObserver(stream))
    first = Probe("c.one", "one", lambda q: skip("c.skip", "there is no Bazel on this machine"), CODES)
    then = Probe("c.two", "two", lambda q: ok("c.ok", "never reached"), CODES, needs=("c.one",))
    run.stage(Stage("bazel", "ask Bazel", (first, then)), None)
    assert stream.getvalue().startswith(
        "skip  bazel        0 of 2 ok, 2 skipped · there is no Bazel on this machine  ("
    )


def test_the_step_summary_gives_a_step_s_own_time_to_its_one_finding():
    run = Run(PlainObserver(io.StringIO()))
    run.step(
        "trial", "start the caches", lambda progress: time.sleep(0.12) or {"trial": ok("t.ok", "serves")}
    )
    assert re.search(
        r"\| trial \| ok \| (?!0\.0)[\d.]+ s \| serves \|", github.step_summary("up", run.report(), {}, None)
    )
