"""`gfattach rbe coverage`: a table of evidence alone, each cell with its date and source."""

import html.parser
import json
from datetime import timedelta
from types import SimpleNamespace

import pytest

from gfattach.cli.main import run
from gfattach.rbe.coverage.languages import LANGUAGES, OTHER, language_of
from tests.harness.execution.evidence import NONCE, STARTED, Evidence
from tests.harness.execution.logs import Action

COMPILE = Action(
    "//:b",
    "CppCompile",
    environment={"GFATTACH_RBE_NONCE": NONCE},
    arguments=("/usr/bin/gcc", "-c", "b.c"),
)


@pytest.fixture
def evidence(tmp_path):
    return Evidence(tmp_path / "proofs/one", before=None)


def coverage(capsys, path, *options):
    code = run(["rbe", "coverage", str(path), "--output", "json", *options])
    document = json.loads(capsys.readouterr().out)
    codes = {finding["code"] for stage in document["stages"] for finding in stage["findings"]}
    return code, {row["language"]: row for row in document["result"].get("languages", ())}, codes


def test_languages_without_evidence_say_so(tmp_path, capsys):
    code, rows, _ = coverage(capsys, tmp_path)
    assert code == 0 and {"Zig", "Chapel"} <= rows.keys()
    assert not any(row["known"] for row in rows.values())
    assert run(["rbe", "coverage", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "| Zig | no evidence | no evidence | no evidence | no evidence |" in out


def test_a_proof_fills_the_row_of_its_language_with_date_and_source(evidence, capsys, tmp_path):
    evidence.actions = [COMPILE, COMPILE.but(digest="ab" * 32, mnemonic="CppLink")]
    evidence.write()
    code, rows, _ = coverage(capsys, tmp_path)
    row = rows["C and C++"]
    assert code == 0 and [name for name, each in rows.items() if each["known"]] == ["C and C++"]
    assert row["executed"][0]["text"].startswith("//:b: 2 executed (CppCompile, CppLink) on gloriousflywheel")
    assert row["hermeticity"][0]["text"] == "not hermetic: runs /usr/bin/gcc of the worker"
    assert row["cached"][0]["text"] == "//:b: 2 served again from the cache"
    gaps = [cell["text"] for cell in row["gaps"]]
    assert gaps[0] == "worker image and restarts were not seen" and gaps[-1].endswith(
        "Says nothing of //:all."
    )
    for cells in ("executed", "hermeticity", "cached", "gaps"):
        assert {(cell["date"], cell["source"]) for cell in row[cells]} == {
            ("2026-11-30", "one/evidence.json")
        }


def test_programs_that_are_inputs_are_hermetic(evidence, capsys, tmp_path):
    evidence.actions = [COMPILE.but(arguments=("external/toolchain/bin/clang",), mnemonic="GoCompilePkg")]
    evidence.write()
    _, rows, _ = coverage(capsys, tmp_path)
    assert rows["Go"]["hermeticity"][0]["text"] == "Bazel-hermetic: every program is an input"


def test_what_does_not_hold_is_left_out_and_said(evidence, capsys, tmp_path):
    evidence.actions = [COMPILE]
    evidence.alone_exit = 0
    evidence.write()
    (tmp_path / "proofs/two").mkdir()
    (tmp_path / "proofs/two/evidence.json").write_text('{"schema": "other"}')
    _, rows, codes = coverage(capsys, tmp_path)
    assert not rows["C and C++"]["known"] and "rbe.coverage.unusable" in codes


def test_evidence_goes_stale_by_the_age_of_its_run(evidence, capsys, tmp_path, monkeypatch):
    """Not of the document, which says of itself when it was written: the run's moment is in the nonce."""
    evidence.actions = [COMPILE]
    evidence.write()
    evidence.document["written"] = "2099-01-01T00:00:00Z"
    evidence.rewrite()

    def in_days(days):
        clock = SimpleNamespace(now=lambda zone: STARTED + timedelta(days=days))
        monkeypatch.setattr("gfattach.rbe.coverage.make.datetime", clock)

    in_days(89)
    assert coverage(capsys, tmp_path)[1]["C and C++"]["stale"] is False
    in_days(91)
    _, rows, codes = coverage(capsys, tmp_path)
    assert rows["C and C++"]["stale"] is True and "rbe.coverage.stale" in codes
    assert run(["rbe", "coverage", str(tmp_path)]) == 0
    assert "(2026-11-30, stale; `one/evidence.json`)" in capsys.readouterr().out
    assert coverage(capsys, tmp_path, "--days", "92")[1]["C and C++"]["stale"] is False


def test_the_latest_of_a_target_counts(evidence, capsys, tmp_path):
    evidence.actions = [COMPILE]
    evidence.write()
    older = Evidence(tmp_path / "proofs/old", before=None, actions=[COMPILE.but(mnemonic="GoLink")])
    older.write()
    older.document["run"]["started"] = "2026-11-30T06:00:00Z"
    older.rewrite()
    _, rows, _ = coverage(capsys, tmp_path)
    assert (rows["C and C++"]["known"], rows["Go"]["known"]) == (True, False)


def test_the_page_is_one_well_formed_document(evidence, capsys, tmp_path):
    evidence.actions = [COMPILE]
    evidence.write()
    assert run(["rbe", "coverage", str(tmp_path), "--format", "html"]) == 0
    page = capsys.readouterr().out
    opened = []

    class Parser(html.parser.HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "br"):
                opened.append(tag)

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Parser().feed(page)
    assert opened == [] and page.count("<tr") == 1 + len(LANGUAGES)


def test_a_place_that_is_not_there(tmp_path, capsys):
    assert run(["rbe", "coverage", str(tmp_path / "nowhere")]) == 2


@pytest.mark.parametrize(
    ("mnemonic", "language"),
    [
        ("CppCompile", "C and C++"),
        ("CppModuleMap", "C and C++"),
        ("GoCompilePkg", "Go"),
        ("Javac", "Java"),
        ("KotlinCompile", "Kotlin"),
        ("Rustc", "Rust"),
        ("PyCompile", "Python"),
        ("TsProject", "TypeScript and JavaScript"),
        ("ZigBuildExe", "Zig"),
        ("ChapelCompile", "Chapel"),
        ("Genrule", "Shell"),
        ("TestRunner", OTHER),
    ],
)
def test_a_mnemonic_belongs_to_a_language(mnemonic, language):
    assert language_of(mnemonic) == language
