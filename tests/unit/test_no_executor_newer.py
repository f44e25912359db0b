"""Ways to an executor that only newer Bazels can express: from their event file to the refusal.

No Bazel after 4.2.3 can be had from a package registry, so these event files are not recorded: they
are made here, in the shape of `build_event_stream.proto` as Bazel 7 to 9 write it (fields that the
older ones lack included), with what the documentation of each version says comes out of each way.
"""

import json
from dataclasses import dataclass, field

import pytest

from gfattach.bazel.logs.events import read_events
from gfattach.contract.bazel.executor import read_rc_files
from gfattach.core.errors import RefusedError
from gfattach.proof.bazel.no_executor import refuse_effective_executor

EXECUTOR = "--remote_executor=grpc://farm:1"


@dataclass(frozen=True)
class Route:
    """What is on disk and in the environment, the expanded options that come out, and the place named."""

    files: dict[str, str]
    options: tuple[str, ...]
    place: str
    code: str = "prove.executor.endpoint"
    version: str = "9.0.0"
    variables: dict[str, str] = field(default_factory=dict)


REFUSED = {
    "the BAZELRC variable": Route(
        {"ci.rc": f"build {EXECUTOR}\n"}, (EXECUTOR,), "ci.rc:1", variables={"BAZELRC": "ci.rc"}
    ),
    "the second of two files in the BAZELRC variable": Route(
        {"a.rc": "build --jobs=4\n", "b.rc": f"\ncommon {EXECUTOR}\n"},
        ("--jobs=4", EXECUTOR),
        "b.rc:2",
        variables={"BAZELRC": "a.rc,b.rc"},
    ),
    "what a file of the BAZELRC variable imports": Route(
        {"a.rc": "import %workspace%/b.rc\n", "b.rc": f"build {EXECUTOR}\n"},
        (EXECUTOR,),
        "b.rc:1",
        variables={"BAZELRC": "a.rc"},
    ),
    "an import that is conditional on the version": Route(
        {
            ".bazelrc": "try-import-if-bazel-version >=8.0.0 %workspace%/new.rc\n",
            "new.rc": f"build {EXECUTOR}\n",
        },
        (EXECUTOR,),
        "new.rc:1",
    ),
    "a common line beside options that the command does not know": Route(
        {".bazelrc": f"common --test_output=errors {EXECUTOR}\n"}, (EXECUTOR,), ".bazelrc:1", version="7.4.0"
    ),
    "an always line": Route({".bazelrc": f"always {EXECUTOR}\n"}, (EXECUTOR,), ".bazelrc:1", version="6.3.0"),
    "a config within a conditional import": Route(
        {
            ".bazelrc": "build --config=farm\ntry-import-if-bazel-version ~9.0 %workspace%/nine.rc\n",
            "nine.rc": "build:farm --spawn_strategy=remote\n",
        },
        ("--spawn_strategy=remote",),
        "nine.rc:1 (under --config=farm)",
        code="prove.executor.strategy",
    ),
}

NOT_REFUSED = {
    "a cache, compressed and asynchronous": (
        "--remote_cache=grpcs://cache:443",
        "--remote_cache_compression",
        "--remote_cache_async",
        "--credential_helper=cache=/bin/helper",
    ),
    "strategies that a platform would be allowed": ("--allowed_strategies_by_exec_platform=//:p=remote",),
    "a remote downloader": ("--remote_cache=grpc://cache:1", "--experimental_remote_downloader=grpc://d:1"),
    "a remote output service": ("--experimental_remote_output_service=unix:/run/x",),
    "the executor emptied by the attachment's rc": (EXECUTOR, "--remote_executor="),
}


def event_file(path, version, options):
    """An event file as Bazel `version` writes it for an empty build with these effective options."""
    events = [
        {
            "id": {"started": {}},
            "children": [{"optionsParsed": {}}, {"buildFinished": {}}],
            "started": {
                "uuid": "1cbcaa28-1a5a-4df3-a5a6-2a7e3a1de1a1",
                "startTimeMillis": "1795485365762",
                "startTime": "2026-11-24T01:56:05.762Z",
                "buildToolVersion": version,
                "optionsDescription": " ".join(options),
                "command": "build",
                "serverPid": "1",
                "host": "machine",
                "user": "dev",
            },
        },
        {"id": {"unstructuredCommandLine": {}}, "unstructuredCommandLine": {"args": ["build"]}},
        {
            "id": {"optionsParsed": {}},
            "optionsParsed": {
                "startupOptions": ["--max_idle_secs=10800"],
                "explicitStartupOptions": [],
                "cmdLine": list(options),
                "explicitCmdLine": [],
                "invocationPolicy": {},
                "toolTag": "",
            },
        },
        {
            "id": {"buildFinished": {}},
            "finished": {
                "overallSuccess": True,
                "finishTimeMillis": "1795485365900",
                "exitCode": {"name": "SUCCESS"},
                "anomalyReport": {},
                "finishTime": "2026-11-24T01:56:05.900Z",
            },
        },
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_a_way_of_newer_bazels_is_refused_with_the_place_where_it_stands(tmp_path, name):
    route = REFUSED[name]
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    for file, text in route.files.items():
        (workspace / file).write_text(text)
    events = read_events(event_file(tmp_path / "events.json", route.version, route.options))
    assert events.options is not None
    files = read_rc_files(workspace, {"HOME": str(tmp_path / "home"), **route.variables}, [])
    with pytest.raises(RefusedError) as caught:
        refuse_effective_executor(events.options, files)
    assert (caught.value.code, caught.value.exit_code) == (route.code, 3)
    assert f"it stands in {route.place}" in caught.value.hints


@pytest.mark.parametrize("name", NOT_REFUSED)
def test_options_of_newer_bazels_that_use_only_a_cache_are_not_refused(tmp_path, name):
    events = read_events(event_file(tmp_path / "events.json", "8.2.1", NOT_REFUSED[name]))
    assert events.options is not None
    refuse_effective_executor(events.options)
