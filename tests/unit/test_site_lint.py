"""`site lint` and `site publish --dry-run`: every fault with its line; what is published, and what is not."""

import json
import subprocess
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from gfattach.cli import main
from gfattach.site.lint import CODES, MOST, lint
from tests.harness.machine.budget import budget

KEY = "main:" + "A" * 43 + "="


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    """A git repository as the workspace, and a home of its own."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home/config"))
    directory = tmp_path / "w"
    directory.mkdir()
    subprocess.run(["git", "init", "-q", str(directory)], check=True)
    monkeypatch.chdir(directory)
    return directory


def run(capsys, *args):
    code = main.run(["site", *args])
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, shown.out, shown.err


def found(text, **options):
    return [(finding.code, finding.data["line"]) for finding in lint(text.encode(), "f", **options)]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("\n[cache", "site.lint.toml", 2),
        ("[cache]\nservice = 'x'\nendpiont = 'grpc://h:1'", "site.lint.key", 3),
        ("endpoint = 'grpc://h:1'", "site.lint.key", 1),
        ("[cache]\n\ntoken = 'x'", "site.lint.secret", 3),
        ("[cache]\nendpoint = 'grpc://u:S3cr@h:1'", "site.lint.secret", 2),
        ("[nix]\n'public_keys' = ['main:%s==']" % ("S3cr" * 21 + "S3"), "site.lint.secret", 2),
        ("[site]\nname = 'x' # ghp_S3crS3crS3crS3crS3crS3cr", "site.lint.secret", 2),
        ("[cache]\nupload = 'always'", "site.lint.value", 2),
        ("cache.service = 'X'", "site.lint.value", 1),
        ("[nix]\npublic_keys = []\nnamespace = 'attic-cache-dev'\nservice = 'x'", "site.lint.stale", 3),
        ("[nix]\nservice = 'x'\nca_file = '/x'\nca_data = '/y'", "site.lint.both", 4),
        ("[nix]\nservice = 'attic'\nsubstituter = 'https://h/main'", "site.lint.nix-tls", 3),
        ("[cache]\nservice_port = 1", "site.lint.alone", 2),
        ("[nix]\nservice = 'attic'", "site.lint.keys", 2),
        ("[executor]\nendpoint = 'grpc://h:1'", "site.lint.executor", 2),
        ("[nix]\nobject_store = 'interim_only'", "site.lint.reads-only", 2),
    ],
)
def test_each_fault_has_its_code_and_its_line(text, code, line):
    assert (code, line) in found(text)
    assert "S3cr" not in repr(lint(text.encode(), "f"))


def test_every_code_that_does_not_fail_stands_last_in_the_table():
    doubts = list(CODES)[-4:]
    text = "[cache]\nservice_port = 1\n[nix]\nservice = 'a'\nobject_store = 'interim_only'\n"
    text += "[executor]\nendpoint = 'grpc://h:1'\n"
    findings = lint(text.encode(), "f")
    assert sorted(finding.code for finding in findings) == sorted(doubts)
    assert not any(finding.failed for finding in findings)


def test_every_fault_is_shown_and_not_the_first_alone():
    text = '[cache]\nendpiont = "x"\nupload = "always"\n[nix]\nsubstituter = "grpc://h:1"\ncash = 1\n'
    assert found(text) == [
        ("site.lint.key", 2),
        ("site.lint.value", 3),
        ("site.lint.value", 5),
        ("site.lint.keys", 5),
        ("site.lint.key", 6),
    ]


def test_lines_inside_of_a_text_of_several_lines_are_no_settings():
    text = '[site]\nname = """\nupload = 1\n"""\n[cache]\nupload = "always"\n'
    assert ("site.lint.value", 6) in found(text)


def test_a_tracked_file_names_no_address_that_is_right_for_one_place_only():
    text = "[cache]\nendpoint = 'grpc://cache.example:1'\n[nix]\nsubstituter = 'http://10.1.2.3/main'\n"
    assert ("site.lint.tracked", 2) in found(text, tracked=True)
    assert ("site.lint.tracked", 4) in found(text, tracked=True)
    assert not any(code == "site.lint.tracked" for code, _ in found(text))
    public = f"[nix]\nsubstituter = 'https://nix.example/main'\npublic_keys = ['{KEY}']\n"
    assert found(public, tracked=True) == []


@settings(deadline=None)
@given(
    content=st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))
)
def test_any_bytes_are_checked_and_every_code_is_declared(content):
    for finding in lint(content, "f", tracked=True):
        assert finding.code in CODES and finding.seen


#: Texts of nearly the largest size that are the worst for a search that goes back and forth.
_LONG = {
    "white space in a certificate": "[cache]\nca_data = '''-----BEGIN CERTIFICATE-----"
    + "\n" * 200_000
    + "'''",
    "beginnings of certificates": "[cache]\nca_data = '''" + "-----BEGIN CERTIFICATE-----\n" * 7000 + "'''",
    "letters": "[site]\nname = '" + "a" * 200_000 + "'",
    "beginnings of addresses": "[site]\nname = '" + "://a" * 50_000 + "'",
    "a key": "[cache]\n" + "e" * 200_000 + " = 1",
    "keys": "[site]\n" + "".join(f"endpoin{number} = 1\n" for number in range(10_000)),
    "labels": "[cluster]\nprofile = '" + "a." * 100_000 + "'",
    "levels": "[site]\nname = " + "[" * 200_000,
}


@pytest.mark.parametrize("text", _LONG.values(), ids=_LONG)
def test_a_long_text_costs_little_and_is_answered_briefly(text):
    began = time.monotonic()
    findings = lint(text.encode(), "f", tracked=True)
    assert time.monotonic() - began < budget(5)
    assert len(findings) <= MOST and all(len(finding.seen) < 300 for finding in findings)


def test_the_command_ends_with_2_for_a_fault_with_0_for_a_doubt_and_git_decides_what_is_tracked(
    workspace, capsys
):
    file = workspace / "gfattach.toml"
    file.write_text("[cache]\nendpoint = 'grpc://cache.example:1'\n[nix]\nservice = 'attic'\n")
    code, out, err = run(capsys, "lint")
    assert (code, out) == (0, f"{file}: no faults, 1 warning\n")
    assert f"{file}:4: nix.service is said without nix.public_keys" in err
    subprocess.run(["git", "add", file.name], cwd=workspace, check=True)
    code, out, err = run(capsys, "lint", "-o", "json")
    document = json.loads(out)
    assert (code, document["result"]["faults"]) == (2, 1)
    assert [f["code"] for f in document["result"]["findings"]] == ["site.lint.tracked", "site.lint.keys"]
    assert document["result"]["findings"][0]["line"] == 2


def test_a_file_that_is_not_there_is_said_to_be_missing(workspace, capsys):
    code, _, err = run(capsys, "lint")
    assert code == 2 and f"there is no file {workspace / 'gfattach.toml'}" in err
    code, _, err = run(capsys, "publish", "other.toml", "--dry-run")
    assert code == 2 and "there is no file other.toml" in err


def test_a_dry_run_prints_the_configmap_alone_and_asks_no_cluster(workspace, capsys):
    (workspace / "op.toml").write_text(
        "[cluster]\nkubeconfig = '/nonexistent'\nnamespace = 'caches'\n[cache]\nservice = 'bazel-cache'\n"
    )
    code, out, _ = run(capsys, "publish", "op.toml", "--dry-run")
    manifest = yaml.safe_load(out)
    assert code == 0
    assert (manifest["metadata"]["name"], manifest["metadata"]["namespace"]) == ("gfattach-site", "caches")
    assert manifest["data"] == {"gfattach.toml": '[cache]\nservice = "bazel-cache"\n'}
    _, out, _ = run(capsys, "publish", "op.toml", "--dry-run", "--namespace", "else")
    assert yaml.safe_load(out)["metadata"]["namespace"] == "else"


def test_a_file_with_a_fault_is_not_published(workspace, capsys):
    (workspace / "op.toml").write_text("[cache]\npassword = 'S3cr'\n")
    code, out, err = run(capsys, "publish", "op.toml", "--dry-run")
    assert (code, out) == (2, "")
    assert "op.toml has 1 fault, and nothing was published" in err and "S3cr" not in err


def test_show_says_that_the_configmap_was_not_asked(workspace, capsys):
    code, out, _ = run(capsys, "show", "--cache-service", "caches/bazel-cache:9092", "--kubeconfig", "k")
    assert code == 0
    lines = {line.split()[0]: line.split()[1] for line in out.splitlines()}
    assert lines["cache.namespace"] == "caches" and lines["cache.service_port"] == "9092"
    assert lines["cluster.kubeconfig"] == str(workspace / "k")
    last = "the ConfigMap nix-cache/gfattach-site was not asked: gfattach site show --cluster"
    assert out.splitlines()[-1] == last


def test_show_with_a_cluster_that_cannot_be_reached_says_why(workspace, capsys):
    code, out, err = run(capsys, "show", "--cluster", "--kubeconfig", "none")
    assert (code, out) == (1, "") and f"the kubeconfig {workspace / 'none'} does not exist" in err
