"""No command believes what lies in a workspace: every one of them is run in one that came from somebody
hostile.
"""

import contextlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from gfattach.cli import main
from gfattach.core import process, quote
from tests.harness.machine.git import no_user_configuration
from tests.harness.machine.hostile import KEY, hostile_workspace

__all__ = ["no_user_configuration"]

pytestmark = [
    pytest.mark.usefixtures("no_user_configuration"),
    pytest.mark.skipif(shutil.which("git") is None, reason="needs git: apt-get install git"),
]

#: How each command is called where it reads a workspace; a command that is new has to be put here or below.
CALLS = {
    "up": [["up", "--no-bazel", "--no-nix"], ["up", "--trial", "--no-bazel", "--no-nix"]],
    "status": [["status"]],
    "logs": [["logs"]],
    "down": [["down"]],
    "doctor": [["doctor"], ["doctor", "--deep", "--note", "x"]],
    "prove": [["prove", "--no-bazel", "--no-nix"]],
    "site show": [["site", "show"], ["site", "show", "--cluster"]],
    "site lint": [["site", "lint"]],
    "site warm": [["site", "warm", "--upload"]],
    "site publish": [["site", "publish"]],
    "site allow": [["site", "allow"]],
    "site authority": [["site", "authority"], ["site", "authority", "--cluster"]],
    "rbe lint": [["rbe", "lint"]],
    "rbe target": [["rbe", "target", "--workspace", "."]],
    "rbe prove": [["rbe", "prove", "//:x", "--allow-candidate"]],
    "rbe coverage": [["rbe", "coverage"]],
    "rbe claims": [["rbe", "claims"]],
    "contract": [["contract"]],
    "bazel": [["bazel", "build", "//..."]],
    "inputs list": [["inputs", "list"]],
    "inputs contract": [["inputs", "contract"]],
    "inputs check": [["inputs", "check"]],
    "inputs fetch": [["inputs", "fetch", "--distdir", "d"]],
    "inputs prove": [["inputs", "prove"]],
    "inputs authority": [["inputs", "authority", "--verify"]],
    "env": [["env"], ["env", "--write", ".env.flywheel.local"]],
    "exec": [["exec", "--", "true"]],
    "queue": [["queue"], ["queue", "--audit"], ["queue", "--owners"]],
}

#: Commands that read nothing of a workspace, and why.
ELSEWHERE = {
    "help": "it reads what is installed alone",
    "consumer-env": "it reads the file that is named",
    "notes compare": "it reads the files that are named",
    "rbe verify": "it reads the evidence that is named",
    "credential login": "what is stored is this user's",
    "credential logout": "what is stored is this user's",
    "credential status": "what is stored is this user's",
    "credential refresh": "what is stored is this user's",
    "credential get": "what is stored is this user's",
}

#: A manifest that lists `//:policy_check`.
MANIFEST = Path(__file__).parents[1] / "unit/data/eligibility-shape.json"

#: An environment in which `rbe prove` goes as far as its Bazel.
PROVES = {
    "GF_RBE_PROOF_MODE": "explicit",
    "GF_BAZEL_SUBSTRATE_MODE": "executor-backed",
    "BAZEL_REMOTE_EXECUTOR": "grpc://executor.invalid:1",
    "BAZEL_REMOTE_CACHE": "grpc://executor.invalid:1",
    "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST": f"sha256:{'0' * 64}",
}

#: What asks a Bazel in the workspace, by its first two words.
RUN_A_BAZEL = (
    *(["inputs", "list"], ["inputs", "contract"]),
    *(["rbe", "target"], ["rbe", "prove"]),
)

#: A site's file that names everything which could be contacted, run or trusted.
SITE = """
[cluster]
kubeconfig = "{workspace}/kubeconfig"
[cache]
endpoint = "grpc://127.0.0.1:{port}"
upload = "trusted"
[nix]
substituter = "http://127.0.0.1:{port}/main"
public_keys = ["{key}"]
"""


def calls():
    return [call for listed in CALLS.values() for call in listed]


def leaves(command, path):
    """The names of all commands at or below `command`, as they are registered."""
    if not isinstance(command, click.Group):
        yield path
        return
    for name in command.list_commands(click.Context(command)):
        below = command.get_command(click.Context(command), name)
        yield from leaves(below, f"{path} {name}".strip())


def test_the_walk_takes_every_command_that_is_registered():
    assert sorted([*CALLS, *ELSEWHERE]) == sorted(leaves(main.cli, ""))


@pytest.fixture
def hostile(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        (tmp_path / name.lower()).mkdir(mode=0o700)
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    bazel = tmp_path / "bazel"
    bazel.write_text("#!/bin/sh\necho bazel 7.0.0\n")
    bazel.chmod(0o755)
    monkeypatch.setenv("BAZEL_BIN", str(bazel))

    def replaced(*_):
        raise AssertionError("the process was replaced")

    monkeypatch.setattr(process, "replace", replaced)
    with hostile_workspace(tmp_path) as made:
        monkeypatch.chdir(made.workspace)
        git("init", "--quiet")
        yield made
        main.run(["down"])  # what could be attached all the same


def git(*args):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.com"]
    subprocess.run(["git", *identity, *args], check=True, capture_output=True)


def run(capfd, call):
    words = call[:-2] + ["--output", "json"] + call[-2:] if call[0] == "exec" else [*call, "--output", "json"]
    code = main.run(call if call[0] in ("bazel", "exec", "env", "logs") else words)
    out, err = capfd.readouterr()
    assert "Traceback" not in err and "defect" not in err, err
    with contextlib.suppress(ValueError):
        return code, json.loads(out), err
    return code, {}, err


def assert_refused(call, code, document, expected):
    """A diagnosis has it as a finding, and goes on without the workspace. Every other command ends with 3."""
    if call[0] == "doctor":
        found = [finding for stage in document["stages"] for finding in stage["findings"]]
        assert expected in [finding["code"] for finding in found if finding["status"] == "fail"]
        assert code == (3 if "--note" in call else 1)  # a note is written into the workspace
    else:
        assert code == 3
        assert not document or document["error"]["code"] == expected


@pytest.mark.parametrize("call", [*calls()], ids=" ".join)
def test_a_gfattach_directory_that_came_with_a_repository_is_refused(hostile, capfd, call):
    git("add", "--force", ".")
    code, document, err = run(capfd, call)
    assert hostile.harm() == []
    assert "git tracks files in" in err and "rm -r -f .gfattach" in err
    assert_refused(call, code, document, "home.tracked")


@pytest.mark.parametrize("call", [*calls()], ids=" ".join)
def test_nor_is_one_believed_that_git_does_not_know(hostile, capfd, call):
    """As after unpacking an archive, or after `git rm --cached`."""
    if call == ["up", "--trial", "--no-bazel", "--no-nix"]:
        pytest.skip("it attaches, after undoing what was there: see test_attachment_earlier")
    code, _, err = run(capfd, call)
    if call[0] in ("up", "status", "logs", "prove", "bazel", "env", "exec"):
        assert code == 2, err
    assert hostile.harm() == []


def test_the_advice_for_a_tracked_directory_leads_nowhere_bad(hostile, capfd):
    """What the hint says is done, word for word, and then every command is run."""
    git("add", "--force", ".")
    git("commit", "--quiet", "--message", "x")
    _, document, _ = run(capfd, ["status"])
    [hint] = document["error"]["hints"]
    subprocess.run(hint.rpartition(": ")[2], shell=True, check=True, capture_output=True)
    assert not any((hostile.workspace / ".gfattach").rglob("*.json"))
    for call in (["status"], ["env"], ["down"]):
        run(capfd, call)
        assert hostile.harm() == []


@pytest.mark.parametrize("call", [*calls()], ids=" ".join)
def test_what_a_repositorys_file_says_is_not_gone_by_until_it_is_allowed(hostile, capfd, call):
    shutil.rmtree(hostile.workspace / ".gfattach")
    text = SITE.format(workspace=hostile.workspace, port=hostile.port, key=KEY)
    (hostile.workspace / "gfattach.toml").write_text(text)
    code, document, err = run(capfd, call)
    assert hostile.harm() == []
    if call[0] in ("up", "queue") or call[:2] == ["site", "warm"] or "--cluster" in call:
        assert code == 3, err
        assert document["error"]["code"] == "site.unallowed"
        assert KEY in err and "gfattach site allow" in err


def test_an_attach_runs_no_tools_bazel_that_nobody_has_allowed(hostile, capfd):
    shutil.rmtree(hostile.workspace / ".gfattach")
    (hostile.workspace / "tools").mkdir()
    shutil.copy(hostile.workspace / "plugin.sh", hostile.workspace / "tools/bazel")
    for call in (["up", "--trial", "--no-nix"], ["prove"]):
        code, document, err = run(capfd, call)
        assert (code, document["error"]["code"]) == (3, "site.unallowed"), err
        assert "tools/bazel" in document["error"]["fact"]
        assert hostile.harm() == []


@pytest.fixture
def launcher(hostile, monkeypatch):
    """The Bazel at hand does what launchers do: a `tools/bazel` of the workspace is run in its place."""
    shutil.rmtree(hostile.workspace / ".gfattach")
    path = hostile.workspace.parent / "bazelisk"
    path.write_text('#!/bin/sh\n[ -x tools/bazel ] && exec tools/bazel "$@"\necho bazel 7.0.0\n')
    path.chmod(0o755)
    monkeypatch.setenv("BAZEL_BIN", str(path))
    (hostile.workspace / "tools").mkdir()
    shutil.copy(hostile.workspace / "plugin.sh", hostile.workspace / "tools/bazel")
    (hostile.workspace / "config").mkdir()
    shutil.copy(MANIFEST, hostile.workspace / "config/rbe-target-eligibility.json")


#: Whoever runs one of these has Bazel run on purpose: what it runs in its place is Bazel's.
ON_PURPOSE = ("bazel",)


@pytest.mark.usefixtures("launcher")
@pytest.mark.parametrize("call", [c for c in calls() if c[0] not in ON_PURPOSE], ids=" ".join)
def test_no_command_has_a_launcher_run_what_lies_in_the_workspace(hostile, capfd, call, monkeypatch):
    if call[:2] == ["rbe", "prove"]:
        for name, value in PROVES.items():
            monkeypatch.setenv(name, value)
    call = [word.replace("//:x", "//:policy_check") for word in call]
    code, document, err = run(capfd, call)
    assert hostile.harm() == []
    if call[:2] in RUN_A_BAZEL:
        assert (code, document["error"]["code"]) == (3, "site.unallowed"), err
    if call[0] == "doctor":
        assert code == 1 and "tools/bazel" in err and "gfattach site allow" in err


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".bazeliskrc", "BAZELISK_BASE_URL=http://127.0.0.1:1/\n"),
        (".bazeliskrc", "BAZELISK_HOME=./brought\n"),
        (".bazeliskrc", "USE_BAZEL_VERSION=somebody/7.0.0\n"),
        (".bazelversion", "somebody/7.0.0\n"),
        ("tools/bazel.x86_64", None),
    ],
)
def test_nor_is_a_bazel_of_somebody_elses_that_a_workspace_picks(hostile, capfd, name, content, monkeypatch):
    shutil.rmtree(hostile.workspace / ".gfattach")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    path = hostile.workspace / name
    path.parent.mkdir(exist_ok=True)
    if content is None:
        shutil.copy(hostile.workspace / "plugin.sh", path)
    else:
        path.write_text(content)
    for call in (["up", "--trial", "--no-nix"], ["inputs", "list"], ["rbe", "target", "--workspace", "."]):
        if call[0] == "rbe":
            (hostile.workspace / "config").mkdir()
            shutil.copy(MANIFEST, hostile.workspace / "config/rbe-target-eligibility.json")
        code, document, err = run(capfd, call)
        assert (code, document["error"]["code"]) == (3, "site.unallowed"), err
        assert name in document["error"]["fact"]
    assert run(capfd, ["site", "allow"])[0] == 0
    code, document, err = run(capfd, ["rbe", "target", "--workspace", "."])
    assert "site.unallowed" not in err


def test_git_runs_nothing_that_a_repositorys_own_configuration_names(hostile, capfd):
    shutil.rmtree(hostile.workspace / ".gfattach")
    git("config", "core.fsmonitor", str(hostile.workspace / "plugin.sh"))
    (hostile.workspace / ".gfattach").mkdir()
    for call in (["status"], ["contract"]):
        run(capfd, call)
    assert hostile.harm() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away: run the tests as root too")
@pytest.mark.parametrize(
    "call", [c for c in calls() if c != ["site", "allow"] and "--workspace" not in c], ids=" ".join
)
def test_a_marker_of_another_user_in_a_parent_decides_nothing(hostile, capfd, call, monkeypatch):
    shutil.rmtree(hostile.workspace / ".gfattach")
    shutil.rmtree(hostile.workspace / ".git")
    os.chown(hostile.workspace / "WORKSPACE", 12345, 12345)
    (hostile.workspace / "mine").mkdir()
    monkeypatch.chdir(hostile.workspace / "mine")
    code, document, err = run(capfd, call)
    assert hostile.harm() == []
    assert_refused(call, code, document, "trust.workspace")
    assert "12345" in err and f"gfattach site allow --workspace {hostile.workspace}" in err
    assert hostile.harm() == []


#: What another's recorded run may hold instead of one.
RUNS = (
    '{"schema": "gfattach.report/1"}',
    '{"schema": "gfattach.report/1", "result": [], "stages": 5, "command": null, "exit_code": {}}',
    '{"schema": "gfattach.report/1", "result": {"note": {"title": "x"}}, "stages": [], "error": null}',
    "[" * 100000,
)


@pytest.mark.parametrize("text", RUNS, ids=["empty", "odd", "cut", "nested"])
def test_a_recorded_run_of_somebody_elses_is_refused_where_it_is_none(hostile, capfd, text):
    shutil.rmtree(hostile.workspace / ".gfattach")
    (hostile.workspace / "run.json").write_text(text)
    for call in (
        ["doctor", "--from", "run.json"],
        ["doctor", "--from", "run.json", "--output", "html"],
        ["notes", "compare", "run.json", "run.json"],
    ):
        code = main.run(call)
        err = capfd.readouterr().err
        assert "defect" not in err
        # A page shows what there is; all else is not read out of what is no whole run.
        assert (code == 2 and "gfattach: run.json " in err) or "html" in call or call[0] == "notes"
    notes = hostile.workspace / "docs/field-notes"
    notes.mkdir(parents=True)
    shutil.move(hostile.workspace / "run.json", notes)
    assert main.run(["doctor", "--only", "state", "--note", "mine"]) == 0
    assert "| mine" in (notes / "README.md").read_text() or "[mine]" in (notes / "README.md").read_text()
    assert hostile.harm() == []


def test_a_recorded_run_steers_no_terminal(hostile, capfd):
    shutil.rmtree(hostile.workspace / ".gfattach")
    assert main.run(["doctor", "--only", "state", "--note", "mine"]) == 0
    [path] = (hostile.workspace / "docs/field-notes").glob("*.json")
    document = json.loads(path.read_text())
    document["result"]["note"]["remarks"] = ["\x1b]0;x\x07", "\u202e"]
    path.write_text(json.dumps(document))
    capfd.readouterr()
    assert main.run(["doctor", "--from", str(path)]) == 0
    out = capfd.readouterr().out
    assert "\\x1b" in out and "\\u202e" in out and not quote.steering(out)


@pytest.mark.parametrize("link", ["docs", "docs/field-notes"])
def test_a_note_is_not_written_where_a_link_of_the_workspace_leads(hostile, capfd, link):
    shutil.rmtree(hostile.workspace / ".gfattach")
    path = hostile.workspace / link
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(hostile.precious)
    code, document, err = run(capfd, ["doctor", "--only", "state", "--note", "x"])
    assert code == 3 and "out of the workspace" in err and document["command"] == "doctor"
    assert hostile.harm() == []
