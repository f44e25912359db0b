"""What Bazel and its files say of external repositories, each format read by its own module."""

import hashlib
import json
from typing import Any

import pytest

from gfattach.bazel.external.fetches import read_fetches
from gfattach.bazel.external.lockfile import read_lock
from gfattach.bazel.external.module_file import read_module_file
from gfattach.bazel.external.query import read_external
from gfattach.bazel.external.registry import read_mirrors, read_source
from gfattach.bazel.external.repository_cache import cached, cached_file, canonical_mark
from gfattach.bazel.external.workspace_log import Download, Execution, read_workspace_log
from gfattach.core.errors import BazelError

SRI = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


def field(number, value):
    body = value if isinstance(value, bytes) else value.encode()
    return bytes([number << 3 | 2]) + varint(len(body)) + body


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def event(context, *fields):
    body = field(1, "/x/http.bzl:1:1") + field(2, context) + b"".join(fields)
    return varint(len(body)) + body


LOG = (
    event("//external:one", field(4, field(1, "http://h/a") + field(2, "file/a") + field(3, "ab" * 32)))
    + event("repository @@lib~", field(5, field(1, "http://h/b") + field(1, "http://m/b") + field(6, SRI)))
    + event(
        "//external:exe",
        field(3, field(2, "/usr/bin/curl") + field(2, "http://h/x?canary") + field(4, "E=canary")),
    )
    + event("//external:exe", field(6, field(1, "a file that is written")))
)


def test_downloads_and_executions_are_read_from_the_workspace_log(tmp_path):
    (tmp_path / "log").write_bytes(LOG)
    log = read_workspace_log(tmp_path / "log")
    assert log.downloads == (
        Download("one", ("http://h/a",), "file/a", "ab" * 32),
        Download("lib~", ("http://h/b", "http://m/b"), "", SRI, extract=True),
    )
    assert log.executions == (Execution("exe", "/usr/bin/curl", True),)
    assert "canary" not in repr(log)


@pytest.mark.parametrize("end", range(len(LOG)))
def test_a_log_that_is_cut_off_says_as_much_as_it_holds(tmp_path, end):
    (tmp_path / "log").write_bytes(LOG[:end])
    whole = read_workspace_log(tmp_path / "log")
    assert len(whole.downloads) <= 2


def test_a_missing_log_is_an_empty_one_and_another_file_is_none(tmp_path):
    assert read_workspace_log(tmp_path / "none").downloads == ()
    (tmp_path / "log").write_bytes(b"\x04\xff\xff\xff\xff")
    with pytest.raises(BazelError) as caught:
        read_workspace_log(tmp_path / "log")
    assert caught.value.code == "bazel.log"


def test_fetch_events_say_what_went_over_the_network(tmp_path):
    lines = [
        {"id": {"started": {}}, "started": {}},
        {"id": {"optionsParsed": {}}, "optionsParsed": {"cmdLine": ["--distdir=/a", "--distdir=/b", "--x"]}},
        {"id": {"fetch": {"url": "http://h/a"}}, "fetch": {}},
        {"id": {"fetch": {"url": "http://h/a"}}, "fetch": {"success": True}},
        {"id": {"fetch": {"url": "http://h/gone"}}, "fetch": {}},
    ]
    text = "\n".join(map(json.dumps, lines)) + '\n{"id": {"fetch"'
    (tmp_path / "events").write_text(text)
    found = read_fetches(tmp_path / "events")
    assert found.urls == {"http://h/a": True, "http://h/gone": False}
    assert found.values("distdir") == ("/a", "/b")
    assert read_fetches(tmp_path / "none").urls == {}


def test_the_query_of_external_repositories_is_read_in_spite_of_its_version():
    found = read_external(
        '<?xml version="1.1" encoding="UTF-8" standalone="no"?>\n<query version="2">'
        '<rule class="http_file" location="/w/WORKSPACE:1:1" name="//external:one">'
        '<string name="name" value="one"/><string name="sha256" value="ab"/>'
        '<list name="urls"><string value="http://h/a"/></list></rule>'
        '<rule class="http_archive" location="/DEFAULT.WORKSPACE.SUFFIX:2:6" name="//external:r"/></query>'
    )
    assert [(each.name, each.rule, each.urls, each.checksum, each.built_in) for each in found] == [
        ("one", "http_file", ("http://h/a",), "ab", False),
        ("r", "http_archive", (), "", True),
    ]
    with pytest.raises(BazelError):
        read_external("<query")


LOCK: dict[str, Any] = {
    "lockFileVersion": 13,
    "registryFileHashes": {
        "https://r/bazel_registry.json": "a" * 64,
        "https://r/modules/lib/1.0/MODULE.bazel": "b" * 64,
        "https://r/modules/lib/1.0/source.json": "c" * 64,
        "https://r/modules/old/1.0/MODULE.bazel": None,
    },
    "moduleExtensions": {
        "//:e.bzl%e": {
            "general": {
                "generatedRepoSpecs": {
                    "seven": {
                        "bzlFile": "@@x",
                        "ruleClassName": "http_file",
                        "attributes": {"url": "http://h/7"},
                    },
                    "eight": {
                        "repoRuleId": "@@bazel_tools//tools/build_defs/repo:http.bzl%http_archive",
                        "attributes": {"urls": ["http://h/8"], "integrity": SRI},
                    },
                }
            }
        }
    },
}


def test_the_lock_file_says_registry_files_chosen_modules_and_generated_repositories(tmp_path):
    (tmp_path / "MODULE.bazel.lock").write_text(json.dumps(LOCK))
    lock = read_lock(tmp_path)
    assert lock.version == 13 and len(lock.registry_files) == 4
    assert [(each.name, each.version, each.source) for each in lock.modules] == [
        ("lib", "1.0", "https://r/modules/lib/1.0/source.json")
    ]
    assert [(each.name, each.rule, each.urls, each.checksum) for each in lock.repositories] == [
        ("seven", "http_file", ("http://h/7",), ""),
        ("eight", "http_archive", ("http://h/8",), SRI),
    ]


#: What files of each format hold besides: of 7.0, 7.3, 8.x and 9.2.
FORMATS: dict[int, dict[str, Any]] = {
    3: {
        "moduleFileHash": "0" * 64,
        "flags": {"cmdRegistries": ["https://r/"], "cmdModuleOverrides": {}},
        "localOverrideHashes": {"bazel_tools": "1" * 64},
        "moduleDepGraph": {
            "<root>": {"name": "root", "version": "", "key": "<root>", "deps": {"lib": "lib@1.0"}},
            "lib@1.0": {
                "name": "lib",
                "version": "1.0",
                "key": "lib@1.0",
                "repoSpec": {
                    "bzlFile": "@@bazel_tools//tools/build_defs/repo:http.bzl",
                    "ruleClassName": "http_archive",
                    "attributes": {
                        "name": "lib~1.0",
                        "urls": ["https://h/lib/v1.tar.gz"],
                        "integrity": SRI,
                        "strip_prefix": "lib-1.0",
                        "remote_patches": {"https://r/modules/lib/1.0/patches/fix.patch": SRI},
                        "remote_patch_strip": 1,
                    },
                },
            },
            "over@1.0": {"name": "over", "version": "1.0", "key": "over@_"},
        },
    },
    11: {"registryFileHashes": LOCK["registryFileHashes"], "selectedYankedVersions": {}},
    24: {"registryFileHashes": LOCK["registryFileHashes"], "selectedYankedVersions": {}},
    28: {"registryFileHashes": LOCK["registryFileHashes"], "selectedYankedVersions": {}, "facts": {"x": {}}},
}


@pytest.mark.parametrize("version", FORMATS)
def test_lock_files_of_each_format_say_what_they_hold(tmp_path, version):
    document = {"lockFileVersion": version, **FORMATS[version], "moduleExtensions": LOCK["moduleExtensions"]}
    (tmp_path / "MODULE.bazel.lock").write_text(json.dumps(document))
    lock = read_lock(tmp_path)
    assert lock.version == version
    assert [each.name for each in lock.repositories][-2:] == ["seven", "eight"]
    if version == 3:  # a graph of modules instead of the registry's files
        assert not lock.modules
        assert [(each.name, each.rule, each.urls, each.checksum) for each in lock.repositories[:-2]] == [
            ("lib", "http_archive", ("https://h/lib/v1.tar.gz",), SRI),
            ("lib (fix.patch)", "http_file", ("https://r/modules/lib/1.0/patches/fix.patch",), SRI),
        ]
    else:
        assert [each.name for each in lock.modules] == ["lib"]


@pytest.mark.parametrize("text", ["{}", "[]", '{"lockFileVersion": "x"}'])
def test_a_lock_file_of_another_shape_is_passed_over(tmp_path, text):
    (tmp_path / "MODULE.bazel.lock").write_text(text)
    assert read_lock(tmp_path) is None


def test_a_modules_source_says_its_archive_mirrors_patches_and_overlays(tmp_path):
    (tmp_path / "MODULE.bazel.lock").write_text(json.dumps(LOCK))
    (module,) = read_lock(tmp_path).modules
    document = {
        "url": "https://h/o/v1.tar.gz",
        "integrity": SRI,
        "mirror_urls": ["https://n/v1.tar.gz"],
        "patches": {"fix.patch": SRI},
        "overlay": {"sub/BUILD": SRI},
    }
    source = read_source(json.dumps(document).encode(), module, read_mirrors(b'{"mirrors": ["https://m/"]}'))
    assert source.kind == "archive"
    assert [(each.part, each.urls) for each in source.files] == [
        ("", ("https://m/h/o/v1.tar.gz", "https://h/o/v1.tar.gz", "https://n/v1.tar.gz")),
        ("patch fix.patch", ("https://r/modules/lib/1.0/patches/fix.patch",)),
        ("overlay sub/BUILD", ("https://r/modules/lib/1.0/overlay/sub/BUILD",)),
    ]
    git = read_source(b'{"type": "git_repository", "remote": "https://h/r.git"}', module)
    assert (git.kind, git.remote, git.files) == ("git_repository", "https://h/r.git", ())


def test_the_module_file_says_repository_rules_and_overrides_and_is_not_run(tmp_path):
    (tmp_path / "MODULE.bazel").write_text(
        'http_file = use_repo_rule("@bazel_tools//:http.bzl", "http_file")\n'
        'http_file(name = "one", urls = ["http://h/1"], sha256 = "ab")\n'
        'git_override(module_name = "lib", remote = "https://h/lib.git", commit = "c")\n'
        'archive_override(module_name = "other", urls = ["http://h/o"], integrity = HASH)\n'
        'bazel_dep(name = "lib", version = "1")\n'
        '__import__("os").abort()\n'
    )
    found = read_module_file(tmp_path)
    assert [(each.name, each.rule, each.urls, each.checksum) for each in found] == [
        ("one", "http_file", ("http://h/1",), "ab"),
        ("lib", "git_repository", (), ""),
        ("other", "http_archive", ("http://h/o",), ""),
    ]
    (tmp_path / "MODULE.bazel").write_text("def (")
    assert read_module_file(tmp_path) == ()


def test_the_layout_of_a_repository_cache(tmp_path):
    digest = hashlib.sha256(b"x").hexdigest()
    file = cached_file(tmp_path, "sha256", digest)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert str(file).endswith(f"content_addressable/sha256/{digest}/file")
    assert cached(tmp_path) == {("sha256", digest): 1}
    assert cached(tmp_path / "none") == {}
    # As 7.7.1 has called it for this URL.
    url = "http://127.0.0.1:18999/a/v1.txt"
    mark = "id-aa90e6582dfe8cf8ad62863dbee2e19d9bd76bebdae9f13c2547dcd23c08afe3"
    assert canonical_mark([url]) == mark
