"""How the rc files of large public projects look: one shape for each kind of line, made for these tests.

What each project does was read in its repository; the files here are reductions to that, with options that
Bazels from 4.2.3 on have; `ends_2_1` is what 2.1.0 ends with where it has not. `effective` is what Bazel is
to say of `build` where nobody asks for a config; `hazards` are the codes, and lines, that the texts give
where git tracks them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

FARM = "grpcs://farm.invalid"


@dataclass(frozen=True)
class Shape:
    """Files below the workspace, the cache options that come out, the hazards, where a refusal points."""

    files: dict[str, str]
    effective: dict[str, str] = field(default_factory=dict)
    hazards: tuple[str, ...] = ()
    refused: str = ""
    ends_2_1: str = ""


def rc(*lines: str, **files: str) -> dict[str, str]:
    named = {f".{name.replace('_', '.')}": text for name, text in files.items()}
    return {".bazelrc": "\n".join(lines) + "\n", **named}


PROJECTS: dict[str, Shape] = {
    "tensorflow: a farm behind four configs, strategies with remote first, and a file of configure": Shape(
        rc(
            "build --define framework_shared_object=true -c opt",
            "build --spawn_strategy=standalone",
            "build --enable_platform_specific_config",
            "build:linux --config=dynamic_kernels",
            "build:dynamic_kernels --define=dynamic_loaded_kernels=true",
            "build:dbg --per_file_copt=+.*,-one.*@-g0 --cxxopt -DNO_NEON",
            "startup --host_jvm_args=-Xmx3g",
            f"build:rbe_base --remote_executor={FARM} --define=EXECUTOR=remote",
            "build:rbe_base --spawn_strategy=remote,worker,standalone,local",
            "build:rbe_linux --config=rbe_base",
            "build:rbe_linux_cpu --config=rbe_linux",
            "common:rbe_linux_cpu --remote_instance_name=projects/x/instances/default_instance",
            "try-import %workspace%/.configure.bazelrc",
            "try-import %workspace%/.bazelrc.user",
        ),
        hazards=(".bazelrc:8 rc.endpoint",),
    ),
    "envoy: a config that only coverage selects, with strategies that name remote": Shape(
        rc(
            "fetch --color=yes",
            'build --workspace_status_command="bash -c true"',
            "build --action_env=A --host_action_env=B",
            "coverage --config=coverage",
            "build:coverage --strategy=TestRunner=remote,sandboxed,local",
            "build:coverage --strategy=CoverageReport=sandboxed,local",
            "build:asan --linkopt --rtlib=compiler-rt",
            'build:test-coverage --test_arg="-l trace" --test_arg="--log-path /dev/null"',
        ),
        hazards=(".bazelrc:3 rc.action-env",),
        ends_2_1="Unrecognized option: --host_action_env=B",
    ),
    "grpc: a file for the farm that its scripts give, beside an rc that only redirects": Shape(
        {
            ".bazelrc": "import %workspace%/tools/bazel.rc\n",
            "tools/bazel.rc": "build --copt=-DGRPC\nbuild:asan --copt=-DASAN  # used elsewhere\n",
            "tools/farm.bazelrc": f"import %workspace%/tools/bazel.rc\nbuild --remote_executor={FARM}\n",
        },
    ),
    "bazel: an import without %workspace%, and an alias of a config of a config": Shape(
        rc(
            "common --enable_platform_specific_config",
            f"build:remote_shared --remote_executor={FARM} --disk_cache=",
            "build:java11 --config=remote_shared",
            "build:remote --config=java11",
            "try-import user.bazelrc",
        )
        | {"user.bazelrc": "build --remote_instance_name=mine\n"},
        effective={"remote_instance_name": "mine"},
        hazards=(".bazelrc:2 rc.endpoint", "user.bazelrc:1 rc.instance"),
    ),
    "rules_go: outputs, and strategies under a config for CI": Shape(
        rc(
            "build --remote_download_toplevel",
            "build:ci --spawn_strategy=standalone --genrule_strategy=standalone",
            "test:ci --test_strategy=standalone",
            "test:incompatible --test_env=FLAGS='--one --two'",
            "test --test_output errors",
        ),
        ends_2_1="actionContextProvider was null",  # outputs that stay remote, and no remote
    ),
    "protobuf: a program in single quotes with options of its own": Shape(
        rc(
            "build:valgrind --run_under='valgrind --leak-check=full ' --action_env=A=malloc",
            "build:ubsan --linkopt=--rtlib=compiler-rt --linkopt=-lunwind",
        ),
    ),
    "angular: a farm that is a cache too, without a scheme, and a dotted import": Shape(
        rc(
            "build --symlink_prefix=/",
            "query --output=label_kind",
            "build:remote --remote_instance_name=projects/x/instances/primary",
            "build:remote --remote_cache=farm.invalid --remote_executor=farm.invalid",
            "build:remote --google_default_credentials=true",
            "test:debug --test_arg=--node_options=--inspect-brk --test_output=streamed",
            "build:remote --remote_accept_cached=true",
            "try-import .bazelrc.user",
        ),
        hazards=(".bazelrc:4 rc.uploads-unsaid", ".bazelrc:4 rc.endpoint", ".bazelrc:4 rc.endpoint"),
    ),
    "jax: a cache to read, and a config that pushes": Shape(
        rc(
            "build --spawn_strategy=local",
            'build:public_cache --remote_cache="https://storage.invalid/" --noremote_upload_local_results',
            "build:public_cache_push --config=public_cache --remote_upload_local_results=true",
        ),
        hazards=(".bazelrc:2 rc.endpoint", ".bazelrc:3 rc.uploads"),
    ),
    "pytorch xla: uploads off for all and on for one config; a comment behind a value": Shape(
        rc(
            "build --noremote_upload_local_results",
            f"build:remote_cache --remote_cache={FARM}",
            "build:remote_cache --remote_instance_name=projects/x/instances/default",
            "build:remote_cache --remote_upload_local_results",
            "build:remote_cache --bes_timeout=600s  # On longer builds, it can fail.",
            "build:acl --define==build_with_acl=true",
            "coverage --config=coverage",
            "build:coverage --strategy=CoverageReport=sandboxed,local",
        ),
        effective={"remote_upload_local_results": "0"},
        hazards=(".bazelrc:2 rc.endpoint", ".bazelrc:4 rc.uploads"),
    ),
    "gerrit: a disk cache at home for every command, and an alias of the farm": Shape(
        rc(
            "build --disk_cache=~/.gerrit/cas",
            "common:remote --config=config_gcp",
            "common:remote_gcp --config=remote",
            f"build:config_gcp --remote_executor={FARM}",
        ),
        effective={"disk_cache": "*"},
        hazards=(".bazelrc:1 rc.disk-cache", ".bazelrc:4 rc.endpoint"),
    ),
    "kubernetes: a command as its own word": Shape(rc("build --workspace_status_command hack/status.sh")),
    "cartographer: one define": Shape(rc("build --cxxopt=-std=c++17")),
    "drake: imports alone, one of them generated": Shape(
        {
            ".bazelrc": "import %workspace%/tools/bazel.rc\ntry-import %workspace%/user.bazelrc\n",
            "tools/bazel.rc": "build -c opt\nbuild:Everything --define=A=1\ntest --test_summary=terse\n",
        },
    ),
    "ray: quotes in quotes, a config as a word of its own, and a flag with no in front of a label": Shape(
        rc(
            "build --enable_platform_specific_config",
            r'build:linux --per_file_copt="-\\.(asm|S)$@-Werror"',
            "build:linux-debug --config linux",
            'test:strace --run_under="bash -c \'exec \\"$@\\"\' -"',
            "test:ci --spawn_strategy=local",
            "build:tsan --copt -O2",
        ),
    ),
    "gvisor: the digest function as a property of the JVM": Shape(
        rc(
            "build --stamp --workspace_status_command tools/status.sh",
            f"build:remote --remote_executor={FARM}",
            "startup --host_jvm_args=-Dbazel.DigestFunction=SHA256",
            "build:results-local --spawn_strategy=local --remote_cache=farm.invalid",
        ),
        hazards=(
            ".bazelrc:2 rc.endpoint",
            ".bazelrc:4 rc.uploads-unsaid",
            ".bazelrc:4 rc.endpoint",
        ),
    ),
    "cockroach: a whole option in quotes, and the user's file first": Shape(
        rc(
            "try-import %workspace%/.bazelrc.user",
            "build --symlink_prefix=_bazel/ --define gotags=bazel",
            "test --config=test",
            "build:test --define gotags=test",
            "test:test --test_env=TZ=",
            "build:cross '--workspace_status_command=./stamp.sh x86_64'",
        )
        | {".bazelrc.user": "build --disk_cache=/tmp/nothing-of-ours --remote_cache=http://cache.invalid/\n"},
        effective={"disk_cache": "/tmp/nothing-of-ours", "remote_cache": "http://cache.invalid/"},
        hazards=(
            ".bazelrc.user:1 rc.disk-cache",
            ".bazelrc.user:1 rc.uploads-unsaid",
            ".bazelrc.user:1 rc.endpoint",
        ),
    ),
    "skia: an instance as a word of its own, under a config of a config": Shape(
        rc(
            "build --remote_upload_local_results=false",
            "build --action_env=BAZEL_DO_NOT_DETECT_CPP_TOOLCHAIN=1",
            "build:for_linux_with_rbe --config=linux_rbe",
            f"build:remote --spawn_strategy=remote,sandboxed --remote_executor={FARM}",
            "build:remote --remote_instance_name projects/x/instances/default_instance",
            "build:linux_rbe --config=remote",
            "import %workspace%/buildrc",
        )
        | {"buildrc": "build:release -c opt\n"},
        effective={"remote_upload_local_results": "0"},
        hazards=(".bazelrc:4 rc.endpoint",),
    ),
    "iree: an emptied disk cache, in quotes": Shape(
        rc(
            f"build:rbe --remote_executor={FARM}",
            'build:rbe --disk_cache=""',
            'build:rs --bes_backend="events.invalid"',
            "test --test_timeout=120,600,1800,-1",
        ),
        hazards=(".bazelrc:1 rc.endpoint", ".bazelrc:3 rc.endpoint"),
    ),
    "selenium: an import that has to be there, with a credential for the farm": Shape(
        rc(
            "try-import %workspace%/.bazelrc.windows.local",
            'build --javacopt="--release 11"',
            'test --test_env=RUBYOPT="-Irb/lib -w"',
            'test:windows --test_env=PROGRAMFILES(X86)="C:\\\\Program Files (x86)"',
            "import %workspace%/.bazelrc.remote",
        )
        | {".bazelrc.remote": f"build:rbe --remote_executor={FARM}\nbuild:rbe --remote_header=x-key=hush\n"},
        hazards=(".bazelrc.remote:1 rc.endpoint", ".bazelrc.remote:2 rc.credential"),
    ),
    "mongo: lines without a command, a config for info, strategies for each mnemonic": Shape(
        rc(
            "info --config=local",
            "build:local --remote_executor= --spawn_strategy=local",
            "build --strategy=CppLink=local --strategy=TestRunner=local",
            "--config=fastbuild",
            "build:fastbuild -c fastbuild",
        ),
    ),
    "buildbuddy: events by default, uploads off with a comment behind": Shape(
        rc(
            f"build:remote --remote_cache={FARM} --remote_executor={FARM}",
            "build:remote --remote_upload_local_results",
            "build:ci --config=remote --tls_client_key=key.pem",
            "build --noremote_upload_local_results # Uploads logs without writing to cache",
            "build --workspace_status_command=$(pwd)/status.sh",
        ),
        effective={"remote_upload_local_results": "0"},
        hazards=(".bazelrc:1 rc.endpoint", ".bazelrc:1 rc.endpoint", ".bazelrc:2 rc.uploads"),
    ),
    "istio: another project's rc, imported, and what it says overridden": Shape(
        {
            ".bazelrc": "import %workspace%/envoy.bazelrc\nbuild:remote --remote_timeout=7200\n"
            "build:linux --config=libc++20\nbuild --cxxopt -Wformat\nbuild --remote_cache=\n",
            "envoy.bazelrc": "build --remote_cache=grpc://cache.invalid:1\nbuild:libc++20 --define A=b\n",
        },
        effective={"remote_cache": ""},
        hazards=("envoy.bazelrc:1 rc.uploads-unsaid", "envoy.bazelrc:1 rc.endpoint"),
    ),
    "workerd: a line of prose that was meant as a comment": Shape(
        rc(
            "common --enable_platform_specific_config",
            "https://libcxx.example/HeaderRemovalPolicy.html",
            "build:unix --cxxopt=-D_A --host_cxxopt=-D_A",
            "build:linux --config=unix",
            "build --per_file_copt='external@-Wno-error'",
        ),
    ),
    "dropbox: a cache under its old name": Shape(
        rc(
            "build:changes --remote_http_cache=http://10.0.3.1:8000",
            "build --platforms @local_config_platform//:host",
        ),
        hazards=(".bazelrc:1 rc.uploads-unsaid", ".bazelrc:1 rc.endpoint"),
    ),
    "a project that builds on its farm by default": Shape(
        rc("build --config=remote", "build:remote --config=farm", f"build:farm --remote_executor={FARM}"),
        effective={"remote_executor": FARM},
        hazards=(".bazelrc:1 rc.executor", ".bazelrc:3 rc.endpoint"),
        refused=".bazelrc:3",
    ),
    "a project that builds on its farm on Linux": Shape(
        rc(
            "common --enable_platform_specific_config",
            "build:linux --config=farm",
            f"build:farm --remote_executor {FARM}",
        ),
        effective={"remote_executor": FARM},
        hazards=(".bazelrc:2 rc.executor", ".bazelrc:3 rc.endpoint"),
        refused=".bazelrc:3",
    ),
}
