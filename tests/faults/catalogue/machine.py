"""Faults of machine and workspace while a good cache is named: files, variables, limits, programs."""

from __future__ import annotations

import os
import shutil

from tests.faults.bed import Bed
from tests.faults.fault import Seed, faults

_TOKEN = "c4nary"
_ENDPOINT = "--remote_cache=grpc://cache:1 --noremote_upload_local_results"


def file(name: str, text: str, *, tracked: bool = False) -> Seed:
    """A file of the workspace holds this."""
    return lambda bed: bed.write(name, f"{text}\n", tracked=tracked)


def site(text: str) -> Seed:
    """The user's own configuration holds this."""

    def seed(bed: Bed) -> None:
        path = bed.directory("home/.config/gfattach") / "gfattach.toml"
        path.write_text(text)

    return seed


def variables(**values: str) -> Seed:
    """These variables are set."""
    return lambda bed: bed.machine.variables.update(values)


def program(name: str, script: str) -> Seed:
    """The program of that name is this script."""
    return lambda bed: bed.program(name, script)


def started_by(*prefix: str) -> Seed:
    """The doctor is started by another program, which limits it."""

    def seed(bed: Bed) -> None:
        bed.prefix += prefix

    return seed


def mounted(place: str, options: str) -> Seed:
    """A file system of its own is mounted there, seen by the doctor alone."""

    def seed(bed: Bed) -> None:
        directory = bed.directory(place)
        kept = bed.directory("kept")
        script = (
            'mount -t tmpfs -o size=100m,mode=700 gfattach "$1" && cp -a "$2/." "$1" '
            f'&& {options} && shift 2 && exec "$@"'
        )
        shutil.copytree(directory, kept, dirs_exist_ok=True, symlinks=True)
        bed.prefix += ["unshare", "--mount", "sh", "-c", script, "sh", str(directory), str(kept)]

    return seed


def _untrusted_site(bed: Bed) -> None:
    bed.arguments[:] = ["--no-nix"]
    bed.write("gfattach.toml", '[cache]\nendpoint = "grpc://cache.example:9092"\n')


def _not_ignored(bed: Bed) -> None:
    bed.machine.git("init", "--quiet")


def _long_runtime(bed: Bed) -> None:
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "TMPDIR"):
        bed.machine.variables[name] = str(bed.directory("long/" + "d" * 90))


CAN_MOUNT = os.geteuid() == 0

FAULTS = faults(
    "machine",
    {
        "the user's configuration is cut off": (site("[cache\n"), "usage"),
        "the user's configuration has an unknown key": (
            site("[cache]\nendpiont = 'x'\n"),
            "site.key.unknown",
        ),
        "the user's configuration has a value of another kind": (
            site("[cache]\nupload = 'maybe'\n"),
            "usage",
        ),
        "the user's configuration holds a secret": (
            site("[site]\nname = 'Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln'\n"), "site.secret|usage"
        ),
        "a site's file that nobody has allowed": (_untrusted_site, "site.unallowed"),
        "an rc file uploads": (file(".bazelrc", "build --remote_upload_local_results"), "hazard.rc.uploads"),
        "a tracked rc file names an endpoint": (
            file(".bazelrc", f"build {_ENDPOINT}", tracked=True),
            "hazard.rc.endpoint",
        ),
        "an rc file holds a credential": (
            file(".bazelrc", f"build --remote_header=x-token={_TOKEN}"), "hazard.rc.credential"
        ),
        "a disk cache hides hits": (file(".bazelrc", "build --disk_cache=disk"), "hazard.rc.disk-cache"),
        "an executor by default": (file(".bazelrc", "build --spawn_strategy=remote"), "hazard.rc.executor"),
        "no hits are taken": (file(".bazelrc", "build --noremote_accept_cached"), "hazard.rc.no-hits"),
        "another digest function": (file(".bazelrc", "startup --digest_function=BLAKE3"), "hazard.rc.digest"),
        "another instance": (file(".bazelrc", "build --remote_instance_name=other"), "hazard.rc.instance"),
        "a placeholder that nobody filled in": (
            file(".bazelrc", "build --remote_cache=${C}\nbuild --noremote_upload_local_results"),
            "hazard.rc.placeholder",
        ),
        "configurations that name each other": (
            file(".bazelrc", "build:a --config=b\nbuild:b --config=a\nbuild --config=a"),
            "hazard.rc.config-cycle",
        ),
        "an import of a file that is not there": (
            file(".bazelrc", "import %workspace%/missing.bazelrc"), "hazard.rc.import"
        ),
        "a line of test outranks the fragment": (
            file(".bazelrc", f"test {_ENDPOINT}"),
            "hazard.rc.outranks",
        ),
        "the client's environment goes into every key": (
            file(".bazelrc", "build --action_env=PATH"), "hazard.rc.action-env"
        ),
        "a decommissioned host": (file(".envrc", "# was fuzzy-dev"), "hazard.stale-host"),
        "a tracked address of one place": (
            file(".envrc", "# at 10.1.2.3", tracked=True),
            "hazard.tracked.endpoint",
        ),
        "a wrapper that uploads by default": (
            file("tools/bazel", 'up="${GF_BAZEL_REMOTE_UPLOAD:-true}"'), "hazard.wrapper.uploads"
        ),
        "a file of one machine is tracked": (
            file(".env.flywheel.local", "", tracked=True), "hazard.local-file.tracked"
        ),
        "a proxy before this machine's ports": (
            variables(HTTP_PROXY="http://proxy.invalid:3128"), "machine.proxy.loopback"
        ),
        "a token that enables pushes": (variables(ATTIC_TOKEN=_TOKEN), "hazard.attic-token"),
        "uploads by the environment": (
            variables(GF_BAZEL_REMOTE_UPLOAD="true", BAZEL_REMOTE_UPLOAD="true"), "hazard.upload.on"
        ),
        "an instance name that is nobody's": (
            variables(BAZEL_REMOTE_INSTANCE_NAME="mian"), "hazard.instance-name"
        ),
        "half of what Nix needs": (
            variables(ATTIC_PUBLIC_KEY="main:" + "A" * 43 + "="),
            "hazard.nix.partial",
        ),
        "few descriptors": (started_by("prlimit", "--nofile=128:128"), "machine.descriptors.few"),
        "a socket's path that is too long": (_long_runtime, "machine.socket.long"),
        "a Bazel that does not start": (program("bazel", "echo cannot >&2; exit 1"), "bazel.program.crashed"),
        "what is named as Bazel says something else": (
            program("bazel", "echo hello"),
            "bazel.program.rubbish",
        ),
        "what is named as Bazel is not there": (
            variables(BAZEL_BIN="/nonexistent/bazel"),
            "bazel.program.named",
        ),
        **(
            {
                "a full disk": (
                    mounted("home", 'dd if=/dev/zero of="$1/filler" bs=1M count=90 2>/dev/null'),
                    "machine.disk.full",
                ),
                "no inodes": (
                    mounted("home", 'mount -o remount,nr_inodes=100 "$1"'), "machine.inodes.none"
                ),
                "a read-only home": (mounted("home", 'mount -o remount,ro "$1"'), "machine.disk.read-only"),
            }
            if CAN_MOUNT
            else {}
        ),
    },
)  # fmt: skip
