"""A fetched Bazel for servers that live for a few commands, as those of tests do.

The same program, whose JVM is told so: no second compiler, no collector with threads of its own, and the
classes of a first build out of an archive (JEP 350) instead of a hundred jars. Debian's 7.7.1 then takes 9.4
processor seconds for a cold build of 20 genrules instead of 23.8 (on a busy machine;
`python -m tests.harness.programs.short_lived` asks both, in turn).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

#: Of what a test's server has no use: see gfattach/bazel/server/run.py for the first.
OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

#: Seconds of one cold build, on a small machine that does other things too.
BUILD_SECONDS = 600.0

_BUILD = '[genrule(name = "g%d" % i, outs = ["o%d" % i], cmd = "echo > $@") for i in range(20)]\n'


def short_lived(launcher: Path) -> Path:
    """The launcher of the Bazel at `launcher` for such servers; it itself while there is none."""
    made = _place(launcher)
    return made if made.exists() else launcher


def hasten(launcher: Path) -> None:
    """Make that launcher, and the archive of classes that it names, where it is not there.

    The archive is written by a server as it ends. A JVM that cannot use it goes on without, which costs time
    and nothing else. Raises OSError and CalledProcessError; what is half made is not used.
    """
    made = _place(launcher)
    if made.exists():
        return
    archive = made.with_suffix(".jsa")
    archive.unlink(missing_ok=True)
    _build(launcher, *OPTIONS, f"-XX:ArchiveClassesAtExit={archive}")
    options = (*OPTIONS, *([f"-XX:SharedArchiveFile={archive}"] if archive.exists() else []))
    words = " ".join(f"--host_jvm_args={option}" for option in options)
    draft = made.with_suffix(".draft")
    draft.write_text(f'#!/bin/sh\nexec {launcher} {words} "$@"\n')
    draft.chmod(0o755)
    draft.replace(made)


def _place(launcher: Path) -> Path:
    return launcher.with_name(f"{launcher.name}-short-lived")


def _build(launcher: Path, *options: str) -> float:
    """Build 20 genrules with a cold server, and end it; processor seconds of client and server."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory(prefix="gfattach-warm-") as name:
        root, workspace = Path(name), Path(name, "workspace")
        workspace.mkdir()
        for file in ("WORKSPACE", "MODULE.bazel"):
            (workspace / file).touch()
        (workspace / "BUILD.bazel").write_text(_BUILD)
        own = ["--nohome_rc", f"--output_user_root={root / 'user'}", f"--output_base={root / 'base'}"]
        own += [f"--host_jvm_args={option}" for option in options]
        # With --batch client and server are one process: whoever waits for it has waited for all of it.
        command = [str(launcher), *own, "--batch", "build", "--noenable_bzlmod", "--enable_workspace"]
        subprocess.run(
            [*command, "--spawn_strategy=local", "//..."],
            cwd=workspace,
            env={"HOME": name, "PATH": os.environ.get("PATH", os.defpath)},
            check=True,
            capture_output=True,
            timeout=BUILD_SECONDS,
        )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Print what a cold build costs with each launcher, three times in turn."""
    from tests.harness.programs.installed import RECORD
    from tests.harness.programs.place import programs_directory

    for record in sorted(programs_directory().glob(f"bazel-*/*/{RECORD}"))[:1] * 3:
        launcher = record.parent / "bin/bazel"
        for each in (launcher, short_lived(launcher)):
            print(f"{_build(each):6.1f} processor s  {each.name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
