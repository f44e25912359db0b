"""What `gfattach bazel` makes of the contract's variables: which arguments, and in which order."""

from pathlib import Path

import pytest

from gfattach.contract.bazel.arguments import arguments, header_rc, may_upload, split
from gfattach.contract.bazel.flags import known_names, reviews, uncertain_flags
from gfattach.core.errors import RefusedError, UsageError

CACHE = {"BAZEL_REMOTE_CACHE": "grpc://cache:9092"}
EXECUTOR = {**CACHE, "BAZEL_REMOTE_EXECUTOR": "grpc://cache:9092"}
ALL = {
    **EXECUTOR,
    "BAZEL_OUTPUT_USER_ROOT": "/root",
    "BAZEL_OUTPUT_BASE": "/base",
    "BAZEL_CREDENTIAL_HELPER": "a=/a\n\nb=/b",
    "BAZEL_REMOTE_HEADER": "x-token=canary-1",
    "BAZEL_REMOTE_CACHE_HEADER": "x-cache=canary-2\nx-more=canary 3",
    "BAZEL_REMOTE_EXEC_HEADER": "x-exec=canary-4",
    "BAZEL_REMOTE_INSTANCE_NAME": "main",
    "BAZEL_REMOTE_MAX_CONNECTIONS": "8",
    "BAZEL_REPOSITORY_CACHE": "/repositories",
    "BAZEL_DISTDIR": "/d1::/d 2",
    "GF_BAZEL_INJECT_REPOSITORIES": "r=/r:s=/s",
    "GF_BAZEL_REPOSITORY_DISABLE_DOWNLOAD": "yes",
}


def named(environment, command):
    """The names that a Bazel gives which knows every flag under its newest name."""
    needed = uncertain_flags(environment, command)
    return known_names(needed, set(reviews(needed)), "9.0.0")


def built(environment, *words, rc=(), upload=False):
    invocation = split(words)
    names = named(environment, invocation.command)
    return arguments(invocation, environment, names=names, rc=rc, upload=upload)


def test_everything_at_once_stands_in_the_fields_order():
    rc = [Path("/home/bazelrc"), Path("/run/headers")]
    assert built(ALL, "--batch", "build", "-k", "//:x", rc=rc, upload=True) == [
        *("--output_user_root=/root", "--output_base=/base"),
        *("--bazelrc=/home/bazelrc", "--bazelrc=/run/headers", "--batch"),
        "build",
        "--remote_cache=grpc://cache:9092",
        "--remote_upload_local_results",
        *("--credential_helper=a=/a", "--credential_helper=b=/b"),
        *("--remote_instance_name=main", "--remote_max_connections=8"),
        "--remote_executor=grpc://cache:9092",
        "--remote_default_exec_properties=gf.platform=gloriousflywheel-rbe-linux-x86_64",
        *("--repository_cache=/repositories", "--distdir=/d1", "--distdir=/d 2"),
        *("--inject_repository=r=/r", "--inject_repository=s=/s", "--repository_disable_download"),
        *("-k", "//:x"),
    ]


@pytest.mark.parametrize(
    ("environment", "words", "expected"),
    [
        ({}, "build //:x", "build --noremote_upload_local_results //:x"),
        (CACHE, "test //:x", "test --remote_cache=grpc://cache:9092 --noremote_upload_local_results //:x"),
        (CACHE, "info release", "info release"),
        (CACHE, "clean", "clean"),
        (CACHE, "query //...", "query //..."),
        (CACHE, "", ""),
        (CACHE, "--version", "--version"),
        ({"BAZEL_OUTPUT_BASE": "/b"}, "--version", "--version"),
        ({"BAZEL_OUTPUT_BASE": "/b"}, "shutdown", "--output_base=/b shutdown"),
        ({"BAZEL_OUTPUT_BASE": "/b"}, "--output_base /m info", "--output_base=/b --output_base /m info"),
        ({"BAZEL_DISTDIR": "/d"}, "query //...", "query --distdir=/d //..."),
        ({"BAZEL_DISTDIR": "/d"}, "version", "version"),
        ({}, "build --config=ci //:x", "build --noremote_upload_local_results --config=ci //:x "
         "--noremote_upload_local_results"),
        ({}, "run --config ci //:x -- --config=y", "run --noremote_upload_local_results --config ci //:x "
         "--noremote_upload_local_results -- --config=y"),
        ({}, "run //:x -- --remote_upload_local_results", "run --noremote_upload_local_results //:x -- "
         "--remote_upload_local_results"),
        (
            {**EXECUTOR, "BAZEL_REMOTE_EXECUTOR_CACHE": "grpc://cas:1",
             "GF_BAZEL_REMOTE_EXECUTION_PLATFORM": "mac"},
            "build",
            "build --remote_cache=grpc://cas:1 --noremote_upload_local_results "
            "--remote_executor=grpc://cache:9092 --remote_default_exec_properties=gf.platform=mac",
        ),
        ({**CACHE, "BAZEL_REMOTE_EXECUTOR_CACHE": "grpc://cas:1"}, "build",
         "build --remote_cache=grpc://cache:9092 --noremote_upload_local_results"),
    ],
)  # fmt: skip
def test_each_command_gets_what_it_takes_and_no_more(environment, words, expected):
    assert built(environment, *words.split()) == expected.split()


def test_no_header_is_ever_an_argument_and_each_is_in_the_rc():
    assert "canary" not in " ".join(built(ALL, "build"))
    assert header_rc(ALL) == (
        "build --remote_header=x-token=canary-1\n"
        "build --remote_cache_header=x-cache=canary-2\n"
        'build "--remote_cache_header=x-more=canary 3"\n'
        "build --remote_exec_header=x-exec=canary-4\n"
    )


def test_headers_for_an_executor_count_only_where_there_is_one():
    environment = {**CACHE, "BAZEL_REMOTE_EXEC_HEADER": "x=canary"}
    assert header_rc(environment) == ""
    assert uncertain_flags(environment, "build") == ()


def test_an_attachment_and_a_plain_shell_need_no_question_of_bazel():
    for command in ("build", "info", "query"):
        assert uncertain_flags(CACHE, command) == ()
    assert uncertain_flags(ALL, "info") == ()


def test_a_flag_is_used_under_the_name_that_the_bazel_at_hand_knows():
    needed = uncertain_flags({"GF_BAZEL_REPOSITORY_DISABLE_DOWNLOAD": "true"}, "fetch")
    names = known_names(needed, {"--experimental_repository_disable_download"}, "4.2.3")
    assert names == {"repository_disable_download": "experimental_repository_disable_download"}


@pytest.mark.parametrize(
    "variable", ["BAZEL_CREDENTIAL_HELPER", "GF_BAZEL_INJECT_REPOSITORIES", "BAZEL_REMOTE_MAX_CONNECTIONS"]
)
def test_a_flag_that_bazel_lacks_is_an_error_that_names_flag_version_and_variable(variable):
    (flag,) = needed = uncertain_flags({variable: ALL[variable]}, "build")
    with pytest.raises(UsageError) as caught:
        known_names(needed, (), "4.2.3")
    assert f"--{flag}" in caught.value.fact and "4.2.3" in caught.value.fact and variable in caught.value.fact


@pytest.mark.parametrize(
    ("asked", "site_allows", "event", "allowed"),
    [
        ("true", True, "", True),
        ("1", True, "push", True),
        ("true", False, "push", False),
        ("false", True, "push", False),
        ("", True, "push", False),
        ("true", True, "pull_request", False),
        ("true", True, "pull_request_target", False),
        ("true", True, "merge_group", False),
    ],
)
def test_uploads_need_the_site_the_variable_and_no_pull_request(asked, site_allows, event, allowed):
    environment = {"GF_BAZEL_REMOTE_UPLOAD": asked, "GITHUB_EVENT_NAME": event, "BAZEL_REMOTE_UPLOAD": "true"}
    assert may_upload(environment, site_allows=site_allows) is allowed


@pytest.mark.parametrize("value", ["", "=true", "=1", "=YES"])
def test_an_upload_that_a_person_types_is_refused_where_it_is_not_allowed(value):
    option = f"--remote_upload_local_results{value}"
    with pytest.raises(RefusedError):
        built(CACHE, "build", option, "//:x")
    assert option in built(CACHE, "build", option, "//:x", upload=True)
    assert built(CACHE, "build", "--remote_upload_local_results=no")[-1] == "--remote_upload_local_results=no"


EVENTS = "--experimental_build_event_upload_strategy"


@pytest.mark.parametrize("words", [[f"{EVENTS}=remote"], [EVENTS, "remote"], [f"{EVENTS}="]])
def test_files_of_build_events_that_a_person_would_upload_are_refused_like_results(words):
    with pytest.raises(RefusedError) as caught:
        built(CACHE, "build", *words, "//:x")
    assert caught.value.code == "bazel.upload"
    assert words[0] in built(CACHE, "build", *words, "//:x", upload=True)
    assert built(CACHE, "build", EVENTS, "local")[-2:] == [EVENTS, "local"]
    assert built(CACHE, "run", "//:x", "--", *words)[-len(words) :] == words


def test_no_rc_file_and_no_config_uploads_the_files_of_build_events():
    """The command line comes behind every rc file, and is said once more behind a config."""
    needed = uncertain_flags(CACHE, "build", keep_events=True)
    names = known_names(needed, set(reviews(needed)), "4.2.3")
    line = arguments(split(["build", "--config=ci", "//:x"]), CACHE, names=names)
    assert [i for i, word in enumerate(line) if word == f"{EVENTS}=local"] == [3, len(line) - 1]


def test_a_bazel_that_is_told_to_ignore_rc_files_would_lose_the_attachment():
    with pytest.raises(UsageError):
        built({}, "--ignore_all_rc_files", "build", rc=[Path("/home/bazelrc")])
    assert built({}, "--ignore_all_rc_files", "info") == ["--ignore_all_rc_files", "info"]
