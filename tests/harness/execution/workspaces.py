"""A workspace of genrules with a manifest, the environment of an execution proof, and Bazels for it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gfattach.bazel.program.binary import identify
from gfattach.core.deadline import Deadline
from tests.harness.execution.evidence import MANIFEST
from tests.harness.programs.installed import installed

#: Seconds for a Bazel to say what it is, on a small machine that does other things too.
ANSWER_SECONDS = 240.0

IMAGE = "sha256:" + "ab" * 32

BUILD = """
genrule(name = "a", outs = ["a.txt"], cmd = "echo a > $@")
genrule(name = "b", srcs = [":a"], outs = ["b.txt"], cmd = "cat $(SRCS) > $@; echo b >> $@")
genrule(name = "c", outs = ["c.txt"], cmd = "echo $$WORKER > $@")
genrule(name = "wrong", outs = ["wrong.txt"], cmd = "exit 3")
genrule(name = "here", outs = ["here.txt"], cmd = "echo here > $@", tags = ["no-remote-exec"])
"""

#: Flags that a Bazel with modules needs to do without its registry; an old one has none of them.
WITHOUT_MODULES = ("--noenable_bzlmod", "--enable_workspace")


def make_workspace(directory: Path) -> Path:
    """A workspace in a git checkout, its targets candidates."""
    (directory / "config").mkdir(parents=True)
    (directory / "WORKSPACE").touch()
    (directory / "BUILD.bazel").write_text(BUILD)
    manifest = json.loads(json.dumps(MANIFEST))
    labels = ["//:a", "//:b", "//:c", "//:wrong", "//:here"]
    manifest["candidate_target_classes"][0]["labels"] = labels
    (directory / "config/rbe-target-eligibility.json").write_text(json.dumps(manifest, indent=1))
    git = ["git", "-C", str(directory), "-c", "user.name=t", "-c", "user.email=t@example.com"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "letters"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    return directory


def environment(url: str) -> dict[str, str]:
    """What an execution proof asks of its environment."""
    return {
        "GF_RBE_PROOF_MODE": "explicit",
        "GF_BAZEL_SUBSTRATE_MODE": "executor-backed",
        "GF_BAZEL_ALLOW_LOCALHOST_PROOF": "true",
        "GF_BAZEL_REAPI_PROOF_IMAGE_DIGEST": IMAGE,
        "BAZEL_REMOTE_EXECUTOR": url,
        "BAZEL_REMOTE_CACHE": url,
        # An older justbuild parses the names of blobs only behind an instance's.
        "BAZEL_REMOTE_INSTANCE_NAME": "spoke-letters",
    }


def old_bazel() -> tuple[str, tuple[str, ...]]:
    """The machine's Bazel 4.2.3, and the flags of a proof with it."""
    if not Path("/usr/bin/bazel").exists():
        pytest.skip("needs Debian's Bazel: apt-get install bazel-bootstrap")
    return "/usr/bin/bazel", ()


def new_bazel() -> tuple[str, tuple[str, ...]]:
    """Bazel 7.7.1 of Debian's sid, where it was fetched into the tests' cache and can be run without a rc."""
    found = installed("bazel-sid")
    if found is None:
        pytest.skip("needs Bazel of Debian's sid in the tests' cache: python3 dev.py test")
    path = found.launcher
    if not identify(path, Deadline.after(ANSWER_SECONDS), environ=dict(os.environ)).startup:
        pytest.skip(f"{path} keeps its install base outside, and nothing says so to a proof")
    return str(path), WITHOUT_MODULES


BAZELS = {"bazel-4.2.3": old_bazel, "bazel-7.7.1": new_bazel}
