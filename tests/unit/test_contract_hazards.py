"""Hazards: each is seen where it is, and not where it is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gfattach.contract.bazel.rctext import RcFile
from gfattach.contract.environment import Exports, attached
from gfattach.contract.hazards.environment import environment_hazards
from gfattach.contract.hazards.files import (
    envrc_hazards,
    flake_hazards,
    stale_hazards,
    tracked_path_hazards,
    tracked_text_hazards,
    wrapper_hazards,
)
from gfattach.contract.hazards.rc import import_hazard, rc_hazards
from gfattach.contract.model.codes import HAZARDS
from gfattach.core.endpoint import parse_endpoint
from gfattach.core.finding import Status

FORWARD = parse_endpoint("grpc://127.0.0.1:49152")
ATTACHED = attached({}, Exports(cache=FORWARD))


def codes(findings):
    assert all(f.status is Status.WARN and f.seen and f.why and f.hints for f in findings)
    assert {f.code for f in findings} <= set(HAZARDS)
    return [finding.code for finding in findings]


def places(findings):
    return [(finding.code, finding.data["line"]) for finding in findings]


def test_neither_an_empty_environment_nor_an_attached_one_has_a_hazard():
    assert codes(environment_hazards({})) == []
    assert codes(environment_hazards(ATTACHED)) == []


ENVIRONMENTS = [
    ({"ATTIC_TOKEN": "hunter2"}, ["hazard.attic-token"]),
    ({"GF_BAZEL_REMOTE_UPLOAD": "true", "BAZEL_REMOTE_UPLOAD": "1"}, ["hazard.upload.on"]),
    ({"GF_BAZEL_REMOTE_UPLOAD": ""}, ["hazard.upload.unset"]),
    ({"BAZEL_REMOTE_UPLOAD": "yes"}, ["hazard.upload.on", "hazard.upload.disagrees"]),
    ({"GF_FLYWHEEL_PROFILE_STATE": ""}, ["hazard.profile.unset"]),
    ({"GF_BAZEL_SUBSTRATE_MODE": ""}, ["hazard.mode.unset"]),
    ({"ATTIC_SERVER": "https://nix.example"}, ["hazard.nix.partial"]),
    ({"BAZEL_REMOTE_INSTANCE_NAME": "spoke"}, ["hazard.instance-name"]),
    ({"BAZEL_REMOTE_INSTANCE_NAME": "spoke-site"}, []),
    ({"BAZEL_REMOTE_INSTANCE_NAME": "default"}, []),
]


@pytest.mark.parametrize(("environment", "found"), ENVIRONMENTS)
def test_hazards_of_an_attached_environment(environment, found):
    hazards = environment_hazards(ATTACHED | environment)
    assert codes(hazards) == found
    assert "hunter2" not in repr(hazards)


def test_what_only_matters_with_an_endpoint_is_not_said_without_one():
    assert codes(environment_hazards({"GF_BAZEL_REMOTE_UPLOAD": ""})) == []


@pytest.mark.parametrize(
    ("mode", "found"),
    [
        ("compatibility-local-only", ["hazard.manifest.mode"]),
        ("executor-backed", ["hazard.manifest.mode"]),
        ("shared-cache-backed", []),
        ("what", []),
        (["what"], []),
    ],
)
def test_a_manifest_that_refuses_an_attached_shell(mode, found):
    manifest = {"enrollment": {"substrateMode": mode}}
    assert codes(environment_hazards(ATTACHED, manifest)) == found
    assert codes(environment_hazards({}, manifest)) == []


RC = [
    ("build --remote_upload_local_results", ["hazard.rc.uploads"]),
    ("build:ci --remote_upload_local_results=yes", ["hazard.rc.uploads"]),
    ("build --noremote_upload_local_results", []),
    ("build --remote_upload_local_results=false", []),
    ("common:flywheel --remote_upload_local_results=false --remote_local_fallback", []),
    ("build --remote_cache=grpc://h:1", ["hazard.rc.uploads-unsaid", "hazard.rc.endpoint"]),
    ("build --remote_cache=grpc://h:1 --noremote_upload_local_results", ["hazard.rc.endpoint"]),
    ("build --remote_cache grpc://h:1 --noremote_upload_local_results", ["hazard.rc.endpoint"]),
    ("build --remote_cache=", []),
    ("build --bes_backend=grpc://h:1", ["hazard.rc.endpoint"]),
    (
        "build --remote_cache=${BAZEL_REMOTE_CACHE} --noremote_upload_local_results",
        ["hazard.rc.placeholder"],
    ),
    ("build --remote_header=x-token=hunter2", ["hazard.rc.credential"]),
    ("build --remote_cache_header 'x-token=hunter2'", ["hazard.rc.credential"]),
    ("build:x --google_credentials=/hunter2", ["hazard.rc.credential"]),
    ("build --remote_header=x=${TOKEN}", ["hazard.rc.placeholder"]),
    ("build --disk_cache=/tmp/cache", ["hazard.rc.disk-cache"]),
    ("build:ci --disk_cache=", []),
    ("build --remote_executor=grpc://h:1", ["hazard.rc.endpoint", "hazard.rc.executor"]),
    ("build:rbe --remote_executor=grpc://h:1", ["hazard.rc.endpoint"]),
    ("build --spawn_strategy=remote,local", []),
    ("build --strategy=TestRunner=remote,sandboxed,local", []),
    ("build --spawn_strategy=remote", ["hazard.rc.executor"]),
    ("build --strategy=Javac=remote", ["hazard.rc.executor"]),
    ("build --strategy=Javac=dynamic,local", ["hazard.rc.executor"]),
    ("build --experimental_spawn_scheduler", ["hazard.rc.executor"]),
    ("build --strategy_regexp=remote=local", []),
    ("build --remote_upload_local_results=f", []),
    ("build --spawn_strategy=worker,sandboxed", []),
    ("build:rbe --spawn_strategy=remote", []),
    ("build --config=flywheel-executor", ["hazard.rc.executor"]),
    ("build --config flywheel-executor", ["hazard.rc.executor"]),
    ("build --config=flywheel", []),
    ("build --config=a\nbuild:a --config=b\nbuild:b --spawn_strategy=remote", ["hazard.rc.executor"]),
    ("test:executor-backed --config=executor-backed", ["hazard.rc.config-cycle"]),
    (
        "build:a --config=b\nbuild:b --config=a",
        ["hazard.rc.config-cycle", "hazard.rc.config-cycle"],
    ),
    ("build:a --config=b\nbuild:b --config=c", []),
    ("build --announce_rc # --remote_upload_local_results", []),
    ("# build --remote_upload_local_results", []),
    ("try-import %workspace%/user.bazelrc", []),
    ("build --x=http://attic.attic-cache-dev.svc", ["hazard.stale-host"]),
    ("", []),
    ("build", []),
    # Lines for other commands, which outrank those for build.
    ("test --remote_upload_local_results", ["hazard.rc.uploads"]),
    ("run --remote_executor=grpc://h:1", ["hazard.rc.endpoint", "hazard.rc.executor"]),
    ("coverage --config=rbe\ncoverage:rbe --spawn_strategy=remote", ["hazard.rc.executor"]),
    ("common --spawn_strategy=remote", ["hazard.rc.executor"]),
    # What keeps a build from hits.
    ("build --noremote_accept_cached", ["hazard.rc.no-hits"]),
    ("test --remote_accept_cached=false", ["hazard.rc.no-hits"]),
    ("common --remote_accept_cached=0", ["hazard.rc.no-hits"]),
    ("build:proof --noremote_accept_cached", []),
    ("build --remote_accept_cached", []),
    ("startup --digest_function=blake3", ["hazard.rc.digest"]),
    ("startup --digest_function=SHA1", ["hazard.rc.digest"]),
    ("startup --digest_function SHA512", ["hazard.rc.digest"]),
    ("startup --digest_function=SHA256", []),
    ("startup --host_jvm_args=-Dbazel.DigestFunction=SHA1", ["hazard.rc.digest"]),
    ("startup --host_jvm_args -Dbazel.DigestFunction=BLAKE3", ["hazard.rc.digest"]),
    ("startup --host_jvm_args=-Dbazel.DigestFunction=SHA256", []),
    ("test --remote_proxy=unix:/s", ["hazard.rc.outranks", "hazard.rc.endpoint"]),
    ("test:ci --remote_proxy=unix:/s", ["hazard.rc.endpoint"]),
    ("build --action_env=PATH", ["hazard.rc.action-env"]),
    ("build --action_env=PATH=/usr/bin --action_env LANG=C", []),
    ("build --noincompatible_strict_action_env", ["hazard.rc.action-env"]),
    ("build --incompatible_strict_action_env", []),
    ("build --remote_instance_name=projects/x/instances/default", ["hazard.rc.instance"]),
    ("test --remote_instance_name main", ["hazard.rc.instance"]),
    ("common --experimental_remote_instance_name=old", ["hazard.rc.instance"]),
    ("build:ci --remote_instance_name=main", []),
    ("build --remote_instance_name=", []),
    # A config that Bazel selects by itself.
    ("common --enable_platform_specific_config\nbuild:linux --spawn_strategy=remote", ["hazard.rc.executor"]),
    ("build --enable_platform_specific_config\nbuild:linux --noremote_accept_cached", ["hazard.rc.no-hits"]),
    ("build --enable_platform_specific_config\ntest:linux --config=remote-executor", ["hazard.rc.executor"]),
    ("build --enable_platform_specific_config\nbuild:windows --spawn_strategy=remote", []),
    ("build --noenable_platform_specific_config\nbuild:linux --spawn_strategy=remote", []),
    ("build:linux --spawn_strategy=remote", []),
    # Words that only look like options, and lines that are for no command.
    ("test --test_arg --remote_executor=grpc://h:1", []),
    ("build --copt --remote_upload_local_results", []),
    ("build --host_jvmopt --noremote_accept_cached --jobs=2", []),
    ("run --run_under --disk_cache=/x", []),
    ("--remote_executor=grpc://h:1", []),
    ("  --remote_upload_local_results --jobs 4", []),
    # Names that options had before.
    (
        "build --remote_http_cache=http://h:1/cache",
        ["hazard.rc.uploads-unsaid", "hazard.rc.endpoint"],
    ),
    (
        "build --remote_rest_cache http://h:1 --noremote_upload_local_results",
        ["hazard.rc.endpoint"],
    ),
    ("build --auth_credentials=/hunter2", ["hazard.rc.credential"]),
    ("build --experimental_local_disk_cache_path=/x", ["hazard.rc.disk-cache"]),
]


@pytest.fixture(autouse=True)
def on_linux(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")


@pytest.mark.parametrize(("text", "found"), RC, ids=[text for text, _ in RC])
def test_hazards_of_a_tracked_rc_file(text, found):
    hazards = rc_hazards([RcFile(".bazelrc", text, tracked=True)])
    assert codes(hazards) == found
    assert "hunter2" not in repr(hazards)


def test_an_endpoint_in_a_file_of_one_s_own_is_no_hazard_and_a_credential_is():
    text = "build --remote_cache=grpc://h:1 --noremote_upload_local_results\nbuild --remote_header=a=b"
    assert codes(rc_hazards([RcFile("user.bazelrc", text)])) == ["hazard.rc.credential"]


def test_one_file_may_forbid_the_uploads_of_another():
    files = [
        RcFile(".bazelrc", "build --config=flywheel\ntry-import x"),
        RcFile("user.bazelrc", "build --remote_cache=grpc://h:1"),
        RcFile(".bazelrc.flywheel", "common:flywheel --remote_upload_local_results=false"),
    ]
    assert codes(rc_hazards(files)) == []
    assert codes(rc_hazards(files[1:])) == ["hazard.rc.uploads-unsaid"]


def test_a_hazard_names_the_line_that_it_begins_on_and_its_config():
    text = "build --a\n\nbuild:ci \\\n  --disk_cache=/x\r\nbuild --disk_cache=/y\\"
    (first, second) = rc_hazards([RcFile("a.rc", text)])
    assert places([first, second]) == [("hazard.rc.disk-cache", 3), ("hazard.rc.disk-cache", 5)]
    assert first.seen.startswith("a.rc:3 (under --config=ci) ")
    assert dict(first.data) == {"file": "a.rc", "line": 3, "config": "ci", "option": "disk_cache"}


@given(st.text(alphabet="build:-=o \n\\\"'#${}remot_cgf", max_size=60))
def test_any_text_may_be_given_for_an_rc_file(text):
    codes(rc_hazards([RcFile("x", text, tracked=True)]))


def test_what_stands_before_the_attachments_environment_is_overridden_by_it():
    text = 'export BAZEL_BIN=a\neval "$(gfattach env)"\nexport NIX_CONFIG=x\n'
    assert [hazard.seen for hazard in envrc_hazards(".envrc", text)] == [".envrc:3 sets NIX_CONFIG"]


ENVRC = [
    ("export BAZEL_REMOTE_CACHE=grpc://x", ["sets BAZEL_REMOTE_CACHE"]),
    ("BAZEL_REMOTE_CACHE=grpc://x", ["sets BAZEL_REMOTE_CACHE"]),
    ("export A=1 GF_BAZEL_REMOTE_UPLOAD='true'", ["sets GF_BAZEL_REMOTE_UPLOAD"]),
    ("unset NIX_CONFIG BAZEL_BIN", ["unsets NIX_CONFIG", "unsets BAZEL_BIN"]),
    ("use flake; export NIX_CONFIG=x", ["sets NIX_CONFIG"]),
    ("[ -n x ] && export NIX_CONFIG=x", ["sets NIX_CONFIG"]),
    ("export NIX_CONFIG", []),
    ("echo BAZEL_BIN=x", []),
    ("# export NIX_CONFIG=x", []),
    ("use flake # NIX_CONFIG=x", []),
    ("export MY_NIX_CONFIG=x NIX_CONFIGS=y", []),
    ('eval "$(gfattach env)"', []),
    ('export "NIX_CONFIG=x', ["sets NIX_CONFIG"]),
]


@pytest.mark.parametrize(("text", "found"), ENVRC, ids=[text for text, _ in ENVRC])
def test_variables_that_an_envrc_overrides(text, found):
    hazards = envrc_hazards(".envrc", f"use flake\n{text}\n")
    codes(hazards)
    assert [hazard.seen for hazard in hazards] == [f".envrc:2 {what}" for what in found]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("cache: grpc://cache.example:1", True),
        ("http://bazel-cache.nix-cache.svc.cluster.local:8080", True),
        ("address 10.1.2.3", True),
        ("address 192.168.0.1:80", True),
        ("address 172.16.0.1", True),
        ("address 172.32.0.1", False),
        ("version 1.10.1.2.3", False),
        ("grpc:// is a scheme", False),
        ("http://127.0.0.1:8080", False),
    ],
)
def test_addresses_in_tracked_files_that_mean_something_in_one_place_only(line, found):
    hazards = tracked_text_hazards("docs/x.md", f"\n{line}\n")
    codes(hazards)
    assert places(hazards) == [("hazard.tracked.endpoint", 2)] * found


def test_a_host_that_was_given_up_is_named_with_its_line():
    (hazard,) = stale_hazards("x", "a\nserver: https://Attic.Tinyland.example")
    assert hazard.seen == "x:2 names Attic.Tinyland, a retired service"
    codes([hazard])


def test_files_of_one_machine_that_git_tracks():
    paths = ["user.bazelrc", "a/user.bazelrc", ".env.flywheel.local", ".bazelrc", "my.user.bazelrc"]
    hazards = tracked_path_hazards(paths)
    assert codes(hazards) == ["hazard.local-file.tracked"] * 3
    assert [hazard.data["file"] for hazard in hazards] == paths[:3]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('upload="${GF_BAZEL_REMOTE_UPLOAD:-true}"', True),
        ("x=${BAZEL_REMOTE_UPLOAD-1}", True),
        ('upload="${GF_BAZEL_REMOTE_UPLOAD:-false}"', False),
        ("# ${GF_BAZEL_REMOTE_UPLOAD:-true}", False),
    ],
)
def test_wrappers_that_upload_unless_they_are_told_not_to(line, found):
    hazards = wrapper_hazards("scripts/bazel.sh", line)
    assert codes(hazards) == ["hazard.wrapper.uploads"] * found


def test_every_hazard_has_a_case():
    manifest = {"enrollment": {"substrateMode": "compatibility-local-only"}}
    findings = [
        *(each for environment, _ in ENVIRONMENTS for each in environment_hazards(ATTACHED | environment)),
        *environment_hazards(ATTACHED, manifest),
        *(each for text, _ in RC for each in rc_hazards([RcFile("x", text, tracked=True)])),
        import_hazard(RcFile("x", ""), 1, "gone.bazelrc"),
        *envrc_hazards("x", ENVRC[0][0]),
        *flake_hazards("{ nixConfig.substituters = [ ]; }", ""),
        *tracked_path_hazards(["user.bazelrc"]),
        *tracked_text_hazards("x", "grpc://h"),
        *wrapper_hazards("x", "${BAZEL_REMOTE_UPLOAD-1}"),
    ]
    assert {finding.code for finding in findings} == set(HAZARDS)
