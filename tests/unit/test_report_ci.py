"""What CI systems are given: within GitHub's limits, and as JUnit XML that other readers read."""

import io
from xml.etree import ElementTree

import junitparser
import pytest

from gfattach.core.engine import Report, Run, StageResult
from gfattach.core.errors import RefusedError
from gfattach.core.finding import fail, ok, skip, unknown, warn
from gfattach.report import github
from gfattach.report.junit import junit
from gfattach.report.plain import PlainObserver


def report(**findings):
    return Report((StageResult("cache", "ask the cache", findings, 0.0, 0.5),), 0.6)


MANY = report(
    **{f"e{n}": fail("c.fail", f"broken {n}", "why", "fix") for n in range(25)},
    **{f"w{n}": warn("c.warn", f"doubt {n}", "why", "fix") for n in range(3)},
)


def test_no_more_annotations_of_a_kind_than_github_shows_and_the_last_counts_the_others():
    lines = [*github.workflow_commands(MANY, None)]
    errors = [line for line in lines if line.startswith("::error")]
    assert len(errors) == 10 and errors[-1].endswith("::and 16 more: see the step summary")
    assert sum(line.startswith("::warning") for line in lines) == 3


def test_a_summary_that_github_would_refuse_is_cut_between_lines_and_says_so():
    long = report(**{f"p{n}": fail("c.fail", "x" * 5000, "") for n in range(400)})
    summary = github.step_summary("doctor", long, {}, None)
    assert 900_000 < len(summary.encode()) <= github.MOST_SUMMARY
    assert summary.endswith("… and more, which GitHub would not take\n")


@pytest.fixture
def read():
    """A run with each status and a message full of what XML cannot hold, as another reader reads it."""
    made = report(
        good=ok("c.ok", "answers"),
        doubtful=warn("c.warn", "slow", "builds wait", "measure it"),
        broken=fail("c.fail", "\x1b[31mred\x1b[0m & <tag> \x00\ud800", "why", "fix"),
        left=skip("c.skip", "no Bazel"),
        hidden=unknown("c.unknown", "may not list nodes"),
    )
    text = junit("doctor", made, RefusedError("refused here", "ask"))
    ElementTree.fromstring(text)
    return junitparser.JUnitXml.fromroot(junitparser.JUnitXml.fromstring(text.encode())._elem)


def test_another_reader_counts_what_passed_failed_and_was_skipped(read):
    suites = {suite.name: suite for suite in read}
    assert (suites["cache"].tests, suites["cache"].failures, suites["cache"].skipped) == (5, 1, 2)
    assert suites["doctor"].errors == 1


def test_a_warning_is_a_passed_case_that_says_it(read):
    case = next(case for suite in read for case in suite if case.name == "doubtful")
    assert case.is_passed and "warning [c.warn] slow" in case.system_out


def test_colours_and_control_characters_of_other_programs_are_left_out(read):
    case = next(case for suite in read for case in suite if case.name == "broken")
    [failure] = case.result
    assert failure.message == "red & <tag> " and failure.type == "c.fail"
    assert "fix" in failure.text


def test_an_error_that_a_finding_has_shown_is_no_case_of_its_own():
    text = junit("doctor", report(broken=fail("refused", "refused here", "")), RefusedError("refused here"))
    assert len(junitparser.JUnitXml.fromfile(io.BytesIO(text.encode()))) == 1


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::error::gone", ": :error::gone"),
        (" \t::add-mask::x", " \t: :add-mask::x"),
        ("one\n::stop-commands::x", "one\n: :stop-commands::x"),
        ("before ##[error]x", "before # #[error]x"),
        ("std::string and a #[derive]", "std::string and a #[derive]"),
    ],
)
def test_a_line_of_another_program_is_no_workflow_command(line, shown):
    """The runner trims white space before it looks for `::`, and finds `##[` anywhere."""
    assert github.harmless(line) == shown


def test_the_checklist_of_a_job_goes_through_it():
    stream = io.StringIO()
    run = Run(PlainObserver(stream, clean=github.harmless))
    run.step(
        "pods", "look", lambda progress: {"pods": fail("c.fail", "::error::from a pod", "", "::group::x")}
    )
    assert not any(line.lstrip().startswith("::") for line in stream.getvalue().splitlines())
