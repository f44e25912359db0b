"""Workspaces with every kind of external input, for Bazels with a WORKSPACE and for those with modules."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.harness.inputs.contracts import checksum
from tests.harness.inputs.registry import Registry, archive_of
from tests.harness.inputs.upstream import Upstream
from tests.harness.machine.developer import Machine

#: A secret of the private input, and one in a URL: neither may be seen anywhere.
CANARY, URL_CANARY = "canary-3d0c5a1b", "canary-77e1f0aa"

OWN_RULES = """
def _file(ctx):
    args = {"integrity": ctx.attr.integrity} if ctx.attr.integrity else {"sha256": ctx.attr.sha256}
    ctx.download(ctx.attr.url, "f", **args)
    ctx.file("BUILD", "exports_files(['f'])")

own_file = repository_rule(
    _file,
    attrs = {"url": attr.string(), "sha256": attr.string(), "integrity": attr.string()},
)

def _runs(ctx):
    ctx.execute(["curl", "-sS", "-o", "f", ctx.attr.url])
    ctx.file("BUILD", "exports_files(['f'])")

runs_curl = repository_rule(_runs, attrs = {"url": attr.string()})
"""

BUILD = """
genrule(name = "good", srcs = [{good}], outs = ["good.txt"], cmd = "cat $(SRCS) > $@")
genrule(name = "holes", srcs = [{holes}], outs = ["holes.txt"], cmd = "cat $(SRCS) > $@")
genrule(name = "bad", srcs = [{bad}], outs = ["bad.txt"], cmd = "cat $(SRCS) > $@")
"""


def _build(workspace: Path, good: list[str], holes: list[str], bad: list[str]) -> None:
    labels = {
        name: ", ".join(f'"{each}"' for each in said)
        for name, said in (("good", good), ("holes", holes), ("bad", bad))
    }
    (workspace / "BUILD").write_text(BUILD.format(**labels))


def _sum(content: bytes) -> str:
    return checksum(content).hex


def _archive(text: str) -> bytes:
    return archive_of({"BUILD": "exports_files(['a.txt'])", "WORKSPACE": "", "a.txt": text})


def git_remote(directory: Path) -> str:
    """A git repository that can be fetched from; its URL."""
    directory.mkdir()
    (directory / "BUILD").write_text("exports_files(['a.txt'])")
    (directory / "a.txt").write_text("git")
    (directory / "WORKSPACE").touch()
    identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], [*identity, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *words], cwd=directory, check=True, capture_output=True)
    return directory.as_uri()


def private_login(machine: Machine) -> None:
    """A netrc with the login for the private input."""
    netrc = machine.root / "home/.netrc"
    netrc.parent.mkdir(exist_ok=True)
    netrc.write_text(f"machine 127.0.0.1 login user password {CANARY}\n")
    netrc.chmod(0o600)


def make_workspace(machine: Machine, upstream: Upstream) -> None:
    """Every kind of input that a WORKSPACE can have."""
    root = machine.workspace
    one, two, mirrored = _archive("one"), _archive("two"), _archive("mirrored")
    remote = git_remote(machine.root / "remote")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=machine.root / "remote", check=True, capture_output=True, text=True
    ).stdout.strip()
    unhashed = machine.root / "unhashed.txt"
    unhashed.write_text("unhashed")
    put = upstream.put
    with_login = put("/leak.txt", b"leak").replace("//", f"//user:{URL_CANARY}@")
    private = put("/private.txt", b"private", login=f"user:{CANARY}")
    repositories = f"""
http_file(name = "plain", urls = ["{put("/plain.txt", b"plain")}"], sha256 = "{_sum(b"plain")}")
own_file(name = "sri", url = "{put("/sri.txt", b"sri")}", integrity = "{checksum(b"sri").sri}")
http_archive(
    name = "mirrored",
    urls = ["{upstream.base}/gone/m.tar.gz", "{put("/m.tar.gz", mirrored)}"],
    sha256 = "{_sum(mirrored)}",
)
http_archive(name = "one", urls = ["{put("/one/archive/v1.0.tar.gz", one)}"], sha256 = "{_sum(one)}")
http_archive(name = "two", urls = ["{put("/two/archive/v1.0.tar.gz", two)}"], sha256 = "{_sum(two)}")
http_file(name = "private", urls = ["{private}"], sha256 = "{_sum(b"private")}")
own_file(name = "unhashed", url = "{unhashed.as_uri()}")
git_repository(name = "git", remote = "{remote}", commit = "{commit}")
runs_curl(name = "downloader", url = "{put("/curl.txt", b"curl")}")
http_file(name = "wrong", urls = ["{put("/wrong.txt", b"other")}"], sha256 = "{_sum(b"right")}")
http_file(name = "missing", urls = ["{upstream.base}/missing.txt"], sha256 = "{_sum(b"missing")}")
http_archive(
    name = "regenerated",
    urls = ["{put("/o/r/archive/refs/tags/v2.0.tar.gz", _archive("new"))}"],
    sha256 = "{_sum(_archive("old"))}",
)
http_file(name = "leak", urls = ["{with_login}"], sha256 = "{_sum(b"leak")}")
"""
    (root / "WORKSPACE").write_text(
        'load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_archive", "http_file")\n'
        'load("@bazel_tools//tools/build_defs/repo:git.bzl", "git_repository")\n'
        'load("//:own.bzl", "own_file", "runs_curl")\n' + repositories
    )
    (root / "own.bzl").write_text(OWN_RULES)
    _build(
        root,
        [
            *("@plain//file", "@sri//:f", "@mirrored//:a.txt", "@one//:a.txt", "@two//:a.txt"),
            "@private//file",
        ],
        ["@unhashed//:f", "@git//:a.txt", "@downloader//:f"],
        ["@wrong//file", "@missing//file", "@regenerated//:a.txt", "@leak//file"],
    )
    (root / "MODULE.bazel").unlink(missing_ok=True)


def make_modules(machine: Machine, upstream: Upstream, registry: Registry) -> None:
    """Inputs that come by modules: an archive, its patch and overlay, names that collide, a rule's file."""
    root = machine.workspace
    patch = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+patched\n"
    registry.module(
        "lib",
        "1.0",
        {"BUILD": "exports_files(['a.txt', 'extra.txt'])", "a.txt": "one\n"},
        {"fix.patch": patch},
        {"extra.txt": "extra\n"},
    )
    registry.module("other", "1.0", {"BUILD": "exports_files(['b.txt'])", "b.txt": "b\n"})
    plain = upstream.put("/plain.txt", b"plain")
    (root / "MODULE.bazel").write_text(
        'module(name = "root")\n'
        'bazel_dep(name = "lib", version = "1.0")\n'
        'bazel_dep(name = "other", version = "1.0")\n'
        'http_file = use_repo_rule("@bazel_tools//tools/build_defs/repo:http.bzl", "http_file")\n'
        f'http_file(name = "plain", url = "{plain}", sha256 = "{_sum(b"plain")}")\n'
    )
    _build(root, ["@lib//:a.txt", "@lib//:extra.txt", "@other//:b.txt", "@plain//file"], [], [])
    (root / "WORKSPACE").unlink(missing_ok=True)
