"""`gfattach rbe claims`: what documents say of remote execution, and what carries it."""

import json

import pytest

from gfattach.cli.main import run
from gfattach.codes.execution import CLAIMS
from gfattach.rbe.claims.sentences import Sentence, sentences
from tests.harness.execution.evidence import MANIFEST, RUN, Evidence


@pytest.fixture
def workspace(tmp_path):
    """`//p:p` is proved, `//:b` and `//:c` are candidates, `//:x` is blocked."""
    (tmp_path / "WORKSPACE").touch()
    (tmp_path / "config").mkdir()
    manifest = json.loads(json.dumps(MANIFEST))
    known = {
        **manifest["candidate_target_classes"][0],
        "name": "known",
        "status": "proved",
        "labels": ["//p:p"],
    }
    manifest["proved_target_classes"] = [known]
    (tmp_path / "config/rbe-target-eligibility.json").write_text(json.dumps(manifest, indent=1))
    (tmp_path / "NAMES.md").write_text("The class known is proved.\n")
    return tmp_path


def claims(capsys, workspace, text=None, *options):
    """The exit code, and the codes of what is found, by line of `README.md`."""
    if text is not None:
        (workspace / "README.md").write_text(text)
    code = run(["rbe", "claims", "--workspace", str(workspace), "--output", "json", *options])
    document = json.loads(capsys.readouterr().out)
    found = [each for stage in document["stages"] for each in stage["findings"]]
    return code, [(each["code"], each["data"].get("line")) for each in found]


#: Sentences that claim too much, and the code.
TOO_MUCH = [
    ("//:b is remotely executed.", "rbe.claim.label"),
    ("The target `//:nowhere` was executed remotely.", "rbe.claim.label"),
    ("//:x runs on the executor.", "rbe.claim.blocked"),
    ("The class letters is executed remotely.", "rbe.claim.class"),
    ("All targets are built remotely.", "rbe.claim.broad"),
    ("Builds are executor-backed by default.", "rbe.claim.broad"),
    ("//... is executed remotely.", "rbe.claim.broad"),
    ("Everything is executed remotely.", "rbe.claim.broad"),
    ("//p:p was executed remotely in run 25970619559.", "rbe.claim.run"),
    ("The build was proved remotely with 62 remote processes for //p:p.", "rbe.claim.count"),
    ("It was executed remotely: 62 remote cache hits.", "rbe.claim.hits"),
    ("| letters | REAPI-proved |", "rbe.claim.class"),
    ("- //:c is REAPI-proved", "rbe.claim.label"),
    ("## //:c, remotely executed", "rbe.claim.label"),
]


@pytest.mark.parametrize(("sentence", "code"), TOO_MUCH)
def test_a_sentence_that_claims_too_much(workspace, capsys, sentence, code):
    assert claims(capsys, workspace, f"# Notes\n\nSome words.\n\n{sentence}\n") == (1, [(code, 5)])


@pytest.mark.parametrize(
    "sentence",
    [
        "//p:p is remotely executed.",
        "The class known was executed remotely.",
        "//:b is not executed remotely.",
        "//:b could be executed remotely.",
        "Remote cache hits are no remote execution.",
        "No target is built remotely by default.",
        "//:b is a candidate for remote execution.",
        "How to have //:b executed remotely.",
        "`bazel build //:b` builds it.",
        "```\n//:b is remotely executed.\n```",
        "~~~sh\nAll targets are built remotely.\n~~~",
        "<!-- gfattach: no-claim -->\n//:b is remotely executed.",
        "<!-- gfattach: no-claim -->\n\n//:b is remotely executed,\nand so is //:c.",
        "//:b is remotely executed. <!-- gfattach: no-claim -->",
        "<!-- gfattach: no-claim begin -->\n//:b is remotely executed.\n\n//:c is remotely executed."
        "\n<!-- gfattach: no-claim end -->",
        "<!-- //:b is remotely executed. -->",
    ],
)
def test_a_sentence_that_claims_nothing_beyond_what_is_carried(workspace, capsys, sentence):
    assert claims(capsys, workspace, f"{sentence}\n") == (0, [("rbe.claim.none", None)])


def test_a_mark_ends_with_its_paragraph(workspace, capsys):
    text = "<!-- gfattach: no-claim -->\n//:b is remotely executed.\n\n//:c is remotely executed.\n"
    assert claims(capsys, workspace, text) == (1, [("rbe.claim.label", 4)])


def test_a_mark_that_is_not_closed(workspace, capsys):
    text = "Words.\n<!-- gfattach: no-claim begin -->\n//:b is remotely executed.\n"
    assert claims(capsys, workspace, text) == (1, [("rbe.claim.mark", 2)])


def test_a_claim_without_a_target_is_doubtful(workspace, capsys):
    assert claims(capsys, workspace, "The build is executed remotely.\n") == (0, [("rbe.claim.unnamed", 1)])


def test_a_sentence_over_several_lines_is_shown_where_it_begins(workspace, capsys):
    text = "One thing.\nAnother one. The target\n//:b is\nremotely executed. The end.\n"
    assert claims(capsys, workspace, text) == (1, [("rbe.claim.label", 2)])


def test_evidence_carries_its_own_target_run_and_count_and_no_others(workspace, capsys, tmp_path):
    Evidence(tmp_path / "evidence", before=None).write()
    of = ("--evidence", str(tmp_path / "evidence"))
    good = (
        f"//:b was executed remotely in run {RUN}.\n\n//:b was executed remotely with 2 remote processes.\n"
    )
    assert claims(capsys, workspace, good, *of) == (0, [("rbe.claim.none", None)])
    neighbour = "//:c was executed remotely.\n\n//:b was executed remotely with 3 remote processes.\n"
    found = claims(capsys, workspace, neighbour, *of)
    assert found == (1, [("rbe.claim.label", 1), ("rbe.claim.count", 3)])


def test_evidence_that_does_not_hold_carries_nothing(workspace, capsys, tmp_path):
    evidence = Evidence(tmp_path / "evidence", before=None)
    evidence.alone_exit = 0
    evidence.write()
    found = claims(capsys, workspace, "//:b was executed remotely.\n", "--evidence", str(evidence.directory))
    assert found == (1, [("rbe.claim.label", 1)])


def test_a_proved_class_that_no_document_names(workspace, capsys):
    (workspace / "NAMES.md").unlink()
    code, found = claims(capsys, workspace, "Words.\n")
    assert code == 0 and found == [("rbe.claim.undocumented", 8)]


def test_annotations_count_paths_from_the_top_of_the_checkout(workspace, capsys):
    """As GitHub does, wherever in it the workspace is."""
    (workspace.parent / ".git").mkdir(exist_ok=True)
    (workspace / "README.md").write_text("//:b is remotely executed.\n")
    try:
        assert run(["rbe", "claims", "--workspace", str(workspace), "--output", "github"]) == 1
    finally:
        (workspace.parent / ".git").rmdir()
    shown = capsys.readouterr()
    assert f"::error file={workspace.name}/README.md,line=1," in shown.out
    assert "README.md:1: //:b is candidate" in shown.err


def test_annotations_have_file_and_line(workspace, capsys):
    (workspace / "docs").mkdir()
    (workspace / "docs/rbe.md").write_text("\n//:b is remotely executed.\n")
    assert run(["rbe", "claims", "--workspace", str(workspace), "--output", "github"]) == 1
    assert "::error file=docs/rbe.md,line=2,title=" in capsys.readouterr().out


def test_links_of_bazels_and_documents_of_others_are_left_alone(workspace, capsys):
    for place in ("node_modules", ".git", "bazel-out"):
        (workspace / place).mkdir()
        (workspace / place / "README.md").write_text("All targets are built remotely.\n")
    (workspace / "linked").symlink_to(workspace / "node_modules")
    assert claims(capsys, workspace)[0] == 0


def test_a_path_that_is_not_there(workspace, capsys):
    code = run(
        ["rbe", "claims", "--workspace", str(workspace), str(workspace / "nowhere"), "--output", "json"]
    )
    assert (code, json.loads(capsys.readouterr().out)["error"]["code"]) == (2, "rbe.claims.path")


def test_every_code_of_a_claim_is_asked_for():
    others = {"none", "unnamed", "undocumented", "mark"}
    assert {*CLAIMS} == {code for _, code in TOO_MUCH} | {f"rbe.claim.{name}" for name in others}


def test_sentences_keep_labels_and_numbers_whole():
    found = list(sentences("Version 7.7.1 builds //a.b:c. Then\nit ends! And so on.\n"))
    assert found == [
        Sentence("Version 7.7.1 builds //a.b:c.", 1),
        Sentence("Then it ends!", 1),
        Sentence("And so on.", 2),
    ]
