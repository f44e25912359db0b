"""Ways to bring an executor into a workspace, and workspaces that only use a cache: the cases as tables."""

import base64
from dataclasses import dataclass, field

EXECUTOR = "--remote_executor=grpc://farm:1"
ENDPOINT, STRATEGY, WRAPPER = (f"prove.executor.{kind}" for kind in ("endpoint", "strategy", "wrapper"))
REAL = 'exec "$BAZEL_REAL"'


@dataclass(frozen=True)
class Route:
    """Files by path: below the workspace, `~/` below HOME; `rc` are files given with --bazelrc."""

    files: dict[str, str]
    code: str = ENDPOINT
    place: str = ""
    rc: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


def rc(*lines, code=ENDPOINT, place: str = ""):
    return Route({".bazelrc": "\n".join(lines) + "\n"}, code, place)


def strategy(*lines, place: str = ".bazelrc:1"):
    return rc(*lines, code=STRATEGY, place=place)


def wrapper(body, code=WRAPPER, place: str = "tools/bazel:2", **files):
    return Route({"tools/bazel": f"#!/bin/sh\n{body}\n", **files}, code, place)


def policy(flag, value, behaviour: str = "") -> str:
    set_value = f"set_value{{flag_value:'{value}' {behaviour}}}"
    return f"startup --invocation_policy=\"flag_policies{{flag_name:'{flag}' {set_value}}}\""


def encoded(flag, value) -> str:
    """The same as it is sent, in base64, as Bazel takes it."""

    def field(number: int, content):
        return bytes([number << 3 | 2, len(content)]) + content

    sets = field(1, flag.encode()) + field(3, field(1, value.encode()))
    return f"startup --invocation_policy={base64.b64encode(field(1, sets)).decode()}"


REFUSED = {
    "a policy in base64": rc(encoded("remote_executor", "grpc://farm:1"), place=".bazelrc:1"),
    "a policy in base64 without padding": strategy(encoded("spawn_strategy", "remote").rstrip("=")),
    "a policy that says the value before the flag": rc(
        "startup --invocation_policy=\"flag_policies{set_value<flag_value:['grpc://' 'farm:1']>"
        " flag_name:'remote\\\\x5fexecutor'}\"",
        place=".bazelrc:1",
    ),
    "a policy that replaces what it forbids": rc(
        "startup --invocation_policy=\"flag_policies{flag_name:'remote_executor'"
        " disallow_values{disallowed_values:'' new_value:'grpc://farm:1'}}\"",
        place=".bazelrc:1",
    ),
    "a policy that nobody can read": rc(
        "startup --invocation_policy=Ch8=", code="prove.executor.policy", place=".bazelrc:1"
    ),
    "a policy of an rc that a wrapper gives": wrapper(
        f'{REAL} --bazelrc=farm.rc "$@"',
        STRATEGY,
        "farm.rc:1",
        **{"farm.rc": encoded("strategy", "Genrule=remote") + "\n"},
    ),
    "a policy that a wrapper gives": wrapper(
        f"{REAL} \"--invocation_policy=flag_policies{{flag_name:'remote_executor'"
        ' set_value{flag_value:\'grpc://farm:1\'}}" "$@"',
        ENDPOINT,
        "tools/bazel gives it",
    ),
    "a policy that no option overrides": rc(
        "build --jobs=4", policy("remote_executor", "grpc://farm:1"), place=".bazelrc:2"
    ),
    "a policy that sets a strategy": strategy(policy("strategy", "Genrule=remote")),
    "a policy of an imported file": Route(
        {
            ".bazelrc": "try-import %workspace%/policy.rc\n",
            "policy.rc": policy("remote_executor", "grpc://farm:1", "overridable:true") + "\n",
        },
        place="policy.rc:1",
    ),
    "the workspace's rc": rc("# farm", f"build {EXECUTOR}", place=".bazelrc:2"),
    "a value that is a word of its own": rc("build --remote_executor grpc://farm:1", place=".bazelrc:1"),
    "a common line": rc(f"common {EXECUTOR}", place=".bazelrc:1"),
    "quotes": rc(f'build "{EXECUTOR}"', place=".bazelrc:1"),
    "a line that goes on": rc("build --jobs=4 \\", f"  {EXECUTOR}", place=".bazelrc:1"),
    "an executor with TLS": rc("build --remote_executor=grpcs://farm:443", place=".bazelrc:1"),
    "an executor without a scheme": rc("build --remote_executor=farm:1", place=".bazelrc:1"),
    "an executor that is the cache": rc(f"build {EXECUTOR} --remote_cache=grpc://farm:1", place=".bazelrc:1"),
    "emptied first, and set behind it": rc(
        "build --remote_executor=", f"build {EXECUTOR}", place=".bazelrc:2"
    ),
    "with execution properties": rc(
        f"build {EXECUTOR} --remote_default_exec_properties=gf.platform=x", place=".bazelrc:1"
    ),
    "a config that is selected by default": rc(
        "build --config=farm", f"build:farm {EXECUTOR}", place=".bazelrc:2 (under --config=farm)"
    ),
    "a config within a config within a config": rc(
        "build --config=a",
        "build:a --config=b",
        "build:b --config=c",
        f"build:c {EXECUTOR}",
        place=".bazelrc:4",
    ),
    "the config of this system": rc(
        "build --enable_platform_specific_config", f"build:linux {EXECUTOR}", place=".bazelrc:2"
    ),
    "a common config": rc("common --config=farm", f"build:farm {EXECUTOR}", place=".bazelrc:2"),
    "an import": Route(
        {".bazelrc": "import %workspace%/farm.rc\n", "farm.rc": f"build {EXECUTOR}\n"}, place="farm.rc:1"
    ),
    "a user's rc, as the field imports it": Route(
        {".bazelrc": "try-import %workspace%/user.bazelrc\n", "user.bazelrc": f"\nbuild {EXECUTOR}\n"},
        place="user.bazelrc:2",
    ),
    "an import within an import": Route(
        {
            ".bazelrc": "import %workspace%/a.rc\n",
            "a.rc": "try-import %workspace%/b.rc\n",
            "b.rc": f"build {EXECUTOR}\n",
        },
        place="b.rc:1",
    ),
    "a config that another file defines": Route(
        {
            ".bazelrc": "import %workspace%/configs.rc\nbuild --config=farm\n",
            "configs.rc": f"build:farm {EXECUTOR}\n",
        },
        place="configs.rc:1",
    ),
    "the rc at home": Route({"~/.bazelrc": f"build {EXECUTOR}\n"}, place=".bazelrc:1"),
    "the rc at home selects a config of the workspace": Route(
        {".bazelrc": f"build:farm {EXECUTOR}\n", "~/.bazelrc": "build --config=farm\n"}, place=".bazelrc:1"
    ),
    "an rc given with --bazelrc": Route(
        {"given.rc": f"build {EXECUTOR}\n"}, rc=("given.rc",), place="given.rc:1"
    ),
    "an rc given with --bazelrc that imports": Route(
        {"given.rc": "import %workspace%/farm.rc\n", "farm.rc": f"build {EXECUTOR}\n"},
        rc=("given.rc",),
        place="farm.rc:1",
    ),
    "an rc given with --bazelrc that selects": Route(
        {".bazelrc": f"build:farm {EXECUTOR}\n", "given.rc": "build --config=farm\n"},
        rc=("given.rc",),
        place=".bazelrc:1 (under --config=farm)",
    ),
    "the field's executor config": Route(
        {
            ".bazelrc": "try-import %workspace%/.bazelrc.flywheel\nbuild --config=flywheel-executor\n",
            ".bazelrc.flywheel": "build:flywheel-executor --spawn_strategy=remote --jobs=200\n",
        },
        STRATEGY,
        ".bazelrc.flywheel:1",
    ),
    "a strategy for all spawns": strategy("build --spawn_strategy=remote"),
    "a strategy with others beside an executor": rc(
        f"build --spawn_strategy=remote,local {EXECUTOR}", place=".bazelrc:1"
    ),
    "remote and dynamic, and no other": strategy("build --spawn_strategy=remote,dynamic"),
    "dynamic before others": strategy("build --spawn_strategy=dynamic,local"),
    "a strategy for one mnemonic": strategy("build --strategy=Genrule=remote"),
    "a strategy for one mnemonic among others": strategy(
        "build --strategy=Genrule=local", "build --strategy=Javac=remote", place=".bazelrc:2"
    ),
    "a strategy given again": strategy(
        "build --strategy=Genrule=local", "build --strategy=Genrule=remote", place=".bazelrc:2"
    ),
    "a strategy for a pattern": strategy("build --strategy_regexp=.*=remote"),
    "a strategy for a pattern with an equals sign": strategy("build --strategy_regexp=a=b=remote"),
    "a strategy for genrules": strategy("build --genrule_strategy=remote"),
    "a strategy in a nested config": strategy(
        "build --config=a", "build:a --config=b", "build:b --spawn_strategy=remote", place=".bazelrc:3"
    ),
    "a dynamic strategy": strategy("build --spawn_strategy=dynamic"),
    "a dynamic strategy for one mnemonic": strategy("build --strategy=Genrule=dynamic"),
    "an option that expands to a dynamic strategy": strategy("build --experimental_spawn_scheduler"),
    "a wrapper that gives a strategy": wrapper(f'{REAL} "$@" --strategy=Genrule=remote'),
    "a wrapper that gives an executor": wrapper(
        f'{REAL} "$@" {EXECUTOR} --remote_cache=', place="tools/bazel:2"
    ),
    # Which rc a wrapper gives, nobody knows but Bazel: the option is named, and no place.
    "a wrapper that gives an rc": wrapper(
        f'{REAL} --bazelrc=farm.rc "$@"', ENDPOINT, EXECUTOR, **{"farm.rc": f"build {EXECUTOR}\n"}
    ),
}

NOT_REFUSED = {
    "a policy in base64 for something else": rc(encoded("remote_timeout", "60")),
    "a policy in base64 that forbids executors": rc(encoded("remote_executor", "")),
    "a wrapper that asks Bazel before": wrapper(
        f'case "$("$BAZEL_REAL" --version)" in bazel*) ;; *) set -- "$@" {EXECUTOR};; esac\n{REAL} "$@"'
    ),
    "a policy that forbids executors": rc(policy("remote_executor", "")),
    "a policy for a local strategy": rc(policy("strategy", "Genrule=local")),
    "a policy for something else": rc(policy("remote_timeout", "60")),
    "what the field's rules call an executor": rc("build --define=EXECUTOR=remote"),
    "no rc": Route({}),
    "a gRPC cache": rc("build --remote_cache=grpc://cache:9092"),
    "an HTTP cache": rc("build --remote_cache=http://cache:8080"),
    "a cache at home": Route({"~/.bazelrc": "build --remote_cache=grpc://cache:9092\n"}),
    "a cache given with --bazelrc": Route(
        {"given.rc": "build --remote_cache=grpc://cache:9092\n"}, rc=("given.rc",)
    ),
    "a cache in a nested config": rc(
        "build --config=a", "build:a --config=b", "build:b --remote_cache=grpc://cache:9092"
    ),
    "a config that is called an executor and is none": rc(
        "build --config=executor-backed", "build:executor-backed --remote_cache=grpc://cache:9092"
    ),
    "a cache with uploads": rc("build --remote_cache=grpc://cache:9092 --remote_upload_local_results"),
    "a downloader, which needs a gRPC cache": rc(
        "build --remote_cache=grpc://cache:9092 --experimental_remote_downloader=grpc://cache:9092"
    ),
    "an instance name": rc("build --remote_cache=grpc://cache:9092 --remote_instance_name=main"),
    "headers": rc("build --remote_header=a=b --remote_cache_header=c=d"),
    "a header for an executor that is not there": rc("build --remote_exec_header=a=b"),
    "timeouts and retries": rc("build --remote_timeout=60 --remote_retries=2 --remote_local_fallback"),
    "minimal downloads": rc("build --remote_cache=grpc://cache:9092 --remote_download_minimal"),
    "a disk cache": rc("build --disk_cache=disk"),
    "an event service": rc("build --bes_backend=grpc://events:1"),
    "an empty executor": rc("build --remote_executor="),
    "an executor that is emptied behind": rc(f"build {EXECUTOR}", "build --remote_executor="),
    "an executor that the attachment's rc empties": Route(
        {".bazelrc": f"build {EXECUTOR}\n", "given.rc": "build --remote_executor=\n"}, rc=("given.rc",)
    ),
    "an executor under a config that nobody selects": rc(f"build:farm {EXECUTOR}"),
    "configs that nobody selects, nested": rc(
        "build:a --config=b", f"build:b {EXECUTOR} --spawn_strategy=remote"
    ),
    "an executor for another system": rc(
        "build --enable_platform_specific_config", f"build:windows {EXECUTOR}"
    ),
    "an executor in a comment": rc(f"# build {EXECUTOR}", f"build --jobs=4 # {EXECUTOR}"),
    "an executor for tests, and a build is proved": rc(f"test {EXECUTOR}"),
    "an rc that is not there": rc("try-import %workspace%/farm.rc"),
    "an rc that nobody imports": Route({"farm.rc": f"build {EXECUTOR}\n"}),
    "the BAZELRC variable, which this Bazel does not read": Route(
        {"farm.rc": f"build {EXECUTOR}\n"}, variables={"BAZELRC": "farm.rc"}
    ),
    "a strategy with others behind it, which Bazel takes": rc("build --spawn_strategy=remote,local"),
    "a strategy with others before it": rc("build --spawn_strategy=worker,remote"),
    "a strategy with others for one mnemonic": rc("build --strategy=TestRunner=remote,sandboxed,local"),
    "a strategy with others for genrules": rc("build --genrule_strategy=remote,local"),
    "a strategy with others for a pattern": rc("build --strategy_regexp=.*=remote,local"),
    "a policy that sets a strategy with others": rc(policy("spawn_strategy", "remote,local")),
    "local strategies": rc("build --spawn_strategy=linux-sandbox,local --strategy=Javac=worker"),
    "a remote strategy that is undone": rc("build --spawn_strategy=remote", "build --spawn_strategy=local"),
    "a remote strategy for a mnemonic that is undone": rc(
        "build --strategy=Genrule=remote", "build --strategy=Genrule=local"
    ),
    "a pattern that is called remote": rc("build --strategy_regexp=remote=local"),
    "what a dynamic strategy would use, and none is given": rc("build --dynamic_remote_strategy=remote"),
    "execution properties alone": rc("build --remote_default_exec_properties=gf.platform=x"),
    "execution platforms alone": rc("build --extra_execution_platforms=@local_config_platform//:host"),
    "a wrapper that adds nothing": wrapper(f'{REAL} "$@"'),
    "a wrapper that speaks of an executor": wrapper(f'# {EXECUTOR}\n{REAL} "$@"'),
    "a wrapper that gives one elsewhere": wrapper(
        f'if [ -n "$FARM" ]; then set -- "$@" {EXECUTOR}; fi\n{REAL} "$@"'
    ),
}
